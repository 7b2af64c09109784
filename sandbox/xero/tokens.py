"""Apps, the organisations that they are connected to, and access tokens (xero.md 1). Consent by a person has room: a token is
granted by `issue`, whatever the grant; the refresh tokens that come with it then need a register of their own here."""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.xero.act import new_id

LIFE = 1800.0
BROAD = frozenset({"accounting.transactions", "accounting.transactions.read", "accounting.reports.read"})
GRANULAR = frozenset(
    scope
    for part in (
        "invoices", "payments", "banktransactions", "manualjournals", "settings", "contacts", "attachments",
    )
    for scope in (f"accounting.{part}", f"accounting.{part}.read")
)  # fmt: skip
SCOPES = GRANULAR | {"openid", "profile", "email", "offline_access", "app.connections", "paymentservices"}
# which scope each resource needs; reading is allowed by the ".read" twin as well (xero.md 1.8)
NEEDS = {
    "Invoices": "accounting.invoices",
    "CreditNotes": "accounting.invoices",
    "Contacts": "accounting.contacts",
    "Payments": "accounting.payments",
    "Attachments": "accounting.attachments",
}
SETTINGS = "accounting.settings"


@dataclass(slots=True)
class Connection:
    """An organisation that an app may reach."""

    id: str
    tenant_id: str
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class App:
    client_id: str
    secret: str
    name: str
    allows_broad_scopes: bool = False
    connections: dict[str, Connection] = field(default_factory=dict)  # by tenant

    def connect(self, tenant_id: str, now: datetime) -> None:
        self.connections[tenant_id] = Connection(new_id(), tenant_id, now, now)

    @property
    def scopes(self) -> frozenset[str]:
        return SCOPES | BROAD if self.allows_broad_scopes else SCOPES


@dataclass(frozen=True, slots=True)
class Token:
    value: str
    client_id: str
    scopes: frozenset[str]
    dies_at: float  # ticks
    dies_on: datetime

    def allows(self, method: str, resource: str) -> bool:
        """Whether the scopes cover a call."""
        need = NEEDS.get(resource, SETTINGS)
        enough = {need, f"{need}.read"} if method in ("GET", "HEAD") else {need}
        if need in ("accounting.invoices", "accounting.payments"):
            enough |= {scope.replace(need, "accounting.transactions") for scope in enough}
        if resource == "Items":
            enough |= {"accounting.invoices.read", "accounting.invoices"} if method == "GET" else set()
        return bool(enough & self.scopes)


class Tokens:
    """Not safe by itself: the state's lock guards it."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self.issued = 0

    def issue(self, app: App, scopes: Iterable[str], *, now: datetime, ticks: float, life: float) -> Token:
        """A token that lasts `life` seconds here."""
        granted = frozenset(scopes)
        dies_on = now + timedelta(seconds=life)
        token = Token(_jwt(app, granted, now, dies_on), app.client_id, granted, ticks + life, dies_on)
        self._tokens[token.value] = token
        self.issued += 1
        return token

    def find(self, value: str) -> Token | None:
        """Also one that is dead: callers compare `dies_at`."""
        return self._tokens.get(value)

    def expire_all(self, now: datetime) -> None:
        """As if their time were over."""
        self._tokens = {
            value: Token(value, token.client_id, token.scopes, 0.0, min(now, token.dies_on))
            for value, token in self._tokens.items()
        }


def _jwt(app: App, scopes: Iterable[str], now: datetime, dies_on: datetime) -> str:
    """The look of a JWT; its signature is chance."""
    claims = {
        "nbf": int(now.timestamp()),
        "exp": int(dies_on.timestamp()),
        "iss": "https://identity.xero.com",
        "aud": "https://identity.xero.com/resources",
        "client_id": app.client_id,
        "jti": secrets.token_hex(16).upper(),
        "scope": sorted(scopes),
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    parts.append(secrets.token_bytes(256))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
