"""The checks of one connection: its grants, what its file names in both systems, our fields and webhook, and the books."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from integrations.errors import CallError, RateLimited, Refusal, Unauthorised
from integrations.kommo.client import Kommo
from integrations.oauth import claims
from worker import (
    bookkeeping,
    budgets,
    cursors,
    grants,
    hooks,
    looking,
    mends,
    moving,
    ourfields,
    overview,
    routes,
    stages,
)
from worker.connections import Connection
from worker.cursors import Side
from worker.findings import Finding, Grade, NotDone, failed, note, ok
from worker.grants import GrantKind, Standing
from worker.hooks import EVENTS
from worker.looking import KommoSide, XeroSide
from worker.overview import ENDS_SOON, days_left
from worker.routes import Route
from worker.settings import Settings, SettingsError
from worker.tenants import NotReached
from worker.wording import VENDORS
from worker.workshop import Workshop

T = TypeVar("T")

HOW = {"kommo": "{command}, or with --token TOKEN", "xero": "{command}, or with --client-credentials"}

# Without these an organisation can't be written to (xero.md 1.8); each may be had by the broad one that it has replaced.
NEEDED = {
    "accounting.invoices": "accounting.transactions",
    "accounting.contacts": "",
    "accounting.settings.read": "accounting.settings",
}
# Without this a consent at Xero ends within the half hour.
OFFLINE = "offline_access"
# Without this no PDF gets onto a deal (kommo.md 2.7).
FILES = "files"

# Plans that allow so many approved invoices a month and no more (xero.md 4.11).
FEW_INVOICES = frozenset({"STARTER", "IGNITE"})

# A registered webhook that has said nothing for so long is worth a look.
SILENT = timedelta(days=1)


def findings(workshop: Workshop, connection: Connection) -> Iterator[Finding]:
    """How each of them stands. What hangs on a system that does not let us in is not looked at."""
    with workshop.database.reading() as session:
        route = routes.load(session, connection.name)
        access = {vendor: grants.standing(session, vendor, connection.name) for vendor in VENDORS}
    for vendor, grant in access.items():
        yield _grant(workshop, connection, vendor, grant)
        if grant and not grant.refusal:
            yield _scopes(workshop, vendor, grant)
    client = looking.kommo_client(workshop, connection)
    kommo = (
        _ask(workshop, connection, "kommo account", lambda: looking.look_at_kommo(client, connection))
        if access["kommo"]
        else None
    )
    if isinstance(kommo, Finding):
        yield kommo
    elif kommo:
        yield from _kommo(workshop, connection, client, kommo, route)
    xero = (
        _ask(workshop, connection, "xero organisation", lambda: _look_at_xero(workshop, connection, route))
        if access["xero"]
        else None
    )
    if isinstance(xero, Finding):
        yield xero
    elif xero:
        yield from _xero(workshop, connection, xero, kommo if isinstance(kommo, KommoSide) else None)
    yield from _heard(workshop, connection, route)
    both = (kommo, xero) if isinstance(kommo, KommoSide) and isinstance(xero, XeroSide) else None
    yield from _setup(workshop, connection, route, both)


def _ask(workshop: Workshop, connection: Connection, about: str, look: Callable[[], T]) -> T | Finding:
    """What a look finds, or why it could not: on an idle connection nobody else meets that a vendor no longer lets us in, or has moved."""
    try:
        return look()
    except (CallError, NotDone, SettingsError) as error:
        if isinstance(error, Unauthorised):
            workshop.tokens(error.vendor, connection.name).refused(error.reason, error.call)
        if isinstance(error, CallError):
            moving.follow(workshop, connection.name, error)
        told = mends.explain(error) or str(error)
        return failed(about, told.replace(" NAME)", f" {connection.name})"))


def _look_at_xero(workshop: Workshop, connection: Connection, route: Route | None) -> XeroSide:
    """An organisation that `setup` has seen, and that the grant does not reach now, was removed from the app (xero.md 1.9)."""
    try:
        return looking.look_at_xero(workshop, connection)
    except NotReached as error:
        if route is None or error.wanted not in {None, route.tenant_id}:
            raise
        listed = f"GET {grants.LISTS_ORGANISATIONS}"
        raise Unauthorised("xero", listed, "it is not among them", reason=Refusal.DISCONNECTED) from error


def _grant(workshop: Workshop, connection: Connection, vendor: str, grant: Standing | None) -> Finding:
    about = f"{vendor} grant"
    command = HOW[vendor].format(command=f"connect it in the console, or by admin connect {vendor} {connection.name}")
    if grant is None:
        return failed(about, "there is none", command)
    if grant.refusal:
        return failed(about, overview.mend_of(grant, now=workshop.now()) or grant.refusal)
    days = days_left(grant, workshop.now())
    if days is None:
        return ok(about, "renewed by itself" if grant.kind != GrantKind.LONG_LIVED else "without an end")
    if days < 0:
        return failed(about, f"its token ended on {grant.expires_at:%Y-%m-%d}", command)
    said = f"{days} days left, until {grant.expires_at:%Y-%m-%d}"
    return note(about, said, command) if days < ENDS_SOON else ok(about, said)


def _scopes(workshop: Workshop, vendor: str, grant: Standing) -> Finding:
    """Whether the rights that were granted are enough, as far as that is said: by Xero's answer, and by Kommo's token itself."""
    about = f"{vendor} rights"
    granted = set(grant.scopes) or _claimed(workshop, grant)
    if not granted:
        return ok(about, "not told")
    if vendor == "kommo":
        if FILES in granted:
            return ok(about, "files and all else that is needed")
        return failed(
            about,
            "the integration may not use files, so no PDF gets onto a deal",
            "allow Access to files in it, then connect again",
        )
    lacking = [scope for scope, broad in NEEDED.items() if not granted & {scope, broad}]
    if grant.kind is GrantKind.OAUTH and OFFLINE not in granted:
        lacking.append(OFFLINE)
    if lacking:
        return failed(about, f"the grant lacks {', '.join(lacking)}", "add it to the app at Xero, then connect again")
    return ok(about, "all that is needed")


def _claimed(workshop: Workshop, grant: Standing) -> set[str]:
    with workshop.database.reading() as session:
        kept = grants.find(session, grant.vendor, grant.connection)
    try:
        said = claims(workshop.vault.open(kept.access_token) or "").get("scopes") if kept else None
    except SettingsError:  # whose key is lost: that is told where the account is looked at
        said = None
    return {str(scope) for scope in said} if isinstance(said, list) else set()


def _kommo(
    workshop: Workshop, connection: Connection, client: Kommo, side: KommoSide, route: Route | None
) -> Iterator[Finding]:
    yield _account(connection, side, route)
    yield from _mapped(connection, side, route)
    for entity, there in side.fields.items():
        yield from ourfields.findings(entity, there)
    yield from _webhook(client, workshop.settings)


def _mapped(connection: Connection, side: KommoSide, route: Route | None) -> Iterator[Finding]:
    """What the file names in Kommo; of a stage that was deleted, `setup` knows what to make again."""
    gone = {f'"{one.name}"' for one in stages.lost(connection, route, side.pipelines)}
    for finding in side.mapped.findings:
        is_gone = finding.grade is Grade.FAILED and any(finding.said.endswith(name) for name in gone)
        mend = f"it was deleted: run admin setup {connection.name}, which makes it again"
        yield replace(finding, mend=mend) if is_gone else finding


def _account(connection: Connection, side: KommoSide, route: Route | None) -> Finding:
    account, own = side.account, connection.kommo_subdomain
    said = f'"{account.name}" ({account.id}, {account.subdomain}.kommo.com), counts in {account.currency}'
    if account.subdomain.lower() == own:
        return ok("kommo account", said)
    if route and route.account_id == account.id and own in route.subdomains:
        return note(
            "kommo account",
            f'{said}; it was renamed, and the file still says "{own}"',
            "mend kommo_subdomain some time",
        )
    return failed("kommo account", said, f'mend kommo_subdomain = "{own}", or connect again')


def _webhook(client: Kommo, settings: Settings) -> Iterator[Finding]:
    """Kommo tells no plan by its name; whether it has webhooks is what matters here (kommo.md 4.1)."""
    again = "run admin setup again"
    try:
        hook = hooks.find(client.webhooks(), settings.kommo_webhook_url())
    except CallError as error:
        if isinstance(error, Unauthorised) and hooks.is_lack_of_plan(error):
            mend = "admin setup tells what to do instead"
            yield note("kommo plan", "it has no webhooks", mend)
            yield note("kommo webhook", "the plan of this account has none", mend)
        else:
            yield failed("kommo webhook", mends.explain(error) or str(error))
        return
    yield ok("kommo plan", "it has webhooks")
    if hook is None:
        yield failed("kommo webhook", f"Kommo does not call {hooks.shown(settings)}", again)
    elif hook.disabled:
        yield failed("kommo webhook", "Kommo has switched it off after too many bad answers", again)
    elif absent := EVENTS - hook.settings:
        yield failed("kommo webhook", f"it does not tell of {', '.join(sorted(absent))}", again)
    else:
        yield ok("kommo webhook", f"registered for {len(EVENTS)} kinds of events")


def _heard(workshop: Workshop, connection: Connection, route: Route | None) -> Iterator[Finding]:
    """When each vendor last spoke: of Xero's side, which no API tells of, it is all that can be seen."""
    if route is None:
        return
    with workshop.database.reading() as session:
        began = cursors.positions(session, connection.name).get(Side.BEGAN)
        last = {source: overview.last_spoke(session, source, connection.name) for source in VENDORS}
    is_new = began is None or workshop.now() - began < SILENT
    xero = f"{workshop.settings.public_url}/webhooks/xero"
    mend = {
        "kommo": "see whether PUBLIC_URL can be reached from the internet",
        "xero": f"in the app on developer.xero.com, Webhooks: delivery URL {xero}, event category Invoices, and its key as XERO_WEBHOOK_KEY",
    }
    for source, at in last.items():
        about = f"{source} last spoke"
        if at:
            yield ok(about, f"{at:%Y-%m-%d %H:%M} UTC")
        elif source == "kommo" and is_new:
            yield ok(about, "not yet: nothing has happened there since the setup")
        else:
            yield note(about, "never", mend[source])


