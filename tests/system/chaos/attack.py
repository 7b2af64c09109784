"""One run: people act, faults strike, all comes to rest, and the books are read."""

import contextlib
import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from stack.children import NotReady
from stack.processes import ROOT
from stack.sandbox import Sandbox, SandboxRefused
from tests.system.chaos import catalogue, script, tally
from tests.system.chaos.catalogue import Demand, Fault, Lane
from tests.system.chaos.ground import (
    PERIODS,
    QUIET,
    READ_TIMEOUT,
    TIME_FACTOR,
    Ground,
    ground,
    has_reconcile,
    reconcile,
)
from tests.system.chaos.incidents import INCIDENTS, SECONDS, Injection, Missed, Scene, end_silence
from tests.system.chaos.oracle import Books, Finding, Judge
from tests.system.chaos.people import People
from tests.system.chaos.tally import Blamed, Row

# Seconds of the run for each deal: what two cores can carry beside the faults.
SECONDS_A_DEAL = 0.45
SHORTEST = 20.0
# From the end of the last fault until all must be at rest, in seconds, and for each deal.
REST, REST_A_DEAL = 300.0, 0.3
# A job that is due later than this is brought forward: no setting shrinks backoff, nor how long we leave alone who refuses our token.
FAR = timedelta(seconds=12)
TURN = "waits for a turn"
# Once the faults have ended and all has come to rest, whoever had failed is replayed once, as its sentence asks.
HAND_SHARE = 0.15
# People keep so many seconds ahead of the incidents, and this share of what they do for those that must be repeated at the end: else a slow
# machine's last incidents would meet nobody.
AHEAD, KEPT_BACK = 20.0, 0.07
# An incident that met no call, as one in four does on a quiet stretch of the run, is tried again so often in all.
TRIES = 3

NOISE = {"dropped": "drop", "duplicated": "duplicate", "reordered": "reorder", "delayed": "delay"}
NOISE_SHARE = {"dropped": 0.3, "duplicated": 0.3, "reordered": 0.3, "delayed": 0.15}
SEARCH_LAG = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is asked for. `folder` holds all that it leaves."""

    deals: int
    seed: int
    faults: tuple[Fault, ...]
    database: str
    folder: Path

    @property
    def invoices(self) -> int:
        return max(round(self.deals * HAND_SHARE), 2)

    @property
    def demand(self) -> Demand:
        return catalogue.demand(self.deals, len(self.faults))

    @property
    def name(self) -> str:
        every = len(self.faults) > len(catalogue.ALL) // 2
        names = "all" if every else ",".join(fault.name for fault in self.faults)
        return f"N={self.deals} SEED={self.seed} FAULTS={names} DATABASE={self.database}"


@dataclass(slots=True)
class Outcome:
    """What a run showed."""

    wanted: Wanted
    rows: list[Row]
    blamed: list[Blamed]
    absent: dict[str, str]
    jobs: Mapping[str, int]
    sentences: Sequence[str]
    people: Mapping[str, int]
    calls: Mapping[str, int]
    refusals: Mapping[str, int]
    voided_doubles: Sequence[int]
    seconds: float
    at_rest: float
    remarks: list[str]
    commit: str

    @property
    def lacking(self) -> list[str]:
        return [f"{row.fault.title}: {row.lacking}" for row in self.rows if row.lacking]

    @property
    def ok(self) -> bool:
        return not self.blamed and not self.lacking


class NotAtRest(Exception):
    """Jobs or webhooks were still on their way when the run's time was up."""


Say = Callable[[str], None]
Told = Callable[[str, int, int], None]
"""Progress: of what, how much is done, of how much."""


def attack(wanted: Wanted, *, say: Say, told: Told) -> Outcome:
    """Plays the run and judges it. Whatever goes wrong, no process is left behind."""
    with ground(wanted.folder, database=wanted.database, say=say) as stage:
        return Run(wanted, stage, say, told).play()


