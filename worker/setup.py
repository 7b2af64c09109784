"""Setting a connection up: its names are found in both systems, our fields and our webhook are made in Kommo, and the receiver is told.

Done again it changes only what is not right yet. Nothing is changed before everything that the file names was found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from integrations.kommo.client import Kommo
from integrations.kommo.entities import Field, FieldEntity
from worker import bookkeeping, cursors, facts, grants, hooks, looking, mapping, ourfields, routes, stages
from worker.connecting import connection_named
from worker.connections import Connection
from worker.findings import Finding, Grade, NotDone, failures
from worker.grants import GrantKind
from worker.hooks import Registered
from worker.looking import KommoSide, XeroSide
from worker.routes import Route
from worker.stages import LostStage
from worker.wording import VENDORS
from worker.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Report:
    """What `setup` found and did, and what is left to a person, a sentence each."""

    done: tuple[str, ...]
    todo: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Both systems, before anything is changed."""

    kommo: KommoSide
    xero: XeroSide


def set_up(workshop: Workshop, name: str) -> Report:
    """Set the connection up. Raises NotDone with everything that a person must mend first."""
    connection = connection_named(workshop, name)
    if absent := _never_connected(workshop, name):
        raise NotDone(*absent)
    client = looking.kommo_client(workshop, connection)
    look = Look(looking.look_at_kommo(client, connection), looking.look_at_xero(workshop, connection))
    gone = _lost_stages(workshop, connection, look.kommo)
    found = _judge(workshop, connection, replace(look, kommo=_with_stages(connection, look.kommo, gone)))
    _must_stand(found)
    if gone:
        look = replace(look, kommo=_make_stages(client, connection, gone))
    made = _make_fields(client, look.kommo.fields)
    route = _save(workshop, connection, look)  # before the hook, whose first delivery must find its connection
    registered = hooks.register(client, workshop.settings)
    return Report(
        done=(*_told(look, route), *_stage_sentences(gone), _fields_sentence(made), _hook_sentence(registered)),
        todo=(*_notes(found), *_left(workshop, connection, look, registered)),
    )


def _never_connected(workshop: Workshop, name: str) -> list[str]:
    with workshop.database.reading() as session:
        absent = [vendor for vendor in VENDORS if grants.standing(session, vendor, name) is None]
    return [f"{VENDORS[vendor]} was never connected: admin connect {vendor} {name}" for vendor in absent]


def _judge(workshop: Workshop, connection: Connection, look: Look) -> list[Finding]:
    route = looking.route_of(connection, look.kommo, look.xero, since=None)
    with workshop.database.reading() as session:
        clashes = looking.clashes(session, route)
    return [
        *look.kommo.mapped.findings,
        *(fault for entity, there in look.kommo.fields.items() for fault in ourfields.faults(entity, there)),
        *bookkeeping.findings(connection, look.xero.books, look.kommo.account),
        *clashes,
    ]


def _must_stand(found: Iterable[Finding]) -> None:
    if wrong := failures(found):
        raise NotDone(*(f"{one.about}: {one.sentence}" for one in wrong))


def _lost_stages(workshop: Workshop, connection: Connection, kommo: KommoSide) -> list[LostStage]:
    with workshop.database.reading() as session:
        route, known = routes.load(session, connection.name), facts.last_known(session, connection.name)
    return stages.lost(connection, route, kommo.pipelines, known.pipelines if known else ())


def _with_stages(connection: Connection, kommo: KommoSide, gone: list[LostStage]) -> KommoSide:
    pipelines = stages.made_again(kommo.pipelines, gone)
    return replace(kommo, pipelines=pipelines, mapped=mapping.find(connection, pipelines, kommo.fields["leads"]))


def _make_stages(client: Kommo, connection: Connection, gone: list[LostStage]) -> KommoSide:
    for one in gone:
        client.create_stage(one.pipeline_id, one.name, one.sort)
    kommo = looking.look_at_kommo(client, connection)
    _must_stand(kommo.mapped.findings)  # what is made and not shown yet would leave the receiver without a stage
    return kommo


