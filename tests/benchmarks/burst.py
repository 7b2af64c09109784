"""Many deals approved at once: until the last invoice, the last status and the last PDF, against the floor and the habit."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks import calllog, chart, crowd, floor
from tests.benchmarks.crowd import How
from tests.benchmarks.figures import Check, Row, Section, Table, number, ratio, seconds
from tests.benchmarks.floor import Floor
from tests.benchmarks.habit.running import habit
from tests.benchmarks.place import DAY_LIMIT, Place, silence_product
from tests.benchmarks.sizes import Size
from tests.benchmarks.watching import Story, tell, wait_whole

# What an answer takes in the vendors' own time; it shrinks with their minutes.
ANSWER_MS = 200
# Clients are known by an earlier deal of theirs, and each has so many of the burst.
DEALS_A_CLIENT = 5

TIMES_FLOOR, PLUS, TIMES_SOONER = 1.5, 3.0, 15.0
CALLS_KNOWN, CALLS_NEW = 1.15, 2.15


@dataclass(frozen=True, slots=True)
class Measured:
    """One burst: who worked it off, on what kind of clients, and what is the least that it takes."""

    who: str
    what: str
    story: Story
    floor: Floor
    new_clients: bool = False

    @property
    def is_ours(self) -> bool:
        return self.who == OURS


OURS, HABIT = "the product", "the habit"


def pace(place: Place, size: Size) -> None:
    """Answers take as long as they do, in the vendors' time."""
    place.answer_in(ANSWER_MS / size.factor)
    place.pace = floor.Pace(size.factor, ANSWER_MS / size.factor / 1000)


def measure(place: Place, size: Size) -> list[Measured]:
    """Ours, in all ways."""
    small, *_ = size.bursts
    measured = [ours(place, small, "bulk"), ours(place, small, "each", new_clients=True)]
    measured += [ours(place, count, "each") for count in size.bursts]
    return measured


def against_habit(place: Place, size: Size) -> list[Measured]:
    """The same bursts, each deal a webhook and all clients known, worked off by what most teams would write.

    The product is stopped for it.
    """
    acquainted(place, max(size.bursts))
    silence_product(place)
    with habit(place) as their_webhook:
        return [theirs(place, count, their_webhook) for count in size.bursts]


def ours(place: Place, count: int, how: How, *, new_clients: bool = False) -> Measured:
    """One burst that the product works off."""
    what = f"{count} deals, {'new' if new_clients else 'known'} clients, {WAYS[how]}"
    place.say(f"{OURS}: {what}")
    known = crowd.clients(place, count, f"New {place.last_hook}") if new_clients else acquainted(place, count)
    leads = crowd.deals(place, count, known, "Burst")
    place.rest()
    place.hooks()
    mark = place.sandbox.mark()
    least = floor.burst(count, pace=place.pace, new_clients=new_clients)
    crowd.approve(place, leads, how)
    wait_whole(place, leads, mark=mark, timeout=120 + 5 * least.pdf)
    place.settle()
    place.invoiced += leads
    return Measured(
        OURS, what, tell(count, place.calls(mark), place.hooks(), by_field=True), least, new_clients=new_clients
    )


def theirs(place: Place, count: int, webhook: str) -> Measured:
    """One burst that the habit works off."""
    what = f"{count} deals, known clients, {WAYS['each']}"
    place.say(f"{HABIT}: {what}")
    leads = crowd.deals(place, count, place.companies, "Habit")
    place.sandbox.wait_idle(quiet=66 / place.pace.factor, timeout=120)
    place.hooks()
    mark = place.sandbox.mark()
    least = floor.burst(count, pace=place.pace)
    crowd.approve(place, leads)
    wait_whole(place, leads, mark=mark, timeout=120 + 15 * least.pdf)
    mine = [hook for hook in place.hooks() if hook["target"] == webhook]
    return Measured(HABIT, what, tell(count, place.calls(mark), mine, by_field=False), least)


WAYS = {"each": "a webhook each", "bulk": "in bulk"}


