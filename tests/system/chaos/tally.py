"""What struck, how often, and which findings go with it: from the sandbox's own log of calls and webhooks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.system.chaos.catalogue import BY_NAME, Demand, Fault, Lane
from tests.system.chaos.incidents import Injection
from tests.system.chaos.oracle import Finding

Json = Mapping[str, Any]

# A call's time and our own record of it are the same clock's, read some milliseconds apart.
NEAR = 1.0
# What a sender does by itself: a webhook that left later than this was delayed.
AT_ONCE = 0.04


@dataclass(slots=True)
class Row:
    """One line of the table."""

    fault: Fault
    injected: int = 0
    between: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    lacking: str = ""

    @property
    def harm(self) -> int:
        return self.lost + self.doubled + self.wrong


def of_answers(calls: Iterable[Json], labels: Mapping[int, str], hooks: Iterable[Json]) -> list[Injection]:
    """The faults that calls met; a lost answer to several invoices at once counts as a batch's."""
    made_at = sorted(_created(hooks))
    found = []
    for call in calls:
        name = labels.get(call["fault"] or 0)
        if name is None:
            continue
        ended = datetime.fromisoformat(call["at"]).timestamp()
        began = ended - call["ms"] / 1000
        fault = BY_NAME[name]
        if name in ("invoice", "invoice-batch"):
            count = sum(began - 0.01 <= at <= ended + 0.01 for at in made_at)
            fault = BY_NAME["invoice-batch" if count > 1 else "invoice"]
        found.append(Injection(fault.name, began, ended, fault.between, f"{call['method']} {call['path']}"))
    return found


def _created(hooks: Iterable[Json]) -> Iterable[float]:
    """When invoices were made, by Xero's own webhooks."""
    for hook in hooks:
        if hook["vendor"] == "xero" and hook["copy_of"] is None:
            for event in json.loads(hook["body"])["events"]:
                if event["eventType"].upper() == "CREATE" and event["eventCategory"] == "INVOICE":
                    yield datetime.fromisoformat(event["eventDateUtc"] + "+00:00").timestamp()


def of_noise(hooks: Sequence[Json], chosen: Iterable[Fault], calls: Iterable[Json]) -> list[Injection]:
    """What became of webhooks on their way."""
    names = {fault.name for fault in chosen}
    found: list[Injection] = []
    for hook in hooks:
        at = datetime.fromisoformat(hook["created"]).timestamp()
        if hook["state"] == "dropped" and "dropped" in names:
            found.append(Injection("dropped", at, at))
        if hook["copy_of"] is not None and "duplicated" in names:
            found.append(Injection("duplicated", at, at))
    if names & {"reordered", "delayed"}:
        found += [one for one in _late(hooks) if one.fault in names]
    if "search-lag" in names:
        found += [_searched(call) for call in calls if "query=" in call["query"]]
    return found


def _late(hooks: Sequence[Json]) -> Iterable[Injection]:
    """Those that left late, and of them those that were overtaken."""
    newest: dict[str, int] = {}
    left = [(datetime.fromisoformat(hook["attempts"][0]["at"]).timestamp(), hook) for hook in hooks if hook["attempts"]]
    for at, hook in sorted(left, key=lambda pair: pair[0]):
        created = datetime.fromisoformat(hook["created"]).timestamp()
        if at - created > AT_ONCE:
            yield Injection("delayed", created, at)
        if newest.get(hook["target"], 0) > hook["id"]:
            yield Injection("reordered", created, at)
        newest[hook["target"]] = max(newest.get(hook["target"], 0), hook["id"])


def _searched(call: Json) -> Injection:
    at = datetime.fromisoformat(call["at"]).timestamp()
    return Injection("search-lag", at, at)


@dataclass(frozen=True, slots=True)
class Blamed:
    """A finding, the story of its subject, and the strikes that fell into that story."""

    finding: Finding
    trace: Json | None
    strikes: tuple[Injection, ...]


def blame(finding: Finding, trace: Json | None, injections: Sequence[Injection]) -> Blamed:
    """The strikes that met one of the subject's calls, or a part of its story that did not end well; all of its time where none did."""
    if not trace or not trace.get("entries"):
        return Blamed(finding, trace, ())
    entries = [(datetime.fromisoformat(entry["at"]).timestamp(), entry) for entry in trace["entries"]]
    near = [one for one in injections if any(_met(one, at, entry) for at, entry in entries)]
    first, last = min(at for at, _ in entries), max(at for at, _ in entries)
    within = [one for one in injections if one.began <= last + NEAR and one.ended >= first - NEAR]
    return Blamed(finding, trace, tuple(near or within))


def _met(strike: Injection, at: float, entry: Json) -> bool:
    is_then = strike.began - NEAR <= at <= strike.ended + NEAR
    if BY_NAME[strike.fault].lane is Lane.ANSWERS:
        path = strike.note.partition(" ")[2]
        return is_then and entry["what"] == "call" and path in entry["text"] and " 200 in" not in entry["text"]
    bad = entry["what"] == "attempt" and not entry["text"].startswith("done")
    return is_then and (bad or (entry["what"] == "call" and "no answer" in entry["text"]))


def rows(
    chosen: Sequence[Fault], injections: Sequence[Injection], blamed: Sequence[Blamed], demand: Demand
) -> list[Row]:
    """The table's lines. A finding is counted in the line of each fault that fell into its story."""
    made = []
    for fault in chosen:
        mine = [one for one in injections if one.fault == fault.name]
        findings = [one.finding for one in blamed if any(strike.fault == fault.name for strike in one.strikes)]
        harmful = {strike for one in blamed for strike in one.strikes if strike.fault == fault.name}
        row = Row(
            fault,
            injected=len(mine),
            between=sum(one.between for one in mine),
            survived=len(mine) - len(harmful),
            lost=sum(finding.kind == "lost" for finding in findings),
            doubled=sum(finding.kind == "doubled" for finding in findings),
            wrong=sum(finding.kind == "wrong" for finding in findings),
        )
        row.lacking = _lacking(row, demand)
        made.append(row)
    return made


def _lacking(row: Row, demand: Demand) -> str:
    if row.injected < demand.least:
        return f"struck {row.injected} times, {demand.least} are asked for"
    if row.fault.between and row.between < demand.between:
        return f"fell {row.between} times between a commit and its answer, {demand.between} are asked for"
    return ""
