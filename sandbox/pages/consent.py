"""The page on which a person lets an app in, as both vendors show it on their own ports, and the way back to the app."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

from flask import Flask, Response, redirect

from sandbox.pages.paper import POLICY, dress, show

HERE = Path(__file__).parent
TITLES = {"kommo": "Kommo", "xero": "Xero"}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    remark: str = ""


def consent_app(name: str, static: str) -> Flask:
    """An app that can show these pages; what they bring along is at `static`, a path on the vendor's own port."""
    app = Flask(
        name, template_folder=str(HERE / "templates"), static_folder=str(HERE / "static"), static_url_path=static
    )
    dress(app)
    return app


def ask(
    vendor: str,
    *,
    app: str,
    rights: list[str],
    people: list[Choice],
    place: str,
    places: list[Choice],
    yes: str,
    no: str,
    back_to: str,
    remark: str = "",
) -> Response:
    """Who are you, which one, and may they? The form comes back to the address that showed it."""
    answer = show(
        "consent.html",
        vendor=vendor,
        title=TITLES[vendor],
        app=app,
        rights=rights,
        people=people,
        place=place,
        places=places,
        yes=yes,
        no=no,
        back_to=urlsplit(back_to).netloc,
        remark=remark,
    )
    return _closed(answer, back_to)


def refuse(vendor: str, error: str, why: str, code: int = 400) -> Response:
    """What the app asked for is wrong: it hears nothing of it, the person does."""
    return _closed(show("refused.html", code, vendor=vendor, title=TITLES[vendor], error=error, why=why))


def _closed(answer: Response, back_to: str = "") -> Response:
    """No frame may show it. Browsers hold the redirect that follows a form to `form-action` too."""
    url = urlsplit(back_to)
    forms_to = f"'self' {url.scheme}://{url.netloc}" if back_to else "'none'"
    answer.headers["Content-Security-Policy"] = POLICY.replace("form-action 'self'", f"form-action {forms_to}")
    answer.headers["X-Frame-Options"] = "DENY"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def send_back(address: str, **told: str) -> Response:
    """To the app, with what it is told in the query; what is empty is left out."""
    url = urlsplit(address)
    query = "&".join(
        part for part in (url.query, urlencode({name: text for name, text in told.items() if text})) if part
    )
    answer = redirect(urlunsplit(url._replace(query=query)), 302)
    assert isinstance(answer, Response)
    answer.headers["Cache-Control"] = "no-store"
    return answer
