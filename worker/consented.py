"""Consent ends here: a code becomes tokens, what they open is tried, and only then they are kept; what waited for them goes on."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from integrations import oauth
from integrations.errors import Broken, CallError, Missing, RateLimited, Refusal, Unauthorised, Unreachable
from integrations.oauth import TokenSet
from integrations.xero.entities import Tenant
from worker import grants, mends, resuming, routes, trials
from worker.connecting import Connected, Home, connection_named, describe_account, describe_home, home_of
from worker.connections import Connection
from worker.consent import LIVES, Begun, NotConsented, client_of
from worker.wording import VENDORS
from worker.workshop import Workshop

# Whoever comes back names the account's host, and can name any: our secret goes to Kommo's hosts only (kommo.md 2.1).
KOMMO_HOST = re.compile(r"([a-z0-9-]+)\.(?:kommo|amocrm)\.com", re.IGNORECASE)

# What the vendors say of a code that is over; all else that they refuse is a matter of our app's settings (kommo.md 2.4, xero.md 1.4).
CODE_OVER = re.compile(r"authorization code|invalid_grant", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A consent that reaches several organisations: which one is meant is for a person to say. `pending` names it until then."""

    connection: str
    pending: str
    tenants: tuple[Tenant, ...]


def refused(begun: Begun, error: str) -> NotConsented:
    """What to tell a person whom the vendor sent back with this error instead of a code."""
    vendor, known = VENDORS[begun.vendor], {"vendor": begun.vendor, "connection": begun.connection}
    if error == "access_denied":
        who = {"kommo": "an administrator of the account", "xero": "a user who may connect apps to the organisation"}[
            begun.vendor
        ]
        return NotConsented(
            f"{vendor} was not allowed",
            f"Nothing was connected. Begin it again, and allow it; that takes {who}.",
            **known,
        )
    if error == "invalid_scope":
        told = "an app that was made before 2 March 2026 needs XERO_BROAD_SCOPES=true, a newer one must not have it"
        return NotConsented("Xero does not know these rights", f"Nothing was connected: {told}.", **known)
    shown = re.sub(r"[^\w .-]", "?", error)[:80]
    return NotConsented(f"{vendor} refused", f"Nothing was connected. {vendor} says: {shown}. Begin it again.", **known)


def complete_kommo(workshop: Workshop, begun: Begun, code: str, referer: str) -> Connected:
    """Take the account's tokens. NotConsented where it is another account than the connection's, or a code that is over."""
    connection = connection_named(workshop, begun.connection)
    home = home_of(workshop, connection)
    subdomain = _chosen(workshop, connection, home, referer)
    settings, client = workshop.settings, client_of(workshop.settings, "kommo")
    back = settings.redirect_url("kommo")
    with _Told(begun, back):
        token = oauth.kommo_code(settings.kommo_base(subdomain), client, code, back, now=workshop.now())
        account = trials.account(workshop, connection, token.access_token, subdomain)
    if not home.is_of(account):
        raise _other_account(connection, home, f'"{account.name}" ({account.id}, {account.subdomain}.kommo.com)')
    with workshop.database.begin() as session:
        grant_id = grants.store_consent(
            session, workshop.vault, vendor="kommo", connections=[connection.name], who=str(account.id), token=token,
            client_id=client.client_id, client_secret=client.client_secret, now=workshop.now(), subdomain=account.subdomain,
        )  # fmt: skip
        served = grants.users(session, grant_id)
    return Connected(describe_account(account), None, resuming.resume(workshop, "kommo", served))


def _chosen(workshop: Workshop, connection: Connection, home: Home, referer: str) -> str:
    """The account's subdomain, by the host that came back: Kommo's, and the connection's account."""
    own = connection.kommo_subdomain
    if referer.lower() == urlsplit(workshop.settings.kommo_base(own)).netloc.lower():  # a sandbox has another host
        return own
    found = KOMMO_HOST.fullmatch(referer)
    if found is None:
        raise NotConsented(
            "This did not come from Kommo",
            "The address that came back names a host that is not Kommo's, so nothing was sent there. Begin it again.",
            vendor="kommo", connection=connection.name,
        )  # fmt: skip
    if found[1].lower() not in home.subdomains:
        raise _other_account(connection, home, found[0].lower())
    return found[1].lower()


