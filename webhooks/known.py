"""What the ledger knows of webhooks that came together, asked in as few statements as one of them would need."""

from collections.abc import Mapping, Sequence
from functools import cache, partial

from webhooks import kommo, xero
from worker import links, routes
from worker.database import Transaction
from worker.links import Linked, Waiting
from worker.routes import Route

Notice = kommo.Notice | xero.Notice


class Known:
    """Answers for each of these notices; the first that asks has the ledger asked for all of them."""

    def __init__(self, transaction: Transaction, notices: Sequence[Notice]) -> None:
        self._transaction = transaction
        self._kommo = [notice for notice in notices if isinstance(notice, kommo.Notice)]
        self._xero = [notice for notice in notices if isinstance(notice, xero.Notice)]
        self._find = cache(partial(routes.find_connections, transaction))
        self._waiting: dict[int, list[Waiting]] = {}
        self._restored: dict[int, dict[int, Linked]] = {}
        self._links: dict[str, dict[str, Linked]] = {}

    def of_account(self, notice: kommo.Notice) -> Sequence[Route]:
        """The connections of the account that the notice is about."""
        return self._find(account_id=notice.account_id, subdomain=notice.subdomain or None)

    def of_tenant(self, tenant_id: str) -> Sequence[Route]:
        """The connections of this organisation."""
        return self._find(tenant_id=tenant_id)

    def account_id(self, notice: kommo.Notice) -> int | None:
        """The account that the notice is about: not every body says its id (kommo.md 4.3)."""
        known = self.of_account(notice)
        return known[0].account_id if known else notice.account_id

    def waiting(self, account_id: int) -> Sequence[Waiting]:
        """The deals of this account that wait for something that any of the notices is about."""
        if account_id not in self._waiting:
            notices = self._of(account_id)
            self._waiting[account_id] = links.waiting(
                self._transaction,
                account_id,
                leads=set().union(*(notice.lead_ids for notice in notices)),
                contacts=set().union(*(notice.contact_ids for notice in notices)),
                companies=set().union(*(notice.company_ids for notice in notices)),
            )
        return self._waiting[account_id]

    def restored(self, account_id: int) -> Mapping[int, Linked]:
        """The links of this account's leads that any of the notices says are back from the bin, by lead id."""
        if account_id not in self._restored:
            ids = set().union(*(notice.restored_ids for notice in self._of(account_id)))
            self._restored[account_id] = links.by_lead(self._transaction, account_id, ids) if ids else {}
        return self._restored[account_id]

    def links(self, tenant_id: str) -> Mapping[str, Linked]:
        """The links of this organisation's invoices that any of the notices is about, by invoice id."""
        if tenant_id not in self._links:
            events = (event for notice in self._xero for event in notice.invoices if event.tenant_id == tenant_id)
            ids = {event.resource_id for event in events}
            self._links[tenant_id] = links.by_invoice(self._transaction, tenant_id, ids)
        return self._links[tenant_id]

    def _of(self, account_id: int) -> list[kommo.Notice]:
        return [notice for notice in self._kommo if self.account_id(notice) == account_id]
