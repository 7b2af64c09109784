"""Looking at both systems for what a connection names there: what `setup` works by, and `check` judges. Nothing is changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from integrations.kommo.client import Kommo
from integrations.kommo.entities import Account, Field, FieldEntity, Pipeline
from integrations.line import is_loopback
from integrations.turns import Priority
from integrations.xero.entities import Account as LedgerAccount
from integrations.xero.entities import Organisation, TaxRate
from worker import grants, mapping, ourfields, routes, tenants
from worker.connections import Connection
from worker.facts import Facts
from worker.findings import Finding, failed
from worker.invoicing import Books
from worker.mapping import Mapped
from worker.routes import Route
from worker.settings import Settings
from worker.workshop import Workshop


@dataclass(frozen=True, slots=True)
class KommoSide:
    """What Kommo says, and what the connection's names are there."""

    account: Account
    pipelines: tuple[Pipeline, ...]
    fields: Mapping[FieldEntity, list[Field]]
    mapped: Mapped


@dataclass(frozen=True, slots=True)
class XeroSide:
    """What Xero says."""

    tenant_id: str
    organisation: Organisation
    currencies: frozenset[str]
    accounts: tuple[LedgerAccount, ...]
    tax_rates: tuple[TaxRate, ...]

    @property
    def books(self) -> Books:
        """What an invoice must fit."""
        return Books.of(self.organisation, currencies=self.currencies, accounts=self.accounts, tax_rates=self.tax_rates)


def kommo_client(workshop: Workshop, connection: Connection) -> Kommo:
    """A client for the account that the file names; no day is written to a field with it, so its zone is of no matter.

    An account that has got another subdomain since is asked there: `setup` knew it by the one in the file.
    """
    with workshop.database.reading() as session:
        route = routes.load(session, connection.name)
    known = route is not None and connection.kommo_subdomain in route.subdomains
    subdomain = route.subdomain if route is not None and known else connection.kommo_subdomain
    return workshop.kommo(connection, subdomain, ZoneInfo("UTC"), priority=Priority.NEW)


def look_at_kommo(kommo: Kommo, connection: Connection) -> KommoSide:
    """Five calls, as long as no list is longer than a page."""
    account, pipelines = kommo.account(), tuple(kommo.pipelines())
    fields = {entity: kommo.fields(entity) for entity in ourfields.FIELDS}
    return KommoSide(account, pipelines, fields, mapping.find(connection, pipelines, fields["leads"]))


def look_at_xero(workshop: Workshop, connection: Connection) -> XeroSide:
    """Five calls. Raises NotDone where the grant does not reach the connection's organisation."""
    with workshop.database.reading() as session:
        chosen = grants.chosen_tenant(session, connection.name)
    asking = workshop.xero(connection, connection.xero_tenant_id or chosen or "", priority=Priority.NEW)
    tenant_id = tenants.choose(connection, tenants.reached(asking), chosen)
    xero = workshop.xero(connection, tenant_id, priority=Priority.NEW)
    organisation = xero.organisation()
    tenants.must_be(connection, tenant_id, organisation)
    return XeroSide(
        tenant_id, organisation, xero.currencies(), accounts=tuple(xero.accounts()), tax_rates=tuple(xero.tax_rates())
    )


def are_simulated(settings: Settings) -> bool:
    """Whether both vendors are a sandbox on this machine, which reaches plain http here too."""
    return is_loopback(settings.kommo_api_url) and is_loopback(settings.xero_api_url)


def facts_of(kommo: KommoSide, xero: XeroSide) -> Facts:
    """What the workers need of both."""
    return Facts(
        kommo=kommo.account,
        pipelines=kommo.pipelines,
        organisation=xero.organisation,
        currencies=xero.currencies,
        accounts=xero.accounts,
        tax_rates=xero.tax_rates,
    )


def route_of(connection: Connection, kommo: KommoSide, xero: XeroSide, *, since: date | None) -> Route:
    """What the receiver and the workers are to be told."""
    return Route(
        connection=connection.name,
        account_id=kommo.account.id,
        subdomains=(kommo.account.subdomain,),
        tenant_id=xero.tenant_id,
        triggers=kommo.mapped.triggers,
        deal_stage=kommo.mapped.deal_stage,
        moves=kommo.mapped.moves,
        fields=kommo.mapped.fields,
        since=since,
    )


def clashes(session: Session, route: Route) -> list[Finding]:
    """What two connections may not share, and only ids can tell: a stage may be written by its name and by its id."""
    found = []
    for other in routes.find_connections(session, account_id=route.account_id):
        if other.connection != route.connection and other.triggers & route.triggers:
            said = f'the connection "{other.connection}" has the same stage: a deal would be invoiced twice'
            found.append(failed("trigger", said, "choose another stage for one of them, and run its setup"))
    for other in routes.find_connections(session, tenant_id=route.tenant_id):
        if other.connection != route.connection and other.deal_stage and route.deal_stage:
            said = f'the connection "{other.connection}" makes deals of this organisation: an invoice would become two'
            found.append(failed("deal", said, "keep [connection.deal] of only one, and run the setup of the other"))
    return found
