"""Routes: what `setup` has learned of a connection's two systems, so that an event finds its connection without a call.

One row a fact, because the receiver asks by value: which connections know this account id, this subdomain, this organisation?
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from worker.database import Base, BigId, Transaction

StageRef = tuple[int, int]  # (pipeline id, status id): a status id alone is not unique (kommo.md 6)


class What(StrEnum):
    """What a route's row tells."""

    ACCOUNT = "account"
    SUBDOMAIN = "subdomain"  # the present one and all earlier ones: marks in Xero carry them
    TENANT = "tenant"
    TRIGGER = "trigger"
    DEAL_STAGE = "deal_stage"
    MOVE = "move"  # label=pipeline:status
    FIELD = "field"  # role=id
    SINCE = "since"


class RouteRow(Base):
    """One fact about one connection."""

    __tablename__ = "routes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    connection: Mapped[str] = mapped_column(sa.Text)
    what: Mapped[str] = mapped_column(sa.Text)
    value: Mapped[str] = mapped_column(sa.Text)

    __table_args__ = (
        sa.UniqueConstraint("connection", "what", "value"),
        sa.Index("ix_routes_what_value", "what", "value"),
    )


@dataclass(frozen=True, slots=True)
class Route:
    """All that `setup` has learned of one connection. `fields` maps a role (currency, description, tax) to a lead field's id."""

    connection: str
    account_id: int
    subdomains: tuple[str, ...]  # the present one first
    tenant_id: str
    triggers: frozenset[StageRef]
    deal_stage: StageRef | None = None
    moves: Mapping[str, StageRef] = field(default_factory=dict)
    fields: Mapping[str, int] = field(default_factory=dict)
    since: date | None = None

    @property
    def subdomain(self) -> str:
        """The account's present subdomain."""
        return self.subdomains[0]


def save(session: Session, route: Route) -> None:
    """Replace what is known of the connection; subdomains that it once had are kept."""
    earlier = [known for known in _values(session, route.connection, What.SUBDOMAIN) if known not in route.subdomains]
    session.execute(sa.delete(RouteRow).where(RouteRow.connection == route.connection))
    subdomains = [*route.subdomains, *earlier]
    facts: list[tuple[What, str]] = [
        (What.ACCOUNT, str(route.account_id)),
        *((What.SUBDOMAIN, subdomain) for subdomain in subdomains),
        (What.TENANT, route.tenant_id),
        *((What.TRIGGER, _stage(stage)) for stage in sorted(route.triggers)),
        *((What.MOVE, f"{label}={_stage(stage)}") for label, stage in route.moves.items()),
        *((What.FIELD, f"{role}={field_id}") for role, field_id in route.fields.items()),
    ]
    if route.deal_stage:
        facts.append((What.DEAL_STAGE, _stage(route.deal_stage)))
    if route.since:
        facts.append((What.SINCE, route.since.isoformat()))
    for what, value in facts:  # one by one: their ids keep the order of the subdomains
        session.add(RouteRow(connection=route.connection, what=what, value=value))
        session.flush()


def move(session: Session, connection: str, subdomain: str) -> None:
    """The connection's account has got another subdomain; nothing to do before its first `setup`."""
    route = load(session, connection)
    if route is not None and route.subdomain != subdomain:
        earlier = tuple(known for known in route.subdomains if known != subdomain)
        save(session, replace(route, subdomains=(subdomain, *earlier)))


def load(session: Session, connection: str) -> Route | None:
    """What is known of the connection; None before its first `setup`."""
    return next(iter(_routes(tuple(map(tuple, session.execute(_OF_ONE, {"name": connection}))))), None)


_TENANTS = sa.select(sa.func.count()).where(RouteRow.what == What.TENANT.value)


def are_several(session: Session) -> bool:
    """Whether more than one connection was ever set up."""
    return (session.scalar(_TENANTS) or 0) > 1


def find_connections(
    transaction: Transaction,
    *,
    account_id: int | None = None,
    subdomain: str | None = None,
    tenant_id: str | None = None,
) -> list[Route]:
    """The connections that know this account (by id, else by subdomain) or this organisation."""
    asked = (
        (What.ACCOUNT, None if account_id is None else str(account_id)),
        (What.SUBDOMAIN, subdomain),
        (What.TENANT, tenant_id),
    )
    for what, value in asked:
        if value and (rows := transaction.execute(_KNOWERS, {"what": what.value, "value": value}).all()):
            return list(_routes(tuple(map(tuple, rows))))
    return []


# Built once, of the table and not of objects: every webhook waits for these.
_ROW = RouteRow.metadata.tables["routes"].columns
_FACTS = sa.select(_ROW.connection, _ROW.what, _ROW.value).order_by(_ROW.connection, _ROW.id)

_OF_ONE = _FACTS.where(_ROW.connection == sa.bindparam("name"))

# All that is known of whoever knows this.
_KNOWERS = _FACTS.where(
    _ROW.connection.in_(
        sa.select(_ROW.connection).where(_ROW.what == sa.bindparam("what"), _ROW.value == sa.bindparam("value"))
    )
)


# Every webhook asks, and facts change only when somebody runs `setup`.
@lru_cache(maxsize=64)
def _routes(rows: tuple[tuple[str, str, str], ...]) -> tuple[Route, ...]:
    facts: dict[str, dict[str, list[str]]] = {}
    for connection, what, value in rows:
        facts.setdefault(connection, {}).setdefault(what, []).append(value)
    return tuple(_route(connection, known) for connection, known in facts.items())


def _route(connection: str, known: Mapping[str, list[str]]) -> Route:
    stages = known.get(What.DEAL_STAGE)
    since = known.get(What.SINCE)
    return Route(
        connection=connection,
        account_id=int(known[What.ACCOUNT][0]),
        subdomains=tuple(known[What.SUBDOMAIN]),
        tenant_id=known[What.TENANT][0],
        triggers=frozenset(_parse_stage(value) for value in known.get(What.TRIGGER, ())),
        deal_stage=_parse_stage(stages[0]) if stages else None,
        moves={label: _parse_stage(stage) for label, _, stage in _pairs(known.get(What.MOVE, ()))},
        fields={role: int(value) for role, _, value in _pairs(known.get(What.FIELD, ()))},
        since=date.fromisoformat(since[0]) if since else None,
    )


def _pairs(values: list[str] | tuple[()]) -> list[tuple[str, str, str]]:
    return [value.partition("=") for value in values]


def _values(session: Session, connection: str, what: What) -> list[str]:
    statement = sa.select(RouteRow.value).where(RouteRow.connection == connection, RouteRow.what == what)
    return list(session.scalars(statement.order_by(RouteRow.id)))


def _stage(stage: StageRef) -> str:
    return f"{stage[0]}:{stage[1]}"


def _parse_stage(value: str) -> StageRef:
    pipeline, status = value.split(":")
    return int(pipeline), int(status)
