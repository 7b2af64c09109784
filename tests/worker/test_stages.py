"""Stages that were deleted in Kommo are told from names that are mistyped."""

from dataclasses import replace

import pytest

from integrations.kommo.entities import Pipeline, Stage
from worker import stages
from worker.connections import Connection, DealRules, InvoiceRules, Trigger
from worker.routes import Route

SALES = Pipeline(
    1, "Sales", True, False, (Stage(1, 10, "New", 10), Stage(1, 20, "Approved", 20), Stage(1, 30, "Invoiced", 30), Stage(1, 142, "Won", 10_000))
)  # fmt: skip
ROUTE = Route("acme", 7, ("acme",), "tenant", frozenset({(1, 20)}), deal_stage=(1, 30), moves={"paid": (1, 142)})


def without(*gone: int) -> list[Pipeline]:
    return [replace(SALES, stages=tuple(stage for stage in SALES.stages if stage.id not in gone))]


def names(connection: Connection, *gone: int, before: bool = True) -> list[tuple[str, str, int]]:
    found = stages.lost(connection, ROUTE, without(*gone), [SALES] if before else ())
    return [(one.about, one.name, one.sort) for one in found]


@pytest.fixture
def connection() -> Connection:
    return Connection(
        name="acme", kommo_subdomain="acme", triggers=(Trigger(pipeline="Sales", stage="approved"),),
        invoice=InvoiceRules(account_code="200"), deal=DealRules(pipeline=1, stage="Invoiced"), stages={"paid": "Won"},
    )  # fmt: skip


def test_what_is_there_is_not_lost(connection):
    assert names(connection) == []
    assert stages.lost(connection, None, without(20)) == []


def test_one_that_is_gone_comes_back_to_its_place(connection):
    assert names(connection, 20) == [("trigger", "approved", 20)]
    assert names(connection, 20, 30) == [("trigger", "approved", 20), ("deal", "Invoiced", 30)]


def test_where_nobody_knows_its_place_it_comes_last(connection):
    assert names(connection, 20, before=False) == [("trigger", "approved", 40)]


def test_a_mistyped_name_is_not_lost_although_another_stage_is(connection):
    mistyped = replace(connection, deal=DealRules(pipeline=1, stage="Invoced"))
    assert names(mistyped) == []
    assert names(mistyped, 20) == []


def test_one_that_is_named_by_its_id_cannot_come_back(connection):
    assert names(replace(connection, triggers=(Trigger(pipeline=1, stage=20),)), 20) == []


def test_what_will_be_there_has_the_names_and_no_stage_twice(connection):
    gone = stages.lost(connection, ROUTE, without(20, 30), [SALES])
    (made,) = stages.made_again(without(20, 30), gone)
    assert {"approved", "Invoiced"} <= {stage.name for stage in made.stages}
    assert len({stage.id for stage in made.stages}) == 4
