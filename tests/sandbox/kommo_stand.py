"""Kommo's sandbox in this process."""

from typing import Any

import requests

from sandbox.kit.stand import Sandbox
from sandbox.kommo import open_vendor

NEW, OFFER, APPROVED, INVOICED = 58_141_807, 58_141_811, 58_141_815, 58_141_819
SALES, PROJECTS, WON = 6_950_551, 6_950_555, 142


class Stand:
    """Talks to the sandbox over HTTP only: `api` as an integration does, `tell` and `ask` as a test's control plane."""

    def __init__(self) -> None:
        self.sandbox = Sandbox([open_vendor]).start()
        self.api_url = f"{self.sandbox.kit.urls['kommo']}/acme/api/v4"
        self.drive_url = self.sandbox.kit.urls["drive"]
        self.token = self.sandbox.ready["kommo_token"]
        self._api, self._control = requests.Session(), requests.Session()

    def stop(self) -> None:
        self._api.close()
        self._control.close()
        self.sandbox.stop()

    def api(self, method: str, path: str, content: Any = None, **query: Any) -> requests.Response:
        url = path if path.startswith("http") else f"{self.api_url}{path}"
        return self._api.request(
            method, url, json=content, params=query, headers={"Authorization": f"Bearer {self.token}"}, timeout=10
        )

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api("GET", path, **query)
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.status_code == 200 else None

    def write(self, method: str, path: str, content: Any, status: int = 200) -> Any:
        answer = self.api(method, path, content)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def ask(self, path: str) -> Any:
        return self._control.get(f"{self.sandbox.kit.urls['control']}/_sandbox{path}", timeout=10).json()

    def tell(self, path: str, content: Any = None, method: str = "POST") -> Any:
        url = f"{self.sandbox.kit.urls['control']}/_sandbox{path}"
        answer = self._control.request(method, url, json=content, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def switch(self, **switches: Any) -> None:
        self.tell("/settings", {"kommo": switches}, "PATCH")

    def lead(self, **typed: Any) -> int:
        return int(self.tell("/kommo/leads", {"name": "Order 77", **typed})["id"])

    def subscribe(self, url: str, *codes: str) -> None:
        self.write("POST", "/webhooks", {"destination": url, "settings": list(codes)})
