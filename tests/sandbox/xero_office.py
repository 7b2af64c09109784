"""A client of the simulated Xero for its tests: what an app calls, and what people do in the browser."""

import json
from decimal import Decimal
from typing import Any

import requests

from sandbox.kit.stand import Sandbox

API = "/api.xro/2.0/"


class Office:
    """`call` goes to the API as an app; `human` and `books` go to the control plane."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.url = sandbox.kit.urls["xero"]
        self.control = sandbox.kit.urls["control"] + "/_sandbox"
        self.ready = sandbox.ready
        self.session = requests.Session()
        self.headers: dict[str, str] = {}

    def open(self) -> None:
        """As new, with a fresh token."""
        self.tell("/reset", {"seed": "demo"})
        self.headers = {
            "Authorization": f"Bearer {self.token()}",
            "xero-tenant-id": self.ready["xero_tenant_id"],
            "Accept": "application/json",
        }

    def ask_token(self, **form: str) -> requests.Response:
        client = (self.ready["xero_client_id"], self.ready["xero_client_secret"])
        asked = {"grant_type": "client_credentials", **form}
        return self.session.post(f"{self.url}/connect/token", data=asked, auth=client, timeout=5)

    def token(self, **form: str) -> str:
        return str(self.ask_token(**form).json()["access_token"])

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> requests.Response:
        """Below /api.xro/2.0/."""
        merged = {name: value for name, value in {**self.headers, **(headers or {})}.items() if value is not None}
        return self.session.request(method, self.url + API + path, headers=merged, timeout=10, **more)

    def get(self, path: str, *, headers: dict[str, str] | None = None, **query: str) -> Any:
        return read(self.call("GET", path, headers=headers, params=query))

    def put(self, path: str, *elements: dict[str, Any], key: str = "", method: str = "PUT", **query: str) -> Any:
        """Writes elements; the answer as it is."""
        plural = path.split("/", maxsplit=1)[0]
        headers = {"Idempotency-Key": key} if key else {}
        body = {plural: list(elements)}
        return read(self.call(method, path, headers=headers, json=body, params=query))

    def make(self, **fields: Any) -> Any:
        """One invoice, made with summarizeErrors=false: its element, good or bad."""
        return self.put("Invoices", draft(**fields), summarizeErrors="false", unitdp="4")["Invoices"][0]

    def change(self, invoice_id: str, **fields: Any) -> Any:
        """POST to one invoice with summarizeErrors=false: its element."""
        body = {"Invoices": [{"InvoiceID": invoice_id, **fields}]}
        answer = self.call("POST", f"Invoices/{invoice_id}", json=body, params={"summarizeErrors": "false"})
        return read(answer)["Invoices"][0]

    def errors(self, **fields: Any) -> list[str]:
        """What a new invoice with these fields is refused for."""
        return messages(self.make(**fields))

    def tell(self, path: str, content: Any = None, method: str = "POST") -> Any:
        answer = self.ask(path, content, method)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def ask(self, path: str, content: Any = None, method: str = "POST") -> requests.Response:
        return self.session.request(method, self.control + path, json=content, timeout=20)

    def human(self, path: str, content: Any = None, method: str = "POST") -> Any:
        """What a person does in the browser."""
        return self.tell(f"/xero{path}", content if content is not None else {}, method)

    def switch(self, **switches: Any) -> None:
        self.tell("/settings", {"xero": switches}, "PATCH")

    def books(self) -> Any:
        return self.ask("/books", method="GET").json()["xero"]


def read(answer: requests.Response) -> Any:
    assert answer.headers["Content-Type"].startswith("application/json"), (answer.status_code, answer.text[:200])
    return json.loads(answer.text, parse_float=Decimal)


def keys(element: dict[str, Any]) -> str:
    """The names in their order."""
    return " ".join(element)


def messages(element: dict[str, Any]) -> list[str]:
    return [each["Message"] for each in element.get("ValidationErrors", [])]


def draft(**fields: Any) -> dict[str, Any]:
    """A good invoice, with changes; None takes a field away."""
    whole = {
        "Type": "ACCREC",
        "Contact": {"Name": "Acme Ltd"},
        "Date": "2026-09-14",
        "DueDate": "2026-09-28",
        "Status": "AUTHORISED",
        "LineItems": [line()],
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not None}


def line(**fields: Any) -> dict[str, Any]:
    whole = {"Description": "Website", "Quantity": "2", "UnitAmount": "10.50", "AccountCode": "200", **fields}
    return {name: value for name, value in whole.items() if value is not None}
