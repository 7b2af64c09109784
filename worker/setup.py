"""Setting a connection up: its names are found in both systems, our fields and our webhook are made in Kommo, and the receiver is told.

Done again it changes only what is not right yet. Nothing is changed before everything that the file names was found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from integrations.kommo.client import Kommo
from integrations.kommo.entities import Field, FieldEntity
from integrations.turns import Priority
from integrations.xero.client import Xero
from worker import bookkeeping, facts, hooks, mapping, ourfields, routes, tenants
from worker.connecting import connection_named
from worker.connections import Connection
from worker.facts import Facts
from worker.findings import Finding, Grade, NotDone, failed, failures
from worker.hooks import Registered
from worker.mapping import Mapped
from worker.routes import Route
from worker.workshop import Workshop
from worker.world import books_of


@dataclass(frozen=True, slots=True)
class Report:
    """What `setup` found and did, and what is left to a person, a sentence each."""

    done: tuple[str, ...]
    todo: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """All that is asked before anything is changed."""

    tenant_id: str
    known: Facts
    fields: Mapping[FieldEntity, list[Field]]
    mapped: Mapped

    @property
    def findings(self) -> list[Finding]:
        """How the file's names stand in Kommo, and our own fields that are there already."""
        wrong = [fault for entity, there in self.fields.items() for fault in ourfields.faults(entity, there)]
        return [*self.mapped.findings, *wrong]


def set_up(workshop: Workshop, name: str) -> Report:
    """Set the connection up. Raises NotDone with everything that a person must mend first."""
    connection = connection_named(workshop, name)
    kommo = _kommo(workshop, connection)
    look = _look(workshop, connection, kommo)
    found = [*look.findings, *bookkeeping.findings(connection, look.known)]
    with workshop.database.reading() as session:
        found += clashes(session, connection, look)
    if wrong := failures(found):
        raise NotDone(*(f"{one.about}: {one.sentence}" for one in wrong))
    made = make_fields(kommo, look.fields)
    route = _save(workshop, connection, look)
    registered = hooks.register(kommo, workshop.settings)
    return Report(
        done=(*_told(look, route, made), _hook_sentence(registered)),
        todo=(
            *(one.sentence for one in found if one.grade is Grade.NOTE),
            *_todo(workshop, look, registered),
        ),
    )


def _kommo(workshop: Workshop, connection: Connection) -> Kommo:
    # no day is written to a field here, so the zone is of no matter
    return workshop.kommo(connection, connection.kommo_subdomain, ZoneInfo("UTC"), priority=Priority.NEW)


def _look(workshop: Workshop, connection: Connection, kommo: Kommo) -> Look:
    tenant_id, xero = organisation(workshop, connection)
    known = facts.ask(kommo, xero)
    tenants.must_be(connection, tenant_id, known.organisation)
    fields = {entity: kommo.fields(entity) for entity in ourfields.FIELDS}
    return Look(tenant_id, known, fields, mapping.find(connection, known.pipelines, fields["leads"]))


def organisation(workshop: Workshop, connection: Connection) -> tuple[str, Xero]:
    """The connection's organisation, and a client for it. Raises NotDone where the grant does not tell which."""
    asking = workshop.xero(connection, connection.xero_tenant_id or "", priority=Priority.NEW)
    tenant_id = tenants.choose(connection, tenants.reached(asking))
    return tenant_id, workshop.xero(connection, tenant_id, priority=Priority.NEW)


def clashes(session: Session, connection: Connection, look: Look) -> list[Finding]:
    """What two connections may not share, and what only ids can tell: a stage may be written by name and by id."""
    found = []
    for other in routes.find_connections(session, account_id=look.known.kommo.id):
        if other.connection != connection.name and other.triggers & look.mapped.triggers:
            said = f'the connection "{other.connection}" has the same stage: a deal would be invoiced twice'
            found.append(failed("trigger", said, "choose another stage for one of them"))
    for other in routes.find_connections(session, tenant_id=look.tenant_id):
        if other.connection != connection.name and other.deal_stage and look.mapped.deal_stage:
            said = (
                f'the connection "{other.connection}" makes deals of the same organisation: an invoice would become two'
            )
            found.append(failed("deal", said, "keep [connection.deal] of only one, and run its setup"))
    return found


