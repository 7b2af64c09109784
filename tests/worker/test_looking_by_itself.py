"""The hourly look and the watch between two of them, on real vendors' hosts: what fails is told once, and once more when it is mended."""

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa

from stack.processes import ROOT
from worker import canary, notices, watching
from worker.connecting import connect_kommo
from worker.notices import Message
from worker.noticing import look
from worker.watching import look_at_access

from .shop import Shop

HOUR, MINUTE = 3600, 61


@pytest.fixture
def watched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose database says that it is up to date, whose operator wants mail, and that was looked at twice."""
    monkeypatch.setenv("DATABASE_URL", shop.workshop.settings.database_url)
    alembic.command.stamp(alembic.config.Config(toml_file=ROOT / "pyproject.toml"), "head")
    shop.workshop.settings = shop.workshop.settings.model_copy(update={"notify_email": "operator@acme.example"})
    look(shop.workshop)
    look_after(shop, MINUTE)
    told(shop)
    return shop


def look_after(shop: Shop, seconds: float) -> None:
    shop.pass_time(seconds)
    canary.sing(shop.workshop.redis, shop.now())
    look(shop.workshop)


def told(shop: Shop) -> list[tuple[str, str, str]]:
    """What the operator is told since the last time: of the connection, not of the installation, which no process runs here."""
    with shop.workshop.database.begin() as session:
        found = [change for message in session.scalars(sa.select(Message)) for change in message.changes]
        session.execute(sa.delete(Message))
    return [(one["state"], one["connection"], one["about"]) for one in found if one["connection"]]


def standing(shop: Shop) -> list[str]:
    with shop.workshop.database.reading() as session:
        return [notice.about for notice in notices.standing(session) if notice.connection]


def test_a_connection_that_stands_is_not_spoken_of(watched: Shop):
    look_after(watched, HOUR)
    assert (told(watched), standing(watched)) == ([], [])
    with watched.workshop.database.reading() as session:
        assert watching.looked_at(session) is not None
        assert not watching.is_due(session, now=watched.now(), every=watching.AGAIN * 60)


def test_a_token_that_was_revoked_on_a_quiet_day_is_one_message_and_its_mend_another(watched: Shop):
    token = watched.sandbox.post("kommo/tokens", {"days": 300})["token"]
    connect_kommo(watched.workshop, "demo", token)
    watched.sandbox.post("kommo/tokens/revoke", {"token": token})
    look_after(watched, HOUR)  # which meets it
    look_at_access(watched.workshop)
    assert told(watched) == [("failed", "demo", "kommo grant")]
    for _ in range(3):
        look_after(watched, MINUTE)
        look_at_access(watched.workshop)
    look_after(watched, HOUR)
    assert (told(watched), standing(watched)) == ([], ["kommo grant"])
    connect_kommo(watched.workshop, "demo", watched.sandbox.post("kommo/tokens", {"days": 300})["token"])
    look_at_access(watched.workshop)
    assert (told(watched), standing(watched)) == ([("mended", "demo", "kommo grant")], [])
    look_after(watched, HOUR)
    assert told(watched) == []


def test_a_webhook_that_kommo_switched_off_is_told_after_the_second_look(watched: Shop):
    watched.sandbox.post("kommo/webhooks/disable", {"destination": watched.workshop.settings.kommo_webhook_url()})
    look_after(watched, HOUR)
    assert told(watched) == []
    look_after(watched, MINUTE)
    assert told(watched) == [("failed", "demo", "kommo webhook")]


def test_two_who_look_at_once_make_one_look(watched: Shop):
    watched.pass_time(HOUR)
    before = watched.sandbox.mark()
    look(watched.workshop)
    after = watched.sandbox.mark()
    look(watched.workshop)
    assert watched.sandbox.mark() - after < after - before
    assert watched.calls(after) == []
