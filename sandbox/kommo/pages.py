"""Kommo's own pages, as far as people need them: a board of deals, a deal, a client. What is done here is done by a person."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Blueprint, Response, abort, request, url_for

from sandbox.kommo import people
from sandbox.kommo.books import stored_file
from sandbox.kommo.nouns import Client, EntityKind, FieldDef, Lead, Note, Pipeline, Stage
from sandbox.kommo.people import PERSON, NotThere
from sandbox.kommo.reading import main_pipeline
from sandbox.kommo.seed import PRODUCTS_ID
from sandbox.kommo.state import State
from sandbox.kommo.values import for_people
from sandbox.pages.paper import NotAllowed, amount, back, changed, go, show, typed

MOST_CARDS = 40  # in a column; older ones are counted only
MOST_CLIENTS = 200  # to choose from
ROWS = 3  # of products on the form for a new deal

# how a field is put in, by its type; of other types people see the value only
INPUTS = {
    "text": "text", "url": "text", "streetaddress": "text", "numeric": "number", "monetary": "number", "textarea": "area",
    "select": "choice", "radiobutton": "choice", "date": "date", "birthday": "date", "multitext": "text",
}  # fmt: skip
REFUSALS = (NotThere, KeyError, ArithmeticError)


def pages(state: State) -> Blueprint:
    part = Blueprint("kommo", __name__)
    _board(part, state)
    _new_deal(part, state)
    _deal(part, state)
    _deal_changes(part, state)
    _links(part, state)
    _clients(part, state)
    _the_rest(part, state)
    return part


# --- the board -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """A deal as the board shows it. What an integration writes into its own (API-only) fields is known by how their codes end."""

    lead: Lead
    client: str
    number: str
    status: str
    message: str
    files: int


@dataclass(frozen=True, slots=True)
class Column:
    stage: Stage
    cards: list[Card]
    count: int
    total: Decimal


def _place(lead_id: int) -> str:
    """Where the form came from: the board, or the deal."""
    board = request.form.get("board", "")
    return url_for("kommo.board", pipeline=board) if board.isdecimal() else url_for("kommo.deal", lead_id=lead_id)


def _board(part: Blueprint, state: State) -> None:
    @part.get("/")
    def board() -> Response:
        with state.lock:
            pipeline = _pipeline(state)
            return show(
                "kommo/board.html",
                account=state.account,
                pipelines=list(state.pipelines.values()),
                pipeline=pipeline,
                columns=[_column(state, pipeline, stage) for stage in pipeline.in_order],
                most=MOST_CARDS,
            )

    @part.post("/leads/<int:lead_id>/move")
    @back(_place, *REFUSALS)
    def move(lead_id: int) -> Response:
        """Dragged, or chosen: `stage` is PIPELINE.STAGE."""
        pipeline_id, _, stage_id = typed("stage").partition(".")
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            where = {"pipeline": _id(pipeline_id), "stage": _id(stage_id)}
            if (where["pipeline"], where["stage"]) != lead.stage:
                people.update_lead(state, lead, where, change)
            said = f"{lead.name} is in {state.pipelines[lead.pipeline_id].stages[lead.status_id].name}."
        return go(_place(lead_id), said)


def _id(text: str) -> int:
    """0, which is nobody's, for what is no number."""
    return int(text) if text.isdecimal() else 0


def _pipeline(state: State) -> Pipeline:
    found = state.pipelines.get(request.args.get("pipeline", 0, int))
    return found or main_pipeline(state)


def _column(state: State, pipeline: Pipeline, stage: Stage) -> Column:
    ids = list(state.in_stage.get((pipeline.id, stage.id), ()))
    leads = [state.leads[lead_id] for lead_id in ids]
    newest = leads[: -MOST_CARDS - 1 : -1]
    return Column(
        stage, [_card(state, lead) for lead in newest], len(leads), sum((one.price for one in leads), Decimal(0))
    )


def _card(state: State, lead: Lead) -> Card:
    marks = {"NUMBER": "", "STATUS": "", "MESSAGE": ""}
    for definition, value in _filled(state, lead):
        ending = (definition.code or "").rpartition("_")[2]
        if definition.is_api_only and ending in marks:
            marks[ending] = str(value)
    return Card(
        lead, _client_name(state, lead), marks["NUMBER"], marks["STATUS"], marks["MESSAGE"], len(_files(state, lead))
    )


