"""aioamocrm, unchanged, at the simulated Kommo: leads, contacts, companies, fields, notes, pipelines, refusals."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.sandbox.kommo_stand import APPROVED, NEW, OFFER, PROJECTS, SALES, WON, Stand

amocrm = pytest.importorskip("aioamocrm", reason="aioamocrm is not installed: make setup")

pytestmark = pytest.mark.anyio
CURRENCY, SERVICES = 184_994, 184_996  # lead fields of the seed


@pytest.fixture(scope="module")
def running() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.stop()


@pytest.fixture
def stand(running: Stand) -> Stand:
    running.tell("/reset", {"seed": "demo"})
    return running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def amo(stand: Stand) -> AsyncIterator[Any]:
    """The client with an admin's long-lived token, at no pace of its own where Kommo has no limits."""
    stand.tell("/settings", {"limits": False}, "PATCH")
    async with client(stand, rate_limit=None) as opened:
        yield opened


def client(stand: Stand, *, token: str = "", **how: Any) -> Any:
    auth = amocrm.LongLivedToken(token or stand.token)
    return amocrm.AmoCRMClient(base_url=f"{stand.sandbox.kit.urls['kommo']}/acme", auth=auth, **how)


async def all_of(found: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in found]


# --- the account ---------------------------------------------------------------------------------------------------------


async def test_the_account(amo: Any):
    account = await amo.account.get(with_=["drive_url", "datetime_settings"])
    assert (account.id, account.subdomain, account.currency) == (30_896_271, "acme", "USD")
    assert account.embedded["datetime_settings"]["timezone"] == "Europe/London"


async def test_users(amo: Any):
    users = await all_of(amo.users.iterate())
    assert [user.name for user in users] == ["Administrator", "Sales desk"]
    assert (await amo.users.get(users[0].id)).email == "admin@acme.example"


async def test_pipelines_and_their_stages(amo: Any):
    sales, projects = await amo.pipelines.list()
    assert [(each.name, each.is_main) for each in (sales, projects)] == [("Sales", True), ("Projects", False)]
    assert [stage.name for stage in sales.statuses][1:4] == ["New", "Offer", "Payment approved"]
    assert sales.status(WON).name == "Closed - won"
    assert (await amo.pipelines.get(PROJECTS)).id == PROJECTS
    assert [stage.id for stage in await amo.pipelines.statuses(SALES)] == [stage.id for stage in sales.statuses]
    with pytest.raises(amocrm.NotFoundError):
        await amo.pipelines.get(1)


async def test_custom_fields(amo: Any):
    fields = {each.id: each for each in await all_of(amo.leads.custom_fields.iterate())}
    assert (fields[CURRENCY].name, fields[CURRENCY].type) == ("Invoice currency", "text")
    assert (await amo.leads.custom_fields.get(SERVICES)).name == "Services"
    [phone] = [each for each in await all_of(amo.contacts.custom_fields.iterate()) if each.code == "PHONE"]
    assert phone.enum_id("WORK")
    with pytest.raises(amocrm.NotFoundError):
        await amo.leads.custom_fields.get(1)


async def test_a_custom_field_is_made_by_a_plain_request_and_read_back(amo: Any):
    kind = {"name": "Size", "type": "select", "enums": [{"value": "S", "sort": 1}, {"value": "L", "sort": 2}]}
    made = await amo.request("POST", "leads/custom_fields", json=[kind])
    field = await amo.leads.custom_fields.get(made["_embedded"]["custom_fields"][0]["id"])
    assert [option.value for option in field.enums] == ["S", "L"]
    [lead] = await amo.leads.create([{"name": "Order"}])
    await amo.leads.update([_with(amocrm.Lead(id=lead.id), field.id, "L")])
    assert (await amo.leads.get(lead.id)).field_value(field.id) == "L"


def _with(entity: Any, key: int | str, value: Any, **more: Any) -> Any:
    entity.set_field(key, value, **more)
    return entity


# --- leads ---------------------------------------------------------------------------------------------------------------


async def test_leads_are_made_with_cents_fields_and_tags(amo: Any):
    wanted = amocrm.Lead(name="Website", price=1204.5, pipeline_id=SALES, status_id=OFFER)
    wanted.set_field(CURRENCY, "EUR")
    wanted.embedded.tags.append(amocrm.Tag(name="site"))
    first, second = await amo.leads.create([wanted, amocrm.Lead(name="Bare")])
    lead = await amo.leads.get(first.id, with_=["contacts"])
    assert (lead.name, lead.price, lead.model_extra["price_with_minor_units"]) == ("Website", 1204, 1204.5)
    assert (lead.pipeline_id, lead.status_id, lead.field_value(CURRENCY)) == (SALES, OFFER, "EUR")
    assert [tag.name for tag in lead.embedded.tags] == ["site"]
    assert (await amo.leads.get(second.id)).status_id == NEW


