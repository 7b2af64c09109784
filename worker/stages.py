"""Stages that `setup` has found once, and that somebody has deleted in Kommo since: what it makes again. Pure.

A name that Kommo does not have may as well be mistyped: it is made only where as many stages of that pipeline are gone as are not found by name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from integrations.kommo.entities import LOST, WON, Pipeline, Stage
from worker.connections import Connection
from worker.mapping import is_meant
from worker.routes import Route, StageRef

# Between two stages that people have made; Kommo's own are ten apart (kommo.md 6).
STEP = 10


@dataclass(frozen=True, slots=True)
class LostStage:
    """One that is gone: what the file needs it for, and where it stood."""

    about: str
    pipeline_id: int
    name: str
    sort: int


def lost(
    connection: Connection, route: Route | None, present: Sequence[Pipeline], before: Sequence[Pipeline] = ()
) -> list[LostStage]:
    """What the file names and the last setup has found, and is there no more. `before` are the pipelines as they were known last, for the place."""
    if route is None:
        return []
    found = []
    for pipeline in present:
        absent: dict[str, str] = {}  # by name: one stage may be needed for several things
        for about, name in _absent(connection, route, pipeline):
            absent.setdefault(name, about)
        gone = _gone(route, pipeline)
        if len(absent) == len(gone):
            old = [stage for one in before for stage in one.stages if (stage.pipeline_id, stage.id) in gone]
            found += [LostStage(about, pipeline.id, name, _sort(name, pipeline, old)) for name, about in absent.items()]
    return found


def made_again(present: Sequence[Pipeline], gone: Sequence[LostStage]) -> tuple[Pipeline, ...]:
    """The pipelines as they will be, with ids that no stage has."""
    stages = [Stage(one.pipeline_id, -number, one.name, one.sort) for number, one in enumerate(gone, start=1)]
    return tuple(
        replace(pipeline, stages=(*pipeline.stages, *(one for one in stages if one.pipeline_id == pipeline.id)))
        for pipeline in present
    )


def _absent(connection: Connection, route: Route, pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for about, pipeline_ref, ref in _named(connection, route):
        is_here = is_meant(pipeline_ref, pipeline.id, pipeline.name)
        is_there = any(is_meant(ref, stage.id, stage.name) for stage in pipeline.stages)
        if is_here and not is_there and isinstance(ref, str):
            yield about, ref


def _named(connection: Connection, route: Route) -> Iterator[tuple[str, str | int, str | int]]:
    for trigger in connection.triggers:
        yield "trigger", trigger.pipeline, trigger.stage
    if connection.deal:
        yield "deal", connection.deal.pipeline, connection.deal.stage
    for label, ref in connection.stages.items():
        if label in route.moves:
            yield f"stages.{label}", route.moves[label][0], ref


def _gone(route: Route, pipeline: Pipeline) -> set[StageRef]:
    known = {*route.triggers, *route.moves.values(), *([route.deal_stage] if route.deal_stage else ())}
    there = {stage.id for stage in pipeline.stages}
    return {(home, stage) for home, stage in known if home == pipeline.id and stage not in there}


def _sort(name: str, pipeline: Pipeline, old: Sequence[Stage]) -> int:
    """Where it stood; else after all others that people have made."""
    known = [stage.sort for stage in old if is_meant(name, stage.id, stage.name)]
    made = [stage.sort for stage in pipeline.stages if stage.id not in {WON, LOST}]
    return known[0] if known else max(made, default=0) + STEP