def _other_account(connection: Connection, home: Home, chosen: str) -> NotConsented:
    own = f"{connection.kommo_subdomain}.kommo.com"
    return NotConsented(
        "Another account was chosen",
        f"The account that was chosen is {chosen}, but {describe_home(connection, home)}. Nothing was connected.",
        f"Begin it again and choose {own} on Kommo's page. If {chosen} is the right one, because the account was renamed or the file is wrong, "
        "mend kommo_subdomain in the connections file first.",
        vendor="kommo", connection=connection.name,
    )  # fmt: skip


def complete_xero(workshop: Workshop, begun: Begun, code: str) -> Connected | Choice:
    """Take the tokens, or ask which organisation is meant. NotConsented where they don't reach the connection's organisation."""
    connection = connection_named(workshop, begun.connection)
    settings, client = workshop.settings, client_of(workshop.settings, "xero")
    back = settings.redirect_url("xero")
    with _Told(begun, back):
        token = oauth.xero_code(settings.xero_identity_url, client, code, back, now=workshop.now())
        _hand_on(workshop, token)
        reached = trials.organisations(workshop, connection, token.access_token) or []
        meant = _meant(workshop, connection, reached, oauth.authentication_event_id(token.access_token))
        if len(meant) > 1:
            return Choice(connection.name, _hold(workshop, connection, token), tuple(meant))
        return _keep_xero(workshop, connection, token, meant[0].tenant_id.lower())


def _meant(workshop: Workshop, connection: Connection, reached: Sequence[Tenant], event_id: str | None) -> list[Tenant]:
    """The organisation that the connection works with; else those of this consent, or all where they were connected before (xero.md 1.5)."""
    if own := _own(workshop, connection):
        found = [tenant for tenant in reached if tenant.tenant_id.lower() == own]
        if not found:
            raise _other_organisation(connection, own, reached)
        return found
    if not reached:
        raise NotConsented(
            "No organisation was chosen", "Xero connected no organisation. Begin it again and choose one on Xero's page.",
            vendor="xero", connection=connection.name,
        )  # fmt: skip
    return [tenant for tenant in reached if event_id and tenant.event_id == event_id] or list(reached)


def _own(workshop: Workshop, connection: Connection) -> str | None:
    """By the file, by an earlier choice, or by the setup: consenting again never moves a connection to other books."""
    with workshop.database.reading() as session:
        route = routes.load(session, connection.name)
        chosen = grants.chosen_tenant(session, connection.name)
    return connection.xero_tenant_id or chosen or (route.tenant_id if route else None)


def _other_organisation(connection: Connection, own: str, reached: Sequence[Tenant]) -> NotConsented:
    names = " and ".join(f'"{tenant.name}" ({tenant.tenant_id.lower()})' for tenant in reached) or "no organisation"
    return NotConsented(
        "Another organisation was chosen",
        f'What was allowed reaches {names}, but the connection "{connection.name}" works with {own}. Nothing was connected.',
        "Begin it again and choose that one on Xero's page. If the other one is right, write its id as xero_tenant_id into the connections file first.",
        vendor="xero", connection=connection.name,
    )  # fmt: skip


def choose(workshop: Workshop, pending: str, tenant_id: str) -> Connected:
    """Complete a consent with the organisation that a person chose. NotConsented where it is gone, or was not among those offered."""
    held = workshop.redis.get(_pending_key(pending))
    if held is None:
        raise NotConsented(
            "It took too long",
            "The choice was made already, or too late. Begin it again on the page of the connection.",
        )
    connection, token = _held(workshop, held)
    begun = Begun("xero", connection.name, None, workshop.now())
    with _Told(begun, workshop.settings.redirect_url("xero")):
        reached = trials.organisations(workshop, connection, token.access_token) or []
        if tenant_id not in {tenant.tenant_id.lower() for tenant in reached}:
            raise _other_organisation(connection, tenant_id, reached)
        connected = _keep_xero(workshop, connection, token, tenant_id)
    workshop.redis.delete(_pending_key(pending))
    return connected