def make_fields(kommo: Kommo, there: Mapping[FieldEntity, list[Field]]) -> int:
    """Make those of our fields that are not there; how many."""
    count = 0
    for entity, fields in there.items():
        if drafts := ourfields.missing(entity, fields):
            group_id = _group(kommo) if entity == "leads" else None
            kommo.create_fields(entity, ourfields.grouped(drafts, group_id))
            count += len(drafts)
    return count


def _group(kommo: Kommo) -> str:
    return kommo.groups("leads").get(ourfields.GROUP) or kommo.create_group("leads", ourfields.GROUP)


def _save(workshop: Workshop, connection: Connection, look: Look) -> Route:
    with workshop.database.begin() as session:
        earlier = routes.load(session, connection.name)
        route = route_of(connection, look, since=_since(connection, earlier, _today(workshop, look.known)))
        routes.save(session, route)
        facts.keep(session, connection.name, look.known, now=workshop.now())
    return route


def _since(connection: Connection, earlier: Route | None, today: date) -> date:
    """From which day on invoices become deals: as the file says, else the day of the first setup."""
    if connection.deal and connection.deal.since:
        return connection.deal.since
    return (earlier.since if earlier else None) or today


def route_of(connection: Connection, look: Look, *, since: date) -> Route:
    """What the receiver and the workers are told."""
    return Route(
        connection=connection.name,
        account_id=look.known.kommo.id,
        subdomains=(look.known.kommo.subdomain,),
        tenant_id=look.tenant_id,
        triggers=look.mapped.triggers,
        deal_stage=look.mapped.deal_stage,
        moves=look.mapped.moves,
        fields=look.mapped.fields,
        since=since,
    )


def _today(workshop: Workshop, known: Facts) -> date:
    return books_of(known).day(workshop.now())


def _told(look: Look, route: Route, made: int) -> list[str]:
    account, books = look.known.kommo, look.known.organisation
    told = [
        f'Kommo account "{account.name}" ({account.id}), Xero organisation "{books.name}" ({look.tenant_id})',
        *(f"{one.about}: {one.said}" for one in look.mapped.findings if one.grade is Grade.OK),
        f"fields: {made} made in Kommo" if made else "fields: all are there",
    ]
    if route.deal_stage:
        told.append(f"invoices dated on or after {route.since} become deals")
    return told


def _hook_sentence(registered: Registered) -> str:
    match registered:
        case Registered.KEPT:
            return "webhook: registered at Kommo"
        case Registered.MADE:
            return "webhook: registered at Kommo now"
        case Registered.REPLACED:
            return "webhook: registered at Kommo anew, in place of the earlier one"
        case Registered.NO_PLAN:
            return "webhook: this account's plan has none"


def _todo(workshop: Workshop, look: Look, registered: Registered) -> list[str]:
    settings = workshop.settings
    todo = []
    if registered is Registered.NO_PLAN:
        todo += [
            f"In Kommo's Digital Pipeline, at the stage {stage}: add the trigger Send webhook with the address {hooks.shown(settings)}"
            for stage in _stages(look)
        ]
    todo.append(
        f"In your app at developer.xero.com, Webhooks: event category Invoices, delivery URL {settings.public_url}/webhooks/xero; "
        "its key goes into XERO_WEBHOOK_KEY"
    )
    if not settings.public_url.startswith("https://"):
        todo.append(f"PUBLIC_URL is {settings.public_url}: Kommo and Xero only reach an https address on the internet")
    return todo


def _stages(look: Look) -> list[str]:
    return [
        f'"{pipeline.name}" / "{stage.name}"'
        for pipeline in look.known.pipelines
        for stage in pipeline.stages
        if (pipeline.id, stage.id) in look.mapped.triggers
    ]
