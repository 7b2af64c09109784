"""The account, its users and its pipelines (kommo.md 1.2, 6, 13)."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import reading, show
from sandbox.kommo.nouns import Stage, User
from sandbox.kommo.problems import Refused, missing
from sandbox.kommo.state import State
from sandbox.kommo.wire import each, grant, hal, link, need_admin, nothing, query, sent_many


def blueprint(state: State) -> Blueprint:
    part = Blueprint("account", __name__)

    @part.get("/account")
    def account() -> Response:
        with state.lock:
            return hal(_account(state, query().extras))

    @part.get("/users")
    def users() -> Response:
        need_admin(state)
        shown = [_user(user) for user in state.users.values()]
        return hal({"_total_items": len(shown), "_page": 1, "_links": link("users"), "_embedded": {"users": shown}})

    @part.get("/users/<int:user_id>")
    def user(user_id: int) -> Response:
        need_admin(state)
        found = state.users.get(user_id)
        return hal(_user(found)) if found else nothing()

    @part.get("/leads/pipelines")
    def pipelines() -> Response:
        with state.lock:
            shown = [show.pipeline(state, one) for one in sorted(state.pipelines.values(), key=lambda one: one.sort)]
        if not shown:
            return nothing()
        return hal({"_total_items": len(shown), "_links": link("leads/pipelines"), "_embedded": {"pipelines": shown}})

    @part.get("/leads/pipelines/<int:pipeline_id>")
    def pipeline(pipeline_id: int) -> Response:
        with state.lock:
            found = state.pipelines.get(pipeline_id)
            if found is None:
                return nothing()
            shown = show.pipeline(state, found)
        if state.switches["pipeline_by_id"] == "root":
            return hal(shown)
        return hal({"_total_items": 1, "_links": link("leads/pipelines"), "_embedded": {"pipelines": [shown]}})

    @part.get("/leads/pipelines/<int:pipeline_id>/statuses")
    def statuses(pipeline_id: int) -> Response:
        with state.lock:
            found = state.pipelines.get(pipeline_id)
            if found is None:
                return nothing()
            shown = [show.stage(state, pipeline_id, stage) for stage in found.in_order]
        return hal({"_total_items": len(shown), "_embedded": {"statuses": shown}})

    @part.post("/leads/pipelines/<int:pipeline_id>/statuses")
    def create_statuses(pipeline_id: int) -> Response:
        """Admins only; `name` and `sort` are due (kommo.md 6)."""
        need_admin(state)
        with state.lock:
            found = state.pipelines.get(pipeline_id)
            if found is None:
                raise Refused(404)
            made = each(sent_many(), lambda item: _stage(state, item))
            found.stages |= {one.id: one for one in made}
            shown = [show.stage(state, pipeline_id, one) for one in made]
        return hal({"_total_items": len(shown), "_embedded": {"statuses": shown}})

    @part.get("/leads/pipelines/<int:pipeline_id>/statuses/<int:status_id>")
    def status(pipeline_id: int, status_id: int) -> Response:
        with state.lock:
            found = state.pipelines.get(pipeline_id)
            stage = found.stages.get(status_id) if found else None
            return hal(show.stage(state, pipeline_id, stage)) if stage else nothing()

    return part


def _stage(state: State, item: dict[str, Any]) -> Stage:
    name, sort = reading.text(item, "name"), reading.number(item, "sort")
    if not name or sort is None:
        raise missing("name" if not name else "sort")
    return Stage(state.next_id(), name, sort, reading.text(item, "color") or "#99ccff")


def _account(state: State, extras: set[str]) -> dict[str, Any]:
    account = state.account
    shown: dict[str, Any] = {
        "id": account.id,
        "name": account.name,
        "subdomain": account.subdomain,
        "created_at": account.created_at,
        "created_by": 0,
        "updated_at": account.created_at,
        "updated_by": 0,
        "current_user_id": grant().user_id,
        "country": account.country,
        "currency": account.currency,
        "currency_symbol": account.currency_symbol,
        "customers_mode": "disabled",
        "is_unsorted_on": True,
        "mobile_feature_version": 0,
        "is_loss_reason_enabled": True,
        "is_helpbot_enabled": False,
        "is_technical_account": False,
        "contact_name_display_order": 1,
    }
    if "version" in extras:
        shown["version"] = 15
    if "drive_url" in extras:
        shown["drive_url"] = state.kit.urls["drive"]
    shown["_links"] = link("account")
    embedded = _account_embedded(state, extras)
    return shown | ({"_embedded": embedded} if embedded else {})


def _account_embedded(state: State, extras: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "task_types" in extras:
        found["task_types"] = [
            {"id": 1, "name": "Follow-up", "color": None, "icon_id": None, "code": "FOLLOW_UP"},
            {"id": 2, "name": "Meeting", "color": None, "icon_id": None, "code": "MEETING"},
        ]
    if "datetime_settings" in extras:
        offset = f"{datetime.now(UTC).astimezone(state.zone):%z}"
        found["datetime_settings"] = {
            "date_pattern": "d.m.Y H:i",
            "short_date_pattern": "d.m.Y",
            "short_time_pattern": "H:i",
            "date_format": "d.m.Y",
            "time_format": "H:i:s",
            "timezone": state.account.timezone,
            "timezone_offset": f"{offset[:3]}:{offset[3:]}",
        }
    if "users_groups" in extras:
        found["users_groups"] = [{"id": 0, "name": "Sales", "uuid": None}]
    return found


def _user(user: User) -> dict[str, Any]:
    rights = {
        "is_admin": user.is_admin,
        "is_free": False,
        "is_active": user.is_active,
        "group_id": None,
        "role_id": None,
    }
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "lang": "en",
        "rights": rights,
        "_links": link(f"users/{user.id}"),
    }
