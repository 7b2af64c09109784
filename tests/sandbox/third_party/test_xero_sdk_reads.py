"""xero-python reads what the organisation is and has."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.sandbox.third_party.conftest import Sdk
from tests.sandbox.xero_office import Office


def test_the_token_is_a_custom_connections(sdk: Sdk):
    assert sdk.token["token_type"] == "Bearer"
    assert sdk.token["expires_in"] == 1800
    assert "refresh_token" not in sdk.token


def test_connections(sdk: Sdk):
    [connection] = sdk.identity.get_connections()
    assert (connection.tenant_id, connection.tenant_type) == (sdk.tenant, "ORGANISATION")
    assert connection.tenant_name == "Acme Trading (NZ)"
    assert datetime.now(UTC) - connection.created_date_utc < timedelta(minutes=10)


def test_a_connection_can_be_given_up(sdk: Sdk):
    [connection] = sdk.identity.get_connections()
    sdk.identity.delete_connection(connection.id)
    assert sdk.identity.get_connections() == []


def test_the_organisation(sdk: Sdk):
    [organisation] = sdk.accounting.get_organisations(sdk.tenant).organisations
    assert (organisation.organisation_id, organisation.name) == (sdk.tenant, "Acme Trading (NZ)")
    assert (organisation.base_currency.value, organisation.country_code.value) == ("NZD", "NZ")
    assert organisation.timezone.value == "NEWZEALANDSTANDARDTIME"
    assert organisation.created_date_utc.tzinfo is not None


def test_what_the_organisation_may_do(sdk: Sdk):
    actions = sdk.accounting.get_organisation_actions(sdk.tenant).actions
    assert {action.name: action.status for action in actions}["CreateApprovedInvoice"] == "ALLOWED"


def test_accounts(sdk: Sdk):
    accounts = {each.code: each for each in sdk.accounting.get_accounts(sdk.tenant).accounts}
    sales = accounts["200"]
    assert (sales.name, sales.type.value, sales._class) == ("Sales", "REVENUE", "REVENUE")
    assert (sales.tax_type, sales.status) == ("OUTPUT2", "ACTIVE")
    assert accounts["299"].status == "ARCHIVED"
    assert accounts["090"].currency_code.value == "NZD"
    [alone] = sdk.accounting.get_account(sdk.tenant, sales.account_id).accounts
    assert alone == sales


def test_tax_rates(sdk: Sdk):
    rates = {each.tax_type: each for each in sdk.accounting.get_tax_rates(sdk.tenant).tax_rates}
    gst = rates["OUTPUT2"]
    assert (gst.effective_rate, gst.status, gst.can_apply_to_revenue) == (Decimal(15), "ACTIVE", True)
    assert [component.rate for component in gst.tax_components] == [Decimal(15)]


def test_currencies_items_themes_and_tracking(sdk: Sdk):
    assert {each.code.value for each in sdk.accounting.get_currencies(sdk.tenant).currencies} >= {"NZD", "USD"}
    [item] = sdk.accounting.get_items(sdk.tenant).items
    assert (item.code, item.sales_details.unit_price) == ("SUPPORT", Decimal(120))
    [theme] = sdk.accounting.get_branding_themes(sdk.tenant).branding_themes
    assert theme.name == "Standard"
    [category] = sdk.accounting.get_tracking_categories(sdk.tenant).tracking_categories
    assert [option.name for option in category.options] == ["North", "South"]


def test_credit_notes_and_what_they_are_allocated_to(sdk: Sdk):
    [note] = sdk.accounting.get_credit_notes(sdk.tenant, page=1).credit_notes
    [allocation] = note.allocations
    [invoice] = sdk.accounting.get_invoice(sdk.tenant, allocation.invoice.invoice_id).invoices
    assert (invoice.status, invoice.amount_credited, invoice.amount_paid) == ("PAID", note.total, Decimal(0))


def test_each_answer_says_what_is_left_and_the_sdk_does_nothing_that_a_careful_client_would_not(sdk: Sdk, xero: Office):
    sdk.accounting.get_organisations(sdk.tenant)
    headers = sdk.accounting.api_client.last_response.getheaders()
    before = int(headers["X-MinLimit-Remaining"])
    sdk.accounting.get_organisations(sdk.tenant)
    headers = sdk.accounting.api_client.last_response.getheaders()
    assert int(headers["X-MinLimit-Remaining"]) == before - 1
    assert xero.books()["complaints"] == {}
