"""What every page is written with. A form is answered with a redirect and a message; a refusal is a message too."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from flask import Flask, Response, redirect, render_template, request

from sandbox.kit.hooks import Delivery

# the message of the last form, until the next page has shown it
SAID = "sandbox_said"

# of a message; browsers drop a cookie of more than 4 KB, and a letter may take twelve bytes in it
MOST_SAID = 300

# only what the page brings itself; a PDF opens in a page of its own
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# what a status means to a glance: everything else is plain
TONES = {
    "good": {"paid", "delivered", "ok", "credited", "closed - won", "on", "taken"},
    "warn": {"partly paid", "awaiting payment", "awaiting approval", "retrying", "waiting", "held", "submitted"},
    "bad": {"overdue", "problem", "lost", "disabled", "refused", "dropped", "closed - lost", "off"},
    "mute": {"draft", "voided", "deleted", "none", "new"},
}


class NotAllowed(ValueError):
    """What was typed can't be: the message is for whoever typed it."""


# --- pages and answers ---------------------------------------------------------------------------------------------------


def show(template: str, code: int = 200, **values: Any) -> Response:
    """A page; 304 if the one who asks has it already."""
    is_update = "X-Live" in request.headers
    kind, _, said = unquote("" if is_update else request.cookies.get(SAID, "")).partition(" ")
    answer = Response(
        render_template(template, said=said, said_kind=kind, **values), code, content_type="text/html; charset=utf-8"
    )
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Cache-Control"] = "no-store"
    if said:
        answer.delete_cookie(SAID)
    elif code == 200:
        answer.set_etag(hashlib.sha256(answer.get_data()).hexdigest()[:16])
        answer.make_conditional(request)
    return answer


def go(address: str, said: str = "", *, is_bad: bool = False) -> Response:
    """To a page, which says what came of it."""
    answer = redirect(address, 303)
    said = said if len(said) <= MOST_SAID else said[: MOST_SAID - 1] + "…"
    if said:
        answer.set_cookie(
            SAID, quote(f"{'bad' if is_bad else 'good'} {said}"), max_age=30, samesite="Lax", httponly=True
        )
    assert isinstance(answer, Response)
    return answer


View = Callable[..., Response]


def back(to: Callable[..., str], *refusals: type[Exception]) -> Callable[[View], View]:
    """A form's view: what it refuses is told on the page at `to`, which is given the view's own arguments."""

    caught: tuple[type[Exception], ...] = (NotAllowed, *refusals)

    def wrap(view: View) -> View:
        @wraps(view)
        def answered(**arguments: Any) -> Response:
            try:
                return view(**arguments)
            except caught as refusal:
                return go(to(**arguments), sentence(refusal), is_bad=True)

        return answered

    return wrap


def sentence(refusal: Exception) -> str:
    """What an error says, as a sentence."""
    text = "; ".join(str(each) for each in refusal.args) or type(refusal).__name__
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


# --- what was typed ------------------------------------------------------------------------------------------------------


def typed(name: str) -> str:
    """A field of the form, without spaces around it."""
    return request.form.get(name, "").strip()


def changed(name: str) -> str | None:
    """What was typed, if it is not what the form showed (`was_…`); None for what was left alone."""
    found = typed(name)
    return None if found == request.form.get(f"was_{name}", "").strip() else found


def amount(text: str, what: str = "the amount") -> Decimal:
    try:
        found = Decimal(text.replace(" ", ""))
    except InvalidOperation:
        raise NotAllowed(f"{what} “{text}” is no number: write it like 1234.50") from None
    if not found.is_finite() or abs(found) >= 10**12:
        raise NotAllowed(f"{what} “{text}” is too much")
    return found


# --- as people read it ---------------------------------------------------------------------------------------------------


def money(value: Decimal | int | str | None, currency: str = "") -> str:
    """1,234.50 USD"""
    return "" if value is None else f"{Decimal(value):,.2f} {currency}".strip()


def bare(value: Decimal | None) -> str:
    """For an input: without separators and without zeros that say nothing."""
    if value is None:
        return ""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def clock(moment: datetime | int) -> str:
    found = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int) else moment
    return f"{found.astimezone(UTC):%H:%M:%S}"


def day(found: date | None) -> str:
    return f"{found.day} {found:%b %Y}" if found else ""


def moment(found: datetime | int) -> str:
    at = datetime.fromtimestamp(found, UTC) if isinstance(found, int) else found.astimezone(UTC)
    return f"{day(at.date())}, {at:%H:%M}"


def tone(word: object) -> str:
    folded = str(word).lower()
    return next((name for name, words in TONES.items() if folded in words), "plain")


def status_tone(status: int | None) -> str:
    """Of an HTTP status; None is an answer that never came."""
    if status is None or status >= 500:
        return "bad"
    return "warn" if status >= 400 else "good"


def _is_json(hook: Delivery) -> bool:
    return any(name.lower() == "content-type" and "json" in value for name, value in hook.headers.items())


def pretty(hook: Delivery) -> str:
    """A webhook's body: JSON indented, a form as a line a field."""
    body = hook.body.decode("utf-8", "replace")
    if _is_json(hook):
        try:
            return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        except ValueError:
            return body
    fields = parse_qsl(body, keep_blank_values=True)
    return "\n".join(f"{name} = {value}" for name, value in fields) or body


def gist(hook: Delivery) -> str:
    """What a webhook is about, in a few words."""
    body = hook.body.decode("utf-8", "replace")
    if _is_json(hook):
        try:
            events = json.loads(body).get("events", [])
        except ValueError:
            return body[:80]
        told = [
            f"{one.get('eventCategory', '')} {one.get('eventType', '')} {one.get('resourceId', '')[:8]}"
            for one in events
        ]
    else:
        parts = [(name.replace("]", "").split("["), value) for name, value in parse_qsl(body)]
        told = [f"{keys[0]} {keys[1]} {value}" for keys, value in parts if len(keys) == 4 and keys[3] == "id"]
    return ", ".join(told[:4]) + (f" and {len(told) - 4} more" if len(told) > 4 else "")


def dress(app: Flask, **known: Any) -> None:
    """Gives an app's templates these words, and `known`."""
    app.jinja_env.filters |= {
        "money": money, "bare": bare, "clock": clock, "day": day, "moment": moment, "tone": tone,
        "status_tone": status_tone, "pretty": pretty, "gist": gist, "unquoted": unquote,
    }  # fmt: skip
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals |= known
