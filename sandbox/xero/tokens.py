"""Apps, the organisations that they are connected to, and access tokens (xero.md 1). What a person grants is in grants.py."""

import base64
import json
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sandbox.xero.act import new_id

LIFE = 1800.0
# of whoever is no person, and of the authorisation that a custom connection has once and for all
NO_ID = "00000000-0000-0000-0000-000000000000"
BROAD = frozenset({"accounting.transactions", "accounting.transactions.read", "accounting.reports.read"})
GRANULAR = frozenset(
    scope
    for part in (
        "invoices", "payments", "banktransactions", "manualjournals", "settings", "contacts", "attachments",
    )
    for scope in (f"accounting.{part}", f"accounting.{part}.read")
)  # fmt: skip
REPORTS = frozenset(
    f"accounting.{part}.read"
    for part in (
        "reports.aged", "reports.balancesheet", "reports.banksummary", "reports.budgetsummary", "reports.executivesummary",
        "reports.profitandloss", "reports.trialbalance", "reports.taxreports", "reports.tenninetynine", "budgets", "journals",
    )
)  # fmt: skip
SCOPES = GRANULAR | REPORTS | {"openid", "profile", "email", "offline_access", "app.connections", "paymentservices"}
# all that an app which people connect may ask for in its own name (xero.md 1.8)
APP_ONLY = frozenset({"app.connections", "marketplace.billing"})
# which scope each resource needs; reading is allowed by the ".read" twin as well (xero.md 1.8)
NEEDS = {
    "Invoices": "accounting.invoices",
    "CreditNotes": "accounting.invoices",
    "Contacts": "accounting.contacts",
    "Payments": "accounting.payments",
    "Attachments": "accounting.attachments",
}
SETTINGS = "accounting.settings"
# "It is several KB" (xero.md 1.2): what a person's token is filled up to, in bytes of its claims
PERSONS_CLAIMS = 1900


@dataclass(slots=True)
class Connection:
    """An organisation that an app may reach on behalf of a person; `scopes` add up over consents (xero.md 1.8)."""

    id: str
    tenant_id: str
    created_at: datetime
    updated_at: datetime
    user_id: str = ""
    event_id: str = NO_ID
    scopes: frozenset[str] = frozenset()


@dataclass(slots=True)
class App:
    """A custom connection (its own organisation, client_credentials), or an app that people connect by consent."""

    client_id: str
    secret: str
    name: str
    is_custom: bool = True
    redirect_uris: list[str] = field(default_factory=list)
    connections: dict[tuple[str, str], Connection] = field(default_factory=dict)  # by person ("": none) and tenant

    def connect(self, tenant_id: str, now: datetime, *, user_id: str = "", event_id: str = NO_ID) -> Connection:
        made = Connection(new_id(), tenant_id, now, now, user_id, event_id)
        self.connections[user_id, tenant_id] = made
        return made

    def reached_by(self, user_id: str) -> dict[str, Connection]:
        """A person's organisations, by tenant."""
        return {tenant: one for (user, tenant), one in self.connections.items() if user == user_id}

    def reaches(self, tenant_id: str) -> bool:
        return any(tenant == tenant_id for _, tenant in self.connections)

    def disconnect(self, *, tenant_id: str | None = None, user_id: str | None = None) -> int:
        """Of one tenant, of one person, or all; says how many."""
        gone = [
            key for key in self.connections if (user_id is None or key[0] == user_id) and tenant_id in (None, key[1])
        ]
        for key in gone:
            del self.connections[key]
        return len(gone)

    def allowed(self, *, is_old: bool) -> frozenset[str]:
        """The scopes that it may ask for; the broad ones where it was made before 2 March 2026 (xero.md 1.8)."""
        return SCOPES | BROAD if is_old else SCOPES


@dataclass(frozen=True, slots=True)
class Token:
    value: str
    client_id: str
    scopes: frozenset[str]
    dies_at: float  # ticks
    dies_on: datetime
    user_id: str = ""

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

    def issue(
        self,
        app: App,
        scopes: Iterable[str],
        *,
        now: datetime,
        ticks: float,
        life: float,
        user_id: str = "",
        claims: dict[str, object] | None = None,
    ) -> Token:
        """A token that lasts `life` seconds here; `claims` are a person's."""
        granted = frozenset(scopes)
        dies_on = now + timedelta(seconds=life)
        value = jwt(_claims(app, granted, now, dies_on) | (claims or {}), least=PERSONS_CLAIMS if claims else 0)
        token = Token(value, app.client_id, granted, ticks + life, dies_on, user_id)
        self._tokens[token.value] = token
        self.issued += 1
        return token

    def find(self, value: str) -> Token | None:
        """Also one that is dead: callers compare `dies_at`."""
        return self._tokens.get(value)

    def values(self) -> list[str]:
        return list(self._tokens)

    def forget_apps_own(self) -> None:
        """What people granted outlives a reset; what an app can ask for again by itself does not."""
        self._tokens = {value: token for value, token in self._tokens.items() if token.user_id}
        self.issued = 0

    def expire_all(self, now: datetime, *, people_only: bool = False) -> int:
        """As if their time were over; says how many died of it."""
        ended = {
            value: replace(token, dies_at=0.0, dies_on=now)
            for value, token in self._tokens.items()
            if (token.user_id or not people_only) and token.dies_on > now
        }
        self._tokens |= ended
        return len(ended)

    def take_scopes(self, client_id: str, taken: Collection[str]) -> None:
        self._tokens = {
            value: replace(token, scopes=token.scopes - set(taken)) if token.client_id == client_id else token
            for value, token in self._tokens.items()
        }


def _claims(app: App, scopes: Iterable[str], now: datetime, dies_on: datetime) -> dict[str, object]:
    return {
        "nbf": int(now.timestamp()),
        "exp": int(dies_on.timestamp()),
        "iss": "https://identity.xero.com",
        "aud": "https://identity.xero.com/resources",
        "client_id": app.client_id,
        "jti": secrets.token_hex(16).upper(),
        "scope": sorted(scopes),
    }


def jwt(claims: dict[str, object], *, least: int = 0) -> str:
    """The look of a JWT, its claims filled up to so many bytes; its signature is chance."""
    body = json.dumps(claims)
    if len(body) < least:
        body = json.dumps(claims | {"filling": secrets.token_hex((least - len(body)) // 2)})
    parts = [json.dumps({"alg": "RS256", "typ": "JWT"}).encode(), body.encode(), secrets.token_bytes(256)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
