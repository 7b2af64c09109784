"""The console's pages: all connections, and one with what is done for it."""

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from admin.console import cards
from admin.console.cards import Card
from admin.console.shop import workshop
from worker import checks, mends, setup
from worker.checks import Checked
from worker.findings import Grade
from worker.setup import Report

routes = Blueprint("pages", __name__)


@routes.get("/")
def connections() -> ResponseReturnValue:
    """All connections."""
    return render_template("connections.html", desk=cards.look(workshop()), now=workshop().now())


@routes.get("/connections/<name>")
def connection(name: str) -> ResponseReturnValue:
    """One connection."""
    return _page(name)


@routes.post("/connections/<name>/setup")
def set_up(name: str) -> ResponseReturnValue:
    """Set it up, and show what was done and what is left to do."""
    _card(name)
    try:
        report = setup.set_up(workshop(), name)
    except Exception as error:
        if (told := mends.explain(error)) is None:
            raise
        return _page(name, refused=told.splitlines())
    return _page(name, report=report)


@routes.post("/connections/<name>/check")
def check(name: str) -> ResponseReturnValue:
    """Look at every precondition, and show each with its mend."""
    _card(name)
    return _page(name, checked=list(checks.check(workshop(), name)))


@routes.get("/connections/<name>/setup")
@routes.get("/connections/<name>/check")
def back(name: str) -> ResponseReturnValue:
    """What a browser asks for that is sent back to the address of a form."""
    return redirect(url_for("pages.connection", name=name))


def _card(name: str) -> Card:
    found = next((card for card in cards.look(workshop()).cards if card.connection.name == name), None)
    if found is None:
        file = workshop().settings.connections_file
        abort(404, f"{file} has no connection {name!r}. The first page lists those that it has.")
    return found


def _page(
    name: str, *, report: Report | None = None, refused: list[str] | None = None, checked: list[Checked] | None = None
) -> ResponseReturnValue:
    failed = sum(one.grade is Grade.FAILED for one in checked or ())
    return render_template(
        "connection.html", card=_card(name), now=workshop().now(), report=report, refused=refused, checked=checked,
        failed=failed,
    )  # fmt: skip
