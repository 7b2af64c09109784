"""Kommo's API by verbs: each asks in the fewest calls that there are, and answers in our words."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from integrations.answer import Answer, Effect
from integrations.errors import Missing
from integrations.exact_json import Json
from integrations.kommo import clients, dialect, limits, settings
from integrations.kommo.drive import Drive
from integrations.kommo.entities import (
    Account,
    Client,
    ClientDraft,
    ClientEntity,
    Event,
    Field,
    FieldDraft,
    FieldEntity,
    Hook,
    Lead,
    LeadChange,
    LeadDraft,
    Note,
    Pipeline,
    Product,
)
from integrations.kommo.leads import parse_event, parse_ids, parse_lead, parse_product, write_change, write_draft
from integrations.kommo.queries import Query, StageRef, one_of_each_pipeline, stage_filter
from integrations.turns import Priority
from integrations.walking import onwards
from integrations.wire import Wire

T = TypeVar("T")

PAGE = 250  # the most that a page holds (kommo.md 3)
BATCH = 50  # what Kommo recommends for writes; more draws 504 (kommo.md 3)
# As many ids as make an address of about 3 kB: servers cut off at 8.
IDS = 100
EVENT_IDS = 10  # the most that the filter takes (kommo.md 11.3)
LEAD_PARTS = "contacts,catalog_elements"


class Kommo:
    """One account. Errors are those of integrations.errors; what is absent is None, or absent from the answer.

    `base_url` is the account's host, `timezone` the account's: a date field is midnight there (kommo.md 5.6).
    """

    def __init__(self, wire: Wire, *, base_url: str, timezone: ZoneInfo, priority: Priority = Priority.NEW) -> None:
        self.timezone = timezone
        self.heard_at: datetime | None = None  # the last answer's time, by Kommo's clock
        self._wire = wire
        self._base_url = base_url.rstrip("/")
        self._priority = priority

    def account(self) -> Account:
        """The account that the token belongs to."""
        return self._get("/account", [("with", "drive_url,datetime_settings")]).parse(settings.parse_account)

    def pipelines(self) -> list[Pipeline]:
        """All pipelines with their stages, archived ones too."""
        return self._one_page("/leads/pipelines", "pipelines", settings.parse_pipeline)

    def create_stage(self, pipeline_id: int, name: str, sort: int) -> None:
        """Make a stage (admins only); it is found again by its name."""
        self._write("POST", f"/leads/pipelines/{pipeline_id}/statuses", [{"name": name, "sort": sort}], "create")

    def lead(self, lead_id: int) -> Lead | None:
        """One lead with its contacts and products; None where there is none (204, kommo.md 12)."""
        return self.leads([lead_id]).get(lead_id)

    def leads(self, ids: Iterable[int]) -> dict[int, Lead]:
        """The leads with their contacts and products, by id."""
        found = self._by_ids("/leads", "leads", ids, parse_lead, [("with", LEAD_PARTS)])
        return {lead.id: lead for lead in found}

    def leads_created_since(self, since: datetime) -> list[Lead]:
        """Leads made at or after that time, oldest first."""
        return self._walk("/leads", "leads", parse_lead, since, by="created_at", query=[("with", LEAD_PARTS)])

    def leads_updated_since(self, stages: Iterable[StageRef], since: datetime) -> list[Lead]:
        """Leads that are in one of these stages now and were touched at or after that time."""
        return [
            lead
            for some in one_of_each_pipeline(stages)
            for lead in self._walk(
                "/leads", "leads", parse_lead, since,
                by="updated_at", query=[*stage_filter("filter[statuses]", some), ("with", LEAD_PARTS)],
            )
        ]  # fmt: skip

    def find_leads(self, query: str) -> list[Lead]:
        """Leads with this text anywhere in them: near misses too, so compare (kommo.md 5.1)."""
        return self._pages("/leads", "leads", parse_lead, [("query", query), ("with", LEAD_PARTS)])

    def create_lead(self, draft: LeadDraft) -> int:
        """Make a lead with its fields and clients. OutcomeUnknown: look before any second try; Kommo has no idempotency key."""
        answer = self._write("POST", "/leads", [write_draft(draft, self.timezone)], "create")
        return answer.parse(lambda said: parse_ids(said, "leads")[0])

    def update_leads(self, changes: Sequence[LeadChange]) -> set[int]:
        """Write the changes; the ids that Kommo says it wrote, since it may pass over one that is gone (kommo.md 12).

        Rejected names the elements that Kommo refuses; assume that nothing of that batch was written.
        """
        written: set[int] = set()
        for batch in _batches(changes, BATCH):
            body = [write_change(change, self.timezone) for change in batch]
            written |= set(self._write("PATCH", "/leads", body, "same").parse(lambda said: parse_ids(said, "leads")))
        return written

    def contacts(self, ids: Iterable[int]) -> dict[int, Client]:
        """The contacts, by id."""
        return self._clients("contacts", ids)

    def companies(self, ids: Iterable[int]) -> dict[int, Client]:
        """The companies, by id."""
        return self._clients("companies", ids)

    def find_contacts(self, query: str) -> list[Client]:
        """Contacts with this text anywhere in them: near misses too, so compare (kommo.md 7.1)."""
        return self._pages("/contacts", "contacts", clients.client_parser("contacts"), [("query", query)])

    def find_companies(self, query: str) -> list[Client]:
        """Companies with this text anywhere in them: near misses too, so compare."""
        return self._pages("/companies", "companies", clients.client_parser("companies"), [("query", query)])

    def clients_updated_since(self, entity: ClientEntity, since: datetime) -> list[Client]:
        """Contacts or companies that were made or touched at or after that time: there at once, which a search need not be (kommo.md 5.7)."""
        return self._walk(f"/{entity}", entity, clients.client_parser(entity), since, by="updated_at")

    def create_client(self, entity: ClientEntity, draft: ClientDraft) -> int:
        """Make a contact or a company. OutcomeUnknown: look before any second try."""
        answer = self._write("POST", f"/{entity}", [clients.write_client(draft, self.timezone)], "create")
        return answer.parse(lambda said: parse_ids(said, entity)[0])

    def products(self, catalog_id: int, ids: Iterable[int]) -> dict[int, Product]:
        """Elements of a products list, by id; deleted ones may be missing (kommo.md 8.3)."""
        found = self._by_ids(f"/catalogs/{catalog_id}/elements", "elements", ids, parse_product)
        return {product.id: product for product in found}

    def fields(self, entity: FieldEntity) -> list[Field]:
        """All custom fields of leads, contacts or companies."""
        return self._pages(f"/{entity}/custom_fields", "custom_fields", settings.parse_field)

    def create_fields(self, entity: FieldEntity, drafts: Sequence[FieldDraft]) -> list[Field]:
        """Make fields (admins only); they are found again by their codes."""
        made: list[Field] = []
        for batch in _batches(drafts, BATCH):
            body = [settings.write_field(draft) for draft in batch]
            answer = self._write("POST", f"/{entity}/custom_fields", body, "create")
            made += answer.parse(lambda said: [settings.parse_field(field) for field in _field_list(said)])
        return made

    def add_options(self, entity: FieldEntity, field: Field, options: Sequence[str]) -> None:
        """Give a field more options to choose from (admins only); those that it has keep their ids."""
        body = settings.write_options(field, options)
        self._write("PATCH", f"/{entity}/custom_fields/{field.id}", body, "create")

    def groups(self, entity: FieldEntity) -> dict[str, str]:
        """The ids of the groups of fields (tabs of the card), by name."""
        path, name = f"/{entity}/custom_fields/groups", "custom_field_groups"
        return dict(self._pages(path, name, lambda said: (str(said["name"]), str(said["id"]))))

    def create_group(self, entity: FieldEntity, name: str) -> str:
        """Make a group of fields; its id."""
        answer = self._write("POST", f"/{entity}/custom_fields/groups", [{"name": name}], "create")
        return answer.parse(lambda said: str(dialect.members(said, "custom_field_groups")[0]["id"]))

    def notes(self, lead_id: int) -> list[Note]:
        """All notes in a lead's feed."""
        return self._pages(f"/leads/{lead_id}/notes", "notes", settings.parse_note)

    def create_notes(self, notes: Sequence[tuple[int, str]]) -> int:
        """Write notes of ours, each on its lead; how many. OutcomeUnknown: look through the leads' notes before any second try."""
        made = 0
        for batch in _batches(notes, BATCH):
            body = [settings.write_note(lead_id, text) for lead_id, text in batch]
            made += len(
                self._write("POST", "/leads/notes", body, "create").parse(lambda said: parse_ids(said, "notes"))
            )
        return made

    def drive(self, *, patience: float | None = None) -> Drive:
        """The account's drive, whose calls each wait in place for their turn for so many seconds."""
        return Drive(self._wire, self._priority, patience)

    def attach_file(self, lead_id: int, file_uuid: str) -> None:
        """Put a file of the drive on a lead; doing it twice is harmless."""
        self._write("PUT", f"/leads/{lead_id}/files", [{"file_uuid": file_uuid}], "same")

    def webhooks(self) -> list[Hook]:
        """All registered webhooks (admins only)."""
        return self._one_page("/webhooks", "webhooks", settings.parse_hook)

    def register_webhook(self, destination: str, events: Iterable[str]) -> None:
        """Have these events sent there. The address is the key, and the whole set is sent: merging is undocumented."""
        self._write("POST", "/webhooks", {"destination": destination, "settings": sorted(events)}, "same")

    def delete_webhook(self, destination: str) -> None:
        """Have nothing sent there; it may be gone already."""
        try:
            self._write("DELETE", "/webhooks", {"destination": destination}, "same")
        except Missing:
            return

    def entered(
        self, stages: Iterable[StageRef], since: datetime, lead_ids: Sequence[int] | None = None
    ) -> list[Event]:
        """When leads (all, or these) entered one of these stages, by the log of events, oldest first (kommo.md 11.3)."""
        among = stage_filter("filter[value_after][leads_statuses]", stages)
        found: dict[str, Event] = {}
        for batch in _batches(lead_ids, EVENT_IDS) if lead_ids is not None else [[]]:
            found |= {event.id: event for event in self._events("lead_status_changed", since, batch, among)}
        return sorted(found.values(), key=lambda event: (event.at, event.id))

    def moved(self, since: datetime) -> list[Event]:
        """All moves of leads between stages, in one list: a filter by the stage that was left would be a call of its own."""
        return self._events("lead_status_changed", since, [])

    def has_taken_in_others(self, lead_id: int, since: datetime) -> bool:
        """Whether another lead was merged into this one, by the log of events."""
        return bool(self._events("entity_merged", since, [lead_id]))

    def _events(self, kind: str, since: datetime, lead_ids: Sequence[int], among: Query = ()) -> list[Event]:
        query: list[tuple[str, str | int]] = [
            ("filter[type]", kind),
            ("filter[entity]", "lead"),
            ("filter[created_at][from]", int(since.timestamp())),
            *among,
        ]
        if lead_ids:
            query.append(("filter[entity_id]", ",".join(map(str, lead_ids))))
        return self._pages("/events", "events", parse_event, query)

    def _clients(self, entity: ClientEntity, ids: Iterable[int]) -> dict[int, Client]:
        found = self._by_ids(f"/{entity}", entity, ids, clients.client_parser(entity))
        return {client.id: client for client in found}

    def _by_ids(
        self, path: str, name: str, ids: Iterable[int], parse: Callable[[Any], T], query: Query = ()
    ) -> list[T]:
        """What has these ids; those that are gone are not in the answer."""
        return [
            found
            for batch in _batches(sorted(set(ids)), IDS)
            for found in self._pages(path, name, parse, [*(("filter[id][]", one) for one in batch), *query])
        ]

    def _pages(self, path: str, name: str, parse: Callable[[Any], T], query: Query = ()) -> list[T]:
        """All pages of a list (kommo.md 5.3)."""
        found: list[T] = []
        page, more = 1, True
        while more:
            some, more = self._page(path, name, parse, [*query, ("page", page)])
            found += some
            page += 1
        return found

    def _walk(
        self, path: str, name: str, parse: Callable[[Any], T], since: datetime, *, by: str, query: Query = ()
    ) -> list[T]:
        """All that has this time at or after `since`, in its order; what changes during the walk is given in its last state."""
        found: dict[int, T] = {}
        begin, page, more = int(since.timestamp()), 1, True
        while more:
            asked = [*query, (f"filter[{by}][from]", begin), (f"order[{by}]", "asc"), ("page", page)]
            some, more = self._page(path, name, lambda said: (int(said["id"]), int(said[by]), parse(said)), asked)
            found |= {key: one for key, _, one in some}
            begin, page = onwards(begin, page, [at for _, at, _ in some])
        return list(found.values())

    def _page(self, path: str, name: str, parse: Callable[[Any], T], query: Query) -> tuple[list[T], bool]:
        """One page of a list, and whether there are more."""
        answer = self._get(path, [*query, ("limit", PAGE)])
        return answer.parse(lambda said: (_parse_members(said, name, parse), dialect.has_more(said)))

    def _one_page(self, path: str, name: str, parse: Callable[[Any], T]) -> list[T]:
        """A list that Kommo gives whole."""
        return self._get(path).parse(lambda said: _parse_members(said, name, parse))

    def _get(self, path: str, query: Query = ()) -> Answer:
        return self._send("GET", path, write=False, effect="none", params=query)

    def _write(self, method: str, path: str, body: Json, effect: Effect) -> Answer:
        return self._send(method, path, write=True, effect=effect, json_body=body)

    def _send(
        self, method: str, path: str, *, write: bool, effect: Effect, params: Query = (), json_body: Json = None
    ) -> Answer:
        answer = self._wire.send(
            method,
            f"{self._base_url}/api/v4{path}",
            headers={"Accept": "application/json"},
            params=params,
            json_body=json_body,
            write=write,
            effect=effect,
            priority=self._priority,
            meaning=dialect.meaning,
            limits=limits.heard,
            shown=f"/api/v4{path}",
        )
        self.heard_at = answer.at or self.heard_at
        return answer


def _parse_members(said: Any, name: str, parse: Callable[[Any], T]) -> list[T]:
    return [parse(member) for member in dialect.members(said, name)]


def _field_list(said: Any) -> list[dict[str, Any]]:
    return dialect.members(said, "custom_fields")


def _batches(all_of_them: Iterable[T], size: int) -> Iterable[list[T]]:
    left = iter(all_of_them)
    while batch := list(islice(left, size)):
        yield batch