@dataclass(slots=True)
class Run:
    """One run on its ground."""

    wanted: Wanted
    ground: Ground
    say: Say
    told: Told
    stop: threading.Event = field(default_factory=threading.Event)
    labels: dict[int, str] = field(default_factory=dict)
    incidents: list[Injection] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    chosen: list[Fault] = field(default_factory=list)
    armed: dict[str, int] = field(default_factory=dict)
    dice: dict[str, random.Random] = field(default_factory=dict)
    progress: dict[Lane, float] = field(default_factory=dict)

    def play(self) -> Outcome:
        began = time.monotonic()
        self._choose()
        seconds = self._seconds()
        wanted = self.wanted
        people_script = script.write(wanted.seed, deals=wanted.deals, invoices=wanted.invoices, seconds=seconds)
        for name, value in PERIODS.items():
            self.say(f"{name}={value}")
        self.say(f"{wanted.name}: about {seconds:.0f} s of attack, the vendors' time {TIME_FACTOR} times as fast")
        people = People(
            self.ground.another_sandbox(), people_script, seed=wanted.seed, before_approval=self._arm, stop=self.stop,
            pace=lambda: AHEAD + seconds * min(self.progress.values(), default=1.0),
        )  # fmt: skip
        people.prepare()
        self._set_noise(on=True)
        self._set_rules()
        lanes = [self._lane(lane, seconds, people) for lane in (Lane.PROCESSES, Lane.SERVERS)]
        for thread in (people, *lanes):
            thread.start()
        self._watch(people, lanes, until=time.monotonic() + 4 * seconds + 120)
        attacked = time.monotonic()
        self._heal()
        self._come_to_rest(attacked + REST + REST_A_DEAL * wanted.deals)
        sentences = self._replay_failures(attacked + REST + REST_A_DEAL * wanted.deals + 60)
        rested = time.monotonic()
        return self._judge(people, sentences, seconds=rested - began, at_rest=rested - attacked)

    # what there is

    def _choose(self) -> None:
        there = {catalogue.POSTGRES if self.wanted.database == "postgres" else catalogue.SQLITE}
        there |= {catalogue.RECONCILE} if has_reconcile(self.ground) else set()
        there |= {catalogue.MOUNT} if self.ground.ledger.disk else set()
        for fault in self.wanted.faults:
            if missing := fault.needs - there:
                self.absent[fault.name] = f"not run: it needs {', '.join(sorted(missing))}"
            else:
                self.chosen.append(fault)

    def _seconds(self) -> float:
        """Long enough for the deals, and for each lane's incidents one after the other."""
        aim = self.wanted.demand.incidents
        lanes = [
            sum(SECONDS[fault.name] * aim for fault in self.chosen if fault.lane is lane)
            for lane in (Lane.PROCESSES, Lane.SERVERS)
        ]
        return max(self.wanted.deals * SECONDS_A_DEAL, *lanes, SHORTEST)

    # faults

    def _set_noise(self, *, on: bool) -> None:
        shares = {
            NOISE[fault.name]: NOISE_SHARE[fault.name] if on else 0.0 for fault in self.chosen if fault.name in NOISE
        }
        self.ground.sandbox.patch("settings", {"noise": {**shares, "seed": self.wanted.seed, "delay_s": 2.0}})
        lag = SEARCH_LAG if on and any(fault.name == "search-lag" for fault in self.chosen) else 0.0
        self.ground.sandbox.patch("settings", {"kommo": {"search_lag_s": lag}, "silence_s": READ_TIMEOUT + 2})
        if catalogue.RECONCILE not in {need for fault in self.chosen for need in fault.needs}:
            # nobody would switch it on again: it takes more bad answers than a run can give
            self.ground.sandbox.patch("settings", {"kommo": {"disable_after": 1_000_000}})

    def _set_rules(self) -> None:
        for fault in self.chosen:
            if fault.lane is Lane.ANSWERS and not fault.name.startswith("invoice"):
                share = min(0.5, 2.0 * self.wanted.demand.answers / self._traffic(fault))
                self._post(fault, share=share, aim=self.wanted.demand.answers)

    def _traffic(self, fault: Fault) -> float:
        """About how many calls of the kind there will be."""
        deals, invoices = self.wanted.deals, self.wanted.invoices
        return {
            "client": invoices * 0.9,
            "deal": invoices,
            "note": deals * 0.4 + invoices,
            "fields": deals * 0.8,
            "file": deals + invoices,
            "unsent": deals * 0.4 + invoices,
            "late": deals * 0.4 + invoices,
            "errors": deals * 8,
        }[fault.name]

    def _post(self, fault: Fault, *, share: float, aim: int) -> None:
        rules = catalogue.rules(fault, aim=aim, share=share, late_seconds=READ_TIMEOUT + 0.3 * (QUIET - READ_TIMEOUT))
        for made in self.ground.sandbox.post("faults", rules):
            self.labels[int(made["id"])] = fault.name

    def _arm(self, together: int) -> None:
        """Before deals are approved: perhaps the answer to their invoices will be lost. Called by the people's thread."""
        name = "invoice" if together == 1 else "invoice-batch"
        fault = next((one for one in self.chosen if one.name == name), None)
        if fault is None or self.armed.get(name, 0) >= 2 * self.wanted.demand.answers:
            return
        dice = self.dice.setdefault(name, random.Random(f"arm {self.wanted.seed} {name}"))
        groups = self.wanted.deals / (1 + (script.MOST_TOGETHER + 2) / 2)  # half of them singles
        if dice.random() < max(2.0 * self.wanted.demand.answers / groups, 0.1):
            self.armed[name] = self.armed.get(name, 0) + 1
            vendor, call = catalogue.XERO_CREATE
            way = catalogue.LOSSES[self.armed[name] % len(catalogue.LOSSES)]
            made = self.ground.sandbox.post("faults", {"vendor": vendor, "call": call, "when": "after", "do": way})
            self.labels[int(made["id"])] = name

    def _lane(self, lane: Lane, seconds: float, people: People) -> threading.Thread:
        """A thread in which the lane's incidents strike one after the other, in the seed's order, spread over the run."""
        aim = self.wanted.demand.incidents
        names = [fault.name for fault in self.chosen if fault.lane is lane for _ in range(aim)]
        dice = random.Random(f"{lane} {self.wanted.seed}")
        dice.shuffle(names)
        scene = Scene(self.ground, self.ground.another_sandbox(), dice, self.stop, people.hurry, self.remarks)
        work = sum(SECONDS[name] for name in names)
        spare = max(0.9 * seconds - work, 0.0) / max(len(names), 1)

        self.progress[lane] = 0.0

        def strike_all() -> None:
            scene.pause(1, 3)
            for number, name in enumerate(names):
                if self.stop.is_set():
                    return
                self.progress[lane] = (1 - KEPT_BACK) * number / len(names)
                scene.pause(0.3 * spare, 1.2 * spare)
                self._strike(scene, name)
                if lane is Lane.PROCESSES:
                    scene.raise_the_dead()
            for name in self._lacking_between(lane):
                if people.planned and not self.stop.is_set():
                    self._strike(scene, name)
            self.progress[lane] = 1.0

        return threading.Thread(target=self._guarded(strike_all), name=lane.value, daemon=True)

    def _lacking_between(self, lane: Lane) -> Iterator[str]:
        """Those of the lane that have not fallen often enough between a commit and its answer, again and again, but not for ever."""
        for _ in range(2 * self.wanted.demand.incidents):
            for fault in self.chosen:
                between = sum(one.between for one in self.incidents if one.fault == fault.name)
                if fault.lane is lane and fault.between and between < self.wanted.demand.between:
                    yield fault.name

    def _strike(self, scene: Scene, name: str) -> None:
        """The incident, again where it met nothing."""
        for _ in range(TRIES):
            began = time.time()
            with contextlib.suppress(Missed):
                between, note = INCIDENTS[name](scene)
                self.incidents.append(Injection(name, began, time.time(), between, note))
                return

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001  (told by the thread that waits)
                self.failures.append(error)

        return run

    def _watch(self, people: People, lanes: Sequence[threading.Thread], *, until: float) -> None:
        """Until people and lanes are done. Now and then jobs that wait for long are brought forward."""
        planned = sum(
            len([1 for fault in self.chosen if fault.lane is lane]) for lane in (Lane.PROCESSES, Lane.SERVERS)
        )
        nudge_at = time.monotonic() + 20
        while any(thread.is_alive() for thread in (people, *lanes)) and time.monotonic() < until and not self.failures:
            self.stop.wait(1.0)
            self.told("things that people did", people.done, people.done + people.planned)
            self.told("incidents", len(self.incidents), planned * self.wanted.demand.incidents)
            end_silence(self.ground)
            if time.monotonic() > nudge_at:
                self._try(self._nudge)
                nudge_at = time.monotonic() + 20
        self.stop.set()
        for thread in (people, *lanes):
            thread.join(60)
        if people.failure:
            self.failures.append(people.failure)
        if self.failures:
            raise self.failures[0]

    def _heal(self) -> None:
        """The faults end; whoever is down is started again."""
        for name in self.ground.processes.dead():
            self.remarks.append(f"{name} had ended by itself: {self.ground.processes[name].child.last_lines(3)}")
            self.ground.processes.restart(name)
        self.ground.sandbox.delete("faults")
        for held in self.ground.sandbox.get("held"):
            with contextlib.suppress(SandboxRefused):
                self.ground.sandbox.post(f"held/{held['id']}/release")
        self._set_noise(on=False)

    # rest

    def _come_to_rest(self, until: float) -> None:
        """Until no job waits and no webhook is on its way; reconciliation brings what no webhook brought."""
        self._rest(until)
        if any(catalogue.RECONCILE in fault.needs for fault in self.chosen):
            said = reconcile(self.ground)
            self.say(f"reconciled: {said.strip()[:300]}")
            self._rest(until)

    def _rest(self, until: float) -> None:
        quiet = 0
        while quiet < 2:
            if time.monotonic() > until:
                left = [f"{job['kind']} {job['state']}: {job['sentence']}" for job in self._left()]
                raise NotAtRest(f"{len(left)} jobs and {self.ground.sandbox.pending()} webhooks are left: {left[:10]}")
            self.ground.sandbox.post("webhooks/flush")
            end_silence(self.ground)
            left_jobs = self._try(self._nudge)
            self.told("jobs left", -1 if left_jobs is None else left_jobs, 0)
            quiet = quiet + 1 if left_jobs == 0 and not self.ground.sandbox.pending() else 0
            time.sleep(1.0)

    def _try(self, what: Callable[[], int]) -> int | None:
        """The operator's commands can't reach a database or a Redis that is down just now."""
        try:
            return what()
        except NotReady:
            return None

    def _left(self) -> list[dict[str, Any]]:
        return self.ground.jobs("queued") + self.ground.jobs("running")

    def _nudge(self) -> int:
        """How many jobs are left; those that would wait for long are brought forward, since no setting shrinks those waits."""
        left = self._left() if self.ground.jobs_left() else []
        far = [job for job in left if waits_for_long(job, datetime.now(UTC))]
        for job in far:
            self._repeat_event(job)
        # no event pulls these once their deal is there: an operator takes them back and wants them again
        if stuck := [str(job["id"]) for job in far if job["kind"] in ("create_deal", "attach_invoice")]:
            for verb in ("cancel", "replay"):
                self._ask("jobs", verb, *stuck)
        return len(left)

    def _ask(self, *words: str) -> None:
        """An operator's command that may be refused: a job may run by now."""
        with contextlib.suppress(NotReady):
            self.ground.admin(*words)

    def _repeat_event(self, job: Mapping[str, Any]) -> None:
        """As vendors send them again."""
        sandbox = self.ground.sandbox
        with contextlib.suppress(SandboxRefused):
            if job["kind"] == "create_invoice":
                sandbox.patch(f"kommo/leads/{job['lead_id']}", {})
            elif job["kind"] == "sync_status":
                sandbox.post("xero/events", {"resource_id": job["invoice_id"], "kind": "UPDATE"})

    def _replay_failures(self, until: float) -> list[str]:
        """The sentences of failed jobs, which are then replayed once, as a person would."""
        failed = self.ground.jobs("failed")
        sentences = [f"{job['kind']}: {job['sentence']}" for job in failed]
        if failed:
            with contextlib.suppress(NotReady):
                self.ground.admin("jobs", "replay", "--state", "failed")
            self._rest(until)
        return sentences

    # the judgement

    def _judge(self, people: People, sentences: list[str], *, seconds: float, at_rest: float) -> Outcome:
        self.say("reading the books")
        sandbox = self.ground.sandbox
        calls: list[dict[str, Any]] = sandbox.get("calls")
        hooks: list[dict[str, Any]] = sandbox.get("webhooks")
        jobs = self.ground.jobs()
        injections = [
            *tally.of_answers(calls, self.labels, hooks), *self.incidents, *tally.of_noise(hooks, self.chosen, calls)
        ]  # fmt: skip
        judge = Judge(Books.of(sandbox.books()), lambda uuid: self._file(sandbox, uuid))
        findings = [*judge.judge(people.deals, people.invoices), *_of_jobs(jobs)]
        refusals, over = refused_by_limits(calls, self.incidents)
        findings += over
        blamed = [tally.blame(finding, self._trace(finding), injections) for finding in findings[:200]]
        blamed += [Blamed(finding, None, ()) for finding in findings[200:]]
        outcome = Outcome(
            wanted=self.wanted,
            rows=tally.rows(self.chosen, injections, blamed, self.wanted.demand),
            blamed=blamed,
            absent=self.absent,
            jobs=_count(str(job["state"]) for job in jobs),
            sentences=sentences,
            people={
                "deals": len(people.deals),
                "invoices raised by hand": len(people.invoices),
                "things done with invoices": sum(len(story.done) for story in people.deals)
                + sum(len(story.done) for story in people.invoices),
                "refusals by the vendors": people.refused.total(),
            },
            calls=_count(str(call["vendor"]) for call in calls),
            refusals=refusals,
            voided_doubles=judge.voided_doubles(),
            seconds=seconds,
            at_rest=at_rest,
            remarks=[*self.remarks, *_given_up(hooks)],
            commit=commit(),
        )
        self._write(outcome, injections)
        return outcome

    def _file(self, sandbox: Sandbox, uuid: str) -> bytes:
        return requests.get(f"{sandbox.control_url}/kommo/files/{uuid}", timeout=10).content

    def _trace(self, finding: Finding) -> dict[str, Any] | None:
        about = ("--lead", str(finding.lead_id)) if finding.lead_id else ("--invoice", finding.invoice_id or "")
        if not about[1]:
            return None
        with contextlib.suppress(NotReady):
            trace: dict[str, Any] = json.loads(self.ground.admin("trace", *about, "--json"))
            return trace
        return None

    def _write(self, outcome: Outcome, injections: Sequence[Injection]) -> None:
        """Each finding with its story, and all strikes, for whoever looks into it."""
        strikes = [
            f"{at(one.began)} {at(one.ended)} {one.fault} {'between' if one.between else ''} {one.note}"
            for one in injections
        ]
        (self.wanted.folder / "strikes.txt").write_text("\n".join(sorted(strikes)) + "\n", encoding="utf-8")
        for lead_id in outcome.voided_doubles:
            trace = self._trace(Finding("doubled", "made twice, the second voided", lead_id))
            path = self.wanted.folder / f"voided-double-{lead_id}.json"
            path.write_text(json.dumps(trace, indent=1, ensure_ascii=False), encoding="utf-8")
        for number, one in enumerate(outcome.blamed):
            content = {
                "finding": {name: getattr(one.finding, name) for name in ("kind", "sentence", "lead_id", "invoice_id", "number")},
                "strikes": sorted({f"{at(strike.began)} {strike.fault} {strike.note}" for strike in one.strikes}),
                "trace": one.trace,
            }  # fmt: skip
            path = self.wanted.folder / f"finding-{number:03d}.json"
            path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def waits_for_long(job: Mapping[str, Any], now: datetime) -> bool:
    """Whether no setting shrinks what it waits for; for a turn it waits in the vendors' time, which is shrunk."""
    if not job["next_at"] or (job["sentence"] or "").startswith(TURN):
        return False
    return datetime.fromisoformat(job["next_at"]) - now > FAR


