"""What an operator is told about an error; and that a fault of this program is never hidden behind a sentence."""

import pytest
import redis
import sqlalchemy as sa

from integrations.errors import (
    Broken,
    Missing,
    OutcomeUnknown,
    RateLimited,
    Refusal,
    Rejected,
    Unauthorised,
    Unreachable,
)
from worker import mends
from worker.findings import NotDone
from worker.settings import SettingsError
from worker.workshop import NotSetUp

CALL = ("kommo", "GET /api/v4/account")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotDone("no such stage", "no such field"), "no such stage\nno such field"),
        (NotSetUp("run admin setup acme"), "run admin setup acme"),
        (SettingsError(["PORT is missing"]), "PORT is missing"),
        (Unreachable(*CALL, "not connected"), "Kommo could not be reached"),
        (Broken(*CALL, "", status=502), "Kommo is not well"),
        (Missing(*CALL), "does not know what was asked for"),
        (Rejected(*CALL, "name is missing"), "Kommo does not accept this: name is missing"),
        (OutcomeUnknown(*CALL), "run the same command again"),
        (RateLimited(*CALL, "no turn left", retry_after=12.4), "try again in 12 s"),
        (RateLimited(*CALL, "Redis: gone", retry_after=5, own=True), "Redis does not answer (REDIS_URL)"),
        (Unauthorised(*CALL, reason=Refusal.SCOPE), "grant every right"),
        (Unauthorised(*CALL, reason=Refusal.UNPAID), "must renew it"),
        (redis.ConnectionError("refused"), "Redis does not answer (REDIS_URL): refused"),
        (sa.exc.TimeoutError(), "no connection left"),
        (FileExistsError(17, "File exists", "/var/bridge"), "/var/bridge can't be used: File exists"),
    ],
)
def test_it_is_told_with_its_mend(error, said):
    assert said in (mends.explain(error) or "")


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        ValueError("x"),
        OSError("x"),
        sa.exc.IntegrityError("INSERT", {}, Exception("unique")),
        sa.exc.ProgrammingError("SELEC", {}, Exception("syntax error")),
    ],
)
def test_a_fault_of_this_program_is_not_explained_away(error):
    assert mends.explain(error) is None
