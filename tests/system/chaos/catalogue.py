"""The faults, each by its name: what it is called in the table, how it strikes, and what a run needs for it."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Lane(StrEnum):
    """How a fault strikes. Incidents of two lanes may strike at the same time, those of one lane after each other."""

    ANSWERS = "answers"  # what a call meets instead of its answer
    PROCESSES = "processes"
    SERVERS = "servers"  # Redis, the database, and what the vendors as a whole do
    NOISE = "noise"  # what becomes of webhooks, and of Kommo's search, all through the run


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `between`: it can strike between a commit and its answer, and must; `needs`: what must be there for it."""

    name: str
    title: str
    lane: Lane
    between: bool = False
    needs: frozenset[str] = frozenset()


def _needs(*names: str) -> frozenset[str]:
    return frozenset(names)


RECONCILE, POSTGRES, SQLITE, MOUNT = "admin reconcile", "DATABASE=postgres", "DATABASE=sqlite", "a mount of its own"

ALL: tuple[Fault, ...] = (
    Fault("invoice", "answer lost: one invoice", Lane.ANSWERS, between=True),
    Fault("invoice-batch", "answer lost: batch of invoices", Lane.ANSWERS, between=True),
    Fault("client", "answer lost: contact or company", Lane.ANSWERS, between=True),
    Fault("deal", "answer lost: deal", Lane.ANSWERS, between=True),
    Fault("file", "answer lost: file (session, part, attaching)", Lane.ANSWERS, between=True),
    Fault("note", "answer lost: notes", Lane.ANSWERS, between=True),
    Fault("fields", "answer lost: fields", Lane.ANSWERS, between=True),
    Fault("unsent", "request lost: nothing was made", Lane.ANSWERS),
    Fault("late", "made after our time-out", Lane.ANSWERS),
    Fault("errors", "500, 502, 503, HTML 504", Lane.ANSWERS),
    Fault("kill-child", "kill -9 of a worker's child", Lane.PROCESSES, between=True),
    Fault("kill-worker", "kill -9 of a worker with its children", Lane.PROCESSES, between=True),
    Fault("kill-beat", "kill -9 of beat", Lane.PROCESSES),
    Fault("kill-web", "kill -9 of web", Lane.PROCESSES),
    Fault("freeze", "worker frozen past its lease, thawed", Lane.PROCESSES, between=True),
    Fault("deploy", "SIGTERM of a worker, restart", Lane.PROCESSES, between=True),
    Fault("flush", "Redis: FLUSHALL", Lane.SERVERS),
    Fault("redis-kept", "Redis killed, restarted with its data", Lane.SERVERS),
    Fault("redis-empty", "Redis killed, restarted empty", Lane.SERVERS),
    Fault("redis-down", "Redis down for a while", Lane.SERVERS),
    Fault("redis-full", "Redis out of memory", Lane.SERVERS),
    Fault("postgres", "PostgreSQL stopped, restarted", Lane.SERVERS, between=True, needs=_needs(POSTGRES)),
    Fault("sqlite-locked", "SQLite locked", Lane.SERVERS, between=True, needs=_needs(SQLITE)),
    Fault("sqlite-full", "SQLite: disk full", Lane.SERVERS, between=True, needs=_needs(SQLITE, MOUNT)),
    Fault("storm-xero", "429 storm: Xero", Lane.SERVERS),
    Fault("storm-kommo", "429 storm: Kommo", Lane.SERVERS),
    Fault("block", "Kommo blocks us, and lifts it", Lane.SERVERS),
    Fault("token-xero", "token expired: Xero", Lane.SERVERS),
    Fault("token-kommo", "token expired: Kommo, connected again", Lane.SERVERS),
    Fault("hook-off", "Kommo's hook switched off", Lane.SERVERS, needs=_needs(RECONCILE)),
    Fault("dropped", "webhooks dropped", Lane.NOISE, needs=_needs(RECONCILE)),
    Fault("duplicated", "webhooks duplicated", Lane.NOISE),
    Fault("reordered", "webhooks reordered", Lane.NOISE),
    Fault("delayed", "webhooks delayed", Lane.NOISE),
    Fault("search-lag", "search finds what is new only later", Lane.NOISE),
)
BY_NAME = {fault.name: fault for fault in ALL}

