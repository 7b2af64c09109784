"""What fails is remembered, told once, and told again when it is mended."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import sqlalchemy as sa

from integrations.errors import Refusal
from worker import notices
from worker.checks import Checked
from worker.database import Database
from worker.findings import Grade
from worker.grants import GrantKind, Standing
from worker.notices import CONFIRMED_AFTER, NOBODYS, Change, Look, Message, Notice
from worker.noticing import seen_by
from worker.watching import access_of, announcement

from .ledger import THEN, at

KOMMO = ("acme", "kommo grant")
AGAIN = CONFIRMED_AFTER.total_seconds()


def failing(sentence: str = "it is revoked", *, sure: bool = True) -> Look:
    return Look({KOMMO: sentence}, set(), sure=sure)


GOOD = Look({}, {KOMMO})


def see(database: Database, look: Look, seconds: float = 0) -> list[Change]:
    with database.begin() as session:
        changes = notices.remember(session, look, now=at(seconds))
        notices.tell(session, changes, ["mail", "webhook"], now=at(seconds))
        return changes


def stands(database: Database) -> list[tuple[str, str]]:
    with database.reading() as session:
        return [(notice.about, notice.sentence) for notice in notices.standing(session)]


def test_a_failure_is_told_once_and_its_mend_once(database: Database):
    assert [one.state for one in see(database, failing())] == ["failed"]
    assert see(database, failing(), 60) == []
    assert stands(database) == [("kommo grant", "it is revoked")]
    assert [one.state for one in see(database, GOOD, 120)] == ["mended"]
    assert see(database, GOOD, 180) == []
    assert stands(database) == []
    assert [one.state for one in see(database, failing(), 240)] == ["failed"]


def test_what_is_new_in_a_look_is_one_message_a_channel(database: Database):
    look = Look({KOMMO: "one", ("acme", "setup"): "two", (NOBODYS, "redis"): "three"}, set(), sure=True)
    see(database, look)
    with database.reading() as session:
        messages = list(session.scalars(sa.select(Message).order_by(Message.channel)))
    assert [(one.channel, one.subject, len(one.changes)) for one in messages] == [
        ("mail", "acme: 3 failing", 3), ("webhook", "acme: 3 failing", 3),
    ]  # fmt: skip


def test_what_passes_within_a_minute_is_told_to_nobody(database: Database):
    assert see(database, failing(sure=False)) == []
    assert stands(database) == []
    with database.reading() as session:
        assert not notices.has_doubts(session, now=at(1))
        assert notices.has_doubts(session, now=at(AGAIN))
    assert see(database, GOOD, AGAIN) == []
    assert see(database, failing(sure=False), 2 * AGAIN) == []


def test_what_fails_at_two_looks_is_told(database: Database):
    see(database, failing(sure=False))
    assert see(database, failing(sure=False), 1) == []
    assert [one.state for one in see(database, failing("it still is", sure=False), AGAIN)] == ["failed"]
    assert stands(database) == [("kommo grant", "it still is")]


def test_a_doubt_that_the_next_look_does_not_share_is_dropped_even_where_it_could_not_look(database: Database):
    see(database, failing(sure=False))
    assert see(database, Look({("acme", "xero grant"): "it is revoked"}, set()), AGAIN) == []
    with database.reading() as session:
        doubts = session.scalars(sa.select(Notice.about).where(Notice.confirmed.is_(False)))
        assert list(doubts) == ["xero grant"]


def test_another_sentence_for_the_same_failure_is_no_news(database: Database):
    see(database, failing())
    assert see(database, failing("9 days left"), 60) == []
    assert stands(database) == [("kommo grant", "9 days left")]


def test_what_was_not_looked_at_is_neither_mended_nor_told(database: Database):
    see(database, failing())
    assert see(database, Look({}, {("other", "kommo grant")}, whole={"other"}), 60) == []
    assert stands(database) != []
    assert [one.state for one in see(database, Look({}, set(), whole={"acme"}), 120)] == ["mended"]


def test_what_stands_of_a_connection_that_is_gone_is_nobodys_concern(database: Database):
    see(database, failing())
    with database.begin() as session:
        notices.forget(session, ["other"], now=at(60))
    assert stands(database) == []


def test_two_who_look_at_once_tell_it_once(database: Database):
    start = Barrier(4)

    def look(_: int) -> int:
        start.wait()
        return len(see(database, failing()))

    with ThreadPoolExecutor(4) as workers:
        assert sum(workers.map(look, range(4))) == 1


def checked(about: str, grade: Grade = Grade.FAILED, connection: str | None = "acme") -> Checked:
    return Checked(connection, about, grade, f"{about} it is", "mend it")


def test_a_vendor_that_does_not_let_us_in_fails_once():
    found = [
        checked("redis", Grade.OK, None), checked("kommo grant"), checked("kommo account"), checked("kommo webhook"),
        checked("xero grant", Grade.OK), checked("account code"), checked("account code"),
    ]  # fmt: skip
    look = seen_by(found, ["acme", "other"])
    assert look.failing == {
        KOMMO: "kommo grant it is: mend it",
        ("acme", "account code"): "account code it is: mend it; account code it is: mend it",
    }
    assert look.is_over((NOBODYS, "redis"))
    assert look.is_over(("acme", "xero grant"))
    assert not look.is_over(("acme", "setup"))  # not looked at, since Kommo said nothing
    assert not look.is_over(("other", "setup"))


PASTED = Standing(
    grant_id=1, connection="acme", vendor="kommo", kind=GrantKind.LONG_LIVED, expires_at=at(86_400), granted_at=THEN,
    scopes=(), refusal=None, refused_at=None,
)  # fmt: skip


def test_a_refused_grant_fails_and_one_that_is_let_in_does_not():
    look = access_of([replace(PASTED, refusal=Refusal.UNPAID)], ["acme"], now=THEN)
    assert "not paid" in look.failing[KOMMO]
    assert look.sure
    assert access_of([PASTED], ["acme"], now=THEN).is_over(KOMMO)
    assert "ended on" in access_of([PASTED], ["acme"], now=at(86_401)).failing[KOMMO]
    assert access_of([replace(PASTED, refusal=Refusal.UNPAID)], ["other"], now=THEN) == Look({}, set(), sure=True)


def test_the_end_of_a_token_is_announced_four_times_and_each_once():
    announced, told = None, []
    for left in [step / 4 for step in range(4 * 60, -8, -1)]:
        now = at(86_400 * (60 - left))
        days = announcement(ends_at=at(86_400 * 60), granted_at=THEN, announced=announced, now=now)
        if days is not None:
            told.append((left, days))
            announced = days
    assert told == [(30, 30), (14, 14), (7, 7), (1, 1)]


def test_a_token_that_was_made_for_a_fortnight_is_not_announced_at_once():
    ends = at(86_400 * 14)
    assert announcement(ends_at=ends, granted_at=at(60), announced=None, now=at(120)) is None
    assert announcement(ends_at=ends, granted_at=at(60), announced=None, now=at(86_400 * 8)) == 7


def test_after_a_long_rest_only_the_nearest_is_announced():
    ends = at(86_400 * 60)
    assert announcement(ends_at=ends, granted_at=THEN, announced=None, now=at(86_400 * 55)) == 7
    assert announcement(ends_at=ends, granted_at=THEN, announced=7, now=at(86_400 * 55)) is None
