"""Whether a deal that entered the trigger stage still stands where it gets an invoice. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from integrations.kommo.entities import LOST, WON, Lead, Pipeline, Stage
from worker.wording import quoted

StageRef = tuple[int, int]  # (pipeline id, status id): only together are they unique (kommo.md 6)


class Place(StrEnum):
    """Where the deal is, seen from the trigger stage."""

    IN_PLACE = "in_place"
    TOO_EARLY = "too_early"
    LOST = "lost"
    DELETED = "deleted"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Standing:
    """The deal's place, and the sentence for the deal where there is no invoice to be made (empty in place)."""

    place: Place
    sentence: str = ""

    @property
    def is_in_place(self) -> bool:
        """Whether it gets an invoice."""
        return self.place is Place.IN_PLACE


def stands(lead: Lead, pipelines: Sequence[Pipeline], triggers: Collection[StageRef]) -> Standing:
    """Where the deal stands. In place: in a trigger stage, later in the same pipeline, or won (in whatever pipeline).

    Stages come in the order of their `sort`; won and lost have the same ids in every pipeline (kommo.md 6). That the deal
    once entered the trigger stage is for the caller to know.
    """
    place = _place(lead, pipelines, triggers)
    return Standing(place, _sentence(place, lead, pipelines, triggers))


def _place(lead: Lead, pipelines: Sequence[Pipeline], triggers: Collection[StageRef]) -> Place:
    if lead.is_deleted:
        return Place.DELETED
    if (lead.pipeline_id, lead.status_id) in triggers or lead.status_id == WON:
        return Place.IN_PLACE
    if lead.status_id == LOST:
        return Place.LOST
    return _compare(lead, pipelines, triggers)


def _compare(lead: Lead, pipelines: Sequence[Pipeline], triggers: Collection[StageRef]) -> Place:
    stages = _trigger_stages(pipelines, triggers)
    thresholds = [stage.sort for stage in stages if stage.pipeline_id == lead.pipeline_id]
    here = _stage(pipelines, (lead.pipeline_id, lead.status_id))
    if here is None or not thresholds:
        return Place.ELSEWHERE
    return Place.IN_PLACE if here.sort >= min(thresholds) else Place.TOO_EARLY


def _sentence(place: Place, lead: Lead, pipelines: Sequence[Pipeline], triggers: Collection[StageRef]) -> str:
    stages = _trigger_stages(pipelines, triggers)
    own = [stage for stage in stages if stage.pipeline_id == lead.pipeline_id] or stages
    target = quoted(own[0].name) if own else "the stage that makes invoices"
    here = _stage(pipelines, (lead.pipeline_id, lead.status_id))
    stage = quoted(here.name) if here else "another stage"
    match place:
        case Place.IN_PLACE:
            return ""
        case Place.DELETED:
            return "No invoice was made: the deal was deleted."
        case Place.LOST:
            return f"No invoice was made: the deal was closed as lost. Move it to {target} to get one."
        case Place.TOO_EARLY:
            return f"No invoice was made: the deal went back to {stage}. Move it to {target} to get one."
        case Place.ELSEWHERE:
            return f"No invoice was made: the deal was moved to {stage} of another pipeline. Move it to {target} to get one."


def _trigger_stages(pipelines: Sequence[Pipeline], triggers: Collection[StageRef]) -> list[Stage]:
    stages = [stage for pipeline in pipelines for stage in pipeline.stages if (stage.pipeline_id, stage.id) in triggers]
    return sorted(stages, key=lambda stage: stage.sort)


def _stage(pipelines: Sequence[Pipeline], ref: StageRef) -> Stage | None:
    stages = (stage for pipeline in pipelines for stage in pipeline.stages)
    return next((stage for stage in stages if (stage.pipeline_id, stage.id) == ref), None)
