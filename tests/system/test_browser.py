"""By hand, in a real browser: what a person sees and does, with the product behind it.

Skipped where there is no Chromium. SCREENSHOTS=yes takes the pictures of docs/screenshots on the way.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from stack.children import Children
from tests import servers
from tests.system import product as system
from tests.system.browser import NAMELESS, PALE, SPILLING, find_chromium, open_browser, take

pytestmark = pytest.mark.system

KINDS = {"web": 1, "worker": 1, "beat": 1, "flower": 1}
DESK = {"width": 1200, "height": 720}
PHONE = {"width": 360, "height": 740}
SLOW_MS = 30_000
"""How long a person would look at a page before calling it broken; on a busy machine that drives a browser too."""

LEFT_BEHIND = ("Read aloud", "Thumbed", "Watched", "Renamed elsewhere")
"""Deals of other tests, which have no place in a picture."""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def product(children: Children, ground_folder: Path, ground: dict[str, str]) -> Iterator[system.Product]:
    """One of each process, Flower too, on SQLite."""
    find_chromium()  # skips before anything is started
    pytest.importorskip("playwright.sync_api", reason="no Playwright")
    folder = Path(tempfile.mkdtemp(prefix="browser-", dir=ground_folder))
    try:
        with system.product(children, folder, kinds=KINDS, on_sqlite=True) as running:
            yield running
    except servers.Absent as absent:
        pytest.skip(str(absent).splitlines()[0])


@pytest.fixture(scope="module")
def browser(product: system.Product, ground: dict[str, str]) -> Iterator[Any]:
    with open_browser() as found:
        ground["Chromium"] = found.version
        yield found


@pytest.fixture
def look(browser: Any, product: system.Product) -> Iterator[Open]:
    """Opens a page of the sandbox in a window of its own; a fault in its script fails the test."""
    opened, faults = [], []

    def open_page(path: str, **kind: Any) -> Any:
        context = browser.new_context(**({"viewport": DESK} | kind))
        context.set_default_timeout(SLOW_MS)
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(path if path.startswith("http") else product.sandbox.pages_url + path)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert faults == []


def add_deal(page: Any, name: str, *, price: str, company: str) -> str:
    """Types a deal in, and answers its page's address."""
    page.get_by_role("link", name="Add a deal").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Price, USD").fill(price)
    group = page.get_by_role("group", name="Company")
    group.get_by_label("New: name").fill(company)
    group.get_by_label("New: e-mail").fill("accounts@client.example")
    page.get_by_role("button", name="Add the deal").click()
    page.get_by_role("heading", name=name).wait_for()
    return str(page.url)


def column(page: Any, stage: str) -> Any:
    return page.locator(".column", has=page.get_by_role("heading", name=stage))


def card(page: Any, name: str) -> Any:
    return page.locator(".card", has_text=name)


def test_a_deal_made_and_moved_by_hand_is_invoiced_and_paid(look: Open):
    page = look("/kommo/")
    deal = add_deal(page, "Website relaunch", price="4800", company="Lantern Press Ltd")
    page.get_by_role("link", name="Sales", exact=True).click()
    card(page, "Website relaunch").drag_to(column(page, "Payment approved"))
    card(page, "Website relaunch").get_by_text("Awaiting payment").wait_for()
    card(page, "Website relaunch").get_by_text("1 file").wait_for()
    page.goto(deal)
    page.locator("#banner", has_text="awaits payment").wait_for()
    take(page, "deal")

    link = page.locator("#files a")
    assert re.fullmatch(r"INV-\d+\.pdf", link.inner_text())
    link.click()
    page.wait_for_url("**/*.pdf")
    assert page.evaluate("document.contentType") == "application/pdf"
    page.go_back()

    page.locator("#written a").click()
    page.get_by_role("button", name="Book the payment").wait_for()
    take(page, "invoice")
    page.get_by_role("button", name="Book the payment").click()
    page.locator("#due", has_text="0.00 USD").wait_for()
    page.goto(deal)
    page.locator("#banner .chip, #written .chip", has_text="Paid").first.wait_for()
    take(page, "paid")


def test_an_invoice_raised_by_hand_becomes_a_deal(look: Open):
    board = look("/kommo/")
    page = look("/xero/")
    page.get_by_role("link", name="New invoice").click()
    page.get_by_label("To (a contact, or a new name)").fill("Quay Books Ltd")
    page.get_by_label("E-mail, if new").fill("office@quay.example")
    line = page.get_by_role("group", name="Line 1")
    line.get_by_label("Description").fill("Reading lamps")
    line.get_by_label("Price").fill("640")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="INV-").wait_for()
    number = page.get_by_role("heading", level=1).inner_text().split()[-1]
    deal = column(board, "Invoiced in Xero").locator(".card", has_text=number)
    deal.wait_for()  # the board was open all the while: it came by itself
    assert "Quay Books Ltd" in deal.inner_text()


def test_flower_shows_the_tasks_and_lets_nobody_touch_them(look: Open, product: system.Product):
    url, password = product.processes["flower.1"].url, product.processes.environment["ADMIN_PASSWORD"]
    lead_id = product.deal("Watched", company={"name": "Watched Ltd", "email": "w@client.example"})
    product.approve(lead_id)
    product.settle()
    assert requests.get(f"{url}/tasks", timeout=5).status_code == 401
    page = look(f"{url}/tasks", http_credentials={"username": "operator", "password": password})
    page.get_by_text("create_invoice").first.wait_for()
    page.get_by_text(f"lead {lead_id}").first.wait_for()
    take(page, "flower")
    for touch in ("worker/shutdown/any", "task/send-task/create_invoice", "task/revoke/any", "worker/pool/grow/any"):
        answer = requests.post(f"{url}/api/{touch}", auth=("operator", password), json={}, timeout=5)
        assert answer.status_code == 403, touch


