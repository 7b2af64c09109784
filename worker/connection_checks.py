"""The checks of one connection: its grants, what its file names in both systems, our fields and webhook, and the books."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from integrations.errors import CallError, Unauthorised
from integrations.kommo.client import Kommo
from worker import bookkeeping, grants, hooks, looking, mends, ourfields, routes
from worker.connections import Connection
from worker.findings import Finding, NotDone, failed, note, ok
from worker.grants import GrantKind, Standing
from worker.hooks import EVENTS
from worker.looking import KommoSide, XeroSide
from worker.overview import days_left
from worker.routes import Route
from worker.settings import Settings, SettingsError
from worker.verdicts import RECONNECT
from worker.workshop import Workshop

T = TypeVar("T")

# Days: a month's notice of a token's end outlasts a holiday.
ENDS_SOON = 30

HOW = {"kommo": "--token TOKEN", "xero": "--client-credentials"}


def findings(workshop: Workshop, connection: Connection) -> Iterator[Finding]:
    """How each of them stands. What hangs on a system that does not let us in is not looked at."""
    with workshop.database.reading() as session:
        route = routes.load(session, connection.name)
        access = {vendor: grants.standing(session, vendor, connection.name) for vendor in HOW}
    for vendor, grant in access.items():
        yield _grant(workshop, connection, vendor, grant)
    client = looking.kommo_client(workshop, connection)
    kommo = _ask("kommo account", lambda: looking.look_at_kommo(client, connection)) if access["kommo"] else None
    if isinstance(kommo, Finding):
        yield kommo
    elif kommo:
        yield from _kommo(workshop, connection, client, kommo)
    xero = _ask("xero organisation", lambda: looking.look_at_xero(workshop, connection)) if access["xero"] else None
    if isinstance(xero, Finding):
        yield xero
    elif xero:
        yield from _xero(workshop, connection, xero, kommo if isinstance(kommo, KommoSide) else None)
    both = (kommo, xero) if isinstance(kommo, KommoSide) and isinstance(xero, XeroSide) else None
    yield from _setup(workshop, connection, route, both)


def _ask(about: str, look: Callable[[], T]) -> T | Finding:
    try:
        return look()
    except (CallError, NotDone, SettingsError) as error:
        return failed(about, mends.explain(error) or str(error))


def _grant(workshop: Workshop, connection: Connection, vendor: str, grant: Standing | None) -> Finding:
    about = f"{vendor} grant"
    command = f"admin connect {vendor} {connection.name} {HOW[vendor]}"
    if grant is None:
        return failed(about, "there is none", command)
    if grant.refusal:
        return failed(about, RECONNECT[grant.refusal].format(vendor=vendor.title(), command=vendor))
    days = days_left(grant, workshop.now())
    if days is None:
        return ok(about, "renewed by itself" if grant.kind != GrantKind.LONG_LIVED else "without an end")
    if days < 0:
        return failed(about, f"its token ended on {grant.expires_at:%Y-%m-%d}", command)
    said = f"{days} days left, until {grant.expires_at:%Y-%m-%d}"
    return note(about, said, command) if days < ENDS_SOON else ok(about, said)


def _kommo(workshop: Workshop, connection: Connection, client: Kommo, side: KommoSide) -> Iterator[Finding]:
    account = side.account
    said = f'"{account.name}" ({account.id}, {account.subdomain}.kommo.com), counts in {account.currency}'
    if account.subdomain.lower() == connection.kommo_subdomain:
        yield ok("kommo account", said)
    else:
        yield failed("kommo account", said, f'mend kommo_subdomain = "{connection.kommo_subdomain}", or connect again')
    yield from side.mapped.findings
    for entity, there in side.fields.items():
        yield from ourfields.findings(entity, there)
    yield _webhook(client, workshop.settings)


def _webhook(client: Kommo, settings: Settings) -> Finding:
    try:
        hook = hooks.find(client.webhooks(), settings.kommo_webhook_url())
    except Unauthorised as error:
        if hooks.is_lack_of_plan(error):
            return note("kommo webhook", "the plan of this account has none", "admin setup tells what to do instead")
        return failed("kommo webhook", mends.explain(error) or str(error))
    except CallError as error:
        return failed("kommo webhook", mends.explain(error) or str(error))
    if hook is None:
        return failed("kommo webhook", f"Kommo does not call {hooks.shown(settings)}", "run admin setup again")
    if hook.disabled:
        return failed("kommo webhook", "Kommo has switched it off after too many bad answers", "run admin setup again")
    if absent := EVENTS - hook.settings:
        return failed("kommo webhook", f"it does not tell of {', '.join(sorted(absent))}", "run admin setup again")
    return ok("kommo webhook", f"registered for {len(EVENTS)} kinds of events")


def _xero(workshop: Workshop, connection: Connection, side: XeroSide, kommo: KommoSide | None) -> Iterator[Finding]:
    organisation, books = side.organisation, side.books
    yield ok("xero organisation", f'"{organisation.name}" ({side.tenant_id}), {books.timezone}')
    yield from bookkeeping.findings(connection, books, kommo.account if kommo else None)
    yield bookkeeping.lock(books, today=books.day(workshop.now()))


def _setup(
    workshop: Workshop, connection: Connection, route: Route | None, both: tuple[KommoSide, XeroSide] | None
) -> Iterator[Finding]:
    """Whether the receiver and the workers were told what the file says."""
    if route is None:
        yield failed("setup", "it was never done", f"admin setup {connection.name}")
        return
    if both is None:
        return
    wanted = looking.route_of(connection, *both, since=route.since)
    if replace(route, subdomains=route.subdomains[:1]) != wanted:
        yield failed("setup", "the file, or Kommo, has changed since", f"admin setup {connection.name}")
    else:
        yield ok("setup", "what it told the receiver is what the file says")
    with workshop.database.reading() as session:
        yield from looking.clashes(session, wanted)