def _keep_xero(workshop: Workshop, connection: Connection, token: TokenSet, tenant_id: str) -> Connected:
    found = trials.organisation(workshop, connection, token.access_token, tenant_id)
    with workshop.database.begin() as session:
        grant_id = _store_xero(session, workshop, token, [connection.name])
        # kept also where there was no choice: the next consent of the same person may add organisations
        grants.choose_tenant(session, connection.name, tenant_id)
        served = grants.users(session, grant_id)
    what = f'the Xero organisation "{found.name}" ({tenant_id})'
    return Connected(what, None, resuming.resume(workshop, "xero", served))


def _hand_on(workshop: Workshop, token: TokenSet) -> None:
    """Whoever uses this person's consent already has its new tokens, whatever becomes of this one: Xero may have ended the earlier ones with it."""
    client_id = client_of(workshop.settings, "xero").client_id
    with workshop.database.begin() as session:
        if token.refresh_token and grants.is_consented(session, "xero", client_id, _who(token)):
            _store_xero(session, workshop, token, [])


def _store_xero(session: Session, workshop: Workshop, token: TokenSet, connections: list[str]) -> int:
    client = client_of(workshop.settings, "xero")
    return grants.store_consent(
        session, workshop.vault, vendor="xero", connections=connections, who=_who(token), token=token,
        client_id=client.client_id, client_secret=client.client_secret, now=workshop.now(),
    )  # fmt: skip


def _who(token: TokenSet) -> str:
    return str(oauth.claims(token.access_token).get("xero_userid") or oauth.authentication_event_id(token.access_token))


def _hold(workshop: Workshop, connection: Connection, token: TokenSet) -> str:
    """Keep tokens, sealed, until a person has chosen."""
    pending = secrets.token_urlsafe(24)
    told = [connection.name, token.access_token, token.refresh_token, token.expires_at.isoformat(), token.scopes]
    workshop.redis.set(_pending_key(pending), workshop.vault.seal(json.dumps(told)), ex=LIVES)
    return pending


def _held(workshop: Workshop, held: Any) -> tuple[Connection, TokenSet]:
    name, access, refresh, expires_at, scopes = json.loads(workshop.vault.open(held) or "")
    token = TokenSet(access, datetime.fromisoformat(expires_at), refresh, tuple(scopes))
    return connection_named(workshop, name), token


def _pending_key(pending: str) -> str:
    return f"bridge:consent:choice:{pending[:64]}"


class _Told:
    """Turns a vendor's refusal of a code, or its silence, into what the person at the browser does now."""

    def __init__(self, begun: Begun, redirect_url: str) -> None:
        self._begun, self._redirect_url = begun, redirect_url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CallError):
            title, *told = self._say(error)
            raise NotConsented(title, *told, vendor=self._begun.vendor, connection=self._begun.connection) from None

    def _say(self, error: CallError) -> tuple[str, ...]:
        vendor, begin = VENDORS[self._begun.vendor], "Nothing was connected. Begin it again"
        match error:
            case Unauthorised() if CODE_OVER.search(error.detail):
                return (
                    "The code is over",
                    f"{begin}: {vendor}'s code holds for some minutes, and once ({error.detail}).",
                )
            case Unauthorised(reason=Refusal.REVOKED) | Missing():
                return f"{vendor} does not accept our app", f"{begin} once this is mended: {self._app(error)}."
            case Unreachable() | Broken() | RateLimited():
                return f"{vendor} is not to be reached", f"{begin} in a minute. {mends.explain(error)}."
        return f"{vendor} refused", f"{begin} once this is mended. {mends.explain(error)}."

    def _app(self, error: CallError) -> str:
        names = f"{self._begun.vendor.upper()}_CLIENT_ID and {self._begun.vendor.upper()}_CLIENT_SECRET"
        return f"{names} must be those of the app, and {self._redirect_url} its redirect address ({error.detail or error.call})"