# What the issue asks of a run of 2,000 deals; smaller runs are asked for as much less.
LEAST, LEAST_BETWEEN, FULL_SIZE = 20, 5, 2000
# More than is asked for, since chance decides whether a prepared fault meets a call.
MARGIN = 1.2

# How an answer is lost.
LOSSES: tuple[int | str, ...] = ("reset", 500, "timeout", 504, "html", 503)
XERO_CREATE = ("xero", "PUT /api.xro/2.0/Invoices$")
CLIENT_CREATES = (("kommo", "POST /api/v4/companies$"), ("kommo", "POST /api/v4/contacts$"))
DEAL_CREATE = ("kommo", "POST /api/v4/leads$")
NOTE_CREATE = ("kommo", "POST /api/v4/leads/notes$")
CREATES = (XERO_CREATE, *CLIENT_CREATES, DEAL_CREATE, NOTE_CREATE)

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Demand:
    """How often each fault must strike, how often between a commit and its answer, and how often incidents and lost answers are tried."""

    least: int
    between: int
    incidents: int
    answers: int


def demand(deals: int, chosen: int) -> Demand:
    """For a run of so many deals under so many faults: one that is alone is tried more often than it must."""
    share = min(deals / FULL_SIZE, 1.0)
    least, between = max(math.ceil(LEAST * share), 2), max(math.ceil(LEAST_BETWEEN * share), 1)
    tries = max(least, min(deals // 10, LEAST)) if chosen == 1 else least
    incidents = math.ceil(tries * MARGIN)
    return Demand(least, between, incidents, max(incidents, min(deals // 12, 2 * LEAST)))


def targets(fault: Fault) -> tuple[tuple[str, str], ...]:
    """The calls, by vendor, that a fault of answers meets."""
    return {
        "invoice": (XERO_CREATE,),
        "invoice-batch": (XERO_CREATE,),
        "client": CLIENT_CREATES,
        "deal": (DEAL_CREATE,),
        "file": (
            ("drive", "POST /v1.0/sessions$"),
            ("drive", "POST /upload"),
            ("kommo", "PUT /api/v4/leads/*/files"),
        ),
        "note": (NOTE_CREATE,),
        "fields": (("kommo", "PATCH /api/v4/leads$"),),
        "unsent": CREATES,
        "late": CREATES,
        "errors": (("xero", "* /api.xro"), ("kommo", "* /api"), ("drive", "* /")),
    }[fault.name]


def rules(fault: Fault, *, aim: int, share: float, late_seconds: float) -> list[Rule]:
    """What to set in the sandbox so that about `aim` of the fault's calls are met, each with so small a chance."""
    ways: tuple[int | str, ...] = LOSSES
    when = "after" if fault.between else "before"
    if fault.name == "late":
        ways = ("slow",)
    elif fault.name == "errors":
        ways = (500, 502, 503, 504)
    elif fault.name == "unsent":
        ways = ("reset", "timeout")
    calls = targets(fault)
    times = math.ceil(aim / min(len(calls) * len(ways), aim))
    made = [
        {
            "vendor": vendor,
            "call": call,
            "when": when,
            "do": way,
            "times": times,
            "share": share,
            "seconds": late_seconds,
        }
        for way in ways
        for vendor, call in calls
    ]
    return made[: math.ceil(aim / times)]


def choose(names: str) -> list[Fault]:
    """`all`, or names with commas between them. Raises ValueError for one that is not there."""
    if names == "all":
        return list(ALL)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if strangers := [name for name in wanted if name not in BY_NAME]:
        raise ValueError(f"there is no fault {', '.join(strangers)}; there are {', '.join(BY_NAME)}, or all")
    return [BY_NAME[name] for name in dict.fromkeys(wanted)]
