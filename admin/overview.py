"""How `status` looks: what needs a person first, then the figures, all on one screen."""

from collections.abc import Iterator

from admin.screen import ago, span, table, tell
from worker import budgets
from worker.budgets import Budget
from worker.jobs import State
from worker.overview import GrantView, Overview, needs

COLUMNS = tuple(state.value for state in State)

# Of an organisation's id people need as much as tells it from the next.
SHOWN_OF_ID = 8


def tell_overview(seen: Overview) -> None:
    """The whole screen."""
    wanted = needs(seen)
    for sentence in wanted:
        tell(f"! {sentence}", style="bold red")
    if not wanted:
        tell("Nothing needs a person.", style="green")
    tell("")
    table("", ("jobs", *COLUMNS), list(_jobs(seen)), numbers=len(COLUMNS))
    tell(f"{_waiting(seen)} {_canary(seen)}\n")
    table("", ("connection", "with", "grant", "last webhook"), list(_connections(seen)))
    table("", ("budget of", "shared by", "calls left"), [_budget(one) for one in seen.budgets])
    for one in seen.budgets:
        for sentence in budgets.sentences(one, now=seen.at):
            tell(sentence)
    if not seen.not_understood:
        tell("All webhooks were understood.")
        return
    tell("")
    rows = [(one.delivery_id, one.source, one.received_at, one.problem) for one in seen.problems]
    table("", ("not understood", "from", "received (UTC)", "why"), rows)


def _jobs(seen: Overview) -> Iterator[tuple[object, ...]]:
    kinds = {count.kind: {one.state: one.jobs for one in seen.jobs if one.kind == count.kind} for count in seen.jobs}
    for kind, by_state in kinds.items():
        yield kind, *(f"{by_state.get(state, 0):,}" for state in COLUMNS)


def _waiting(seen: Overview) -> str:
    if not seen.jobs:
        return "No jobs yet."
    if seen.oldest_due is None:
        return "No job waits for a worker."
    return f"The oldest job that waits for a worker is due for {span(seen.at - seen.oldest_due)}."


def _canary(seen: Overview) -> str:
    if any(one.problem for one in seen.budgets):
        return "Nobody hears a ring while Redis does not answer."
    if seen.canary_at is None:
        return "No worker has heard a ring yet."
    return f"A worker heard a ring {ago(seen.canary_at, seen.at)}."


def _connections(seen: Overview) -> Iterator[tuple[object, ...]]:
    """What the vendor of each connection lets us do, and when it last told us something."""
    granted = {(one.connection, one.vendor): one for one in seen.grants}
    for one in seen.heard:
        grant = granted.get((one.connection, one.source))
        yield one.connection, one.source, _grant(grant), ago(one.at, seen.at)


def _grant(grant: GrantView | None) -> str:
    if grant is None:
        return "none"
    left = "renewed by itself" if grant.days_left is None else f"{grant.days_left} days left"
    return f"refused: {grant.refusal}" if grant.refusal else left


def _budget(one: Budget) -> tuple[str, str, str]:
    vendor, _, scope = one.key.partition(":")
    name = f"{vendor} {scope[:SHOWN_OF_ID]}".rstrip()
    left = one.problem or ", ".join(f"{window} {number:,}" for window, number in (one.left or {}).items())
    return name, ", ".join(one.connections), left
