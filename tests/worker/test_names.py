"""What deals are called: as Kommo's webhooks said, the newest first; any bytes at all may be among them."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from worker import deliveries, names
from worker.database import Database
from worker.deliveries import Received
from worker.jobs import LeadRef

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)


def tell(database: Database, body: str, *leads: int, source: str = "kommo") -> None:
    subjects = frozenset(f"lead:1:{lead_id}" for lead_id in leads)
    with database.begin() as session:
        deliveries.keep(session, [Received(source, body.encode(), "form", NOW, subjects=subjects)])


def called(database: Database, *leads: int) -> dict[int, str]:
    with database.reading() as session:
        found = names.of_leads(session, [LeadRef(1, lead_id) for lead_id in leads])
    return {lead.lead_id: name for lead, name in found.items()}


def test_a_body_names_its_deals(database):
    body = (
        "leads[status][0][id]=7&leads[status][0][name]=One+%26+two&leads[status][1][name]=Three&leads[status][1][id]=8"
    )
    tell(database, body, 7, 8)
    assert called(database, 7, 8, 9) == {7: "One & two", 8: "Three"}


def test_a_renamed_deal_has_its_newest_name(database):
    for name in ("Old", "New"):
        tell(database, f"leads[update][0][id]=7&leads[update][0][name]={name}", 7)
    tell(database, "leads[status][0][id]=7", 7)  # the Digital Pipeline's own says no name
    assert called(database, 7) == {7: "New"}


def test_what_is_called_a_name_elsewhere_is_none(database):
    body = "leads[add][0][id]=7&leads[add][0][custom_fields][0][name]=Tax&contacts[add][0][id]=7&contacts[add][0][name]=Acme"
    tell(database, body, 7)
    assert called(database, 7) == {}


def test_many_are_asked_for_at_once(database):
    entries = [f"leads[add][{n}][id]={n}&leads[add][{n}][name]=Deal+{n}" for n in range(1, 60)]
    tell(database, "&".join(entries), *range(1, 60))
    assert called(database, *range(1, 60)) == {n: f"Deal {n}" for n in range(1, 60)}


def test_only_kommo_names_deals(database):
    tell(database, "leads[add][0][id]=7&leads[add][0][name]=No", 7, source="xero")
    assert called(database, 7) == {}


@given(st.binary())
def test_any_bytes_are_read(body):
    dict(names.in_body(body))
    dict(names.in_body(b"leads[add][0][id]=" + body + b"&leads[add][0][name]=" + body))