def _client_name(state: State, lead: Lead) -> str:
    names = [state.companies[lead.company_id].name] if lead.company_id in state.companies else []
    names += [state.contacts[lead.main_contact_id].name] if lead.main_contact_id in state.contacts else []
    return " · ".join(names)


def _filled(state: State, entity: Lead | Client) -> list[tuple[FieldDef, Any]]:
    fields = state.fields.of(entity.kind)
    return [
        (definition, for_people(definition, entity.fields[definition.id], state.zone))
        for definition in fields.values()
        if entity.fields.get(definition.id)
    ]


def _files(state: State, lead: Lead) -> list[dict[str, Any]]:
    found = [state.files[file_uuid] for file_uuid in lead.files if file_uuid in state.files]
    return [stored_file(one) for one in found if not one.is_trashed]


# --- a new deal ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """A field on a form."""

    definition: FieldDef
    kind: str
    value: str

    @property
    def name(self) -> str:
        return f"field_{self.definition.id}"


def _fields(state: State, entity: str, values: dict[int, Any]) -> list[Field]:
    """Those that people may fill in; an API-only field is shown to them and no more."""
    return [
        Field(one, INPUTS[one.type], _one(values.get(one.id, "")))
        for one in state.fields.of(entity).values()
        if not one.is_api_only and one.type in INPUTS
    ]


def _one(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value)


def _new_deal(part: Blueprint, state: State) -> None:
    def form(status: int = 200, refusal: str = "") -> Response:
        with state.lock:
            pipeline = _pipeline(state)
            stage_id = request.values.get("stage", "").rpartition(".")[2]
            return show(
                "kommo/new.html",
                status,
                refusal=refusal,
                account=state.account,
                pipelines=list(state.pipelines.values()),
                chosen=(pipeline.id, int(stage_id) if stage_id.isdecimal() else pipeline.first_stage.id),
                fields=_fields(state, "leads", {}),
                contacts=_choices(state, "contacts"),
                companies=_choices(state, "companies"),
                products=_products(state),
                rows=range(ROWS),
                typed=request.form,
            )

    @part.get("/leads/new")
    def new() -> Response:
        return form()

    @part.post("/leads/new")
    def add() -> Response:
        try:
            with state.change(PERSON) as change:
                lead = people.add_lead(state, _typed_deal(state), change)
        except (NotAllowed, *REFUSALS) as refusal:
            return form(400, str(refusal.args[0]) if refusal.args else "That can't be.")
        return go(url_for("kommo.deal", lead_id=lead.id), f"{lead.name} is made.")


def _typed_deal(state: State) -> dict[str, Any]:
    pipeline_id, _, stage_id = typed("stage").partition(".")
    products = [
        {"id": int(typed(f"product_{row}")), "quantity": str(amount(typed(f"quantity_{row}") or "1", "the quantity"))}
        for row in range(ROWS)
        if typed(f"product_{row}").isdecimal()
    ]
    return {
        "name": typed("name"),
        "price": str(amount(typed("price"), "the price")) if typed("price") else None,
        "pipeline": int(pipeline_id) if pipeline_id.isdecimal() else None,
        "stage": int(stage_id) if stage_id.isdecimal() else None,
        "contact": _typed_client("contact"),
        "company": _typed_client("company"),
        "products": products,
        "fields": {str(one.definition.id): typed(one.name) for one in _fields(state, "leads", {}) if typed(one.name)},
    }


def _typed_client(kind: str) -> int | dict[str, str] | None:
    """One that was chosen, else one that was described, else none."""
    if typed(kind).isdecimal():
        return int(typed(kind))
    if not typed(f"{kind}_name"):
        return None
    described = {name: typed(f"{kind}_{name}") for name in ("name", "email", "phone")}
    return {name: value for name, value in described.items() if value}


def _choices(state: State, kind: str) -> list[Client]:
    """The newest clients."""
    found = [one for one in state.clients(kind).values() if not one.is_deleted]
    return found[: -MOST_CLIENTS - 1 : -1]


def _products(state: State) -> list[tuple[int, str, Decimal]]:
    elements = state.elements.get(PRODUCTS_ID, {}).values()
    return [(one.id, one.name, state.element_price(PRODUCTS_ID, one.id)) for one in elements if not one.is_deleted]


# --- a deal --------------------------------------------------------------------------------------------------------------


