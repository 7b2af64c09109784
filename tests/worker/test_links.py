"""Links, and the sends that serve them."""

from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from worker import links, sends
from worker.database import Database
from worker.links import Link, Origin

from .ledger import ACCOUNT, TENANT, THEN, at


def link(lead_id: int | None = 7, **changes: object) -> Link:
    made: dict[str, object] = {
        "connection": "acme", "origin": Origin.DEAL, "account_id": ACCOUNT, "lead_id": lead_id, "tenant_id": TENANT,
        "made_at": THEN, "remarks": [], **changes,
    }  # fmt: skip
    return Link(**made)


def add(database: Database, *made: Link) -> list[int]:
    with database.begin() as session:
        session.add_all(made)
        session.flush()
        return [one.id for one in made]


def test_a_deal_has_one_link_and_so_has_an_invoice(database: Database):
    add(database, link(7, invoice_id="inv-1"), link(None, invoice_id="inv-2"), link(None, invoice_id="inv-3"))
    with pytest.raises(IntegrityError):
        add(database, link(7))
    with pytest.raises(IntegrityError):
        add(database, link(8, invoice_id="inv-1"))


def test_a_link_is_told_its_invoice_once(database: Database):
    (link_id,) = add(database, link(7, waiting=True, question="no client"))
    with database.begin() as session:
        assert links.settle_invoice(session, link_id, invoice_id="inv-1", number="INV-1", now=THEN)
        assert not links.settle_invoice(session, link_id, invoice_id="inv-2", number="INV-2", now=THEN)
    with database.reading() as session:
        found = links.for_leads(session, ACCOUNT, [7])[7]
        assert links.find_invoices(session, TENANT, ["inv-1", "inv-2"]) == {"inv-1": found}
    assert (found.invoice_id, found.waiting, found.question) == ("inv-1", False, None)


def test_a_waiting_deal_is_woken_by_itself_its_contact_or_its_company_and_by_nobody_else(database: Database):
    add(
        database,
        link(7, waiting=True, waits_contact=10, waits_company=20),
        link(8, waits_contact=10),
        link(9, waiting=True),
    )

    def woken(**by: list[int]) -> list[int]:
        with database.reading() as session:
            return [found.lead.lead_id for found in links.waiting(session, ACCOUNT, **by)]

    assert woken(leads=[7, 8]) == woken(contacts=[10]) == woken(companies=[20]) == [7]
    assert woken(contacts=[20], companies=[10]) == woken() == []


def test_what_is_owed_past_its_due_date_is_found_until_it_says_so(database: Database):
    owed = {"label": "Awaiting payment", "due_on": date(2026, 9, 13)}
    add(
        database,
        link(7, invoice_id="inv-7", **owed),
        link(8, invoice_id="inv-8", label="Overdue", due_on=date(2026, 9, 13)),
        link(9, invoice_id="inv-9", label="Awaiting payment", due_on=date(2026, 9, 14)),
    )
    with database.reading() as session:
        found = links.past_due(session, "acme", today=date(2026, 9, 14), labels=["Awaiting payment"], most=10)
    assert [one.lead_id for one in found] == [7]


def test_a_send_is_open_until_the_outcome_of_each_of_its_links_is_known(database: Database):
    ids = add(database, link(7), link(8))
    with database.begin() as session:
        sent = sends.open_send(
            session, connection="acme", scope=TENANT, what="invoices", body=b"{}", members=dict.fromkeys(ids), now=THEN
        )
        assert sent.key.startswith(f"{TENANT}:")
        assert len(sent.key) <= 128
        sends.close(session, sent.id, ids[:1], now=at(1))
    with database.reading() as session:
        assert set(sends.unresolved(session, ids)) == {ids[1]}
    with database.begin() as session:
        sends.ended_without_answer(session, sent.id, now=at(2))
        sends.close(session, sent.id, ids[1:], now=at(3))
        assert sends.unresolved(session, ids) == {}
        kept = session.get(sends.Send, sent.id)
        assert kept is not None
        session.refresh(kept)
        assert (kept.ended_at, kept.closed_at) == (at(2), at(3))
