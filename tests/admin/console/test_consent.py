"""Consent at both vendors: what a yes brings, and what every other way of coming back is told."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
import sqlalchemy as sa
from pydantic import SecretStr
from werkzeug.test import TestResponse

from admin.console.app import create_app
from integrations.errors import Refusal
from tests.admin.conftest import Desk
from tests.admin.console.conftest import Browser, words
from worker import grants, jobs, routes
from worker.database import Database
from worker.grants import Grant, GrantKind, GrantUse
from worker.jobs import Kind, LeadRef, Wanted
from worker.vault import Vault
from worker.verdicts import reconnect
from worker.workshop import Workshop, utcnow

TENANT = "5b96e86b-418e-48d8-8949-308c14aec278"
VENDORS = ["kommo", "xero"]


@pytest.fixture(autouse=True)
def registered(desk: Desk) -> None:
    """Our apps at both vendors, with the addresses that people are sent back to; nobody has consented yet."""
    desk.sandbox.delete("kommo/grants")
    desk.sandbox.delete("xero/grants")
    back = f"{desk.env['CONSOLE_URL']}/oauth"
    desk.sandbox.patch("kommo/integration", {"redirect_uri": f"{back}/kommo/callback"})
    desk.sandbox.post("xero/app/redirect-uris", {"uri": f"{back}/xero/callback"})
    ready = desk.sandbox.ready
    desk.env |= {"XERO_CLIENT_ID": ready["xero_app_client_id"], "XERO_CLIENT_SECRET": ready["xero_app_client_secret"]}


def vendors_page(address: str, **given: str) -> str:
    """What a person answers there; where the browser is sent then, without its host."""
    page = requests.get(address, timeout=10)
    assert page.ok, page.text
    chosen = {
        name: found[1]
        for name in ("person", "place")
        if (found := re.search(rf'name="{name}" value="([^"]+)"', page.text))
    }
    answer = requests.post(address, data={"answer": "allow"} | chosen | given, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def begin(browser: Browser, vendor: str, name: str = "demo") -> str:
    answer = browser.get(f"/oauth/{vendor}/start?connection={name}")
    assert answer.status_code == 303, words(answer)
    return answer.location


def consent(browser: Browser, vendor: str, **given: str) -> str:
    """The whole way, and what the operator reads at its end."""
    answer = browser.get(vendors_page(begin(browser, vendor), **given), follow_redirects=True)
    return words(answer)


def with_query(address: str, **changes: str | None) -> str:
    path, _, query = address.partition("?")
    told = {name: values[0] for name, values in parse_qs(query).items()} | changes
    return f"{path}?{urlencode({name: value for name, value in told.items() if value is not None})}"


@pytest.fixture
def stored(ledger: Database) -> Callable[[], list[tuple[str, str]]]:
    """Which grants there are."""

    def read() -> list[tuple[str, str]]:
        with ledger.reading() as session:
            return sorted((one.vendor, one.kind) for one in session.scalars(sa.select(Grant)))

    return read


def test_a_yes_at_kommo_connects_its_account(operator, stored):
    told = consent(operator, "kommo")
    assert 'Connected with the Kommo account "Acme Ltd" (30896271, acme.kommo.com).' in told
    assert "consent, renewed by itself" in told
    assert "Connect Kommo again" in told
    assert stored() == [("kommo", GrantKind.OAUTH)]


def test_a_yes_at_xero_connects_its_organisation(operator, stored, ledger):
    assert f'Connected with the Xero organisation "Acme Trading (NZ)" ({TENANT}).' in consent(operator, "xero")
    assert stored() == [("xero", GrantKind.OAUTH)]
    with ledger.reading() as session:
        grant = grants.find(session, "xero", "demo")
        assert grant is not None
        assert "accounting.invoices" in (grant.scopes or "")


def test_then_setup_and_check_work_with_what_was_granted(operator, desk):
    consent(operator, "kommo")
    consent(operator, "xero")
    assert "fields: 12 made in Kommo" in words(operator.post("/connections/demo/setup", "/connections/demo"))
    checked = words(operator.post("/connections/demo/check", "/connections/demo"))
    assert "ok kommo grant" in checked
    assert "ok xero organisation" in checked


@pytest.mark.parametrize("vendor", VENDORS)
def test_consenting_again_makes_no_second_grant_and_wakes_what_waited(operator, ledger, stored, vendor):
    consent(operator, vendor)
    later = utcnow() + timedelta(minutes=5)
    with ledger.begin() as session:
        (job_id,) = jobs.record(session, [Wanted("demo", Kind.CREATE_INVOICE, lead=LeadRef(30896271, 7))], now=utcnow())
        waits = {"due_at": later, "sentence": reconnect(Refusal.REVOKED, vendor)}
        session.execute(sa.update(jobs.Job).values(waits))
        session.execute(sa.update(Grant).values(refusal="revoked"))
    told = words(operator.get("/connections/demo"))
    assert "connection lost" in told
    assert "no longer accepts our token" in told
    told = consent(operator, vendor)
    assert "1 jobs that waited go on." in told
    assert "connection lost" not in told
    assert stored() == [(vendor, GrantKind.OAUTH)]
    with ledger.reading() as session:
        assert session.get_one(jobs.Job, job_id).due_at < later


def test_a_consent_takes_the_place_of_a_pasted_token(operator, desk, stored):
    desk.do("connect", "kommo", "demo", "--token", desk.sandbox.ready["kommo_token"])
    consent(operator, "kommo")
    assert stored() == [("kommo", GrantKind.OAUTH)]


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_command_lines_address_is_completed_by_who_is_logged_in(operator, desk, stored, vendor):
    back = vendors_page(desk.do("connect", vendor, "demo").strip())
    assert "Connected with" in words(operator.get(back, follow_redirects=True))
    assert stored() == [(vendor, GrantKind.OAUTH)]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_stranger_who_comes_back_has_to_log_in_and_then_it_goes_on(stranger, desk, stored, vendor):
    back = vendors_page(desk.do("connect", vendor, "demo").strip())
    answer = stranger.get(back)
    assert answer.status_code == 303
    assert stored() == []
    assert "Then the connection that you have just agreed to is completed." in words(stranger.get(answer.location))
    onward = stranger.log_in(next=parse_qs(urlsplit(answer.location).query)["next"][0]).location
    assert onward == back
    assert "Connected with" in words(stranger.get(onward, follow_redirects=True))


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_no_says_who_must_allow_it(operator, stored, vendor):
    told = consent(operator, vendor, answer="deny")
    assert "was not allowed" in told
    assert "Begin it again, and allow it" in told
    assert f"Connect {vendor.title()} again" in told
    assert stored() == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_coming_back_twice_changes_nothing_and_is_told(operator, desk, stored, vendor):
    back = vendors_page(begin(operator, vendor))
    operator.get(back)
    since = desk.sandbox.mark()
    answer = operator.get(back)
    assert answer.status_code == 400
    assert "This consent has come back before" in words(answer)
    assert desk.sandbox.calls_after(since) == []
    assert len(stored()) == 1


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("state", ["", "made-up", "gAAAAABrBZTHbqKAamr5VPWn3tA1oXs9", "é"])
def test_a_state_that_is_not_ours_is_refused_before_any_call(operator, desk, stored, vendor, state):
    back = vendors_page(begin(operator, vendor))
    since = desk.sandbox.mark()
    answer = operator.get(with_query(back, state=state))
    assert answer.status_code == 400
    assert "This did not begin here" in words(answer)
    assert desk.sandbox.calls_after(since) == []
    assert stored() == []


def test_a_state_for_one_vendor_is_none_for_the_other(operator, stored):
    state = parse_qs(urlsplit(begin(operator, "kommo")).query)["state"][0]
    answer = operator.get(with_query(vendors_page(begin(operator, "xero")), state=state))
    assert "This did not begin here" in words(answer)


def test_a_sealed_text_of_another_kind_is_no_state(operator, desk, settings):
    sealed = Vault(settings.secret_keys).seal('["another", "kommo", "demo", null, 1, "x"]').decode()
    answer = operator.get(
        "/oauth/kommo/callback?" + urlencode({"code": "c", "state": sealed, "referer": "acme.kommo.com"})
    )
    assert "This did not begin here" in words(answer)


def test_a_consent_that_was_begun_in_another_browser_is_refused(operator, console, desk, stored):
    other = Browser(console, desk.env["ADMIN_PASSWORD"])
    other.log_in()
    back = vendors_page(begin(other, "kommo"))
    assert "begun in another browser" in words(operator.get(back))
    assert stored() == []
    assert "Connected with" in words(other.get(back, follow_redirects=True))


def test_after_a_quarter_of_an_hour_it_is_too_late(operator, settings, stored):
    back = vendors_page(begin(operator, "kommo"))
    late = Browser(
        create_app(settings, now=lambda: utcnow() + timedelta(minutes=16)), settings.admin_password.get_secret_value()
    )
    late.log_in()
    assert "has to come back within 15 minutes" in words(late.get(back))
    assert stored() == []


@pytest.mark.parametrize(
    "host", ["evil.example", "acme.kommo.com.evil.example", "evil.example/acme.kommo.com", "acme.kommo.com@evil.example", "a.b.kommo.com", "", "acme.kommo.com:8443", "acme.kommo.com\n"]
)  # fmt: skip
def test_our_secret_goes_to_no_host_that_is_not_kommos(operator, desk, stored, host):
    back = vendors_page(begin(operator, "kommo"))
    since = desk.sandbox.mark()
    answer = operator.get(with_query(back, referer=host))
    assert "This did not come from Kommo" in words(answer)
    assert desk.sandbox.calls_after(since) == []
    assert stored() == []


@pytest.mark.parametrize("host", ["acme.amocrm.com", "ACME.kommo.com", "own"])
def test_the_hosts_that_are_kommos(operator, desk, host):
    own = urlsplit(desk.env["KOMMO_API_URL"]).netloc
    back = with_query(vendors_page(begin(operator, "kommo")), referer=own if host == "own" else host)
    assert "Connected with" in words(operator.get(back, follow_redirects=True))


def test_another_account_is_named_and_gets_no_call(operator, desk, stored):
    back = with_query(vendors_page(begin(operator, "kommo")), referer="umbrella.kommo.com")
    since = desk.sandbox.mark()
    told = words(operator.get(back))
    assert "Another account was chosen" in told
    assert 'is umbrella.kommo.com, but the connection "demo" is for acme.kommo.com' in told
    assert desk.sandbox.calls_after(since) == []
    assert stored() == []


def test_an_account_that_lies_about_its_name_is_found_out_by_what_its_token_opens(operator, desk, stored):
    back = vendors_page(begin(operator, "kommo"))
    desk.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    desk.sandbox.patch("settings", {"kommo": {"old_subdomain_status": 404}})
    told = words(operator.get(back))
    assert "Nothing was connected" in told
    assert stored() == []


def test_an_account_that_was_renamed_since_its_setup_is_connected_again(operator, desk, stored, ledger):
    consent(operator, "kommo")
    consent(operator, "xero")
    operator.post("/connections/demo/setup", "/connections/demo")
    desk.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    desk.rewrite('kommo_subdomain = "acme"', 'kommo_subdomain = "umbrella"')
    operator.post("/connections/demo/setup", "/connections/demo")
    desk.rewrite('kommo_subdomain = "umbrella"', 'kommo_subdomain = "acme"')
    assert "umbrella.kommo.com" in consent(operator, "kommo")


def test_an_account_that_took_over_the_subdomain_of_ours_is_not_connected(operator, desk, stored, ledger):
    consent(operator, "xero")
    desk.do("connect", "kommo", "demo", "--token", desk.sandbox.ready["kommo_token"])
    operator.post("/connections/demo/setup", "/connections/demo")
    with ledger.begin() as session:
        route = routes.load(session, "demo")
        assert route is not None
        routes.save(session, replace(route, account_id=7))
    told = consent(operator, "kommo")
    assert "Another account was chosen" in told
    assert "was set up with the account 7" in told
    assert ("kommo", GrantKind.LONG_LIVED) in stored()


@pytest.mark.parametrize(("vendor", "seconds"), [("kommo", 20 * 60), ("xero", 5 * 60)])
def test_a_code_that_is_over_is_told(operator, desk, stored, vendor, seconds, until):
    back = vendors_page(begin(operator, vendor))
    code = parse_qs(urlsplit(back).query)["code"][0]
    answer = operator.get(with_query(back, code=code[:-4] + "0000"))
    assert "The code is over" in words(answer)
    assert f"Connect {vendor.title()} again" in words(answer)
    assert stored() == []


def test_an_app_whose_secret_is_wrong_is_told_without_the_secret(settings, redis, stored):
    wrong = {"xero_client_secret": SecretStr("wrong-secret"), "kommo_client_secret": SecretStr("wrong-secret")}
    app = create_app(settings.model_copy(update=wrong))
    browser = Browser(app, settings.admin_password.get_secret_value())
    browser.log_in()
    for vendor in VENDORS:
        answer = browser.get(vendors_page(begin(browser, vendor)))
        assert f"{vendor.title()} does not accept our app" in words(answer)
        assert f"{vendor.upper()}_CLIENT_SECRET must be those of the app" in words(answer)
        assert "wrong-secret" not in answer.text
    assert stored() == []


@pytest.mark.parametrize(
    ("vendor", "call"),
    [("kommo", "POST /oauth2/access_token"), ("xero", "POST /connect/token"), ("kommo", "GET /api/v4/account"), ("xero", "GET /connections")],
)  # fmt: skip
def test_a_vendor_that_is_down_is_told_and_nothing_is_kept(operator, desk, stored, vendor, call):
    back = vendors_page(begin(operator, vendor))
    desk.sandbox.post("faults", {"vendor": vendor, "call": call, "when": "before", "do": 503, "times": 3})
    told = words(operator.get(back))
    assert "is not to be reached" in told
    assert "Begin it again in a minute" in told
    assert stored() == []


def test_a_consent_that_came_to_no_end_costs_no_connection_its_tokens(operator, desk, settings):
    """Xero may end a person's earlier tokens with the next consent, and that one is given before we know whether it will do."""
    consent(operator, "xero")
    desk.sandbox.patch("settings", {"xero": {"second_consent": "ends"}})
    workshop = Workshop(settings)
    try:
        back = vendors_page(begin(operator, "xero"))
        desk.sandbox.post(
            "faults", {"vendor": "xero", "call": "GET /connections", "when": "before", "do": 503, "times": 1}
        )
        assert "Xero is not to be reached" in words(operator.get(back))
        tokens = workshop.tokens("xero", "demo")
        assert tokens.renew(tokens.current())
    finally:
        workshop.close()
        desk.sandbox.patch("settings", {"xero": {"second_consent": "keeps"}})