def _deal(part: Blueprint, state: State) -> None:
    @part.get("/leads/<int:lead_id>")
    def deal(lead_id: int) -> Response:
        with state.lock:
            lead = state.leads.get(lead_id)
            if lead is None:
                abort(404, f"There is no deal {lead_id}.")
            filled = _filled(state, lead)
            return show(
                "kommo/deal.html",
                account=state.account,
                lead=lead,
                card=_card(state, lead),
                pipelines=list(state.pipelines.values()),
                pipeline=state.pipelines[lead.pipeline_id],
                stage=state.pipelines[lead.pipeline_id].stages.get(lead.status_id),
                fields=_fields(state, "leads", {definition.id: value for definition, value in filled}),
                written=[(one, value, _inside(value)) for one, value in filled if one.is_api_only],
                contacts=[state.contacts[one] for one in lead.contacts if one in state.contacts],
                company=state.companies.get(lead.company_id or 0),
                choices={"contact": _choices(state, "contacts"), "company": _choices(state, "companies")},
                linked=[
                    (link, state.elements[link.catalog_id][link.element_id].name,
                     state.element_price(link.catalog_id, link.element_id))
                    for link in lead.products.values()
                ],
                products=_products(state),
                files=_files(state, lead),
                notes=[(note, _author(state, note)) for note in reversed(lead.notes)],
                email=lambda client: _short(state, client, "EMAIL"),
            )  # fmt: skip


def _author(state: State, note: Note) -> str:
    user = state.users.get(note.created_by)
    return str(note.params.get("service") or (user.name if user else "Robot"))


