"""What the operator is told is sent once over each channel, and again where a server did not take it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic import SecretStr

from tests.integrations.vendor import Vendor, empty
from tests.mailbox import Mailbox
from worker import notices, telling
from worker.notices import Change, Message
from worker.settings import Settings, SettingsError, load
from worker.tables import METADATA
from worker.watching import channels
from worker.workshop import Workshop

from .ledger import THEN

CHANGES = (
    Change("failed", "acme", "kommo grant", "Kommo no longer accepts our token"),
    Change("mended", "", "redis", "Redis did not answer"),
)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as opened:
        yield opened


@pytest.fixture
def hook() -> Iterator[Vendor]:
    opened = Vendor()
    yield opened
    opened.close()


@pytest.fixture
def desk(mailbox: Mailbox, hook: Vendor, tmp_path: Path) -> Iterator[Workshop]:
    """A workshop whose operator wants both."""
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{tmp_path / 'bridge.db'}",
        secret_keys=[Fernet.generate_key().decode()],
        notify_email="operator@acme.example",
        smtp_url=SecretStr(f"smtp://127.0.0.1:{mailbox.port}"),
        notify_webhook_url=SecretStr(f"{hook.url}/hooks/1"),
    )
    opened = Workshop(settings, now=lambda: THEN)
    METADATA.create_all(opened.database.engine)
    with opened.database.begin() as session:
        notices.tell(session, CHANGES, channels(settings), now=THEN)
    yield opened
    opened.close()


def left(desk: Workshop) -> list[str]:
    with desk.database.reading() as session:
        return list(session.scalars(sa.select(Message.channel).order_by(Message.channel)))


def test_one_letter_and_one_post_tell_all_that_is_new(desk, mailbox, hook):
    hook.will(empty(200))
    telling.tell(desk)
    (letter,) = mailbox.letters
    assert letter["Subject"] == hook.last.json["subject"] == "acme: 1 failing, 1 mended"
    lines = letter.get_content().splitlines()
    assert "FAILS   acme: kommo grant: Kommo no longer accepts our token" in lines
    assert "MENDED  redis: Redis did not answer" in lines
    assert hook.last.json["changes"][0] == {
        "state": "failed", "connection": "acme", "about": "kommo grant", "sentence": "Kommo no longer accepts our token",
    }  # fmt: skip
    assert left(desk) == []
    telling.tell(desk)
    assert (len(mailbox.letters), len(hook.seen)) == (1, 1)


def test_what_one_server_does_not_take_is_tried_again_there_and_nowhere_else(desk, mailbox, hook):
    hook.will(empty(503), empty(200))
    telling.tell(desk)
    assert left(desk) == ["webhook"]
    telling.tell(desk)  # too soon
    assert len(hook.seen) == 1
    desk.now = lambda: THEN + telling.FIRST_WAIT
    telling.tell(desk)
    assert left(desk) == []
    assert (len(mailbox.letters), len(hook.seen)) == (1, 2)


def test_news_that_nobody_took_for_a_fortnight_is_dropped(desk, mailbox, hook):
    desk.now = lambda: THEN + telling.STALE + timedelta(seconds=1)
    telling.tell(desk)
    assert (left(desk), mailbox.letters, hook.seen) == ([], [], [])


def test_several_who_tell_at_once_tell_it_once(desk, mailbox, hook):
    hook.will(*[empty(200)] * 4)
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda _: telling.tell(desk), range(4)))
    assert (len(mailbox.letters), len(hook.seen)) == (1, 1)


def test_a_channel_that_is_no_longer_wanted_holds_nothing_up(desk, mailbox, hook):
    desk.settings = Settings(_env_file=None)
    assert channels(desk.settings) == []
    telling.tell(desk)
    assert (left(desk), mailbox.letters, hook.seen) == ([], [], [])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"NOTIFY_EMAIL": "operator@acme.example"}, "belong together"),
        ({"NOTIFY_EMAIL": "operator", "SMTP_URL": "smtp://mail"}, "not one e-mail address"),
        ({"NOTIFY_EMAIL": "operator@acme.example", "SMTP_URL": "mail:587"}, "it must be like smtp://"),
        ({"NOTIFY_EMAIL": "operator@acme.example", "SMTP_URL": "smtp://me:pass/phrase@mail:587"}, "%40 and %2F"),
        ({"NOTIFY_EMAIL": "operator@acme.example", "SMTP_URL": "smtp://mail:port"}, "it must be like smtp://"),
        ({"NOTIFY_WEBHOOK_URL": "hooks.acme.example"}, "must be an address"),
    ],
)
def test_settings_that_can_tell_nobody_are_told(given, told, monkeypatch):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=told) as refused:
        load(env_file=None)
    assert "phrase" not in str(refused.value)
