"""Our fields in Kommo: what `setup` makes, found again by their codes, and what is wrong with those that are there. Pure."""

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


def lacking(entity: FieldEntity, there: Sequence[Field]) -> list[tuple[Field, tuple[str, ...]]]:
    """Those of ours that lack options, with the options."""
    drafts = {draft.code: draft for draft in FIELDS[entity]}
    wanted = ((field, drafts[field.code].options) for field in there if field.code in drafts)
    pairs = [(field, tuple(one for one in options if one not in field.options)) for field, options in wanted]
    return [(field, absent) for field, absent in pairs if absent]


def faults(entity: FieldEntity, there: Sequence[Field]) -> list[Finding]:
    """Fields that have our code, and are something else."""
    kinds = {draft.code: draft.kind for draft in FIELDS[entity]}
    mend = "delete it in Kommo, then run admin setup again: it makes the right one"
    return [
        failed(f"{entity} fields", f'"{field.name}" ({field.code}) is of the kind {field.kind}, not {kind}', mend)
        for field in there
        if (kind := kinds.get(field.code or "", field.kind)) != field.kind
    ]


def findings(entity: FieldEntity, there: Sequence[Field]) -> list[Finding]:
    """Our fields as they stand, for `check`."""
    about, mend = f"{entity} fields", "run admin setup again"
    absent = [draft.code for draft in missing(entity, there)]
    found = [failed(about, f"Kommo lacks {', '.join(absent)}", mend)] if absent else []
    found += faults(entity, there)
    found += [
        failed(about, f'"{field.name}" ({field.code}) lacks the options {", ".join(options)}', mend)
        for field, options in lacking(entity, there)
    ]
    return found or [ok(about, f"all there ({len(FIELDS[entity])})")]


def grouped(drafts: Sequence[FieldDraft], group_id: str | None) -> list[FieldDraft]:
    """The same, in that group."""
    return [replace(draft, group_id=group_id) for draft in drafts]
