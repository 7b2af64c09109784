"""Our fields in Kommo (CONTRACT 7): what `setup` makes, found again by their codes, and what is wrong with those that are there. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from integrations.kommo.entities import Field, FieldDraft, FieldEntity
from worker.findings import Finding, failed, ok
from worker.statuses import Label

# The tab of the lead's card that our fields stand in.
GROUP = "Xero"

# A field's place is undocumented beyond "sort": after the account's own (kommo.md 9.4).
FIRST_SORT = 510

_OF_LEADS = (
    FieldDraft("Xero invoice status", "XERO_INVOICE_STATUS", "select", options=tuple(label.value for label in Label)),
    FieldDraft("Xero invoice number", "XERO_INVOICE_NUMBER", "text"),
    FieldDraft("Xero message", "XERO_SYNC_MESSAGE", "text"),
    FieldDraft("Xero invoice total", "XERO_INVOICE_TOTAL", "numeric"),
    FieldDraft("Xero amount due", "XERO_AMOUNT_DUE", "numeric"),
    FieldDraft("Xero currency", "XERO_CURRENCY", "text"),
    FieldDraft("Xero due date", "XERO_DUE_DATE", "date"),
    FieldDraft("Xero invoice page", "XERO_INVOICE_URL", "url"),
    FieldDraft("Xero invoice PDF", "XERO_INVOICE_PDF", "file"),
    FieldDraft("Xero invoice ID", "XERO_INVOICE_ID", "text"),
)
_OF_CLIENTS = (FieldDraft("Xero contact ID", "XERO_CONTACT_ID", "text"),)

FIELDS: Mapping[FieldEntity, tuple[FieldDraft, ...]] = {
    "leads": tuple(replace(draft, sort=FIRST_SORT + place) for place, draft in enumerate(_OF_LEADS)),
    "contacts": _OF_CLIENTS,
    "companies": _OF_CLIENTS,
}


def missing(entity: FieldEntity, there: Sequence[Field]) -> list[FieldDraft]:
    """Those of ours that are not there yet."""
    codes = {field.code for field in there}
    return [draft for draft in FIELDS[entity] if draft.code not in codes]


def faults(entity: FieldEntity, there: Sequence[Field]) -> list[Finding]:
    """What is wrong with those of ours that are there."""
    drafts = {draft.code: draft for draft in FIELDS[entity]}
    return [
        fault
        for field in there
        if field.code in drafts and (fault := _fault(entity, field, drafts[field.code])) is not None
    ]


def findings(entity: FieldEntity, there: Sequence[Field]) -> list[Finding]:
    """Our fields as they stand, for `check`."""
    about = f"{entity} fields"
    absent = ", ".join(draft.code for draft in missing(entity, there))
    found = [failed(about, f"Kommo lacks {absent}", "run admin setup again")] if absent else []
    found += faults(entity, there)
    return found or [ok(about, f"all {len(FIELDS[entity])} are there")]


def _fault(entity: FieldEntity, field: Field, draft: FieldDraft) -> Finding | None:
    about = f"{entity} fields"
    if field.kind != draft.kind:
        said = (
            f'the field "{field.name}" has our code {draft.code}, but is of the kind {field.kind} and not {draft.kind}'
        )
        return failed(about, said, "delete it in Kommo, then run admin setup again: it makes the right one")
    absent = [option for option in draft.options if option not in field.options]
    if absent:
        said = f'the field "{field.name}" ({draft.code}) lacks the options {", ".join(absent)}'
        return failed(
            about,
            said,
            "add them in Kommo, spelt just so: Settings of the field, or delete it and run admin setup again",
        )
    return None


def grouped(drafts: Sequence[FieldDraft], group_id: str | None) -> list[FieldDraft]:
    """The same, in that group."""
    return [replace(draft, group_id=group_id) for draft in drafts]
