"""How the control plane reads what it is asked, and how it refuses."""

import json
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.xero.organisation import Organisation
from sandbox.xero.state import State


class Refused(Exception):
    """What the books do not allow, or what is not there."""

    def __init__(self, *errors: str, status: int = 400) -> None:
        super().__init__(*errors)
        self.errors = errors
        self.status = status


def refuse(refused: Refused) -> ResponseReturnValue:
    """The errors together as a sentence and one by one."""
    return jsonify(error="; ".join(refused.errors), errors=list(refused.errors)), refused.status


def asked() -> dict[str, Any]:
    """The body of the present request; amounts as Decimal."""
    try:
        found = json.loads(request.get_data() or b"{}", parse_float=Decimal)
    except ValueError as error:
        raise Refused(f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refused("the body is a JSON object")
    return found


def held_of(state: State) -> Organisation:
    """The organisation that is asked about, else the first."""
    tenant = request.args.get("tenant")
    held = state.organisations.get(tenant) if tenant else state.first_organisation()
    if held is None:
        raise Refused(f"no organisation {tenant}", status=404)
    return held


def amount_of(value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise Refused(f"{value!r} is no amount") from None


def day_of(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)) if value else None
    except ValueError:
        raise Refused(f"{value!r} is no date: YYYY-MM-DD") from None