def _inside(value: Any) -> str:
    """Where an invoice's address at Xero leads to within the sandbox."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        return ""
    found = parse_qs(urlsplit(value).query).get("InvoiceID", [""])
    return f"/xero/invoices/{found[0].lower()}" if found[0] else ""


def _short(state: State, client: Client, code: str) -> str:
    definition = state.fields.by_code(client.kind, code)
    values = client.fields.get(definition.id) if definition else None
    return str(values[0]["value"]) if values else ""


def _home(lead_id: int, **_more: Any) -> str:
    return url_for("kommo.deal", lead_id=lead_id)


def _deal_changes(part: Blueprint, state: State) -> None:
    @part.post("/leads/<int:lead_id>")
    @back(_home, *REFUSALS)
    def save(lead_id: int) -> Response:
        """Only what was changed by hand is written: an integration may have changed the rest meanwhile."""
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            wanted = _changes(state)
            if wanted:
                people.update_lead(state, lead, wanted, change)
        return go(_home(lead_id), "Saved." if wanted else "Nothing was changed.")

    @part.post("/leads/<int:lead_id>/copy")
    @back(_home, *REFUSALS)
    def copy(lead_id: int) -> Response:
        with state.change(PERSON) as change:
            made = people.copy_lead(state, people.find_lead(state, lead_id), change)
        return go(
            _home(made.id), "This is the copy: with all fields of the first, also those that an integration filled in."
        )

    @part.post("/leads/<int:lead_id>/delete")
    @back(_home, *REFUSALS)
    def delete(lead_id: int) -> Response:
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            change.delete_lead(lead)
        return go(_home(lead_id), "The deal is deleted.")

    @part.post("/leads/<int:lead_id>/restore")
    @back(_home, *REFUSALS)
    def restore(lead_id: int) -> Response:
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id, deleted=True)
            if lead.is_deleted:
                change.restore_lead(lead)
        return go(_home(lead_id), "The deal is back.")

    @part.post("/leads/<int:lead_id>/notes")
    @back(_home, *REFUSALS)
    def note(lead_id: int) -> Response:
        if not typed("text"):
            raise NotAllowed("a note needs some text")
        with state.change(PERSON) as change:
            people.add_note(state, people.find_lead(state, lead_id), typed("text"), change)
        return go(_home(lead_id), "The note is there.")


def _changes(state: State) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if changed("name"):
        wanted["name"] = typed("name")
    price = changed("price")
    if price is not None:
        wanted["price"] = str(amount(price or "0", "the price"))
    fields = {str(one.definition.id): changed(one.name) for one in _fields(state, "leads", {})}
    fields = {field_id: value for field_id, value in fields.items() if value is not None}
    return wanted | ({"fields": fields} if fields else {})


def _links(part: Blueprint, state: State) -> None:
    @part.post("/leads/<int:lead_id>/link/<any(contact, company):kind>")
    @back(_home, *REFUSALS)
    def link(lead_id: int, kind: str) -> Response:
        wanted = _typed_client(kind)
        if wanted is None:
            raise NotAllowed(f"choose a {kind}, or name a new one")
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            people.link_clients(state, lead, {kind: wanted}, change)
            change.update_lead(lead)
        return go(_home(lead_id), f"The {kind} is linked.")

    @part.post("/leads/<int:lead_id>/unlink/<any(contacts, companies):kind>/<int:client_id>")
    @back(_home, *REFUSALS)
    def unlink(lead_id: int, kind: str, client_id: int) -> Response:
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            change.unlink(lead, kind, client_id)
            change.update_lead(lead)
        return go(_home(lead_id), "No longer linked.")

    @part.post("/leads/<int:lead_id>/products")
    @back(_home, *REFUSALS)
    def add_product(lead_id: int) -> Response:
        if not typed("product").isdecimal():
            raise NotAllowed("choose a product")
        one = {"id": int(typed("product")), "quantity": str(amount(typed("quantity") or "1", "the quantity"))}
        with state.change(PERSON) as change:
            people.update_lead(state, people.find_lead(state, lead_id), {"products": [one]}, change)
        return go(_home(lead_id), "The product is on the deal.")

    @part.post("/leads/<int:lead_id>/products/<int:element_id>/remove")
    @back(_home, *REFUSALS)
    def remove_product(lead_id: int, element_id: int) -> Response:
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            change.unlink(lead, "catalog_elements", element_id, PRODUCTS_ID)
            change.update_lead(lead)
        return go(_home(lead_id), "The product is off the deal. The price stays as it was.")


# --- clients, files, webhooks --------------------------------------------------------------------------------------------


def _clients(part: Blueprint, state: State) -> None:
    @part.get("/<any(contacts, companies):kind>/<int:client_id>")
    def client(kind: EntityKind, client_id: int) -> Response:
        with state.lock:
            found = state.clients(kind).get(client_id)
            if found is None or found.is_deleted:
                abort(404, f"None of the {kind} is {client_id}.")
            filled = _filled(state, found)
            return show(
                "kommo/client.html",
                account=state.account,
                client=found,
                fields=_fields(state, kind, {definition.id: value for definition, value in filled}),
                written=[(one, value) for one, value in filled if one.is_api_only],
                leads=[
                    state.leads[one] for one in sorted(found.leads, reverse=True) if not state.leads[one].is_deleted
                ],
            )

    @part.post("/<any(contacts, companies):kind>/<int:client_id>")
    @back(lambda kind, client_id: url_for("kommo.client", kind=kind, client_id=client_id), *REFUSALS)
    def save_client(kind: EntityKind, client_id: int) -> Response:
        with state.change(PERSON) as change:
            found = people.find_client(state, kind, client_id)
            fields = {str(one.definition.id): changed(one.name) for one in _fields(state, kind, {})}
            wanted: dict[str, Any] = {"fields": {name: value for name, value in fields.items() if value is not None}}
            if changed("name"):
                wanted["name"] = typed("name")
            is_changed = "name" in wanted or bool(wanted["fields"])
            if is_changed:
                people.update_client(state, found, wanted, change)
        said = "Saved." if is_changed else "Nothing was changed."
        return go(url_for("kommo.client", kind=kind, client_id=client_id), said)


def _the_rest(part: Blueprint, state: State) -> None:
    @part.get("/files/<file_uuid>/<name>")
    def file(file_uuid: str, name: str) -> Response:
        """The active version, to be looked at."""
        with state.lock:
            found = state.files.get(file_uuid)
            if found is None:
                abort(404, f"There is no file {name}.")
            answer = Response(found.content, content_type=found.mime)
        is_shown = found.mime in ("application/pdf", "text/plain") or found.mime.startswith("image/")
        answer.headers["Content-Disposition"] = "inline" if is_shown else "attachment"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @part.post("/webhooks/switch")
    def switch() -> Response:
        """What a person does in Kommo's settings with a webhook that Kommo has switched off: Save."""
        with state.lock:
            done = state.dispatcher.switch(typed("url"), on=typed("on") == "yes")
        said = ("On again." if typed("on") == "yes" else "Off.") if done else "There is no such webhook."
        return go(url_for("traffic.traffic"), said, is_bad=not done)
