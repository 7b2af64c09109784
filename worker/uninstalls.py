"""Kommo's word that an account has revoked our access: the receiver keeps it, and its signature is judged here (kommo.md 2.6).

The receiver holds no secret of ours at Kommo, so it can't. What is signed wrongly stays as a problem and changes nothing; what is right makes the
grant refused before any call meets it, and the next call that is let in all the same takes that back.
"""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from integrations.errors import Refusal
from integrations.oauth import claims
from worker import routes
from worker.deliveries import UNJUDGED, Delivery
from worker.grants import Grant, GrantKind, GrantUse
from worker.settings import SettingsError
from worker.vault import Vault
from worker.workshop import Workshop

# What waits longer than this for its judgement came while beat was down, and the calls have told by now.
RECENT = timedelta(days=7)
# More in one round is no vendor's doing.
MOST = 100

STRANGER = "no connection has this account"
UNKNOWN = "its integration is not known here: set KOMMO_CLIENT_ID and KOMMO_CLIENT_SECRET, and connect by consent"
WRONG = "its signature is wrong: it does not come from Kommo, or the integration's secret has changed"

log = structlog.get_logger()


def judge(workshop: Workshop) -> None:
    """Judge what has come since the last time."""
    now = workshop.now()
    waiting = (
        sa.select(Delivery)
        .where(Delivery.problem == UNJUDGED, Delivery.received_at > now - RECENT)
        .order_by(Delivery.received_at)
        .limit(MOST)
    )
    with workshop.database.reading() as session:
        if session.scalar(waiting.with_only_columns(Delivery.id).limit(1)) is None:
            return
    with workshop.database.begin() as session:
        for delivery in session.scalars(waiting.with_for_update(skip_locked=True)).all():
            delivery.problem = _judge(session, workshop, delivery, now)
            log.info("uninstall_judged", delivery=delivery.id, problem=delivery.problem)


def _judge(session: Session, workshop: Workshop, delivery: Delivery, now: datetime) -> str | None:
    """What is wrong with it; None where its grants are refused now, or have been given again since."""
    said = dict(parse_qsl(delivery.body.decode("utf-8", "replace")))
    client_id, account_id = said.get("client_uuid", ""), said.get("account_id", "")
    secrets = list(_secrets(session, workshop, client_id))
    if not secrets:
        return UNKNOWN
    given = said.get("signature", "").lower().encode()
    if not any(hmac.compare_digest(given, sign(secret, client_id, account_id).encode()) for secret in secrets):
        return WRONG
    meant = list(_grants(session, workshop.vault, client_id, account_id))
    for grant in meant:
        if grant.granted_at <= delivery.received_at and not grant.refusal:
            grant.refusal, grant.refused_at, grant.refused_call = Refusal.REVOKED, now, None
    return None if meant else STRANGER


def sign(secret: str, client_id: str, account_id: str) -> str:
    """What Kommo signs the hook with."""
    return hmac.new(secret.encode(), f"{client_id}|{account_id}".encode(), hashlib.sha256).hexdigest()


def _secrets(session: Session, workshop: Workshop, client_id: str) -> Iterator[str]:
    settings = workshop.settings
    if client_id and settings.kommo_client_id == client_id and settings.kommo_client_secret:
        yield settings.kommo_client_secret.get_secret_value()
    sealed = sa.select(Grant.client_secret).where(Grant.vendor == "kommo", Grant.client_id == client_id)
    for one in session.scalars(sealed):
        if secret := _opened(workshop.vault, one):
            yield secret


def _opened(vault: Vault, sealed: bytes | None) -> str | None:
    """One whose key is lost must not keep the others' hooks from being judged."""
    with suppress(SettingsError):
        return vault.open(sealed)
    return None


def _grants(session: Session, vault: Vault, client_id: str, account_id: str) -> Iterator[Grant]:
    """A consent names its integration and account; a long-lived token its integration, and its connection the account."""
    yield from session.scalars(
        sa.select(Grant).where(Grant.vendor == "kommo", Grant.consent == f"{client_id}:{account_id}")
    )
    if not account_id.isdecimal():
        return
    names = [route.connection for route in routes.find_connections(session, account_id=int(account_id))]
    pasted = (
        sa.select(Grant)
        .join(GrantUse, GrantUse.grant_id == Grant.id)
        .where(GrantUse.vendor == "kommo", GrantUse.connection.in_(names), Grant.kind == GrantKind.LONG_LIVED)
    )
    for grant in session.scalars(pasted):
        if claims(_opened(vault, grant.access_token) or "").get("aud") == client_id:
            yield grant