async def test_a_lead_is_changed_and_what_was_not_sent_stays(amo: Any):
    [made] = await amo.leads.create([_with(amocrm.Lead(name="Website", price=100), CURRENCY, "EUR")])
    [answered] = await amo.leads.update([amocrm.Lead(id=made.id, status_id=APPROVED)])
    assert (answered.id, answered.updated_at is not None) == (made.id, True)
    lead = await amo.leads.get(made.id)
    assert (lead.status_id, lead.name, lead.price, lead.field_value(CURRENCY)) == (APPROVED, "Website", 100, "EUR")


async def test_leads_are_walked_page_by_page(amo: Any):
    made = await amo.leads.create([{"name": f"Order {number}"} for number in range(7)])
    page = await amo.leads.get_page(2, limit=3, order={"id": "asc"})
    assert ([each.id for each in page], page.number, page.has_next) == ([each.id for each in made[3:6]], 2, True)
    assert [each.id for each in await all_of(amo.leads.iterate(limit=3, order={"id": "asc"}))] == [
        each.id for each in made
    ]


async def test_leads_are_filtered_and_searched(amo: Any):
    one, other = await amo.leads.create([{"name": "Website", "status_id": OFFER}, {"name": "Logo"}])

    async def found(**query: Any) -> list[int]:
        return [each.id for each in await all_of(amo.leads.iterate(**query))]

    assert await found(filter={"id": [one.id]}) == [one.id]
    assert await found(filter={"statuses": [{"pipeline_id": SALES, "status_id": OFFER}]}) == [one.id]
    assert sorted(await found(filter={"updated_at": {"from": one.updated_at or 1}})) == [one.id, other.id]
    assert await found(query="logo") == [other.id]
    assert await found(filter={"id": [1]}) == []


async def test_a_lead_and_its_clients_are_linked_and_unlinked(amo: Any):
    [lead] = await amo.leads.create([{"name": "Website"}])
    [contact] = await amo.contacts.create([{"name": "Jo Field"}])
    [company] = await amo.companies.create([{"name": "Acme Ltd"}])
    await amo.leads.link(lead.id, "contacts", contact.id, metadata={"is_main": True})
    await amo.leads.link(lead.id, "companies", company.id)
    links = await amo.leads.links(lead.id)
    assert {(each.to_entity_type, each.to_entity_id) for each in links} == {
        ("contacts", contact.id),
        ("companies", company.id),
    }
    read = await amo.leads.get(lead.id, with_="contacts")
    assert [(each.id, each.is_main) for each in read.embedded.contacts] == [(contact.id, True)]
    await amo.leads.unlink(lead.id, "contacts", contact.id)
    assert (await amo.leads.get(lead.id, with_="contacts")).embedded.contacts == []


# --- clients -------------------------------------------------------------------------------------------------------------


async def test_a_contact_with_phone_and_email(amo: Any):
    wanted = amocrm.Contact(first_name="Jo", last_name="Field")
    wanted.set_field("PHONE", "+44 20 7946 0000", enum_code="WORK")
    wanted.set_field("EMAIL", "jo@acme.example", enum_code="WORK")
    [made] = await amo.contacts.create([wanted])
    contact = await amo.contacts.get(made.id, with_=["leads"])
    assert (contact.name, contact.first_name) == ("Jo Field", "Jo")
    assert contact.field_value("PHONE", enum_code="WORK") == "+44 20 7946 0000"
    assert contact.field_value("email") == "jo@acme.example"
    await amo.contacts.update([_with(amocrm.Contact(id=made.id), "EMAIL", "field@acme.example", enum_code="PRIV")])
    contact = await amo.contacts.get(made.id)
    assert contact.field_values("EMAIL") == ["field@acme.example"]
    assert contact.field_value("PHONE") == "+44 20 7946 0000"


async def test_contacts_and_companies_are_found_by_what_their_fields_hold(amo: Any):
    [contact, _] = await amo.contacts.create(
        [_with(amocrm.Contact(name="Jo"), "EMAIL", "jo@acme.example"), {"name": "Kim"}]
    )
    [company] = await amo.companies.create([_with(amocrm.Company(name="Acme Ltd"), "WEB", "https://acme.example")])
    assert [each.id for each in await all_of(amo.contacts.iterate(query="jo@acme"))] == [contact.id]
    assert [each.id for each in await all_of(amo.companies.iterate(query="acme.example"))] == [company.id]


