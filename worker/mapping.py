"""From the names in the connections file to Kommo's ids. Pure: `setup` asks Kommo, and what is not there comes back as findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from integrations.kommo.entities import Field, Pipeline
from worker.connections import Connection
from worker.findings import Finding, failed, nearest, note, ok
from worker.routes import StageRef

# Kinds of fields whose value reads as a word or a sentence.
READABLE = frozenset({"text", "textarea", "select", "radiobutton"})


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the connection's names are in Kommo, as far as they were found."""

    triggers: frozenset[StageRef] = frozenset()
    deal_stage: StageRef | None = None
    moves: Mapping[str, StageRef] = field(default_factory=dict)
    fields: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def find(connection: Connection, pipelines: Sequence[Pipeline], lead_fields: Sequence[Field]) -> Mapped:
    """Look everything up that the connection names in Kommo."""
    search = _Search(pipelines, lead_fields)
    triggers = [search.stage("trigger", one.pipeline, one.stage) for one in connection.triggers]
    deal = connection.deal
    deal_stage = search.stage("deal", deal.pipeline, deal.stage) if deal else None
    homes = [stage[0] for stage in [*triggers, deal_stage] if stage]
    moves = {label: search.stage_of_any(f"stages.{label}", homes, ref) for label, ref in connection.stages.items()}
    if connection.stages and len(set(homes)) > 1:
        search.findings.append(_several_pipelines(search, homes))
    wanted = {
        "currency": connection.invoice.currency_field,
        "description": connection.invoice.description_field,
        "tax": connection.invoice.tax_field,
    }
    fields = {role: search.field(f"{role}_field", ref) for role, ref in wanted.items() if ref is not None}
    return Mapped(
        triggers=frozenset(stage for stage in triggers if stage),
        deal_stage=deal_stage,
        moves={label: stage for label, stage in moves.items() if stage},
        fields={role: field_id for role, field_id in fields.items() if field_id},
        findings=tuple(search.findings),
    )


def _several_pipelines(search: "_Search", homes: Sequence[int]) -> Finding:
    name = search.pipelines[homes[0]].name
    return note("stages", f'deals of all pipelines move to the stages of "{name}" when their invoice changes status')


class _Search:
    """Looks names up, and gathers what is to be said about them."""

    def __init__(self, pipelines: Sequence[Pipeline], lead_fields: Sequence[Field]) -> None:
        self.pipelines = {pipeline.id: pipeline for pipeline in pipelines}
        self._fields = {one.id: one for one in lead_fields}
        self.findings: list[Finding] = []

    def stage(self, about: str, pipeline_ref: str | int, stage_ref: str | int) -> StageRef | None:
        """A stage of a pipeline, each by name or id."""
        pipeline_id = self._pick(about, "pipeline", pipeline_ref, {one.id: one.name for one in self.pipelines.values()})
        if pipeline_id is None:
            return None
        pipeline = self.pipelines[pipeline_id]
        where = f'stage in the pipeline "{pipeline.name}"'
        stage_id = self._pick(about, where, stage_ref, {stage.id: stage.name for stage in pipeline.stages})
        if stage_id is None:
            return None
        if pipeline.is_archive:
            self.findings.append(failed(about, f'the pipeline "{pipeline.name}" is archived', "restore it in Kommo"))
        name = next(stage.name for stage in pipeline.stages if stage.id == stage_id)
        self.findings.append(ok(about, f'"{pipeline.name}" / "{name}"'))
        return pipeline_id, stage_id

    def stage_of_any(self, about: str, homes: Sequence[int], ref: str | int) -> StageRef | None:
        """A stage that is named without its pipeline: of the first of these pipelines that has it."""
        for pipeline_id in dict.fromkeys(homes):
            stages = self.pipelines[pipeline_id].stages
            if any(is_meant(ref, stage.id, stage.name) for stage in stages):
                return self.stage(about, pipeline_id, ref)
        if homes:
            names = [stage.name for home in dict.fromkeys(homes) for stage in self.pipelines[home].stages]
            self._absent(about, "stage in this connection's pipelines", ref, names)
        return None

    def field(self, about: str, ref: str | int) -> int | None:
        """A lead field, by name or id, whose value can be read as text."""
        found = self._pick(about, "lead field", ref, {one.id: one.name for one in self._fields.values()})
        if found is None:
            return None
        definition = self._fields[found]
        if definition.kind not in READABLE:
            said = f'the field "{definition.name}" is of the kind {definition.kind}'
            self.findings.append(failed(about, said, "name a field that holds text, or one to choose from"))
            return None
        self.findings.append(ok(about, f'"{definition.name}"'))
        return found

    def _pick(self, about: str, what: str, ref: str | int, candidates: Mapping[int, str]) -> int | None:
        hits = [key for key, name in candidates.items() if is_meant(ref, key, name)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            ids = ", ".join(str(key) for key in hits)
            self.findings.append(failed(about, f'there is more than one {what} called "{ref}"', f"write its id: {ids}"))
        else:
            self._absent(about, what, ref, list(candidates.values()))
        return None

    def _absent(self, about: str, what: str, ref: str | int, names: Sequence[str]) -> None:
        shown = f'"{ref}"' if isinstance(ref, str) else f"with the id {ref}"
        meant = nearest(str(ref), names)
        mend = (
            meant if meant.endswith("?") else f"make it in Kommo, or name another one in the connections file: {meant}"
        )
        self.findings.append(failed(about, f"Kommo has no {what} {shown}", mend))


def is_meant(ref: str | int, key: int, name: str) -> bool:
    """Whether the file's word, a name or an id, means what has this id and this name."""
    return ref == key if isinstance(ref, int) else _folded(ref) == _folded(name)


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
