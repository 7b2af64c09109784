"""Kommo's part of the control plane: what people do, and what happens to accounts. Under /_sandbox/kommo.

POST   /leads                        {"name", "price": "10.50", "pipeline", "stage", "contact": id or {"name", "email", "phone"}, "company": id or
                                     {...}, "products": [{"name", "price", "quantity"}], "fields": {name or code: value}}; a list makes several
POST   /leads/move                   {"ids": [...], "pipeline", "stage"}: one webhook for all
GET|PATCH|DELETE /leads/ID           PATCH as POST; GET answers deleted ones too
POST   /leads/ID/link|unlink|copy|merge|notes|restore      {"contact"|"company"}, {"into": id}, {"text"}
POST   /contacts|companies           {"name", "email", "phone", "address", "fields"}; GET|PATCH|DELETE /contacts|companies/ID
PATCH  /account                      {"subdomain", "currency", "currency_symbol", "timezone", "name"}
POST   /tokens                       {"days", "scopes", "user"}; /tokens/revoke and /tokens/expire {"token"} or all
/integration... /grants... /secrets  consents: registry.py
POST   /block|unblock                403 for everything, and support's mercy
GET    /files/UUID                   the bytes of the active version
PATCH|DELETE /fields/ENTITY/NAME     {"name"}; PATCH|DELETE /stages {"pipeline", "stage", "name"}
POST   /digital-pipeline             {"pipeline", "stage", "url"}
POST   /webhooks/enable|disable      {"destination"}
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.kommo import books, people
from sandbox.kommo.gate import Gate
from sandbox.kommo.nouns import EntityKind, StageHook
from sandbox.kommo.people import PERSON, NotThere
from sandbox.kommo.registry import Uninstalls, registry_blueprint
from sandbox.kommo.seed import ADMIN_ID
from sandbox.kommo.state import State
from sandbox.kommo.tokens import ALL_SCOPES, FIVE_YEARS_S

DONE = ("", 204)


def control_blueprint(state: State, gate: Gate, uninstalls: Uninstalls) -> Blueprint:
    part = Blueprint("kommo", __name__)
    part.register_error_handler(NotThere, _not_there)
    for kind in (KeyError, ValueError, ArithmeticError):
        part.register_error_handler(kind, _not_understood)
    for inner in (
        _leads(state),
        _lead_changes(state),
        _clients(state),
        _account(state, gate),
        _definitions(state),
        _hooks(state),
        registry_blueprint(state, uninstalls),
    ):
        part.register_blueprint(inner)
    return part


def _not_there(error: NotThere) -> ResponseReturnValue:
    return jsonify(error=str(error)), 400


def _not_understood(error: Exception) -> ResponseReturnValue:
    return jsonify(error=f"not understood: {error!r}"), 400


def _sent() -> dict[str, Any]:
    found = request.get_json(silent=True)
    return found if isinstance(found, dict) else {}


def _leads(state: State) -> Blueprint:
    part = Blueprint("leads", __name__)

    @part.post("/leads")
    def add() -> ResponseReturnValue:
        """One lead, or several in one action."""
        sent = request.get_json()
        with state.change(PERSON) as change:
            made = [people.add_lead(state, one, change) for one in (sent if isinstance(sent, list) else [sent])]
        ids = [lead.id for lead in made]
        return jsonify({"ids": ids} if isinstance(sent, list) else {"id": ids[0]}), 201

    @part.get("/leads/<int:lead_id>")
    def get(lead_id: int) -> ResponseReturnValue:
        with state.lock:
            return jsonify(books.lead(state, people.find_lead(state, lead_id, deleted=True)))

    @part.post("/leads/move")
    def move() -> ResponseReturnValue:
        """Several leads at once, in one webhook."""
        sent = _sent()
        with state.change(PERSON) as change:
            leads = [people.find_lead(state, lead_id) for lead_id in sent["ids"]]
            for lead in leads:
                people.update_lead(state, lead, {"pipeline": sent.get("pipeline"), "stage": sent["stage"]}, change)
        return DONE

    @part.patch("/leads/<int:lead_id>")
    def update(lead_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            people.update_lead(state, lead, _sent(), change)
        return jsonify(books.lead(state, lead))

    return part


def _lead_changes(state: State) -> Blueprint:
    part = Blueprint("lead_changes", __name__)

    @part.post("/leads/<int:lead_id>/link")
    def link(lead_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            people.link_clients(state, lead, _sent(), change)
            change.update_lead(lead)
        return jsonify(books.lead(state, lead))

    @part.post("/leads/<int:lead_id>/unlink")
    def unlink(lead_id: int) -> ResponseReturnValue:
        sent = _sent()
        with state.change(PERSON) as change:
            lead = people.find_lead(state, lead_id)
            for kind, name in (("contacts", "contact"), ("companies", "company")):
                if name in sent:
                    change.unlink(lead, kind, sent[name])
            change.update_lead(lead)
        return jsonify(books.lead(state, lead))

    @part.post("/leads/<int:lead_id>/copy")
    def copy(lead_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            made = people.copy_lead(state, people.find_lead(state, lead_id), change)
        return jsonify(id=made.id), 201

    @part.post("/leads/<int:lead_id>/merge")
    def merge(lead_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            change.merge(people.find_lead(state, lead_id), people.find_lead(state, _sent()["into"]))
        return DONE

    @part.post("/leads/<int:lead_id>/notes")
    def note(lead_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            made = people.add_note(state, people.find_lead(state, lead_id), str(_sent()["text"]), change)
        return jsonify(id=made.id), 201

    @part.delete("/leads/<int:lead_id>")
    def delete(lead_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            change.delete_lead(people.find_lead(state, lead_id))
        return DONE

    @part.post("/leads/<int:lead_id>/restore")
    def restore(lead_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            change.restore_lead(people.find_lead(state, lead_id, deleted=True))
        return DONE

    return part


def _clients(state: State) -> Blueprint:
    part = Blueprint("clients", __name__)

    @part.post("/<any(contacts, companies):kind>")
    def add(kind: EntityKind) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            made = people.add_client(state, kind, _sent(), change)
        return jsonify(id=made.id), 201

    @part.get("/<any(contacts, companies):kind>/<int:client_id>")
    def get(kind: EntityKind, client_id: int) -> ResponseReturnValue:
        with state.lock:
            return jsonify(books.client(state, people.find_client(state, kind, client_id)))

    @part.patch("/<any(contacts, companies):kind>/<int:client_id>")
    def update(kind: EntityKind, client_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            client = people.find_client(state, kind, client_id)
            people.update_client(state, client, _sent(), change)
        return jsonify(books.client(state, client))

    @part.delete("/<any(contacts, companies):kind>/<int:client_id>")
    def delete(kind: EntityKind, client_id: int) -> ResponseReturnValue:
        with state.change(PERSON) as change:
            change.delete_client(people.find_client(state, kind, client_id))
        return DONE

    return part


def _account(state: State, gate: Gate) -> Blueprint:
    part = Blueprint("account", __name__)

    @part.patch("/account")
    def change_account() -> ResponseReturnValue:
        """Another subdomain, currency or time zone."""
        allowed = ("subdomain", "currency", "currency_symbol", "timezone", "name")
        with state.lock:
            for name, value in _sent().items():
                if name not in allowed:
                    raise NotThere(f"no {name!r}: there are {', '.join(allowed)}")
                if name == "subdomain":
                    state.rename(str(value))
                else:
                    setattr(state.account, name, value)
        return DONE

    @part.post("/tokens")
    def issue() -> ResponseReturnValue:
        """A long-lived token: `scopes`, `days` it lives, `user` whose it is."""
        sent = _sent()
        with state.lock:
            grant = state.tokens.issue(
                account_id=state.account.id,
                user_id=sent.get("user", ADMIN_ID),
                client_uuid=state.client_uuid,
                scopes=tuple(sent.get("scopes", ALL_SCOPES)),
                life_s=float(sent["days"]) * 86400 if "days" in sent else FIVE_YEARS_S,
            )
        return jsonify(token=grant.token), 201

    @part.post("/tokens/<any(revoke, expire):how>")
    def end(how: str) -> ResponseReturnValue:
        """One token, or all."""
        with state.lock:
            return jsonify(ended=state.tokens.end(_sent().get("token"), expire=how == "expire"))

    @part.post("/<any(block, unblock):how>")
    def block(how: str) -> ResponseReturnValue:
        """403 for everything, as after long abuse; and support's mercy."""
        with state.lock:
            gate.meter.reset()
            gate.meter.is_blocked = how == "block"
        return DONE

    @part.get("/files/<file_uuid>")
    def content(file_uuid: str) -> ResponseReturnValue:
        with state.lock:
            found = state.files.get(file_uuid)
            if found is None:
                raise NotThere(f"no file {file_uuid}")
            return Response(found.content, content_type=found.mime)

    return part


