"""A Kommo account that got another subdomain is followed there: what knew it by the old one knows it by the new one from now on (kommo.md 1.2).

Where its token is renewed, that is found at the way (worker/asking.py); here, where a call met nobody at the old address.
"""

from datetime import timedelta

import sqlalchemy as sa
import structlog

from integrations.errors import CallError, Missing, Refusal, Unauthorised
from integrations.oauth import claims
from worker import asking, grants, routes, trials
from worker.grants import Credentials, Grant, GrantKind
from worker.workshop import Workshop

# A pasted token that is refused may be at the wrong address, and mostly is over: it is asked about when that begins, and not with every job that waits.
BEGINS = timedelta(minutes=1)

log = structlog.get_logger()


def follow(workshop: Workshop, connection: str, error: CallError) -> None:
    """Look whether the account of this connection has moved, if that would explain the error, and remember where to."""
    if error.vendor != "kommo":
        return
    with workshop.database.reading() as session:
        grant = grants.find(session, "kommo", connection)
    if grant is None or not _may_have_moved(workshop, grant, error):
        return
    try:
        subdomain = _find(workshop, connection, grant)
    except CallError:
        return  # the next attempt that meets nobody asks again
    if subdomain:
        _remember(workshop, grant, subdomain)
        log.warning("account_moved", connection=connection, subdomain=subdomain)


def _may_have_moved(workshop: Workshop, grant: Grant, error: CallError) -> bool:
    """What a former address answers is not documented: 404, or 401 (kommo.md 1.2), which a renewal that meets it has followed already."""
    if isinstance(error, Missing):
        return True
    if not isinstance(error, Unauthorised) or error.reason is not Refusal.REVOKED or grant.refused_at is None:
        return False
    return grant.kind == GrantKind.LONG_LIVED and workshop.now() - grant.refused_at < BEGINS


def _find(workshop: Workshop, connection: str, grant: Grant) -> str | None:
    token = workshop.vault.open(grant.access_token) or ""
    domain = claims(token).get("api_domain")
    if grant.kind == GrantKind.LONG_LIVED:
        return _find_by_token(workshop, connection, token, asking.shared_host(domain))
    refresh_token = workshop.vault.open(grant.refresh_token)
    credentials = Credentials("", "", refresh_token, grant.subdomain, str(domain) if domain else None)
    return asking.new_subdomain(workshop.settings, credentials)


def _find_by_token(workshop: Workshop, connection: str, token: str, host: str | None) -> str | None:
    """The shared host answers a pasted token's calls too, wherever its account is now."""
    with workshop.database.reading() as session:
        route = routes.load(session, connection)
    if route is None or host is None or connection not in workshop.connections:
        return None
    account = trials.account(workshop, workshop.connections[connection], token, host)
    subdomain = account.subdomain.lower()
    return subdomain if account.id == route.account_id and subdomain != route.subdomain else None


def _remember(workshop: Workshop, grant: Grant, subdomain: str) -> None:
    values: dict[str, str | None] = {"subdomain": subdomain}
    if grant.kind == GrantKind.LONG_LIVED:  # it was refused where its account is not
        values |= {"refusal": None, "refused_at": None, "refused_call": None}
    with workshop.database.begin() as session:
        session.execute(sa.update(Grant).where(Grant.id == grant.id).values(values))
        for connection in grants.users(session, grant.id):
            routes.move(session, connection, subdomain)