async def test_a_lead_with_its_new_client_in_one_call(amo: Any):
    contact = _with(amocrm.Contact(name="Jo Field"), "EMAIL", "jo@acme.example")
    embedded = amocrm.Embedded(contacts=[contact], companies=[amocrm.Company(name="Acme Ltd")])
    [made] = await amo.leads.create_complex([amocrm.Lead(name="Form", price=20, embedded=embedded)])
    assert (made.request_id, made.merged) == (["0"], False)
    lead = await amo.leads.get(made.id, with_=["contacts"])
    assert [each.id for each in lead.embedded.contacts] == [made.contact_id]
    assert [each.id for each in lead.embedded.companies] == [made.company_id]
    assert (await amo.contacts.get(made.contact_id)).field_value("EMAIL") == "jo@acme.example"


# --- notes ---------------------------------------------------------------------------------------------------------------


async def test_notes(amo: Any):
    lead, other = await amo.leads.create([{"name": "Website"}, {"name": "Logo"}])
    service = {
        "entity_id": lead.id,
        "note_type": "service_message",
        "params": {"service": "Xero", "text": "Invoice INV-1"},
    }
    common = amocrm.Note.common(lead.id, "Call back")
    first, _, _ = await amo.leads.notes.create([common, service, amocrm.Note.common(other.id, "Other")])
    assert first.entity_id == lead.id
    notes = await all_of(amo.leads.notes.iterate(entity_id=lead.id))
    assert sorted((note.note_type, note.text) for note in notes) == [
        ("common", "Call back"),
        ("service_message", "Invoice INV-1"),
    ]
    page = await amo.leads.notes.get_page(entity_id=lead.id, filter={"note_type": ["service_message"]})
    assert [note.params["service"] for note in page] == ["Xero"]
    assert (await amo.leads.notes.get(first.id, entity_id=lead.id)).text == "Call back"


# --- refusals ------------------------------------------------------------------------------------------------------------


async def test_what_is_not_there(amo: Any):
    for ask in (amo.leads.get, amo.contacts.get, amo.companies.get):
        with pytest.raises(amocrm.NotFoundError):
            await ask(1)
    assert (await amo.leads.get_page()).items == []


async def test_a_token_that_never_was(stand: Stand):
    async with client(stand, token="nonsense") as amo:
        with pytest.raises(amocrm.AuthError) as refused:
            await amo.account.get()
    assert (refused.value.status_code, refused.value.title) == (401, "Unauthorized")


async def test_one_bad_lead_refuses_all_and_says_which(amo: Any):
    with pytest.raises(amocrm.ValidationError) as refused:
        await amo.leads.create([{"name": "good"}, {"name": "bad", "status_id": 999}])
    [issue] = refused.value.errors
    assert (issue.request_id, issue.code, issue.path) == ("1", "NotSupportedChoice", "status_id")
    assert (await amo.leads.get_page()).items == []


async def test_an_account_that_is_not_paid(amo: Any, stand: Stand):
    stand.switch(paid=False)
    with pytest.raises(amocrm.PaymentRequiredError):
        await amo.account.get()


async def test_at_its_own_pace_the_client_gets_through(stand: Stand):
    """A call every seventh of a second: now and then an eighth falls into Kommo's second, and is asked again."""
    async with client(stand) as amo:
        for _ in range(15):
            await amo.account.get()
    statuses = [call["status"] for call in stand.ask("/calls?vendor=kommo")]
    assert statuses.count(200) == 15
    assert statuses.count(429) <= 4


async def test_too_fast_is_a_rate_limit(stand: Stand):
    stand.switch(rate=0)
    async with client(stand, rate_limit=None) as amo:
        with pytest.raises(amocrm.RateLimitError) as refused:
            await amo.leads.create([{"name": "Website"}])
    assert refused.value.status_code == 429


async def test_a_reading_call_waits_and_is_let_in(stand: Stand):
    stand.switch(rate=1)
    async with client(stand, rate_limit=None, retry=amocrm.RetryPolicy(max_attempts=6)) as amo:
        for _ in range(2):
            await amo.account.get()
    statuses = [call["status"] for call in stand.ask("/calls?vendor=kommo")]
    assert statuses[0] == statuses[-1] == 200
    assert set(statuses[1:-1]) == {429}


async def test_too_much_of_it_is_a_block(amo: Any, stand: Stand):
    stand.tell("/faults", {"vendor": "kommo", "call": "GET /api/v4/account", "do": 403})
    with pytest.raises(amocrm.ForbiddenError, match="403 Forbidden"):
        await amo.account.get()


async def test_a_gateways_page_after_the_write_took_effect_is_no_second_lead(amo: Any, stand: Stand):
    stand.tell("/faults", {"vendor": "kommo", "call": "POST /api/v4/leads", "do": 504, "when": "after"})
    with pytest.raises(amocrm.ServerError):
        await amo.leads.create([{"name": "Website"}])
    assert [lead.name for lead in await all_of(amo.leads.iterate())] == ["Website"]
