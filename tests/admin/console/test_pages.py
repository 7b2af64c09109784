"""The pages: how each connection stands, `setup` and `check` by a button, and trouble told with its mend."""

import pytest

from tests.admin.console.conftest import words
from worker import notices
from worker.database import Database
from worker.notices import Look
from worker.workshop import utcnow


def test_a_connection_that_is_not_connected_shows_where_to_begin(operator):
    page = operator.get("/")
    assert "demo next: connect Kommo" in words(page)
    assert "Kommo not connected" in words(page)
    assert "/oauth/xero/start?connection=demo" in operator.get("/connections/demo").text


def test_set_up_says_what_was_done_and_what_is_left(operator, desk):
    desk.connect()
    answer = operator.post("/connections/demo/setup", "/connections/demo")
    assert "fields: 12 made in Kommo" in words(answer)
    assert f"delivery URL {desk.env['PUBLIC_URL']}/webhooks/xero" in words(answer)
    assert desk.env["KOMMO_WEBHOOK_TOKEN"] not in answer.text
    shown = words(operator.get("/"))
    assert "demo set up" in shown
    assert "Acme Ltd (acme.kommo.com)" in shown
    assert "custom connection, renewed by itself" in shown
    assert "long-lived token" in shown


def test_set_up_that_can_not_be_says_what_to_mend_first(operator, desk):
    desk.connect()
    desk.rewrite('account_code = "200"', 'account_code = "201"')
    answer = operator.post("/connections/demo/setup", "/connections/demo")
    assert 'Nothing was changed. Mend this first: account_code: Xero has no account "201"' in words(answer)


def test_check_shows_each_line_with_its_mend(operator, desk):
    desk.connect()
    answer = words(operator.post("/connections/demo/check", "/connections/demo"))
    assert "ok kommo account" in answer
    assert "failed setup it was never done admin setup demo" in answer
    assert "fail." in answer


def test_the_addresses_of_the_buttons_lead_back_to_the_page(operator):
    assert operator.get("/connections/demo/check").location == "/connections/demo"


def test_a_connection_that_is_not_there(operator):
    answer = operator.get("/connections/other")
    assert answer.status_code == 404
    assert "has no connection 'other'" in words(answer)


def test_a_connections_file_with_a_fault_is_told_with_its_line(operator, desk):
    desk.rewrite("due_days = 14", 'due_days = "x"')
    answer = operator.get("/")
    assert answer.status_code == 503
    assert "connections.toml, line" in words(answer)


def test_a_database_that_was_not_migrated_is_told(operator, desk):
    (desk.folder / "bridge.db").write_bytes(b"")
    answer = operator.get("/")
    assert answer.status_code == 503
    assert "alembic upgrade head" in words(answer)


def test_a_name_is_never_markup(operator, desk):
    desk.connect()
    desk.sandbox.patch("kommo/account", {"name": "<img src=x onerror=alert(1)>"})
    operator.post("/connections/demo/setup", "/connections/demo")
    assert "<img src=x" not in operator.get("/").text


def test_the_process_lives(stranger):
    assert stranger.get("/healthz").status_code == 200


@pytest.mark.parametrize("name", ["console.css", "live.js", "mark.svg"])
def test_what_pages_are_made_of_may_be_kept(stranger, name):
    with stranger.get(f"/static/{name}") as answer:
        assert answer.status_code == 200
        assert "max-age" in answer.headers["Cache-Control"]


def fail(ledger: Database, connection: str, about: str) -> None:
    """The hourly look found something, twice."""
    with ledger.begin() as session:
        look = Look({(connection, about): "it is out: mend it"}, (), sure=True)
        notices.remember(session, look, now=utcnow())


def test_what_the_hourly_look_found_stands_on_the_connection(operator, ledger):
    fail(ledger, "demo", "lock dates")
    fail(ledger, "", "redis")
    for page in ("/", "/connections/demo"):
        assert "failing lock dates : it is out: mend it" in words(operator.get(page))
    assert "The installation failing redis" in words(operator.get("/"))
    assert "Nothing was looked at yet" in words(operator.get("/"))
