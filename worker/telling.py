"""Sending what the operator is to be told: each message once over each channel, and again where the server did not take it."""

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from integrations import telling
from integrations.telling import MailServer, NotSent
from worker.database import changed_rows
from worker.notices import Message
from worker.settings import Settings
from worker.workshop import Workshop

# Whoever sends it keeps the others away for this long: a server has twenty seconds for each of its answers.
SENDING = timedelta(minutes=5)
# The first try after a failed one, doubling up to the longest.
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
# News of a fortnight ago is none: by then the console has told whoever looks.
STALE = timedelta(days=14)

MARKS = {"failed": "FAILS", "mended": "MENDED", "ends": "ENDS"}

log = structlog.get_logger()


def is_due(session: Session, *, now: datetime) -> bool:
    """Whether anything waits to be sent."""
    return session.scalar(sa.select(Message.id).where(Message.due_at <= now).limit(1)) is not None


def tell(workshop: Workshop) -> None:
    """Send what is due."""
    now = workshop.now()
    with workshop.database.begin() as session:
        session.execute(sa.delete(Message).where(Message.written_at < now - STALE))
        due = list(session.scalars(sa.select(Message).where(Message.due_at <= now).order_by(Message.id)))
    for message in due:
        if _take(workshop, message):
            _send(workshop, message)


def _take(workshop: Workshop, message: Message) -> bool:
    mine = sa.and_(Message.id == message.id, Message.tries == message.tries)
    values = {"due_at": workshop.now() + SENDING, "tries": message.tries + 1}
    with workshop.database.begin() as session:
        return changed_rows(session.execute(sa.update(Message).where(mine).values(values))) == 1


def _send(workshop: Workshop, message: Message) -> None:
    try:
        deliver(workshop.settings, message)
    except NotSent as error:
        log.warning("message_not_sent", channel=message.channel, tries=message.tries + 1, why=str(error))
        again = workshop.now() + min(FIRST_WAIT * 2 ** min(message.tries, 20), LONGEST_WAIT)
        with workshop.database.begin() as session:
            session.execute(sa.update(Message).where(Message.id == message.id).values(due_at=again))
        return
    with workshop.database.begin() as session:
        session.execute(sa.delete(Message).where(Message.id == message.id))
    log.info("message_sent", channel=message.channel, changes=len(message.changes))


def deliver(settings: Settings, message: Message) -> None:
    """Send one message. NotSent where it was not taken; a channel that is no longer wanted takes everything."""
    body = text(message)
    if message.channel == "mail" and settings.notify_email and settings.smtp_url:
        server = MailServer.parse(settings.smtp_url.get_secret_value())
        mark = f"notice-{message.id}-{message.written_at.timestamp():.0f}"
        telling.mail(server, to=settings.notify_email, subject=message.subject, text=body, message_id=mark)
    if message.channel == "webhook" and settings.notify_webhook_url:
        told = {"id": message.id, "subject": message.subject, "text": body, "changes": message.changes}
        telling.post(settings.notify_webhook_url.get_secret_value(), told)


def text(message: Message) -> str:
    """The message for a person: a line a change. Pure."""
    lines = [f"{message.subject}", ""]
    for one in message.changes:
        whose = f"{one['connection']}: " if one["connection"] else ""
        lines.append(f"{MARKS[one['state']]:<7} {whose}{one['about']}: {one['sentence']}")
    lines += ["", "`python -m admin check` tells how everything stands now."]
    return "\n".join(lines)
