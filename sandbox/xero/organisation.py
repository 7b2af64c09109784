"""One organisation's registers, with an index for each thing that is looked up."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sandbox.xero.folding import fold
from sandbox.xero.records import (
    Account,
    Allocation,
    Contact,
    Invoice,
    Item,
    Payment,
    Profile,
    TaxRate,
    Theme,
    Tracking,
)


class Kept(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def updated_at(self) -> datetime: ...


Record = TypeVar("Record", bound=Kept)


class Index:
    """From a key to the ids that have it; keys that are empty are not indexed."""

    def __init__(self) -> None:
        self._ids: dict[object, dict[str, None]] = {}

    def move(self, record_id: str, before: object, after: object) -> None:
        if before == after:
            return
        if before:
            self._ids[before].pop(record_id, None)
            if not self._ids[before]:
                del self._ids[before]
        if after:
            self._ids.setdefault(after, {})[record_id] = None

    def ids(self, key: object) -> list[str]:
        """In the order in which they came."""
        return list(self._ids.get(key, ()))


class Register(Generic[Record]):
    """Records by id, in the order of their last change."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._newest: datetime | None = None
        self._is_ordered = True  # until a test sets the clock back

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """Oldest change first."""
        return iter(self._records.values())

    def get(self, record_id: str) -> Record | None:
        return self._records.get(record_id)

    def many(self, ids: Iterable[str]) -> list[Record]:
        return [record for record_id in ids if (record := self._records.get(record_id)) is not None]

    def put(self, record: Record) -> None:
        """Adds a record, or puts it in its former self's place; it is then the one changed last."""
        before = self._records.get(record.id)
        self._records[record.id] = record
        if before is None or before.updated_at != record.updated_at:
            self._records.move_to_end(record.id)
            self._is_ordered = self._is_ordered and (self._newest is None or record.updated_at >= self._newest)
            self._newest = record.updated_at
        self._indexed(before, record)

    def changed_since(self, since: datetime) -> list[Record]:
        """Those changed at that instant or later, without a walk over the others; newest first."""
        if not self._is_ordered:
            return [record for record in self if record.updated_at >= since]
        found = []
        for record in reversed(self._records.values()):
            if record.updated_at < since:
                break
            found.append(record)
        return found

    def _indexed(self, before: Record | None, after: Record) -> None:
        """For registers that keep indexes."""


class Contacts(Register[Contact]):
    def __init__(self) -> None:
        super().__init__()
        self.by_name, self.by_number, self.by_account, self.by_email = Index(), Index(), Index(), Index()

    def _indexed(self, before: Contact | None, after: Contact) -> None:
        self.by_name.move(after.id, before and fold(before.name), fold(after.name))
        self.by_number.move(after.id, before and fold(before.number), fold(after.number))
        self.by_account.move(after.id, before and fold(before.account_number), fold(after.account_number))
        self.by_email.move(after.id, before and fold(before.email), fold(after.email))

    def active_named(self, name: str) -> Contact | None:
        return next((found for found in self.many(self.by_name.ids(fold(name))) if found.status == "ACTIVE"), None)

    def numbered(self, number: str) -> Contact | None:
        return next(iter(self.many(self.by_number.ids(fold(number)))), None)


class Invoices(Register[Invoice]):
    def __init__(self) -> None:
        super().__init__()
        self.by_number, self.by_contact, self.by_reference, self.by_app = Index(), Index(), Index(), Index()

    def _indexed(self, before: Invoice | None, after: Invoice) -> None:
        self.by_number.move(after.id, before and fold(before.number), fold(after.number))
        self.by_contact.move(after.id, before and before.contact_id, after.contact_id)
        self.by_reference.move(after.id, before and fold(before.reference), fold(after.reference))
        self.by_app.move(after.id, before and before.created_by, after.created_by)

    def numbered(self, number: str, kind: str = "ACCREC") -> list[Invoice]:
        """Those with the number, the living first."""
        found = [invoice for invoice in self.many(self.by_number.ids(fold(number))) if invoice.kind == kind]
        return sorted(found, key=lambda invoice: invoice.is_dead)


class Payments(Register[Payment]):
    def __init__(self) -> None:
        super().__init__()
        self.by_invoice = Index()

    def _indexed(self, before: Payment | None, after: Payment) -> None:
        self.by_invoice.move(after.id, before and before.invoice_id, after.invoice_id)

    def standing(self, invoice_id: str) -> list[Payment]:
        """The payments on an invoice that were not taken back."""
        return [paid for paid in self.many(self.by_invoice.ids(invoice_id)) if paid.status == "AUTHORISED"]


class Organisation:
    """Everything that one tenant holds."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.contacts = Contacts()
        self.invoices = Invoices()
        self.credit_notes = Invoices()
        self.payments = Payments()
        self.allocations: dict[str, Allocation] = {}
        self.allocations_of: dict[str, list[str]] = {}  # by the id of the invoice and of the credit note
        self.accounts: dict[str, Account] = {}  # by id
        self.account_codes: dict[str, Account] = {}
        self.tax_rates: dict[str, TaxRate] = {}
        self.currencies: dict[str, str] = {}  # code to name
        self.items: dict[str, Item] = {}  # by code
        self.tracking: list[Tracking] = []
        self.themes: list[Theme] = []
        self._numbers = {"INV": 0, "CN": 0}

    def add_account(self, account: Account) -> None:
        self.accounts[account.id] = account
        if account.code:
            self.account_codes[account.code] = account

    def next_number(self, prefix: str) -> str:
        """The next free number of a sequence, e.g. INV-0055 (xero.md 4.8)."""
        register = self.invoices if prefix == "INV" else self.credit_notes
        while True:
            self._numbers[prefix] += 1
            number = f"{prefix}-{self._numbers[prefix]:04d}"
            if not register.by_number.ids(fold(number)):
                return number

    def allocate(self, allocation: Allocation) -> None:
        self.allocations[allocation.id] = allocation
        for owner in (allocation.invoice_id, allocation.credit_note_id):
            self.allocations_of.setdefault(owner, []).append(allocation.id)

    def take_back(self, allocation_id: str) -> None:
        allocation = self.allocations.pop(allocation_id)
        for owner in (allocation.invoice_id, allocation.credit_note_id):
            self.allocations_of[owner].remove(allocation_id)

    def allocated(self, owner_id: str) -> list[Allocation]:
        """The allocations on an invoice or from a credit note."""
        return [self.allocations[found] for found in self.allocations_of.get(owner_id, ())]

    def account(self, code_or_id: str) -> Account | None:
        return self.account_codes.get(code_or_id) or self.accounts.get(code_or_id)

    def default_theme(self) -> str:
        """The one with the smallest sort order (xero.md 7.6)."""
        return min(self.themes, key=lambda theme: theme.sort_order).id if self.themes else ""
