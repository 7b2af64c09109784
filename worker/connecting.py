"""Connecting: a grant is tried before it is stored, so that whoever pastes the wrong one learns it at once."""

from dataclasses import dataclass
from datetime import datetime

from integrations import oauth
from integrations.errors import Refusal, Unauthorised
from integrations.kommo.entities import Account
from integrations.oauth import TokenSet
from worker import grants, resuming, routes, tenants, trials
from worker.connections import Connection
from worker.findings import NotDone, nearest
from worker.grants import Credentials, GrantKind
from worker.settings import Settings
from worker.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Home:
    """Which Kommo account a connection is for: by its subdomains, of which one is the present one, and by its id once `setup` has seen it."""

    subdomain: str
    subdomains: tuple[str, ...]
    account_id: int | None

    def is_of(self, account: Account) -> bool:
        """Whether it is that account, and not one that has got its name since."""
        return account.subdomain.lower() in self.subdomains and self.account_id in {None, account.id}


@dataclass(frozen=True, slots=True)
class Connected:
    """What a grant opens, and until when; None where it is renewed without anybody. `resumed` jobs had waited for it."""

    what: str
    until: datetime | None
    resumed: int = 0


def connection_named(workshop: Workshop, name: str) -> Connection:
    """The connection of this name. NotDone, with the name that was probably meant."""
    if name not in workshop.connections:
        file = workshop.settings.connections_file
        raise NotDone(f'{file} has no connection "{name}": {nearest(name, workshop.connections)}')
    return workshop.connections[name]


def home_of(workshop: Workshop, connection: Connection) -> Home:
    """The subdomain that the file names; where `setup` knew the account by that, those that it has got since, too."""
    own = connection.kommo_subdomain
    with workshop.database.reading() as session:
        route = routes.load(session, connection.name)
    if route is None or own not in route.subdomains:
        return Home(own, (own,), None)
    return Home(route.subdomain, (own, *route.subdomains), route.account_id)


def connect_kommo(workshop: Workshop, name: str, token: str) -> Connected:
    """Try a long-lived token (kommo.md 1.3) and store it."""
    connection = connection_named(workshop, name)
    expires_at = oauth.expiry(token)
    if expires_at is None:
        raise NotDone("this is no long-lived token: copy it whole from the integration's tab Keys and scopes in Kommo")
    if expires_at <= workshop.now():
        raise NotDone(f"this token ended on {expires_at:%d %B %Y}: make a new one in Kommo, it can't be prolonged")
    account = _account(workshop, connection, token)
    with workshop.database.begin() as session:
        grants.store(
            session, workshop.vault, vendor="kommo", connection=name, kind=GrantKind.LONG_LIVED, now=workshop.now(),
            token=TokenSet(token, expires_at),
        )  # fmt: skip
    return Connected(describe_account(account), expires_at, resuming.resume(workshop, "kommo", [name]))


def describe_account(account: Account) -> str:
    """A Kommo account, for a sentence."""
    return f'the Kommo account "{account.name}" ({account.id}, {account.subdomain}.kommo.com)'


def _account(workshop: Workshop, connection: Connection, token: str) -> Account:
    home = home_of(workshop, connection)
    try:
        account = trials.account(workshop, connection, token, home.subdomain)
    except Unauthorised as error:
        if error.reason is not Refusal.REVOKED:
            raise
        where = f"{home.subdomain}.kommo.com"
        raise NotDone(
            f"Kommo does not accept this token for {where}: make one in that account, and copy it whole"
        ) from None
    if not home.is_of(account):
        told = f'the token belongs to "{account.name}" ({account.id}, {account.subdomain}.kommo.com)'
        raise NotDone(f"{told}, but {describe_home(connection, home)}")
    return account


def describe_home(connection: Connection, home: Home) -> str:
    """Which account a connection is for, for a sentence; an account that has got another one's name is told from it by the ids."""
    own = connection.kommo_subdomain
    said = f'the connection "{connection.name}" is for {own}.kommo.com (kommo_subdomain = "{own}")'
    if home.account_id is None:
        return said
    return f"{said} and was set up with the account {home.account_id}; another one takes a connection with a name of its own"


def connect_xero(workshop: Workshop, name: str, given: Credentials | None) -> Connected:
    """Ask for a token of a custom connection (xero.md 1.7), see what it opens, and store both. The pair is the settings' unless given."""
    connection = connection_named(workshop, name)
    credentials = given or _configured(workshop.settings)
    sealed = workshop.vault  # before a call: without keys nothing can be stored
    token = _token(workshop, credentials)
    tenant_id = tenants.choose(connection, trials.organisations(workshop, connection, token.access_token))
    _must_stay(workshop, connection, tenant_id)
    found = trials.organisation(workshop, connection, token.access_token, tenant_id)
    with workshop.database.begin() as session:
        grants.store(
            session, sealed, vendor="xero", connection=name, kind=GrantKind.CLIENT_CREDENTIALS, now=workshop.now(),
            token=token, credentials=credentials,
        )  # fmt: skip
        grants.choose_tenant(session, name, None)  # it reaches one, whatever was chosen for a consent before
    what = f'the Xero organisation "{found.name}" ({tenant_id})'
    return Connected(what, None, resuming.resume(workshop, "xero", [name]))


def _must_stay(workshop: Workshop, connection: Connection, tenant_id: str) -> None:
    """A custom connection passes over the organisation that it is asked for, so that another one's would write into other books (xero.md 1.6)."""
    with workshop.database.reading() as session:
        route = routes.load(session, connection.name)
    if connection.xero_tenant_id is None and route is not None and route.tenant_id != tenant_id:
        raise NotDone(
            f'this custom connection is for {tenant_id}, but the connection "{connection.name}" works with {route.tenant_id}: '
            f"give the pair of that one, or, if the other one is right, write it as xero_tenant_id into the connections file first"
        )


def _token(workshop: Workshop, credentials: Credentials) -> TokenSet:
    try:
        return oauth.client_credentials(
            workshop.settings.xero_identity_url, credentials.client_id, credentials.client_secret, now=workshop.now()
        )
    except Unauthorised as error:
        if error.reason is not Refusal.REVOKED:
            raise
        mend = "copy both from the custom connection's page Configuration on developer.xero.com"
        raise NotDone(f"Xero does not accept this client id with this secret: {mend}") from None


def _configured(settings: Settings) -> Credentials:
    if not settings.xero_client_id or not settings.xero_client_secret:
        mend = "set XERO_CLIENT_ID and XERO_CLIENT_SECRET, or give --client-id and --client-secret"
        raise NotDone(f"the custom connection's id and secret are missing: {mend}")
    return Credentials(settings.xero_client_id, settings.xero_client_secret.get_secret_value())
