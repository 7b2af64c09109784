"""Which organisation a connection works with: the one that its file names, that was chosen at its consent, or the only one that its grant reaches."""

from collections.abc import Sequence

from integrations.errors import Missing, Refusal, Rejected, Unauthorised
from integrations.xero.client import Xero
from integrations.xero.entities import Organisation, Tenant
from worker.connections import Connection
from worker.findings import NotDone


class NotReached(NotDone):
    """The grant does not reach the organisation `wanted`, or any (None)."""

    def __init__(self, wanted: str | None, reason: str) -> None:
        super().__init__(reason)
        self.wanted = wanted


def reached(xero: Xero) -> list[Tenant] | None:
    """The organisations that the grant reaches; None where it may not list them, as a custom connection's need not (xero.md 1.7)."""
    try:
        return xero.tenants()
    except (Missing, Rejected):
        return None
    except Unauthorised as error:
        if error.reason in {Refusal.SCOPE, Refusal.DISCONNECTED}:
            return None
        raise


def choose(connection: Connection, tenants: Sequence[Tenant] | None, chosen: str | None = None) -> str:
    """The organisation's id; `chosen` is the one that was chosen at the consent. Raises NotDone where it can't be told, or NotReached."""
    wanted = connection.xero_tenant_id or chosen
    if tenants is None:
        if wanted is None:
            raise NotDone(
                f'{_of(connection)}: Xero does not list what the grant reaches: add xero_tenant_id = "..." there'
            )
        return wanted
    ids = {tenant.tenant_id.lower() for tenant in tenants}
    if wanted in ids:
        return wanted
    if not ids:
        raise NotReached(
            wanted, f"{_of(connection)}: the grant reaches no organisation: connect one to the app at Xero"
        )
    if wanted is None and len(ids) == 1:
        return ids.pop()
    mend = f"set xero_tenant_id to that of {_listed(tenants)}"
    if wanted is None:
        raise NotDone(f"{_of(connection)}: the grant reaches several organisations: {mend}")
    raise NotReached(wanted, f"{_of(connection)}: the grant does not reach {wanted}: {mend}")


def must_be(connection: Connection, tenant_id: str, organisation: Organisation) -> None:
    """Raise NotDone where another organisation answers: a custom connection passes over the id that it is asked for."""
    if organisation.id.lower() != tenant_id:
        told = f'"{organisation.name}" ({organisation.id.lower()})'
        raise NotDone(
            f"{_of(connection)}: the grant is for {told}, not for {tenant_id}: mend xero_tenant_id, or connect again"
        )


def _of(connection: Connection) -> str:
    return f'connection "{connection.name}"'


def _listed(tenants: Sequence[Tenant]) -> str:
    return " or ".join(f'"{tenant.name}" ({tenant.tenant_id.lower()})' for tenant in tenants)
