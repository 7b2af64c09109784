"""The vendors' webhooks in a test's own hands: none comes but those that it sends, when it sends them."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import requests

from stack.trial import point_xero_at
from tests.conftest import wait_until
from tests.system.product import APPROVED, Product


@dataclass(frozen=True, slots=True)
class Hooks:
    """What Kommo and Xero would send to the product."""

    product: Product

    def take_over(self) -> None:
        """From now on neither vendor sends anything by itself."""
        self.product.sandbox.patch("settings", {"hooks_paused": True})
        self.product.sandbox.delete("xero/webhook")

    def give_back(self) -> None:
        """They send again; what Kommo has gathered comes now."""
        processes = self.product.processes
        point_xero_at(processes["web.1"].url, processes, self.product.sandbox)
        self.product.sandbox.patch("settings", {"hooks_paused": False})

    def approve(self, *lead_ids: int) -> None:
        """A person moves deals into the trigger stage, and Kommo says so, in one body."""
        sandbox = self.product.sandbox
        sandbox.post("kommo/leads/move", {"ids": lead_ids, **APPROVED})
        account = sandbox.ready["kommo_account_id"]
        body = {"account[id]": account, "account[subdomain]": "acme"}
        for place, lead_id in enumerate(lead_ids):
            lead = sandbox.get(f"kommo/leads/{lead_id}")
            known = {"id": lead_id, "status_id": lead["status_id"], "pipeline_id": lead["pipeline_id"]}
            body |= {f"leads[status][{place}][{name}]": value for name, value in known.items()}
        settings = self.product.processes.environment
        self._post(f"/webhooks/kommo/{settings['KOMMO_WEBHOOK_TOKEN']}", data=body)

    def changed(self, *invoice_ids: str) -> None:
        """Xero says that these invoices were made or changed, in one body."""
        tenant = self.product.sandbox.ready["xero_tenant_id"]
        at = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        events = [
            {
                "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{one}", "resourceId": one, "tenantId": tenant,
                "tenantType": "ORGANISATION", "eventCategory": "INVOICE", "eventType": "UPDATE", "eventDateUtc": at,
            }
            for one in invoice_ids
        ]  # fmt: skip
        body = json.dumps({"events": events, "firstEventSequence": 1, "lastEventSequence": len(events)}).encode()
        key = self.product.processes.environment["XERO_WEBHOOK_KEY"].encode()
        signature = base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode()
        headers = {"Content-Type": "application/json", "x-xero-signature": signature}
        self._post("/webhooks/xero", data=body, headers=headers)

    def _post(self, path: str, **what: object) -> None:
        """Sent again after a 503, as the vendors would."""
        url = self.product.processes["web.1"].url + path

        def sent() -> bool:
            answer = requests.post(url, timeout=10, **what)  # type: ignore[arg-type]
            assert answer.status_code in (200, 503), (answer.status_code, answer.text)
            return answer.status_code == 200

        wait_until(sent, 20, pause=0.5)