def _make_fields(client: Kommo, there: Mapping[FieldEntity, list[Field]]) -> int:
    """Make those of our fields that are not there, and options that are not; how many fields were made."""
    count = 0
    for entity, fields in there.items():
        for field, options in ourfields.lacking(entity, fields):
            client.add_options(entity, field, options)
        if drafts := ourfields.missing(entity, fields):
            group_id = _group(client) if entity == "leads" else None
            client.create_fields(entity, ourfields.grouped(drafts, group_id))
            count += len(drafts)
    return count


def _group(client: Kommo) -> str:
    return client.groups("leads").get(ourfields.GROUP) or client.create_group("leads", ourfields.GROUP)


def _save(workshop: Workshop, connection: Connection, look: Look) -> Route:
    now = workshop.now()
    with workshop.database.begin() as session:
        since = _since(connection, routes.load(session, connection.name), look.xero.books.day(now))
        route = looking.route_of(connection, look.kommo, look.xero, since=since)
        routes.save(session, route)
        cursors.begin(session, connection.name, now=now)
        facts.keep(session, connection.name, looking.facts_of(look.kommo, look.xero), now=now)
    return route


def _since(connection: Connection, earlier: Route | None, today: date) -> date:
    """From which day on invoices become deals: as the file says, else the day of the first setup."""
    if connection.deal and connection.deal.since:
        return connection.deal.since
    return (earlier.since if earlier else None) or today


def _told(look: Look, route: Route) -> list[str]:
    account, organisation = look.kommo.account, look.xero.organisation
    told = [
        f'account: "{account.name}" in Kommo ({account.id}), "{organisation.name}" in Xero ({look.xero.tenant_id})',
        *(f"{one.about}: {one.said}" for one in look.kommo.mapped.findings if one.grade is Grade.OK),
    ]
    if route.deal_stage:
        told.append(f"deal: made of invoices that are dated {route.since} or later")
    return told


def _notes(found: list[Finding]) -> list[str]:
    return [f"{one.about}: {one.sentence}" for one in found if one.grade is Grade.NOTE]


def _stage_sentences(gone: list[LostStage]) -> list[str]:
    return [
        f'{one.about}: the stage "{one.name}" was deleted, and is made again; deals that were in it are elsewhere now'
        for one in gone
    ]


def _fields_sentence(made: int) -> str:
    return f"fields: {made} made in Kommo" if made else "fields: all there"


def _hook_sentence(registered: Registered) -> str:
    match registered:
        case Registered.KEPT:
            return "webhook: registered at Kommo"
        case Registered.MADE:
            return "webhook: registered at Kommo now"
        case Registered.REPLACED:
            return "webhook: registered at Kommo anew, in place of the earlier one"
        case Registered.NO_PLAN:
            return "webhook: the plan of this account has none"


def _left(workshop: Workshop, connection: Connection, look: Look, registered: Registered) -> list[str]:
    """What only a person can do, in pages that have no API."""
    settings, left = workshop.settings, []
    with workshop.database.reading() as session:
        grant = grants.standing(session, "kommo", connection.name)
    if registered is Registered.NO_PLAN:
        address = hooks.shown(settings)
        left += [
            f"In Kommo, Digital Pipeline, stage {stage}: add the trigger Send webhook with the address {address}"
            for stage in _trigger_stages(look.kommo)
        ]
    left.append(
        "In your app on developer.xero.com, Webhooks: event category Invoices, "
        f"delivery URL {settings.public_url}/webhooks/xero; its key goes into XERO_WEBHOOK_KEY"
    )
    if grant and grant.kind is GrantKind.OAUTH:
        left.append(
            "In your integration at Kommo, address for revoked access (so that its end is heard of at once): "
            f"{hooks.shown(settings)}/uninstall"
        )
    if not settings.public_url.startswith("https://") and not looking.are_simulated(settings):
        left.append(f"PUBLIC_URL is {settings.public_url}: Kommo and Xero only reach an https address on the internet")
    return left


def _trigger_stages(kommo: KommoSide) -> list[str]:
    return [
        f'"{pipeline.name}" / "{stage.name}"'
        for pipeline in kommo.pipelines
        for stage in pipeline.stages
        if (pipeline.id, stage.id) in kommo.mapped.triggers
    ]
