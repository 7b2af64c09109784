"""What an operator is told about an error that is no fault of this program: one clear message with its mend, and no secret in it. Pure."""

import sqlalchemy as sa
from redis import RedisError

from integrations.errors import CallError, OutcomeUnknown, RateLimited, Rejected, Unauthorised
from worker.findings import NotDone
from worker.settings import SettingsError
from worker.verdicts import RECONNECT, describe
from worker.workshop import NotSetUp

NOT_MIGRATED = "The database has not been made, or not brought up to date: run the release line of the Procfile: alembic upgrade head"

# SQLite's words, and PostgreSQL's codes, for a table or a column that is not there.
_ABSENT_WORDS = ("no such table", "no such column")
_ABSENT_CODES = frozenset({"42P01", "42703"})


def explain(error: Exception) -> str | None:
    """The message; None where the error is not an operator's to mend."""
    match error:
        case SettingsError() | NotSetUp() | NotDone():
            return str(error)
        case CallError():
            return _of_call(error)
        case sa.exc.OperationalError() | sa.exc.ProgrammingError():
            return _of_database(error)
        case sa.exc.DatabaseError() if type(error) is sa.exc.DatabaseError:
            return f"What DATABASE_URL names is no database of ours: {_first_line(error.orig or error)}"
        case sa.exc.TimeoutError():
            return "The database has no connection left for us: try again, or raise its limit"
        case RedisError():
            return f"Redis does not answer (REDIS_URL): {_first_line(error)}"
        case OSError() if error.filename:
            return f"{error.filename} can't be used: {error.strerror}"
    return None


def _of_call(error: CallError) -> str:
    vendor = error.vendor.title()
    match error:
        case RateLimited() if error.detail.startswith("Redis"):
            return "Redis does not answer (REDIS_URL), and without the budgets in it nothing is called: start it, then try again"
        case RateLimited():
            return f"{vendor} takes no more calls just now: try again in {max(round(error.retry_after), 1)} s"
        case Unauthorised():
            said = RECONNECT[error.reason].format(vendor=vendor, command=error.vendor)
            return f"{said} ({error})"
        case OutcomeUnknown():
            return f"{vendor} gave no answer to a write: run the same command again, it finds what was made ({error})"
        case Rejected():
            return f"{vendor} does not accept this: {error.detail or error.call}"
    return describe(error)


def _of_database(error: sa.exc.DBAPIError) -> str | None:
    code = getattr(error.orig, "sqlstate", None)
    if code in _ABSENT_CODES or any(word in str(error.orig) for word in _ABSENT_WORDS):
        return NOT_MIGRATED
    if isinstance(error, sa.exc.ProgrammingError):
        return None
    return f"The database does not answer (DATABASE_URL): {_first_line(error.orig or error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
