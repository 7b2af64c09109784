"""What lists are asked with: filters by stage. Pure."""

from collections.abc import Iterable, Sequence

Query = Sequence[tuple[str, str | int]]
StageRef = tuple[int, int]  # (pipeline id, status id): only together are they unique (kommo.md 6)


def stage_filter(name: str, stages: Iterable[StageRef]) -> list[tuple[str, str | int]]:
    """Only what is (or went) into one of these stages."""
    return [
        (f"{name}[{index}][{key}]", value)
        for index, (pipeline_id, status_id) in enumerate(sorted(stages))
        for key, value in (("pipeline_id", pipeline_id), ("status_id", status_id))
    ]


def one_of_each_pipeline(stages: Iterable[StageRef]) -> list[list[StageRef]]:
    """The stages in as many lists as are needed: a request takes one stage a pipeline (kommo.md 5.1)."""
    lists: list[list[StageRef]] = []
    for stage in sorted(stages):
        fitting = next((one for one in lists if all(stage[0] != other[0] for other in one)), None)
        if fitting is None:
            lists.append([stage])
        else:
            fitting.append(stage)
    return lists
