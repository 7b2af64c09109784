"""A Kommo account that got another subdomain is followed there: what knew it by the old one knows it by the new one from now on (kommo.md 1.2).

Where its token is renewed, that is found at the way (worker/asking.py); here, where a call met nobody at the old address.
"""

import sqlalchemy as sa
import structlog

from integrations.errors import CallError, Missing
from integrations.oauth import claims
from worker import asking, grants, routes
from worker.grants import Credentials, Grant
from worker.workshop import Workshop

log = structlog.get_logger()


def follow(workshop: Workshop, connection: str, error: CallError) -> None:
    """Look whether the account of this connection has moved, if that would explain the error, and remember where to."""
    if error.vendor != "kommo" or not isinstance(error, Missing):
        return
    with workshop.database.reading() as session:
        grant = grants.find(session, "kommo", connection)
    if grant is None or grant.refresh_token is None:
        return
    try:
        subdomain = asking.new_subdomain(workshop.settings, _credentials(workshop, grant))
    except CallError:
        return  # the next attempt that meets nobody asks again
    if subdomain:
        _remember(workshop, grant, subdomain)
        log.warning("account_moved", connection=connection, subdomain=subdomain)


def _credentials(workshop: Workshop, grant: Grant) -> Credentials:
    domain = claims(workshop.vault.open(grant.access_token) or "").get("api_domain")
    refresh_token = workshop.vault.open(grant.refresh_token)
    return Credentials("", "", refresh_token, grant.subdomain, str(domain) if domain else None)


def _remember(workshop: Workshop, grant: Grant, subdomain: str) -> None:
    with workshop.database.begin() as session:
        session.execute(sa.update(Grant).where(Grant.id == grant.id).values(subdomain=subdomain))
        for connection in grants.users(session, grant.id):
            routes.move(session, connection, subdomain)
