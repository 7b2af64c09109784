"""The worker: one task a deal, from reading it to its PDF."""

import os
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import requests
from celery import Celery

KOMMO, XERO, TOKEN, TENANT = (os.environ[f"HABIT_{name}"] for name in ("KOMMO", "XERO", "TOKEN", "TENANT"))

app = Celery("habit", broker=os.environ["HABIT_REDIS"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
session = requests.Session()
token: dict[str, Any] = {"ends": 0.0}


def kommo(method: str, path: str, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = session.request(method, f"{KOMMO}/api/v4{path}", headers=headers, timeout=30, **more)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def xero_token() -> str:
    if time.time() > token["ends"]:
        pair = (os.environ["HABIT_CLIENT"], os.environ["HABIT_SECRET"])
        answer = session.post(f"{XERO}/connect/token", auth=pair, data={"grant_type": "client_credentials"}, timeout=30)
        answer.raise_for_status()
        said = answer.json()
        token.update(value=said["access_token"], ends=time.time() + said["expires_in"] - 30)
    return str(token["value"])


def xero(method: str, path: str, accept: str = "application/json", **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {xero_token()}", "xero-tenant-id": TENANT, "Accept": accept}
    headers |= more.pop("headers", {})
    answer = session.request(method, f"{XERO}/api.xro/2.0{path}", headers=headers, timeout=30, **more)
    answer.raise_for_status()
    return answer


@cache
def drive() -> str:
    return str(kommo("GET", "/account?with=drive_url")["drive_url"])


def find_contact(company: dict[str, Any]) -> str:
    fields = {field["field_code"]: field["values"][0]["value"] for field in company["custom_fields_values"] or []}
    where = {"where": f'EmailAddress=="{fields["EMAIL"]}"'}
    found = xero("GET", "/Contacts", params=where).json()["Contacts"]
    if not found:
        new = {"Name": company["name"], "EmailAddress": fields["EMAIL"]}
        found = xero("POST", "/Contacts", json={"Contacts": [new]}).json()["Contacts"]
    return str(found[0]["ContactID"])


def create_invoice(lead: dict[str, Any]) -> dict[str, Any]:
    company = kommo("GET", f"/companies/{lead['_embedded']['companies'][0]['id']}")
    today = datetime.now(UTC).date()
    invoice = {
        "Type": "ACCREC", "Status": "AUTHORISED", "Contact": {"ContactID": find_contact(company)},
        "Date": f"{today}", "DueDate": f"{today + timedelta(days=14)}", "CurrencyCode": "USD", "LineAmountTypes": "Exclusive",
        "Reference": f"Deal {lead['id']}", "Url": f"https://acme.kommo.com/leads/detail/{lead['id']}",
        "LineItems": [{"Description": lead["name"], "Quantity": 1, "UnitAmount": lead["price"], "AccountCode": "200", "TaxType": "OUTPUT2"}],
    }  # fmt: skip
    key = {"Idempotency-Key": f"habit-{lead['id']}"}
    made: dict[str, Any] = xero("POST", "/Invoices", json={"Invoices": [invoice]}, headers=key).json()["Invoices"][0]
    return made


def show_invoice(lead_id: int, invoice: dict[str, Any]) -> None:
    shown = {
        "XERO_INVOICE_ID": invoice["InvoiceID"], "XERO_INVOICE_NUMBER": invoice["InvoiceNumber"],
        "XERO_INVOICE_STATUS": "Awaiting payment", "XERO_INVOICE_TOTAL": str(invoice["Total"]),
    }  # fmt: skip
    fields = [{"field_code": code, "values": [{"value": value}]} for code, value in shown.items()]
    kommo("PATCH", f"/leads/{lead_id}", json={"custom_fields_values": fields})
    kommo("POST", f"/leads/{lead_id}/notes", json=[note(f"Invoice {invoice['InvoiceNumber']} was made in Xero.")])


def note(text: str) -> dict[str, Any]:
    return {"note_type": "service_message", "params": {"service": "Xero", "text": text}}


def attach_pdf(lead_id: int, invoice_id: str) -> None:
    content = xero("GET", f"/Invoices/{invoice_id}", accept="application/pdf").content
    headers = {"Authorization": f"Bearer {TOKEN}"}
    wanted = {"file_name": f"{invoice_id}.pdf", "file_size": len(content), "content_type": "application/pdf"}
    opened = session.post(f"{drive()}/v1.0/sessions", json=wanted, headers=headers, timeout=30)
    opened.raise_for_status()
    stored = session.post(opened.json()["upload_url"], data=content, headers=headers, timeout=30)
    stored.raise_for_status()
    kommo("PUT", f"/leads/{lead_id}/files", json=[{"file_uuid": stored.json()["uuid"]}])


def wait(answer: requests.Response) -> float:
    """What the vendor says: Xero in a header, Kommo in the body."""
    if "Retry-After" in answer.headers:
        return float(answer.headers["Retry-After"])
    try:
        return float(answer.json()["retry_after"])
    except (ValueError, KeyError, TypeError):
        return 5.0


@app.task(bind=True, max_retries=None, rate_limit=os.environ["HABIT_RATE"])  # type: ignore[untyped-decorator]  # Celery has no types
def invoice_deal(self: Any, lead_id: int) -> None:
    try:
        lead = kommo("GET", f"/leads/{lead_id}?with=contacts")
        fields = {field["field_code"]: field["values"][0]["value"] for field in lead["custom_fields_values"] or []}
        invoice_id = fields.get("XERO_INVOICE_ID")
        if not invoice_id:
            invoice = create_invoice(lead)
            invoice_id = invoice["InvoiceID"]
            show_invoice(lead_id, invoice)
        attach_pdf(lead_id, invoice_id)
    except requests.HTTPError as error:
        if error.response.status_code == 429 or error.response.status_code >= 500:
            raise self.retry(exc=error, countdown=wait(error.response)) from error
        raise
    except requests.ConnectionError as error:
        raise self.retry(exc=error, countdown=5) from error
