"""The main job, end to end: what is promised of it, counted in the vendors' books."""

import base64
import hashlib
import hmac
import time
from statistics import median

import pytest
import requests

from stack import scenes
from stack.books import Books
from tests.system.product import Product

pytestmark = pytest.mark.system

DEALS = 40
CLIENTS = 10


def test_forty_deals_at_once_make_forty_invoices(product, until):
    """Each hook is sent twice; each deal has one invoice, one note and one file, each client one contact."""
    companies = [
        product.sandbox.post("kommo/companies", {"name": f"Client {n} Ltd", "email": f"client{n}@client.example"})["id"]
        for n in range(CLIENTS)
    ]
    deals = [product.deal(f"Deal {n}", price=f"{100 + n}.50", company=companies[n % CLIENTS]) for n in range(DEALS)]
    product.settle()
    product.sandbox.patch("settings", {"noise": {"duplicate": 1.0}})
    started = time.monotonic()
    for lead_id in deals:
        product.approve(lead_id)
    assert time.monotonic() - started < 2
    until(lambda: all(is_whole(books, lead_id) for books in [product.books()] for lead_id in deals), 120)
    print(f"{DEALS} deals whole after {time.monotonic() - started:.1f} s")
    product.settle()
    product.sandbox.patch("settings", {"noise": {"duplicate": 0.0}})
    books = product.books()
    ours = [one for one in books.invoices if any(one.is_for(lead_id) for lead_id in deals)]
    assert len(ours) == DEALS
    assert [len(books.deals[lead_id].notes) for lead_id in deals] == [1] * DEALS
    assert [len(books.deals[lead_id].files) for lead_id in deals] == [1] * DEALS
    contacts = [one["name"] for one in product.sandbox.books()["xero"]["contacts"] if one["name"].startswith("Client ")]
    assert sorted(contacts) == sorted(f"Client {n} Ltd" for n in range(CLIENTS))
    assert product.processes.dead() == []


def is_whole(books: Books, lead_id: int) -> bool:
    deal = books.deals[lead_id]
    return bool(deal.number and deal.files and deal.notes)


def test_an_idle_system_is_prompt(product, until):
    """With the vendors answering in 100 ms: number and label within 3 s, the PDF within 6, at the median of five deals."""
    client = product.company("Prompt Ltd")
    product.sandbox.patch("settings", {"answer_ms": {"kommo": 100, "drive": 100, "xero": 100}})
    numbers, files, labels = [], [], []
    for n in range(5):
        lead_id = product.deal(f"Prompt {n}", company=client)
        product.settle()
        moved = time.monotonic()
        product.approve(lead_id)
        until(lambda lead_id=lead_id: product.books().deals[lead_id].number, 30)
        numbers.append(time.monotonic() - moved)
        until(lambda lead_id=lead_id: product.books().deals[lead_id].files, 30)
        files.append(time.monotonic() - moved)
        product.settle()
        paid = time.monotonic()
        product.sandbox.post(f"xero/invoices/{product.books().deals[lead_id].number}/pay")
        until(lambda lead_id=lead_id: product.books().deals[lead_id].status == "Paid", 30)
        labels.append(time.monotonic() - paid)
    product.sandbox.patch("settings", {"answer_ms": {"kommo": 0, "drive": 0, "xero": 0}})
    print(f"number {median(numbers):.2f} s, PDF {median(files):.2f} s, payment {median(labels):.2f} s at the median")
    assert median(numbers) <= 3
    assert median(files) <= 6
    assert median(labels) <= 3


def test_a_plain_deal_of_a_known_client_costs_few_calls(product, until):
    client = product.company("Frugal Ltd")
    lead_id = product.deal("Frugal", company=client)
    product.settle()
    before = product.sandbox.mark()
    product.approve(lead_id)
    until(lambda: is_whole(product.books(), lead_id), 30)
    product.settle()
    costs = scenes.count(product.sandbox, before)
    assert costs["xero"] <= scenes.MOST_XERO_CALLS
    assert costs["kommo"] <= scenes.MOST_KOMMO_CALLS


def test_strangers_are_turned_away(product):
    kommo, xero, _ = addresses(product)
    assert post(xero, b"{}", signature="AAAA").status_code == 401
    assert post(kommo.rpartition("/")[0] + "/somebody", b"leads=1").status_code == 404
    assert post(kommo, b"x" * (1024 * 1024 + 1)).status_code == 413


def test_nonsense_is_kept_and_seen(product):
    kommo, xero, key = addresses(product)
    nonsense = b"\xff\x00 neither a form nor anything"
    seen = product.processes.status()["not_understood"]
    assert post(kommo, nonsense).status_code == 200
    assert post(xero, nonsense, signature=signature(nonsense, key)).status_code == 200
    status = product.processes.status()
    assert status["not_understood"] == seen + 2
    assert {one["source"] for one in status["problems"]} == {"kommo", "xero"}


def test_without_redis_webhooks_are_acknowledged_and_worked_off_later(product, until):
    client = product.company("Patient Ltd")
    lead_id = product.deal("Patient", company=client)
    product.settle()
    product.redis.stop()
    product.approve(lead_id)
    sent = until(lambda: [one for one in product.sandbox.get("webhooks") if one["attempts"]][-1:], 5)
    assert sent[0]["attempts"][-1]["status"] == 200
    assert sent[0]["attempts"][-1]["ms"] < 1000
    assert product.books().deals[lead_id].number == ""
    product.redis.start()
    until(lambda: is_whole(product.books(), lead_id), 90)


def test_without_a_database_the_vendor_is_told_to_come_again(product, until):
    kommo, xero, key = addresses(product)
    product.settle()
    product.postgres.stop()
    for url, body, sign in ((kommo, b"leads[status][0][id]=1", None), (xero, b"{}", signature(b"{}", key))):
        started = time.monotonic()
        assert post(url, body, signature=sign).status_code == 503
        assert time.monotonic() - started < 2
    product.postgres.start()
    web = product.processes["web.1"]
    until(lambda: web.is_ready, 30)
    lead_id = product.deal("After the outage", company=product.company("Steady Ltd"))
    product.approve(lead_id)
    until(lambda: is_whole(product.books(), lead_id), 90)


def addresses(product: Product) -> tuple[str, str, bytes]:
    """Where Kommo and Xero send to, and Xero's key."""
    settings, web = product.processes.environment, product.processes
    kommo = f"{web['web.1'].url}/webhooks/kommo/{settings['KOMMO_WEBHOOK_TOKEN']}"
    return kommo, f"{web['web.2'].url}/webhooks/xero", settings["XERO_WEBHOOK_KEY"].encode()


def signature(body: bytes, key: bytes) -> str:
    return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()


def post(url: str, body: bytes, *, signature: str | None = None) -> requests.Response:
    kind = "application/json" if signature else "application/x-www-form-urlencoded"
    headers = {"Content-Type": kind} | ({"x-xero-signature": signature} if signature else {})
    return requests.post(url, data=body, headers=headers, timeout=10)
