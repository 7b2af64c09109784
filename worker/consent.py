"""Consent begins here: the address of a vendor's page, with a state that says for which connection and by whom, and is taken back once.

The state is sealed, so that nobody can make one, and noted in Redis until it comes back, so that nobody can use one twice. Without it
a stranger could have an operator's browser connect the stranger's account (xero.md 1.1, kommo.md 2.1).
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from integrations import oauth
from integrations.oauth import Client
from worker.connecting import connection_named
from worker.findings import NotDone
from worker.settings import Settings, SettingsError
from worker.wording import VENDORS
from worker.workshop import Workshop

# Logging in there, choosing an account and reading what is asked for takes a person a few minutes.
LIVES = timedelta(minutes=15)

PURPOSE = "consent"


class NotConsented(NotDone):
    """A consent that did not come to its end: `title` in a few words, the reasons with their mends, and what it was for, where that is known."""

    def __init__(self, title: str, *reasons: str, vendor: str = "", connection: str = "") -> None:
        super().__init__(*reasons)
        self.title, self.vendor, self.connection = title, vendor, connection


@dataclass(frozen=True, slots=True)
class Begun:
    """A consent that was begun. `login` is the operator's log-in that began it; None where it was begun at the command line."""

    vendor: str
    connection: str
    login: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Operator:
    """Who comes back: a log-in, and since when."""

    login: str
    since: datetime


def begin(workshop: Workshop, vendor: str, name: str, *, login: str | None = None) -> str:
    """The address at the vendor where a person lets us in for this connection. NotDone where our app is not configured."""
    connection_named(workshop, name)
    client, settings = client_of(workshop.settings, vendor), workshop.settings
    if vendor == "kommo":
        return oauth.kommo_consent(
            settings.kommo_oauth_url, client.client_id, state=_issue(workshop, vendor, name, login)
        )
    scopes = oauth.xero_scopes(broad=settings.xero_broad_scopes)
    back = settings.redirect_url("xero")
    if back.startswith("http://") and not back.startswith("http://localhost"):
        raise NotDone(
            f"Xero sends nobody back to {back}: set CONSOLE_URL to an https address, or to http://localhost:{settings.console_port}"
        )
    state = _issue(workshop, vendor, name, login)
    return oauth.xero_consent(settings.xero_login_url, client.client_id, back, scopes, state=state)


def client_of(settings: Settings, vendor: str) -> Client:
    """Our app at the vendor. NotDone where there is none."""
    pairs = {
        "kommo": (settings.kommo_client_id, settings.kommo_client_secret),
        "xero": (settings.xero_client_id, settings.xero_client_secret),
    }
    client_id, secret = pairs[vendor]
    if not client_id or not secret:
        names = f"{vendor.upper()}_CLIENT_ID and {vendor.upper()}_CLIENT_SECRET"
        other = {"kommo": "use a long-lived token (--token)", "xero": "use a custom connection (--client-credentials)"}[
            vendor
        ]
        raise NotDone(
            f"consent needs an app of yours at {VENDORS[vendor]}: set {names}, or {other}; docs/connect.md shows both ways"
        )
    return Client(client_id, secret.get_secret_value())


def _issue(workshop: Workshop, vendor: str, name: str, login: str | None) -> str:
    told = [PURPOSE, vendor, name, login, int(workshop.now().timestamp()), secrets.token_urlsafe(9)]
    state = workshop.vault.seal(json.dumps(told)).decode()
    workshop.redis.set(_key(state), 1, ex=LIVES)
    return state


def accept(workshop: Workshop, vendor: str, state: str, operator: Operator) -> Begun:
    """What a state that came back stands for, once. NotConsented where it is not ours, too old, another log-in's, or came back before."""
    begun = _read(workshop, vendor, state)
    known = {"vendor": vendor, "connection": begun.connection}
    if begun.at + LIVES < workshop.now():
        minutes = LIVES // timedelta(minutes=1)
        raise NotConsented(
            "It took too long", f"A consent has to come back within {minutes} minutes. Begin it again.", **known
        )
    # who has given the password since then is the operator, in whichever browser it was begun
    if begun.login not in {None, operator.login} and operator.since <= begun.at:
        raise NotConsented(
            "It was begun in another browser",
            "Only the browser that began a consent can complete it. Begin it again here.",
            **known,
        )
    if not workshop.redis.delete(_key(state)):
        raise NotConsented(
            "This consent has come back before",
            "Each holds once; loading its page again changes nothing. If the connection does not stand, begin it again.", **known,
        )  # fmt: skip
    return begun


def _read(workshop: Workshop, vendor: str, state: str) -> Begun:
    try:
        purpose, for_vendor, name, login, at, _ = json.loads(workshop.vault.open(state.encode()) or "")
        begun = Begun(for_vendor, name, login, datetime.fromtimestamp(at, UTC))
    except (SettingsError, ValueError, TypeError):
        purpose, begun = "", Begun("", "", None, datetime.fromtimestamp(0, UTC))
    if purpose != PURPOSE or begun.vendor != vendor:
        raise NotConsented(
            "This did not begin here",
            "What came back does not belong to a consent that this console has begun, so nothing was connected. Begin on the page of the connection.",
        )
    return begun


def _key(state: str) -> str:
    return f"bridge:consent:{hashlib.sha256(state.encode()).hexdigest()}"
