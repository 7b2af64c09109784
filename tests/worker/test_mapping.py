"""From the names in the connections file to Kommo's ids, with the nearest name where one is not there."""

from dataclasses import replace

import pytest

from integrations.kommo.entities import WON, Field
from tests.worker.builders import APPROVED, INVOICED, NEW, PROJECTS, SALES, pipelines
from worker import mapping
from worker.connections import Connection, DealRules, InvoiceRules, Trigger
from worker.findings import Finding, Grade
from worker.mapping import Mapped

FIELDS = [
    Field(701, "Invoice currency", None, "text"),
    Field(702, "Services", None, "textarea"),
    Field(703, "Signed on", None, "date"),
    Field(704, "Twice", None, "text"),
    Field(705, "twice", None, "text"),
]


def connection(**changes: object) -> Connection:
    """Deals of Sales / Payment approved get invoices."""
    usual = Connection("acme", "acme", (Trigger("Sales", "Payment approved"),), InvoiceRules("200"))
    return replace(usual, **changes)  # type: ignore[arg-type]


def find(**changes: object) -> Mapped:
    """What these names are."""
    return mapping.find(connection(**changes), pipelines(), FIELDS)


def wrong(mapped: Mapped) -> list[Finding]:
    """What was not found."""
    return [one for one in mapped.findings if one.grade is Grade.FAILED]


def test_names_are_found_whatever_their_case_and_spaces():
    mapped = find(
        triggers=(Trigger("  SALES", "payment  APPROVED"), Trigger(PROJECTS, 601)),
        deal=DealRules("sales", "Invoiced in Xero"),
        invoice=InvoiceRules("200", currency_field="invoice currency", description_field=702),
    )
    assert mapped.triggers == {(SALES, APPROVED), (PROJECTS, 601)}
    assert mapped.deal_stage == (SALES, INVOICED)
    assert mapped.fields == {"currency": 701, "description": 702}
    assert wrong(mapped) == []


@pytest.mark.parametrize(
    ("trigger", "sentence"),
    [
        (Trigger("Salse", "New"), 'Kommo has no pipeline "Salse": did you mean "Sales"?'),
        (Trigger("Sales", "Aproved"), 'stage in the pipeline "Sales" "Aproved"'),
        (Trigger("Sales", 999), "with the id 999"),
        (Trigger("Zebra", "New"), 'there are "Sales", "Projects"'),
        (Trigger("Projects", "Payment approved"), 'no stage in the pipeline "Projects" "Payment approved"'),
    ],
)
def test_what_is_not_there_is_told_with_what_is(trigger, sentence):
    mapped = find(triggers=(trigger,))
    (fault,) = wrong(mapped)
    assert sentence in fault.sentence
    assert mapped.triggers == frozenset()


def test_a_name_that_two_have_needs_its_id():
    (fault,) = wrong(find(invoice=InvoiceRules("200", currency_field="Twice")))
    assert fault.sentence == 'there is more than one lead field called "Twice": write its id: 704, 705'


def test_a_field_of_days_is_no_currency():
    mapped = find(invoice=InvoiceRules("200", currency_field="Signed on"))
    assert "of the kind date" in wrong(mapped)[0].said
    assert mapped.fields == {}


def test_an_archived_pipeline_is_told():
    archived = [replace(one, is_archive=True) for one in pipelines()]
    mapped = mapping.find(connection(), archived, FIELDS)
    assert "restore it in Kommo" in wrong(mapped)[0].mend


def test_stages_for_labels_are_looked_for_where_the_deals_are():
    mapped = find(
        triggers=(Trigger("Sales", "New"),), deal=DealRules("Projects", "Kick-off"), stages={"paid": "Closed - won", "draft": "Kick-off"}
    )  # fmt: skip
    assert mapped.moves == {"paid": (SALES, WON), "draft": (PROJECTS, 601)}
    assert [one.about for one in mapped.findings if one.grade is Grade.NOTE] == ["stages"]


def test_a_stage_for_a_label_that_is_nowhere_is_told():
    (fault,) = wrong(find(stages={"paid": "Closed - one"}))
    assert fault.about == "stages.paid"
    assert 'did you mean "Closed - won"?' in fault.mend


def test_without_a_home_there_is_no_stage_for_a_label():
    assert [fault.about for fault in wrong(find(triggers=(Trigger("X", NEW),), stages={"paid": 142}))] == ["trigger"]