def acquainted(place: Place, deals: int) -> list[int]:
    """Clients that an earlier deal has made known to both systems."""
    lacking = max(deals // DEALS_A_CLIENT, 1) - len(place.companies)
    if lacking > 0:
        made = crowd.clients(place, lacking, f"Client {len(place.companies)}")
        leads = crowd.deals(place, lacking, made, "First")
        mark = place.sandbox.mark()
        crowd.approve(place, leads, "bulk")
        wait_whole(place, leads, mark=mark, timeout=120 + 10 * lacking)
        place.companies += made
        place.invoiced += leads
    return place.companies


# --- what it comes to (pure) ---------------------------------------------------------------------------------------------


def report(measured: Sequence[Measured], *, factor: float) -> Section:
    """The section of the page."""
    rows = tuple(row for one in measured for row in _rows(one))
    return Section(
        name="burst",
        title="A burst of approved deals",
        notes=(
            f"Real limits (Xero 60 a minute and 5 at a time, Kommo 7 a second), every period of the vendors divided by {factor:g} for both sides "
            f"alike, and so is an answer's {ANSWER_MS} ms. Xero's calls a day are raised to {DAY_LIMIT:,}: the bursts together are several days' work. Our own periods are those of everyday. Times are seconds of this run after the last "
            "webhook was sent; the floor is computed (tests/benchmarks/floor.py)."
        ),
        tables=(
            Table("Time", ("", "webhooks sent in", "last invoice", "last status", "last PDF"), rows),
            Table(
                "Calls an invoice", ("", "Xero", "floor", "Kommo", "floor", "its drive", "429s of Xero, Kommo"),
                tuple(_calls(one) for one in measured),
            ),
            *_sooner(measured),
            *(_paths(one) for one in measured),
        ),
        checks=tuple(check for one in measured if one.is_ours for check in _checks(one, measured)),
        charts={"performance-burst.svg": draw(measured, factor)},
    )  # fmt: skip


def _sooner(measured: Sequence[Measured]) -> list[Table]:
    """How much sooner than the habit, by either count: its own webhooks come as fast as they are taken, too."""
    rows = [
        (
            one.what,
            f"{number(_times(rival.story.invoice, one.story.invoice, one))} x",
            f"{number(_times(rival.story.from_first, one.story.from_first, one))} x",
        )
        for one in measured
        if one.is_ours and (rival := _rival(one, measured))
    ]
    columns = ("", "counted from the last webhook", "from the first")
    return [Table("Last invoice, sooner than the habit's", columns, tuple(rows))] if rows else []


def _rival(one: Measured, measured: Sequence[Measured]) -> Measured | None:
    return next((other for other in measured if not other.is_ours and other.what == one.what), None)


def _times(theirs: float, ours: float, one: Measured) -> float:
    return ratio(theirs, max(ours, one.floor.invoice))


def draw(measured: Sequence[Measured], factor: float) -> str:
    """What was on the deals when, counted from the first webhook, in the vendors' minutes; a panel a size."""
    known = [one for one in measured if one.what.endswith(f"known clients, {WAYS['each']}")]
    return chart.draw("How many deals had it, and when", [
        chart.Panel(what, "minutes of the vendors after the first webhook", tuple(
            curve for one in known if one.what == what for curve in _curves(one, factor / 60)
        ))
        for what in dict.fromkeys(one.what for one in known)
    ])  # fmt: skip


def _curves(one: Measured, scale: float) -> list[chart.Curve]:
    looks = ("a", "b") if one.is_ours else ("c", "d")
    pairs = zip(("invoice", "PDF"), looks, (one.story.shown, one.story.attached), strict=True)
    return [chart.Curve(f"{one.who}: {name}", look, tuple(at * scale for at in times)) for name, look, times in pairs]


def _rows(one: Measured) -> list[Row]:
    story, least = one.story, one.floor
    spent = (story.invoice, story.status, story.pdf)
    found = [(f"{one.who}: {one.what}", seconds(story.hooks), *(seconds(value) for value in spent))]
    if one.is_ours:
        found.append(("its floor", "", *(seconds(value) for value in (least.invoice, least.status, least.pdf))))
    return found


def _calls(one: Measured) -> Row:
    refused = calllog.refusals(one.story.calls)
    kommo = one.floor.kommo_calls / one.story.deals
    return (
        f"{one.who}: {one.what}",
        number(one.story.per_invoice("xero")),
        number(one.floor.xero_calls / one.story.deals),
        number(one.story.per_invoice("kommo")),
        number(kommo),
        number(one.story.per_invoice("drive")),
        f"{refused['xero']}, {refused['kommo']}",
    )


def _paths(one: Measured) -> Table:
    counts = calllog.by_name(one.story.calls).most_common()
    rows = tuple((f"{vendor} {name}", str(count), number(count / one.story.deals)) for (vendor, name), count in counts)
    return Table(f"Calls by path: {one.who}, {one.what}", ("", "calls", "an invoice"), rows)


def _checks(one: Measured, measured: Sequence[Measured]) -> list[Check]:
    story, least = one.story, one.floor
    most = TIMES_FLOOR * least.invoice + PLUS
    found = [
        Check(f"{one.what}: last invoice (floor {seconds(least.invoice)})", story.invoice, most, " s"),
        Check(
            f"{one.what}: Xero calls an invoice", story.per_invoice("xero"), CALLS_NEW if one.new_clients else CALLS_KNOWN
        ),
        Check(f"{one.what}: 429s", sum(calllog.refusals(story.calls).values()), 0),
    ]  # fmt: skip
    if rival := _rival(one, measured):
        sooner = _times(rival.story.invoice, story.invoice, one)
        found.insert(1, Check(f"{one.what}: sooner than the habit", sooner, TIMES_SOONER, " x", at_least=True))
    return found
