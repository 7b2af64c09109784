"""The console put together: its routes, its cookie, and what every answer carries."""

from collections.abc import Callable
from datetime import datetime

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, Response, g, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from admin.console import consent, metrics, pages, shop, words
from admin.console.entrance import Entrance
from worker import mends
from worker.settings import Settings
from worker.workshop import utcnow

# Only what the console brings itself; nothing of it may stand in somebody else's frame.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # a callback's address holds the code of a consent
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Forms here are short; a token has some thousand characters.
MOST_BYTES = 64 * 1024

log = structlog.get_logger()


def create_app(settings: Settings, *, now: Callable[[], datetime] = utcnow) -> Flask:
    """The console by these settings; `now` is its clock."""
    app = Flask("admin.console")
    newest, *older = cookie_keys(settings)
    app.config.update(
        SECRET_KEY=newest,
        SECRET_KEY_FALLBACKS=older,
        SESSION_COOKIE_NAME="bridge_console",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",  # a consent comes back by a redirect from the vendor's site
        SESSION_COOKIE_SECURE=settings.console_url.startswith("https://"),
        MAX_CONTENT_LENGTH=MOST_BYTES,
    )
    shop.attach(app, settings, now)
    words.dress(app)
    Entrance(settings, now).attach(app)
    app.register_blueprint(pages.routes)
    app.register_blueprint(consent.routes)
    app.register_blueprint(metrics.routes)
    app.add_url_rule("/healthz", "healthz", lambda: Response(status=200))
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _troubled)
    app.after_request(_dressed)
    return app


def cookie_keys(settings: Settings) -> list[bytes]:
    """What the cookie is signed with, newest first: of SECRET_KEYS, and of the password, so that a new one logs everybody out."""
    password = settings.admin_password.get_secret_value().encode() if settings.admin_password else b""
    return [
        HKDF(SHA256(), 32, salt=password, info=b"bridge console cookie").derive(key.get_secret_value().encode())
        for key in settings.secret_keys
    ]


def _dressed(response: Response) -> Response:
    """What every answer carries; pictures and styles may be kept, for nothing in them is anybody's."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    if request.endpoint == "static" and response.status_code in {200, 304}:
        response.headers["Cache-Control"] = "public, max-age=300"
    return response


def _refused(refusal: HTTPException) -> ResponseReturnValue:
    return trouble(refusal.name, refusal.description or "", status=refusal.code or 500)


def _troubled(error: Exception) -> ResponseReturnValue:
    """Trouble that an operator can mend gets its words; anything else is ours, and its words, which may hold anything, stay in the log."""
    if told := mends.explain(error):
        return trouble("Something is in the way", told, status=503)
    log.error("console_failed", error=type(error).__name__, endpoint=request.endpoint, exc_info=error)
    return trouble(
        "This is an error in the console", f"{type(error).__name__}: the process's log has the rest.", status=500
    )


def trouble(title: str, told: str, *, status: int) -> ResponseReturnValue:
    """A page that says what is the matter, a line a reason."""
    g.setdefault("is_known", False)
    return render_template("trouble.html", title=title, lines=told.splitlines()), status