def test_without_redis_nobody_is_sent_anywhere(settings, desk):
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    browser = Browser(app, settings.admin_password.get_secret_value())
    browser.log_in()
    answer = browser.get("/oauth/kommo/start?connection=demo")
    assert answer.status_code == 503
    assert "Redis does not answer" in words(answer)


def test_a_link_on_another_site_begins_nothing(operator, redis):
    answer = operator.get("/oauth/kommo/start?connection=demo", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.location == "/connections/demo"
    assert redis.keys("bridge:consent:*") == []


def test_a_connection_that_is_not_there_is_told(operator):
    assert "has no connection" in words(operator.get("/oauth/kommo/start?connection=other"))


def test_an_unknown_scope_says_which_setting_it_is(operator):
    state = parse_qs(urlsplit(begin(operator, "xero")).query)["state"][0]
    answer = operator.get("/oauth/xero/callback?" + urlencode({"error": "invalid_scope", "state": state}))
    assert "XERO_BROAD_SCOPES=true" in words(answer)


class TestSeveralOrganisations:
    """A consent may reach more than one, and the file names none."""

    @pytest.fixture(autouse=True)
    def several(self, desk: Desk) -> str:
        desk.rewrite(f'xero_tenant_id = "{TENANT}"', "")
        app = desk.sandbox.ready["xero_app_client_id"]
        made = desk.sandbox.post("xero/organisations", {"name": "Umbrella Ltd", "client_id": app})
        return str(made["tenant_id"])

    def test_the_one_that_was_just_connected_is_meant(self, operator, ledger, several):
        consent(operator, "xero", place=several)
        with ledger.reading() as session:
            assert grants.chosen_tenant(session, "demo") == several

    def test_connecting_again_never_moves_it_to_other_books(self, operator, ledger, several):
        consent(operator, "xero", place=TENANT)
        told = consent(operator, "xero", place=several)
        assert f"({TENANT})" in told
        with ledger.reading() as session:
            assert grants.chosen_tenant(session, "demo") == TENANT

    @pytest.fixture
    def both(self, operator: Browser, ledger: Database, several: str) -> TestResponse:
        """What the operator sees whose app reached both before, while the bridge knows neither: Xero keeps the first consent of each (xero.md 1.5)."""
        for place in (TENANT, several):
            consent(operator, "xero", place=place)
            with ledger.begin() as session:
                session.execute(sa.delete(GrantUse))
                session.execute(sa.delete(Grant))
        return operator.get(vendors_page(begin(operator, "xero"), place=TENANT))

    def test_of_those_that_were_connected_before_the_operator_chooses(self, both, operator, ledger, several, stored):
        assert "Which organisation is “demo”?" in words(both)
        assert "Acme Trading (NZ)" in words(both)
        assert "Umbrella Ltd" in words(both)
        assert stored() == []
        chosen = {"pending": field(both.text, "pending"), "connection": "demo", "tenant": several}
        told = words(operator.post("/oauth/xero/choose", "/", **chosen, follow=True))
        assert f'Connected with the Xero organisation "Umbrella Ltd" ({several})' in told
        with ledger.reading() as session:
            assert grants.chosen_tenant(session, "demo") == several
        assert "It took too long" in words(operator.post("/oauth/xero/choose", "/", **chosen))
        assert stored() == [("xero", GrantKind.OAUTH)]

    def test_one_that_was_not_offered_can_not_be_chosen(self, both, operator, stored):
        chosen = {"pending": field(both.text, "pending"), "tenant": "11111111-418e-48d8-8949-308c14aec278"}
        assert "Another organisation was chosen" in words(operator.post("/oauth/xero/choose", "/", **chosen))
        assert stored() == []

    def test_tokens_that_wait_for_the_choice_are_sealed(self, both, redis):
        (key,) = redis.keys("bridge:consent:choice:*")
        assert redis.get(key).startswith(b"gAAAA")
        assert 0 < redis.ttl(key) <= 15 * 60

    def test_what_was_chosen_is_what_setup_works_with(self, operator, ledger, several):
        consent(operator, "kommo")
        consent(operator, "xero", place=TENANT)
        with ledger.begin() as session:  # the person connects another organisation to the app, for another connection
            grants.choose_tenant(session, "demo", None)
        consent(operator, "xero", place=several)
        with ledger.reading() as session:
            assert grants.chosen_tenant(session, "demo") == several
        told = words(operator.post("/connections/demo/setup", "/connections/demo"))
        assert several in told


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, page
    return found[1]
