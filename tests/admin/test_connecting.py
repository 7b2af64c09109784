"""`connect`: a grant is tried before it is stored, and says what it opens."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from worker import routes
from worker.database import Database
from worker.grants import Grant


def stored(ledger: Database) -> dict[str, Grant]:
    with ledger.reading() as session:
        return {grant.vendor: grant for grant in session.scalars(sa.select(Grant))}


def test_a_token_says_what_it_opens_and_until_when(desk, ledger):
    said = desk.do("connect", "kommo", "demo", "--token", desk.sandbox.ready["kommo_token"])
    assert 'demo: connected with the Kommo account "Acme Ltd" (30896271, acme.kommo.com)' in said
    assert "good until" in said
    assert "days" in said
    assert desk.sandbox.get("calls/count")["calls"]["kommo"] == {"GET /api/v4/account": 1}
    assert stored(ledger)["kommo"].kind == "long_lived"


def test_a_token_can_come_from_standard_input(desk, ledger):
    desk.do("connect", "kommo", "demo", "--token", "-", typed=desk.sandbox.ready["kommo_token"] + "\n")
    assert "kommo" in stored(ledger)


def test_tokens_are_neither_stored_nor_printed_as_they_are(desk, ledger):
    token = desk.sandbox.ready["kommo_token"]
    said = desk.run("connect", "kommo", "demo", "--token", token).output
    assert token[:40] not in said
    assert token.encode() not in (desk.folder / "bridge.db").read_bytes()


def test_half_a_token_is_told_before_any_call(desk):
    assert "copy it whole" in desk.refused("connect", "kommo", "demo", "--token", "eyJ0eXAi")
    assert desk.sandbox.calls_after(0) == []


def test_a_token_that_has_ended_is_told_with_its_day(desk):
    token = desk.sandbox.post("kommo/tokens", {"days": -1})["token"]
    assert "this token ended on" in desk.refused("connect", "kommo", "demo", "--token", token)


def test_a_revoked_token_is_not_stored(desk, ledger):
    token = desk.sandbox.post("kommo/tokens")["token"]
    desk.sandbox.post("kommo/tokens/revoke", {"token": token})
    assert "does not accept this token" in desk.refused("connect", "kommo", "demo", "--token", token)
    assert stored(ledger) == {}


def test_a_token_of_another_account_names_both(desk, ledger):
    desk.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    desk.env["KOMMO_API_URL"] = desk.sandbox.ready["kommo_api_url"].replace("{subdomain}", "umbrella")
    told = desk.refused("connect", "kommo", "demo", "--token", desk.sandbox.ready["kommo_token"])
    assert "umbrella.kommo.com" in told
    assert 'kommo_subdomain = "acme"' in told
    assert stored(ledger) == {}


def test_an_account_that_took_over_the_subdomain_of_ours_is_another_one(desk, ledger):
    """A subdomain that an account has left may be taken by anybody: the deals that we know are not there."""
    desk.connect()
    desk.do("setup", "demo")
    with ledger.begin() as session:
        route = routes.load(session, "demo")
        assert route is not None
        routes.save(session, replace(route, account_id=7))
    told = desk.refused("connect", "kommo", "demo", "--token", desk.sandbox.post("kommo/tokens")["token"])
    assert "(30896271, acme.kommo.com)" in told
    assert "was set up with the account 7" in told


def test_an_account_that_was_renamed_takes_a_new_token_though_the_file_says_the_old_name(desk, ledger):
    desk.connect()
    desk.do("setup", "demo")
    desk.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    with ledger.begin() as session:
        routes.move(session, "demo", "umbrella")
    said = desk.do("connect", "kommo", "demo", "--token", desk.sandbox.post("kommo/tokens")["token"])
    assert "(30896271, umbrella.kommo.com)" in said


def test_without_a_token_the_address_of_kommos_consent_is_printed(desk):
    result = desk.run("connect", "kommo", "demo")
    address = urlsplit(result.stdout.strip())
    asked = parse_qs(address.query)
    assert result.stdout.startswith(desk.env["KOMMO_OAUTH_URL"])
    assert asked["client_id"] == [desk.env["KOMMO_CLIENT_ID"]]
    assert len(asked["state"][0]) > 100
    assert "within 15 minutes, once" in result.stderr
    assert desk.sandbox.calls_after(0) == []


def test_without_an_app_both_ways_are_told(desk):
    for name in ("KOMMO_CLIENT_ID", "KOMMO_CLIENT_SECRET", "XERO_CLIENT_ID", "XERO_CLIENT_SECRET"):
        del desk.env[name]
    told = desk.refused("connect", "kommo", "demo")
    assert "set KOMMO_CLIENT_ID and KOMMO_CLIENT_SECRET, or use a long-lived token (--token)" in told
    assert "--client-credentials" in desk.refused("connect", "xero", "demo")


def test_a_custom_connection_says_its_organisation(desk, ledger):
    said = desk.do("connect", "xero", "demo", "--client-credentials")
    assert '"Acme Trading (NZ)" (5b96e86b-418e-48d8-8949-308c14aec278)' in said
    assert stored(ledger)["xero"].kind == "client_credentials"
    assert stored(ledger)["xero"].client_id == desk.sandbox.ready["xero_client_id"]


def test_the_pair_can_be_given(desk, ledger):
    ready = desk.sandbox.ready
    del desk.env["XERO_CLIENT_ID"], desk.env["XERO_CLIENT_SECRET"]
    pair = ("--client-id", ready["xero_client_id"], "--client-secret", "-")
    desk.do("connect", "xero", "demo", "--client-credentials", *pair, typed=ready["xero_client_secret"])
    assert "xero" in stored(ledger)


def test_a_missing_pair_is_told(desk):
    del desk.env["XERO_CLIENT_ID"], desk.env["XERO_CLIENT_SECRET"]
    assert "XERO_CLIENT_ID" in desk.refused("connect", "xero", "demo", "--client-credentials")


def test_half_a_pair_is_wrong_usage(desk):
    assert desk.run("connect", "xero", "demo", "--client-credentials", "--client-id", "x").exit_code == 2


def test_a_wrong_secret_is_told_and_not_stored(desk, ledger):
    told = desk.refused(
        "connect", "xero", "demo", "--client-credentials", "--client-id", "x", "--client-secret", "wrong-secret"
    )
    assert "does not accept this client id" in told
    assert "wrong-secret" not in told
    assert stored(ledger) == {}


def test_another_organisation_than_the_files_is_told_with_those_there_are(desk, ledger):
    desk.rewrite("5b96e86b-418e-48d8-8949-308c14aec278", "11111111-418e-48d8-8949-308c14aec278")
    told = desk.refused("connect", "xero", "demo", "--client-credentials")
    assert "does not reach 11111111" in told
    assert "5b96e86b" in told
    assert stored(ledger) == {}


def test_the_organisation_may_be_left_out_where_there_is_one(desk):
    desk.rewrite('xero_tenant_id = "5b96e86b-418e-48d8-8949-308c14aec278"', "")
    assert "Acme Trading (NZ)" in desk.do("connect", "xero", "demo", "--client-credentials")


def test_of_several_organisations_one_must_be_named(desk):
    other = {"name": "Umbrella Ltd", "client_id": desk.sandbox.ready["xero_client_id"]}
    desk.sandbox.post("xero/organisations", other)
    desk.rewrite('xero_tenant_id = "5b96e86b-418e-48d8-8949-308c14aec278"', "")
    told = desk.refused("connect", "xero", "demo", "--client-credentials")
    assert "several organisations" in told
    assert "Umbrella Ltd" in told


def test_a_custom_connection_of_another_organisation_takes_no_connection_over(desk, ledger):
    """It passes over the organisation that it is asked for: what waits would be written into other books."""
    desk.rewrite('xero_tenant_id = "5b96e86b-418e-48d8-8949-308c14aec278"', "")
    desk.connect()
    desk.do("setup", "demo")
    with ledger.begin() as session:
        route = routes.load(session, "demo")
        assert route is not None
        routes.save(session, replace(route, tenant_id="11111111-418e-48d8-8949-308c14aec278"))
    before = stored(ledger)["xero"].version
    told = desk.refused("connect", "xero", "demo", "--client-credentials")
    assert "is for 5b96e86b-418e-48d8-8949-308c14aec278" in told
    assert 'the connection "demo" works with 11111111' in told
    assert "xero_tenant_id" in told
    assert stored(ledger)["xero"].version == before


def test_no_organisation_at_all_is_told(desk):
    desk.sandbox.post("xero/disconnect")
    assert "reaches no organisation" in desk.refused("connect", "xero", "demo", "--client-credentials")


def test_without_the_flag_the_address_of_xeros_consent_is_printed(desk):
    asked = parse_qs(urlsplit(desk.do("connect", "xero", "demo").strip()).query)
    assert asked["redirect_uri"] == [f"{desk.env['CONSOLE_URL']}/oauth/xero/callback"]
    assert set(asked["scope"][0].split()) == {
        "offline_access", "accounting.invoices", "accounting.contacts", "accounting.settings.read",
        "accounting.payments.read", "accounting.attachments",
    }  # fmt: skip
    desk.env["XERO_BROAD_SCOPES"] = "true"
    asked = parse_qs(urlsplit(desk.do("connect", "xero", "demo").strip()).query)
    assert "accounting.transactions" in asked["scope"][0].split()


def test_an_address_that_xero_sends_nobody_back_to_is_told_before(desk):
    desk.env["CONSOLE_URL"] = "http://127.0.0.1:8001"
    assert "set CONSOLE_URL to an https address, or to http://localhost" in desk.refused("connect", "xero", "demo")


def test_a_pair_without_the_flag_is_wrong_usage(desk):
    pair = ("--client-id", "x", "--client-secret", "y")
    assert desk.run("connect", "xero", "demo", *pair).exit_code == 2


def test_a_name_that_is_not_in_the_file_gets_the_nearest(desk):
    assert 'did you mean "demo"?' in desk.refused("connect", "kommo", "deno", "--token", "x")


def test_connecting_again_replaces_the_grant(desk, ledger):
    desk.connect()
    desk.connect()
    assert set(stored(ledger)) == {"kommo", "xero"}


def test_a_grant_that_may_not_list_organisations_is_tried_on_the_files(desk, ledger):
    fault = {"vendor": "xero", "call": "GET /connections", "when": "before", "do": 403, "times": 1}
    desk.sandbox.post("faults", fault)
    assert "Acme Trading (NZ)" in desk.do("connect", "xero", "demo", "--client-credentials")
