"""Consent: the way to a vendor's page, and what becomes of who comes back from there."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

routes = Blueprint("consent", __name__, url_prefix="/oauth")


@routes.get("/<any(kommo, xero):vendor>/start")
def start(vendor: str) -> ResponseReturnValue:
    """To the vendor's consent page."""
    abort(501, vendor)