def at(seconds: float) -> str:
    """A moment as the traces write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _of_jobs(jobs: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Jobs that are neither done nor failed with a sentence."""
    for job in jobs:
        if job["state"] in ("queued", "running") or (job["state"] == "failed" and not job["sentence"]):
            yield Finding(
                "wrong", f"job {job['id']} is {job['state']} without a word", job["lead_id"], job["invoice_id"]
            )


# While Redis has lost its memory we can't know what was sent before; so long a vendor's window may be overdrawn, in the vendors' minute.
FORGETFUL = ("flush", "redis-kept", "redis-empty", "redis-down", "redis-full")
# A process that stood still sends late what it had its turn for.
STILL = ("freeze", "postgres", "sqlite-locked", "sqlite-full")


def refused_by_limits(
    calls: Sequence[Mapping[str, Any]], incidents: Sequence[Injection]
) -> tuple[dict[str, int], list[Finding]]:
    """Refusals for too many calls that nobody ordered, by vendor; and a finding for those that we could have known of."""
    minute = 60 / TIME_FACTOR + 2
    excused = [(one.began, one.ended + minute) for one in incidents if one.fault in (*FORGETFUL, *STILL)]
    refused = [
        (str(call["vendor"]), datetime.fromisoformat(call["at"]).timestamp())
        for call in calls
        if call["status"] == 429 and call["fault"] is None
    ]
    counts = _count(vendor for vendor, _ in refused)
    known = _count(vendor for vendor, moment in refused if not any(first <= moment <= last for first, last in excused))
    total = _count(str(call["vendor"]) for call in calls)
    return counts, [
        Finding("wrong", f"{count} of {total[vendor]} calls to {vendor} were over its limit, which we could know")
        for vendor, count in known.items()
        if count > total[vendor] * JITTER
    ]


JITTER = 0.005
"""Of the calls, so many may come too early: the margin in our windows (0.2 s of Kommo's) shrinks with the time factor, what a busy
machine adds to a call's way does not."""


def _given_up(hooks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if lost := sum(hook["state"] == "lost" for hook in hooks):
        yield f"{lost} webhooks were given up by their vendor after all its tries"


def _count(names: Iterator[str] | Any) -> dict[str, int]:
    counted: dict[str, int] = {}
    for name in names:
        counted[name] = counted.get(name, 0) + 1
    return counted


def commit() -> str:
    """The commit that was attacked, and whether anything was changed since."""
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain", "-uno", "--", ".", ":!docs/reliability.md"],
        capture_output=True,
        text=True,
        check=False,
    )
    return (asked.stdout.strip() or "unknown") + (" with changes" if changed.stdout.strip() else "")
