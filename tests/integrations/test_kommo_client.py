"""Kommo's verbs over a real socket, against the answers of its documents."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from integrations.errors import Broken, Missing, OutcomeUnknown, RateLimited, Refusal, Rejected, Unauthorised
from integrations.kommo.client import Kommo
from integrations.kommo.entities import (
    Address,
    ClientDraft,
    FieldDraft,
    FileRef,
    LeadChange,
    LeadDraft,
    LeadProduct,
    Stage,
)
from integrations.turns import Heard, Priority
from integrations.wire import Wire
from tests.integrations.conftest import OpenBudget
from tests.integrations.vendor import Reply, Vendor, empty, page, said, sample

MOSCOW = ZoneInfo("Europe/Moscow")  # the document's account is three hours ahead
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
NGINX = "<html><head><title>403 Forbidden</title></head></html>"


@pytest.fixture
def kommo(wires: Callable[..., Wire], vendor: Vendor) -> Kommo:
    return Kommo(wires("kommo"), base_url=f"{vendor.url}/acme/", timezone=MOSCOW, priority=Priority.STATUS)


def kommos(name: str, status: int = 200):
    return said(sample(f"kommo/{name}.json"), status, Content_Type="application/hal+json")


def problem(name: str, status: int):
    return said(sample(f"kommo/{name}.json"), status, Content_Type="application/problem+json")


def test_the_account_is_read_with_its_zone_and_its_drive(kommo: Kommo, vendor: Vendor, budget: OpenBudget):
    vendor.will(kommos("account"))
    account = kommo.account()
    assert (account.id, account.subdomain, account.currency) == (30896271, "devteam", "USD")
    assert (account.timezone, account.drive_url) == ("Europe/London", "https://drive-c.kommo.com")
    assert vendor.last.path == "/acme/api/v4/account"
    assert vendor.last.asked("with") == ["drive_url,datetime_settings"]
    assert vendor.last.headers["Authorization"] == "Bearer first"
    assert budget.asked == [(Priority.STATUS, None)]


def test_stages_come_in_the_order_in_which_people_see_them(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("pipelines"))
    (pipeline,) = kommo.pipelines()
    assert (pipeline.id, pipeline.name, pipeline.is_main, pipeline.is_archive) == (6950551, "Pipeline", True, False)
    assert [stage.id for stage in pipeline.stages] == [58141803, 58141807, 142, 143]
    assert pipeline.stages[1] == Stage(6950551, 58141807, "Initial contact", 20)


def test_leads_come_with_contacts_company_products_and_exact_price(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("leads"))
    lead = kommo.leads([7, 8, 7])[7]
    assert vendor.last.asked("filter[id][]") == ["7", "8"]
    assert vendor.last.asked("with") == ["contacts,catalog_elements"]
    assert (lead.price, lead.price_is_exact) == (Decimal("1204.50"), True)
    assert (lead.pipeline_id, lead.status_id) == (6950551, 58141811)
    assert (lead.main_contact_id, lead.contact_ids, lead.company_id) == (11069775, (11069774, 11069775), 29610174)
    assert lead.products == (
        LeadProduct(4521, 597393, Decimal("2.5"), 77),
        LeadProduct(4521, 597394, Decimal(3)),
    )
    assert lead.text("CURRENCY") == lead.text(900) == "EUR"
    assert lead.created_at == datetime(2023, 6, 13, 16, 22, 17, tzinfo=UTC)


def test_a_lead_that_is_not_there_is_none(kommo: Kommo, vendor: Vendor):
    vendor.will(empty(204))
    assert kommo.lead(7) is None


def test_nothing_asked_nothing_sent(kommo: Kommo, vendor: Vendor):
    assert kommo.leads([]) == {}
    assert kommo.update_leads([]) == set()
    assert vendor.seen == []


def test_many_leads_are_read_in_chunks(kommo: Kommo, vendor: Vendor):
    vendor.will(empty(204), kommos("leads"))
    assert set(kommo.leads(range(1, 151))) == {7}
    assert [len(seen.asked("filter[id][]")) for seen in vendor.seen] == [100, 50]


def test_pages_are_walked_by_the_link_and_not_by_their_length(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("events"), kommos("events_2"))
    added, moved = kommo.entered([(5, 142), (6, 9)], SINCE)
    assert [seen.asked("page") for seen in vendor.seen] == [["1"], ["2"]]
    assert vendor.last.asked("filter[type]") == ["lead_status_changed"]
    assert vendor.last.asked("filter[value_after][leads_statuses][1][status_id]") == ["9"]
    assert vendor.last.asked("filter[created_at][from]") == [str(int(SINCE.timestamp()))]
    assert (added.kind, added.pipeline_id, added.status_id) == ("lead_added", None, None)
    assert (moved.lead_id, moved.pipeline_id, moved.status_id) == (1234567, 123, 111)


def test_leads_by_time_and_by_stage(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("leads"), kommos("leads"))
    assert [lead.id for lead in kommo.leads_created_since(SINCE)] == [7]
    assert vendor.last.asked("filter[created_at][from]") == [str(int(SINCE.timestamp()))]
    assert [lead.id for lead in kommo.leads_updated_since([(5, 142)], SINCE)] == [7]
    assert vendor.last.asked("filter[statuses][0][pipeline_id]") == ["5"]
    assert vendor.last.asked("filter[statuses][0][status_id]") == ["142"]
    assert vendor.last.asked("filter[updated_at][from]") == [str(int(SINCE.timestamp()))]


def touched(*leads: tuple[int, int], more: bool) -> Reply:
    """A page of leads, each with its id and when it was touched."""
    (whole,) = json.loads(sample("kommo/leads.json"))["_embedded"]["leads"]
    links = {"next": {"href": "https://acme.kommo.com/api/v4/leads?page=2"}} if more else {}
    shown = [{**whole, "id": lead_id, "created_at": at, "updated_at": at} for lead_id, at in leads]
    return said({"_links": links, "_embedded": {"leads": shown}})


def test_none_is_passed_over_where_one_that_was_read_is_touched_and_all_behind_it_move_up(kommo: Kommo, vendor: Vendor):
    """By its number the second page would now begin behind the third lead."""
    first = int(SINCE.timestamp())
    vendor.will(
        touched((7, first + 1), (8, first + 5), more=True),
        touched((8, first + 5), (9, first + 6), (7, first + 9), more=False),
    )
    assert [lead.id for lead in kommo.leads_updated_since([(5, 142)], SINCE)] == [7, 8, 9]
    asked = [(*seen.asked("filter[updated_at][from]"), *seen.asked("page")) for seen in vendor.seen]
    assert asked == [(str(first), "1"), (str(first + 5), "1")]


def test_pages_of_one_second_or_in_no_order_are_told_apart_by_their_numbers(kommo: Kommo, vendor: Vendor):
    first = int(SINCE.timestamp())
    vendor.will(
        touched((7, first), (8, first), more=True), touched((9, first + 9), (10, first + 6), more=True),
        touched((11, first + 9), more=False),
    )  # fmt: skip
    assert [lead.id for lead in kommo.leads_created_since(SINCE)] == [7, 8, 9, 10, 11]
    assert [seen.asked("page") for seen in vendor.seen] == [["1"], ["2"], ["3"]]


def test_leads_are_searched_by_any_text(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("leads"))
    assert [lead.id for lead in kommo.find_leads("60aa5d55")] == [7]
    assert vendor.last.asked("query") == ["60aa5d55"]


def test_a_deal_is_made_with_everything_in_one_request(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("created"))
    draft = LeadDraft(
        name="Invoice INV-1",
        price=Decimal("24.15"),
        pipeline_id=5,
        status_id=9,
        contact_id=3,
        company_id=4,
        fields={"XERO_INVOICE_ID": "60aa", "XERO_DUE_DATE": date(2024, 10, 24), 12: Decimal("24.10")},
    )
    assert kommo.create_lead(draft) == 152462
    assert (vendor.last.method, vendor.last.path) == ("POST", "/acme/api/v4/leads")
    assert b'"price":24.15,' in vendor.last.body
    (body,) = vendor.last.json
    assert body["_embedded"] == {"contacts": [{"id": 3, "is_main": True}], "companies": [{"id": 4}]}
    assert body["custom_fields_values"] == [
        {"field_code": "XERO_INVOICE_ID", "values": [{"value": "60aa"}]},
        {"field_code": "XERO_DUE_DATE", "values": [{"value": 1729717200}]},
        {"field_id": 12, "values": [{"value": "24.10"}]},
    ]


def test_a_deal_may_have_nothing_but_its_name_and_place(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("created"))
    kommo.create_lead(LeadDraft("Deal", Decimal(0), 5, 9))
    assert vendor.last.json == [{"name": "Deal", "price": 0, "pipeline_id": 5, "status_id": 9}]


@pytest.mark.parametrize("reply", [said({"_embedded": {"leads": []}}), empty(200), empty(204), page("<html>", 504)])
def test_a_create_without_an_id_has_an_unknown_outcome(kommo: Kommo, vendor: Vendor, reply):
    vendor.will(reply)
    with pytest.raises(OutcomeUnknown):
        kommo.create_lead(LeadDraft("Deal", Decimal(0), 5, 9))


@pytest.mark.parametrize("answer", ["patched", "patched_root"])
def test_changes_touch_only_what_they_name(kommo: Kommo, vendor: Vendor, answer: str):
    vendor.will(kommos(answer))
    file = FileRef("u-1", "v-1", "INV-1.pdf", 10)
    changes = [
        LeadChange(152464, {"XERO_INVOICE_PDF": file, "XERO_SYNC_MESSAGE": None, 5: True}),
        LeadChange(2, name="New", price=Decimal("1.5"), pipeline_id=5, status_id=142),
    ]
    assert kommo.update_leads(changes) == {152464}  # and 2 is gone
    assert (vendor.last.method, vendor.last.path) == ("PATCH", "/acme/api/v4/leads")
    pdf = {"file_uuid": "u-1", "version_uuid": "v-1", "file_name": "INV-1.pdf", "file_size": 10}
    assert vendor.last.json == [
        {
            "id": 152464,
            "custom_fields_values": [
                {"field_code": "XERO_INVOICE_PDF", "values": [{"value": pdf}]},
                {"field_code": "XERO_SYNC_MESSAGE", "values": None},
                {"field_id": 5, "values": [{"value": True}]},
            ],
        },
        {"id": 2, "name": "New", "price": 1.5, "pipeline_id": 5, "status_id": 142},
    ]


def test_many_changes_are_written_by_fifty(kommo: Kommo, vendor: Vendor):
    vendor.will(empty(204), kommos("patched"))
    assert kommo.update_leads([LeadChange(lead_id, name="x") for lead_id in range(60)]) == {152464}
    assert [len(seen.json) for seen in vendor.seen] == [50, 10]


def test_a_contact_has_its_first_address_that_is_not_blank(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("contacts"))
    sam = kommo.contacts([406322])[406322]
    assert (sam.entity, sam.name, sam.first_name, sam.last_name) == ("contacts", "Sam", "Sam", "")
    assert (sam.email, sam.phone) == ("sam@example.com", "19651796212")
    assert sam.address == Address("940 Mission Rd", "", "San Francisco", "", "94080", "US")
    assert sam.text("EMAIL") == ""
    assert sam.text("NONE") == ""


def test_a_company_may_have_its_address_as_plain_text(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("companies"))
    acme = kommo.companies([406320])[406320]
    assert (acme.entity, acme.name, acme.email, acme.is_deleted) == ("companies", "Acme Ltd", "", True)
    assert acme.address == Address("1 High Street", "Dept 2, London")


def test_clients_are_found_by_text(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("contacts"), kommos("companies"))
    assert [client.id for client in kommo.find_contacts("sam & co")] == [406322]
    assert vendor.last.asked("query") == ["sam & co"]
    assert [client.id for client in kommo.find_companies("acme")] == [406320]


def test_a_client_is_made_with_address_number_and_mark(kommo: Kommo, vendor: Vendor):
    vendor.will(said({"_embedded": {"contacts": [{"id": 963408, "request_id": "0"}]}}), said({"id": 5}))
    draft = ClientDraft("Ada", "ada@example.com", "+44 1", {"XERO_CONTACT_ID": "c-1"})
    assert kommo.create_client("contacts", draft) == 963408
    assert vendor.last.json == [
        {
            "name": "Ada",
            "custom_fields_values": [
                {"field_code": "EMAIL", "values": [{"value": "ada@example.com", "enum_code": "WORK"}]},
                {"field_code": "PHONE", "values": [{"value": "+44 1", "enum_code": "WORK"}]},
                {"field_code": "XERO_CONTACT_ID", "values": [{"value": "c-1"}]},
            ],
        }
    ]
    assert kommo.create_client("companies", ClientDraft("Acme Ltd")) == 5
    assert vendor.last.json == [{"name": "Acme Ltd"}]


def test_products_have_their_prices_by_field(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("elements"))
    product = kommo.products(12345, [123000])[123000]
    assert vendor.last.path == "/acme/api/v4/catalogs/12345/elements"
    assert (product.name, product.sku, product.price) == ("Element", "A-1", Decimal("12.10"))
    assert product.prices == {2345678: Decimal("12.10"), 77: Decimal(9)}
    assert (product.unit, product.description, product.is_deleted) == ("", "", False)


@pytest.mark.parametrize(
    ("answer", "options"),
    [("fields_created", {"Value 1": 3778801, "Value 2": 3778803}), ("field_root", {"New": 5, "Old": 6})],
)
def test_fields_are_made_in_both_of_the_documented_answers(kommo: Kommo, vendor: Vendor, answer, options):
    vendor.will(kommos(answer, 201))
    drafts = [
        FieldDraft("Xero status", "XERO_INVOICE_STATUS", "select", "leads_1", options=("Draft", "Paid")),
        FieldDraft("Xero number", "XERO_INVOICE_NUMBER", "text", sort=511),
    ]
    (field,) = kommo.create_fields("leads", drafts)
    assert field.options == options
    status, number = vendor.last.json
    assert status["enums"] == [{"value": "Draft", "sort": 1}, {"value": "Paid", "sort": 2}]
    assert (status["group_id"], status["is_api_only"], status["sort"]) == ("leads_1", True, 500)
    assert number == {
        "name": "Xero number",
        "type": "text",
        "code": "XERO_INVOICE_NUMBER",
        "sort": 511,
        "is_api_only": True,
    }


def test_fields_are_listed(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("fields_created"))
    (field,) = kommo.fields("companies")
    assert (field.id, field.name, field.code, field.kind) == (
        4457223,
        "multi select",
        "multi_select_code",
        "multiselect",
    )
    assert (field.is_api_only, field.group_id) == (False, None)
    assert vendor.last.path == "/acme/api/v4/companies/custom_fields"


def test_groups_are_known_by_name(kommo: Kommo, vendor: Vendor):
    made = said({"_embedded": {"custom_field_groups": [{"id": "leads_63431752236083", "name": "Xero"}]}}, 201)
    vendor.will(made, made)
    assert kommo.groups("leads") == {"Xero": "leads_63431752236083"}
    assert kommo.create_group("leads", "Xero") == "leads_63431752236083"
    assert vendor.last.json == [{"name": "Xero"}]


def test_notes_without_text_are_empty(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("notes"))
    first, second = kommo.notes(7)
    assert (first.id, first.lead_id, first.kind, first.text) == (1, 7, "service_message", "Invoice INV-0042 created")
    assert second.text == ""


def test_a_note_is_ours_and_sets_off_no_robots(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("note_created"))
    assert kommo.create_notes([(7, "Invoice INV-0042")]) == 1
    assert vendor.last.path == "/acme/api/v4/leads/notes"
    (note,) = vendor.last.json
    assert note["entity_id"] == 7
    assert note["params"] == {"service": "Xero", "text": "Invoice INV-0042"}
    assert note["is_need_to_trigger_digital_pipeline"] is False


def test_a_file_goes_up_in_parts_to_the_addresses_that_are_given(kommo: Kommo, vendor: Vendor, drive: Vendor, records):
    def by_drive(name: str, status: int = 200):
        return said(sample(f"kommo/{name}.json").replace(b"{drive}", drive.url.encode()), status)

    drive.will(by_drive("session"), by_drive("part", 202), by_drive("part"), by_drive("stored"))
    stored = kommo.drive().upload(
        drive.url, name="INV-0042.pdf", content=b"0123456789", mime="application/pdf", file_uuid="367b9f38"
    )
    assert stored == FileRef(
        "367b9f38-5f01-4cea-947e-dfab47aea522", "43de3be7-307b-4766-a23e-5e88211b9a8d", "INV-0042.pdf", 10
    )
    session, *parts = drive.seen
    assert session.json == {
        "file_name": "INV-0042.pdf",
        "file_size": 10,
        "content_type": "application/pdf",
        "with_preview": False,
        "file_uuid": "367b9f38",
    }
    assert [part.body for part in parts] == [b"0123", b"4567", b"89"]
    assert [part.path for part in parts] == ["/v1.0/sessions/upload/eyJhbGc", "/upload/signed-2", "/upload/signed-2"]
    assert {part.headers["Content-Type"] for part in parts} == {"application/pdf"}
    assert {record.path for record in records} == {"/v1.0/sessions", "/upload"}  # the addresses are secrets


def test_an_upload_that_ends_too_soon_is_broken(kommo: Kommo, drive: Vendor):
    session = said({"max_part_size": 4, "upload_url": f"{drive.url}/upload"})
    drive.will(session, empty(202), said({"max_part_size": 0, "upload_url": ""}))
    with pytest.raises(Broken):
        kommo.drive().upload(drive.url, name="a.pdf", content=b"01", mime="application/pdf")
    with pytest.raises(Broken):
        kommo.drive().upload(drive.url, name="a.pdf", content=b"01", mime="application/pdf")


def test_an_upload_that_never_ends_is_broken(kommo: Kommo, drive: Vendor):
    more = said({"next_url": f"{drive.url}/upload"}, 202)
    drive.will(said({"max_part_size": 4, "upload_url": f"{drive.url}/upload"}), more, more)
    with pytest.raises(Broken):
        kommo.drive().upload(drive.url, name="a.pdf", content=b"01234567", mime="application/pdf")
    assert len(drive.seen) == 3


def test_webhooks_are_listed_registered_and_deleted(kommo: Kommo, vendor: Vendor):
    vendor.will(kommos("webhooks"), said({"id": 1}, 201), empty(204), problem("unauthorized", 404))
    _, off = kommo.webhooks()
    assert (off.destination, off.settings, off.disabled) == (
        "https://api.test.com/KommoWebHook",
        frozenset({"update_lead"}),
        True,
    )
    kommo.register_webhook("https://bridge.example/x", {"status_lead", "add_lead"})
    assert vendor.last.json == {"destination": "https://bridge.example/x", "settings": ["add_lead", "status_lead"]}
    kommo.delete_webhook("https://bridge.example/x")
    assert (vendor.last.method, vendor.last.json) == ("DELETE", {"destination": "https://bridge.example/x"})
    kommo.delete_webhook("https://bridge.example/gone")


def test_a_refusal_names_the_element_the_place_and_the_reason(kommo: Kommo, vendor: Vendor):
    vendor.will(problem("validation_errors", 400))
    with pytest.raises(Rejected) as refused:
        kommo.update_leads([LeadChange(1, {"GONE": "x"})])
    error = refused.value
    assert error.elements == (0, 0)
    assert error.paths == ("custom_fields_values.0.field_id", "status_id")
    assert error.messages[0] == (
        "custom_fields_values.0.field_id: The value you selected is not a valid choice. (NotSupportedChoice)"
    )
    assert error.call == "PATCH /api/v4/leads"


@pytest.mark.parametrize("effect", ["read", "create"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (said({"title": "Unprocessable Entity", "status": 422, "detail": "Limit 250 per page"}, 422), Rejected),
        (said({"title": "Not Found", "status": 404}, 404), Missing),
        (said({"title": "Method Not Allowed", "status": 405}, 405), Rejected),
        (said([], 400), Rejected),
        (page("<html>429</html>", 429), RateLimited),
    ],
)
def test_a_refusal_by_the_api_itself_is_never_an_unknown_outcome(kommo: Kommo, vendor: Vendor, reply, error, effect):
    vendor.will(reply)
    with pytest.raises(error):
        kommo.create_notes([(7, "x")]) if effect == "create" else kommo.notes(7)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (said({"title": "Payment Required", "status": 402}, 402), Refusal.UNPAID),
        (said({"title": "Forbidden", "status": 403}, 403), Refusal.SCOPE),
        (page(NGINX, 403), Refusal.BLOCKED),
    ],
)
def test_why_kommo_does_not_let_us_in(kommo: Kommo, vendor: Vendor, reply, reason):
    vendor.will(reply)
    with pytest.raises(Unauthorised) as refused:
        kommo.account()
    assert refused.value.reason is reason


def test_an_expired_token_is_renewed_once(kommo: Kommo, vendor: Vendor):
    vendor.will(problem("unauthorized", 401), kommos("account"))
    assert kommo.account().id == 30896271


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (problem("too_many", 429), 300),
        (page("<html>429</html>", 429), 5),
        (page("<html>429</html>", 429, Retry_After="7"), 7),
        (said({"retry_after": "soon"}, 429), 5),
        (said({"retry_after": 0}, 429), 1),
    ],
)
def test_a_refusal_by_rate_stops_all_calls_for_as_long_as_kommo_says(kommo, vendor, budget: OpenBudget, reply, seconds):
    vendor.will(reply)
    with pytest.raises(RateLimited) as refused:
        kommo.account()
    assert refused.value.retry_after == seconds
    assert budget.told == [Heard(stop=seconds)]


def test_a_block_stops_all_calls_for_long(kommo: Kommo, vendor: Vendor, budget: OpenBudget):
    vendor.will(page(NGINX, 403))
    with pytest.raises(Unauthorised):
        kommo.account()
    assert budget.told == [Heard(block=900)]


def test_only_the_accounts_own_host_tells_that_we_are_let_in(
    kommo: Kommo, vendor: Vendor, drive: Vendor, budget: OpenBudget
):
    vendor.will(kommos("account"))
    kommo.account()
    stored = said(sample("kommo/stored.json"))
    drive.will(said({"max_part_size": 4, "upload_url": f"{drive.url}/upload"}), stored)
    kommo.drive().upload(drive.url, name="a.pdf", content=b"01", mime="application/pdf")
    assert [heard.admitted for heard in budget.told] == [True, False, False]


def test_a_server_that_timed_out_is_broken_for_a_read(kommo: Kommo, vendor: Vendor):
    vendor.will(said({"title": "Request Timeout"}, 408), page("<html>504</html>", 504))
    for _ in range(2):
        with pytest.raises(Broken):
            kommo.account()
