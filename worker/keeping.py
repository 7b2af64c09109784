"""Keeping grants alive though nothing happens: a consent that is not used for long enough ends by itself."""

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from integrations.errors import CallError
from worker import grants
from worker.grants import Grant, GrantKind
from worker.settings import SettingsError
from worker.workshop import Workshop

# Refresh tokens last 60 days at Xero (xero.md 1.3) and three months at Kommo (kommo.md 2.3): this is eight tries before the first of them ends, and
# few enough that a lost answer, which strict rotation does not forgive, stays rare.
RENEW_AFTER = timedelta(days=7)

log = structlog.get_logger()


def due(session: Session, *, now: datetime) -> list[Grant]:
    """The consents whose tokens are so old."""
    old = sa.and_(Grant.kind == GrantKind.OAUTH, Grant.renewed_at <= now - RENEW_AFTER)
    return list(session.scalars(sa.select(Grant).where(old).order_by(Grant.id)))


def keep_alive(workshop: Workshop) -> None:
    """Renew what was not renewed for long; what can't be renewed now is tried again with the next round."""
    with workshop.database.reading() as session:
        found = [(grant, grants.users(session, grant.id)) for grant in due(session, now=workshop.now())]
    for grant, names in found:
        if not names:
            continue
        try:
            workshop.tokens(grant.vendor, names[0]).renew(workshop.vault.open(grant.access_token) or "")
        except (CallError, SettingsError) as error:  # one whose key is lost must not cost the others theirs
            log.warning("not_kept_alive", vendor=grant.vendor, connections=names, error=type(error).__name__)
