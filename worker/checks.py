"""Checks: every precondition of the service, each with its mend. They only look, and change nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis import RedisError

from integrations import reach
from worker import canary, celery_checks, connection_checks, looking, mends
from worker.connecting import connection_named
from worker.findings import Finding, Grade, failed, note, ok
from worker.overview import CANARY_LATE
from worker.settings import Settings
from worker.workshop import Workshop

MIGRATIONS = Path(__file__).parent / "migrations"

# Leases are judged by each machine's own clock: renewed every three seconds for ten, they stand this much.
CLOCKS_APART = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Checked:
    """A finding about one connection, or about the installation (None)."""

    connection: str | None
    about: str
    grade: Grade
    said: str
    mend: str


def check(workshop: Workshop, name: str | None = None) -> Iterator[Checked]:
    """Look at everything, or at one connection and what all need. Raises NotDone where there is no connection of that name."""
    chosen = [connection_named(workshop, name)] if name else list(workshop.connections.values())
    database = _database(workshop)
    yield _checked(None, database)
    celery = celery_checks.findings(workshop.settings.redis_url, workshop.redis)
    for finding in (
        *_redis(workshop),
        _canary(workshop),
        *celery,
        address(workshop.settings),
        *_redirect(workshop.settings),
    ):
        yield _checked(None, finding)
    if database.grade is Grade.OK:
        for connection in chosen:
            for finding in connection_checks.findings(workshop, connection):
                yield _checked(connection.name, finding)


def _checked(connection: str | None, finding: Finding) -> Checked:
    return Checked(connection, finding.about, finding.grade, finding.said, finding.mend)


def _database(workshop: Workshop) -> Finding:
    wanted = set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    try:
        with workshop.database.reading() as session:
            there = set(MigrationContext.configure(session.connection()).get_current_heads())
    except sa.exc.SQLAlchemyError as error:
        return failed("database", mends.explain(error) or type(error).__name__, "start it, or mend DATABASE_URL")
    if there != wanted:
        return failed("database", mends.NOT_MIGRATED)
    return ok("database", f"{workshop.database.engine.dialect.name}, brought up to date")


def _redis(workshop: Workshop) -> list[Finding]:
    try:
        memory: Any = workshop.redis.info("memory")
        told: Any = workshop.redis.time()
    except RedisError as error:
        return [failed("redis", mends.explain(error) or "", "start it, or mend REDIS_URL")]
    return [_policy(memory.get("maxmemory_policy")), _clock(workshop.now(), datetime.fromtimestamp(told[0], UTC))]


def _policy(policy: str | None) -> Finding:
    if policy not in {"noeviction", None}:
        said = f"Redis throws keys away when it is full ({policy}), budgets among them"
        return failed("redis", said, "set maxmemory-policy noeviction")
    return ok("redis", "answers, and keeps what it is given")


def _clock(ours: datetime, theirs: datetime) -> Finding:
    apart = abs(ours - theirs)
    if apart > CLOCKS_APART:
        said = f"this machine's clock and that of Redis are {apart.total_seconds():.0f} s apart"
        return failed("clock", said, "let both keep time by NTP")
    return ok("clock", "agrees with that of Redis")


def _canary(workshop: Workshop) -> Finding:
    heard = canary.last_heard(workshop.redis)
    mend = "start the lines worker and beat of the Procfile"
    if heard is None and not celery_checks.answers(workshop.redis):
        return failed("workers", "nobody hears a ring while Redis does not answer")
    if heard is None:
        return failed("workers", "no worker has heard a ring yet", mend)
    age = workshop.now() - heard
    if age > CANARY_LATE:
        return failed("workers", f"no worker has heard a ring for {age.total_seconds():.0f} s", mend)
    return ok("workers", f"one heard a ring {age.total_seconds():.0f} s ago")


def address(settings: Settings) -> Finding:
    """The receiver, asked at its own address as the vendors would; what this machine can't see is no failure."""
    url = settings.public_url
    is_simulated = looking.are_simulated(settings)
    if not url.startswith("https://") and not is_simulated:
        return note("address", f"PUBLIC_URL is {url}", "Kommo and Xero only reach an https address on the internet")
    asked = f"{url}/healthz"
    found = reach.ask(asked)
    if found.status == HTTPStatus.OK:
        return ok("address", f"{url} answers" + ("; simulated vendors reach it without https" if is_simulated else ""))
    if found.status is not None:
        return failed(
            "address", f"{asked} answers {found.status}", "have it lead to the process web, without redirects"
        )
    if found.is_certificate:
        return failed("address", f"the certificate of {url} is not valid", "renew it: Kommo and Xero trust no other")
    said = f"{asked} could not be reached from this machine ({found.why})"
    if is_simulated:
        return failed("address", said, "start the line web of the Procfile")
    return note(
        "address",
        said,
        "see whether it answers from elsewhere: some networks have no way from inside to their own address",
    )


def _redirect(settings: Settings) -> Iterator[Finding]:
    """Where people come back to from Xero's consent page, if that is how Xero is connected here."""
    back = settings.redirect_url("xero")
    if settings.xero_client_id and back.startswith("http://") and not back.startswith("http://localhost"):
        mend = "only of weight for consent by OAuth: set CONSOLE_URL to an https address, or to http://localhost and its port"
        yield note("console", f"Xero sends nobody back to {back}", mend)
