"""From nothing to the first deal invoiced, by hand in a real browser: both consents, set up, check; and what an operator sees of a lost connection.

Skipped where there is no Chromium. SCREENSHOTS=yes takes the pictures of docs/connect.md on the way.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.children import Children
from tests import servers
from tests.system import product as system
from tests.system.browser import NAMELESS, PALE, SPILLING, find_chromium, open_browser, take
from tests.system.test_browser import DESK, PHONE, SLOW_MS, add_deal, card, column

pytestmark = pytest.mark.system

KINDS = {"web": 1, "worker": 1, "beat": 1, "console": 1}

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def product(children: Children, ground_folder: Path, ground: dict[str, str]) -> Iterator[system.Product]:
    """One of each process, on SQLite, that nobody has connected yet."""
    find_chromium()  # skips before anything is started
    pytest.importorskip("playwright.sync_api", reason="no Playwright")
    folder = Path(tempfile.mkdtemp(prefix="console-", dir=ground_folder))
    try:
        with system.product(children, folder, kinds=KINDS, on_sqlite=True, connects=False) as running:
            yield running
    except servers.Absent as absent:
        pytest.skip(str(absent).splitlines()[0])


@pytest.fixture(scope="module")
def context(product: system.Product, ground: dict[str, str]) -> Iterator[Any]:
    """One operator's browser: who is logged in stays so."""
    with open_browser() as browser:
        ground["Chromium"] = browser.version
        yield browser.new_context(viewport=DESK, color_scheme="light")


@pytest.fixture
def look(context: Any, product: system.Product) -> Iterator[Open]:
    """Opens a page of the console, or another one; a fault in a script of it, or one that its policy forbids, fails the test."""
    opened, faults = [], []

    def open_page(path: str) -> Any:
        page = context.new_page()
        opened.append(page)
        page.set_default_timeout(SLOW_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(path if path.startswith("http") else product.processes.environment["CONSOLE_URL"] + path)
        return page

    yield open_page
    for page in opened:
        page.close()
    assert faults == []


def consent(page: Any, vendor: str, *, again: bool = False) -> None:
    """Presses the console's button, and the vendor's."""
    page.get_by_role("link", name=f"Connect {vendor}{' again' if again else ''}", exact=True).click()
    page.get_by_role("heading", name="wants to connect").wait_for()
    page.get_by_role("button", name="Allow").click()
    page.get_by_text("Connected with the").wait_for()


def point_xero_at_us(product: system.Product) -> None:
    """What an operator types into the app's page Webhooks at Xero, which asks at once whether we hold the key."""
    settings = product.processes.environment
    app = product.sandbox.ready["xero_app_client_id"]
    target = {"url": f"{settings['PUBLIC_URL']}/webhooks/xero", "key": settings["XERO_WEBHOOK_KEY"]}
    assert product.sandbox.post(f"xero/webhook?client_id={app}", target)["ok"]


def test_from_nothing_to_the_first_deal_invoiced(look: Open, product: system.Product):
    page = look("/")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("That is not the password").wait_for()
    page.get_by_label("Password").fill(product.processes.environment["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("next: connect Kommo").wait_for()
    take(page, "console-begin")

    page.get_by_role("link", name="demo").click()
    consent(page, "Kommo")
    consent(page, "Xero")
    take(page, "console-connected")

    page.get_by_role("button", name="Set up", exact=True).click()
    report = page.locator("#report")
    report.get_by_text("fields: 12 made in Kommo").wait_for()
    report.get_by_text("webhook: registered at Kommo now").wait_for()
    assert "/webhooks/xero" in report.inner_text()
    take(page, "console-setup")
    point_xero_at_us(product)

    page.get_by_role("button", name="Check", exact=True).click()
    page.locator("#checked").wait_for()
    assert "All is as it must be." in page.locator("#checked").inner_text()
    grades = page.locator("#checked .checks .chip").all_inner_texts()
    assert len(grades) > 25
    assert set(grades) == {"ok"}, page.locator("#checked").inner_text()
    take(page, "console-check")

    board = look(product.sandbox.pages_url + "/kommo/")
    add_deal(board, "Website relaunch", price="4800", company="Lantern Press Ltd")
    board.get_by_role("link", name="Sales", exact=True).click()
    card(board, "Website relaunch").drag_to(column(board, "Payment approved"))
    card(board, "Website relaunch").get_by_text("Awaiting payment").wait_for()
    card(board, "Website relaunch").get_by_text("1 file").wait_for()

    page.goto(product.processes.environment["CONSOLE_URL"])
    page.locator("#live", has_text="live").wait_for()
    page.get_by_text("set up", exact=True).wait_for()
    take(page, "console")


def test_a_lost_connection_is_seen_at_once_and_mended_by_one_button(look: Open, product: system.Product):
    page = look("/connections/demo")
    product.sandbox.post("kommo/grants/revoke")
    lead_id = product.deal("While away", company={"name": "Fern & Sons Ltd", "email": "accounts@client.example"})
    product.approve(lead_id)
    page.locator("#kommo", has_text="connection lost").wait_for()  # the page was open all the while
    page.get_by_text("no longer accepts our token").first.wait_for()
    take(page, "console-lost")
    page.reload()
    consent(page, "Kommo", again=True)
    product.settle()
    assert product.books().deals[lead_id].number
    page.locator("#kommo", has_text="connected").wait_for()
    assert page.get_by_text("connection lost").count() == 0


def test_what_is_chosen_at_the_vendor_is_said_when_it_is_no(look: Open):
    page = look("/connections/demo")
    page.get_by_role("link", name="Connect Xero again").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("heading", name="Xero was not allowed").wait_for()
    page.get_by_role("link", name="Connect Xero again").wait_for()


PAGES = ["/", "/connections/demo", "check", "/connections/other", "/oauth/kommo/callback?state=x"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_can_be_read(look: Open, product: system.Product, scheme: str, size: dict[str, int]):
    """Nothing to scroll sideways, nothing beside its box, every control has a name, every word stands out from its ground."""
    page = look("/")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    seen = {}
    for path in PAGES:
        if path == "check":
            page.get_by_role("button", name="Check", exact=True).click()
            page.locator("#checked").wait_for()
        else:
            page.goto(product.processes.environment["CONSOLE_URL"] + path)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        seen[path] = (max(wide, 0), *map(page.evaluate, (SPILLING, NAMELESS, PALE)))
        if (size, scheme, path) == (PHONE, "dark", "/connections/demo"):
            take(page, "console-phone")
    assert seen == dict.fromkeys(PAGES, (0, [], [], []))