def test_what_is_being_typed_is_left_alone(look: Open, product: system.Product):
    lead_id = product.deal("Typed over")
    page = look(f"/kommo/leads/{lead_id}")
    page.get_by_label("Services").fill("Half a sen")
    page.locator("#link-company summary").click()
    product.sandbox.patch(
        f"kommo/leads/{lead_id}", {"name": "Renamed elsewhere", "fields": {"Services": "Written elsewhere"}}
    )
    page.get_by_role("heading", name="Renamed elsewhere").wait_for()
    assert page.get_by_label("Name", exact=True).input_value() == "Renamed elsewhere"
    assert page.get_by_label("Services").input_value() == "Half a sen"
    assert page.locator("#link-company").get_attribute("open") is not None
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    deal = product.sandbox.get(f"kommo/leads/{lead_id}")
    assert (deal["name"], deal["fields"]["Services"]) == ("Renamed elsewhere", "Half a sen")


def test_a_deal_is_moved_on_a_phone_without_javascript(look: Open, product: system.Product):
    lead_id = product.deal("Thumbed")
    page = look("/kommo/", viewport=PHONE, java_script_enabled=False)
    card(page, "Thumbed").get_by_role("combobox").select_option(label="Closed - lost")
    card(page, "Thumbed").get_by_role("button", name="Move").click()
    column(page, "Closed - lost").locator(".card", has_text="Thumbed").wait_for()
    assert product.sandbox.get(f"kommo/leads/{lead_id}")["stage"] == "Closed - lost"


PAGES = [
    "/",
    "/kommo/",
    "/kommo/leads/new",
    "deal",
    "/xero/",
    "/xero/invoices/new",
    "/xero/invoices/S-1002",
    "/traffic",
    "/faults",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_can_be_read(look: Open, product: system.Product, scheme: str, size: dict[str, int]):
    """Nothing to scroll sideways, nothing beside its box, every control has a name, every word stands out from its ground."""
    lead_id = product.deal("Read aloud", contact={"name": "Jo Miller", "email": "jo@client.example"})
    page = look("/", viewport=size, color_scheme=scheme)
    seen = {}
    for path in PAGES:
        page.goto(product.sandbox.pages_url + (f"/kommo/leads/{lead_id}" if path == "deal" else path))
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        seen[path] = (max(wide, 0), *map(page.evaluate, (SPILLING, NAMELESS, PALE)))
    assert seen == dict.fromkeys(PAGES, (0, [], [], []))


@pytest.mark.skipif(os.environ.get("SCREENSHOTS") != "yes", reason="SCREENSHOTS=yes takes pictures for the docs")
def test_pictures_for_the_docs(look: Open, product: system.Product):
    """A morning's work on the board, and the pages as they then look."""
    pages, tell = product.sandbox.pages_url, product.sandbox.post
    for lead in product.sandbox.books()["kommo"]["leads"]:
        if lead["name"] in LEFT_BEHIND and not lead["is_deleted"]:
            product.sandbox.delete(f"kommo/leads/{lead['id']}")
    deals = [
        ("Licences 2027", "598.80", "Old Mill Timber Ltd"), ("Workshop in Leeds", "1700", "Pennine Tools Ltd"),
        ("Online shop, phase 2", "9250", "Fern & Sons Ltd"), ("Support until June", "2400", "Moor Cycles Ltd"),
    ]  # fmt: skip
    made = [
        product.deal(name, price=price, company={"name": company, "email": "accounts@client.example"})
        for name, price, company in deals
    ]
    nobody = product.deal("Signage", price="310")
    product.approve(*made[1:], nobody)
    product.settle()
    numbers = {lead_id: product.books().deals[lead_id].number for lead_id in made[1:]}
    tell(f"xero/invoices/{numbers[made[2]]}/pay", {"amount": "5000"})
    tell(f"xero/invoices/{numbers[made[3]]}/pay")
    tell("kommo/leads/move", {"ids": [made[3]], "pipeline": "Sales", "stage": "Closed - won"})
    tell("kommo/leads", {"name": "Photo day", "price": "900", "pipeline": "Sales", "stage": "New"})
    tell("faults", {"vendor": "xero", "call": "GET /api.xro/2.0/Invoices", "do": 503, "times": 1})
    product.settle()
    for path, name, scheme in (
        ("/kommo/", "board", "light"), ("/xero/", "xero", "light"), ("/kommo/", "board-dark", "dark"),
        ("/traffic", "traffic", "dark"), ("/faults", "faults", "light"),
    ):  # fmt: skip
        page = look(path, color_scheme=scheme)
        page.locator("#live .word", has_text="live").wait_for()
        take(page, name)
    for path, name, scheme in (("/kommo/", "phone-board", "light"), (f"/kommo/leads/{made[2]}", "phone-deal", "dark")):
        page = look(pages + path, viewport=PHONE, color_scheme=scheme, device_scale_factor=2)
        page.locator("#live .word", has_text="live").wait_for()
        take(page, name)