def _definitions(state: State) -> Blueprint:
    part = Blueprint("definitions", __name__)

    @part.patch("/fields/<entity>/<named>")
    def rename_field(entity: str, named: str) -> ResponseReturnValue:
        with state.lock:
            people.find_field(state, entity, named).name = str(_sent()["name"])
        return DONE

    @part.delete("/fields/<entity>/<named>")
    def delete_field(entity: str, named: str) -> ResponseReturnValue:
        with state.lock:
            state.fields.remove(people.find_field(state, entity, named))
        return DONE

    @part.patch("/stages")
    def rename_stage() -> ResponseReturnValue:
        sent = _sent()
        with state.lock:
            pipeline = people.find_pipeline(state, sent["pipeline"], next(iter(state.pipelines.values())))
            pipeline.stages[people.find_stage(pipeline, sent["stage"])[1]].name = str(sent["name"])
        return DONE

    @part.delete("/stages")
    def delete_stage() -> ResponseReturnValue:
        """Its leads go to the first stage, without a word to anybody."""
        sent = _sent()
        with state.lock:
            pipeline = people.find_pipeline(state, sent["pipeline"], next(iter(state.pipelines.values())))
            gone = people.find_stage(pipeline, sent["stage"])
            del pipeline.stages[gone[1]]
            for lead_id in list(state.in_stage.get(gone, ())):
                lead = state.leads[lead_id]
                lead.status_id = pipeline.first_stage.id
                state.index_stage(lead, gone)
        return DONE

    return part


def _hooks(state: State) -> Blueprint:
    part = Blueprint("hooks", __name__)

    @part.post("/digital-pipeline")
    def stage_hook() -> ResponseReturnValue:
        """The Digital Pipeline's "Send webhook" on a stage."""
        sent = _sent()
        with state.lock:
            pipeline = people.find_pipeline(state, sent.get("pipeline"), next(iter(state.pipelines.values())))
            pipeline_id, status_id = people.find_stage(pipeline, sent["stage"])
            state.dispatcher.stage_hooks.append(StageHook(pipeline_id, status_id, str(sent["url"])))
        return DONE

    @part.post("/webhooks/<any(enable, disable):how>")
    def switch(how: str) -> ResponseReturnValue:
        """A person presses Save, or Kommo switches off."""
        destination = str(_sent()["destination"])
        with state.lock:
            if not state.dispatcher.switch(destination, on=how == "enable"):
                raise NotThere(f"no webhook to {destination}")
        return DONE

    return part
