"""Whether a deal that entered the trigger stage still stands where it gets an invoice."""

import pytest

from integrations.kommo.entities import LOST, WON
from tests.worker.builders import APPROVED, INVOICED, KICK_OFF, NEW, OFFER, PROJECTS, SALES, TRIGGER, lead, pipelines
from worker.standing import Place, Standing, stands


def standing(pipeline_id: int, status_id: int, *triggers: tuple[int, int]) -> Standing:
    return stands(lead(pipeline_id=pipeline_id, status_id=status_id), pipelines(), set(triggers or (TRIGGER,)))


@pytest.mark.parametrize(
    ("pipeline_id", "status_id"), [(SALES, APPROVED), (SALES, INVOICED), (SALES, WON), (PROJECTS, WON)]
)
def test_in_the_stage_later_or_won_is_in_place(pipeline_id, status_id):
    assert standing(pipeline_id, status_id) == Standing(Place.IN_PLACE)


@pytest.mark.parametrize("status_id", [NEW, OFFER])
def test_a_deal_that_went_back_is_too_early(status_id):
    assert standing(SALES, status_id).place is Place.TOO_EARLY


def test_the_sentence_says_where_the_deal_is_and_where_it_must_go():
    assert standing(SALES, OFFER).sentence == (
        'No invoice was made: the deal went back to "Offer". Move it to "Payment approved" to get one.'
    )


def test_a_lost_deal_gets_none_though_lost_sorts_after_the_stage():
    found = standing(SALES, LOST)
    assert found.place is Place.LOST
    assert not found.is_in_place
    assert "closed as lost" in found.sentence


def test_a_deal_that_is_lost_elsewhere_is_lost():
    assert standing(PROJECTS, LOST).place is Place.LOST


def test_a_deleted_deal_gets_none_wherever_it_is():
    found = stands(lead(is_deleted=True), pipelines(), {TRIGGER})
    assert found == Standing(Place.DELETED, "No invoice was made: the deal was deleted.")


def test_a_deal_in_another_pipeline_is_elsewhere():
    found = standing(PROJECTS, KICK_OFF)
    assert found.place is Place.ELSEWHERE
    assert '"Kick-off" of another pipeline' in found.sentence
    assert '"Payment approved"' in found.sentence


def test_a_stage_that_nobody_knows_is_elsewhere():
    assert standing(SALES, 999).place is Place.ELSEWHERE


def test_the_earliest_of_several_triggers_counts():
    assert standing(SALES, APPROVED, (SALES, INVOICED), (SALES, OFFER)).is_in_place


def test_a_trigger_of_another_pipeline_does_not_count():
    assert standing(SALES, INVOICED, (PROJECTS, KICK_OFF)).place is Place.ELSEWHERE


def test_won_itself_may_be_the_trigger():
    assert standing(SALES, APPROVED, (SALES, WON)).place is Place.TOO_EARLY
    assert standing(SALES, WON, (SALES, WON)).is_in_place


def test_a_trigger_stage_that_was_deleted_is_still_a_sentence():
    found = stands(lead(status_id=OFFER), pipelines(), {(SALES, 999)})
    assert found.sentence.endswith("Move it to the stage that makes invoices to get one.")