def _xero(workshop: Workshop, connection: Connection, side: XeroSide, kommo: KommoSide | None) -> Iterator[Finding]:
    organisation, books = side.organisation, side.books
    yield ok("xero organisation", f'"{organisation.name}" ({side.tenant_id}), {books.timezone}')
    yield _plan(workshop, connection, side)
    yield from bookkeeping.findings(connection, books, kommo.account if kommo else None)
    yield bookkeeping.lock(books, today=books.day(workshop.now()))


def _plan(workshop: Workshop, connection: Connection, side: XeroSide) -> Finding:
    """The plan, and how many calls of the day it leaves: the limit is learned from Xero's own answers (xero.md 2.2)."""
    plan = side.organisation.plan or "not told"
    try:
        budgeted = workshop.xero_budget(connection, side.tenant_id)
        budget = budgets.look(workshop.turns(budgeted), budgeted, now=workshop.now())
    except RateLimited:
        return ok("xero plan", plan)
    said = plan
    if budget.left and budget.limits and "day" in budget.limits:
        said = f"{plan}, {budget.left['day']:,} of {budget.limits['day']:,} calls of the day left"
    if plan in FEW_INVOICES and connection.invoice.status == "AUTHORISED":
        return note(
            "xero plan", f"{said}; it allows few approved invoices a month", 'status = "DRAFT" needs no approval'
        )
    return ok("xero plan", said)


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
