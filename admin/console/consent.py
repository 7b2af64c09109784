"""Consent: the way to a vendor's page, and what becomes of who comes back from there."""

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from admin.console.entrance import Login
from admin.console.shop import workshop
from worker import consent, consented
from worker.connecting import Connected
from worker.consent import Begun, NotConsented, Operator
from worker.consented import Choice

routes = Blueprint("consent", __name__, url_prefix="/oauth")


@routes.get("/<any(kommo, xero):vendor>/start")
def start(vendor: str) -> ResponseReturnValue:
    """To the vendor's consent page; who was sent here by another site has pressed nothing of ours, and is shown the button first."""
    name = request.args.get("connection", "")
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return redirect(url_for("pages.connection", name=name) if name else "/")
    return redirect(consent.begin(workshop(), vendor, name, login=_login().id), 303)


@routes.get("/kommo/callback")
def kommo() -> ResponseReturnValue:
    """Back from Kommo, which also says of which account (kommo.md 2.1)."""
    begun = _back("kommo")
    done = consented.complete_kommo(workshop(), begun, request.args.get("code", ""), request.args.get("referer", ""))
    return _connected(begun.connection, done)


@routes.get("/xero/callback")
def xero() -> ResponseReturnValue:
    """Back from Xero, perhaps with several organisations to choose from."""
    begun = _back("xero")
    done = consented.complete_xero(workshop(), begun, request.args.get("code", ""))
    if isinstance(done, Choice):
        return render_template("choose.html", choice=done)
    return _connected(begun.connection, done)


@routes.post("/xero/choose")
def choose() -> ResponseReturnValue:
    """The organisation that was chosen of several."""
    done = consented.choose(workshop(), request.form.get("pending", ""), request.form.get("tenant", ""))
    return _connected(request.form.get("connection", ""), done)


@routes.errorhandler(NotConsented)
def not_connected(refusal: NotConsented) -> ResponseReturnValue:
    """What was wrong, and the button to begin again."""
    return render_template("refused.html", refusal=refusal), 400


def _back(vendor: str) -> Begun:
    """The consent that comes back, once; NotConsented for one that is not ours, and for a no."""
    login = _login()
    begun = consent.accept(workshop(), vendor, request.args.get("state", ""), Operator(login.id, login.at))
    if "code" not in request.args:
        raise consented.refused(begun, request.args.get("error", "no code came back"))
    return begun


def _connected(name: str, done: Connected) -> ResponseReturnValue:
    went_on = f" {done.resumed} jobs that waited go on." if done.resumed else ""
    flash(f"Connected with {done.what}.{went_on}")
    return redirect(url_for("pages.connection", name=name), 303)


def _login() -> Login:
    assert g.login, "the entrance lets nobody else in"
    return g.login  # type: ignore[no-any-return]
