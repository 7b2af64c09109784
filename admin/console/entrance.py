"""Who may come in: one password, a signed cookie for the day, and a token in every form that this console has written itself."""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import structlog
from flask import Flask, abort, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from redis import Redis, RedisError

from admin.console import shop
from worker.settings import Settings

# A day's work at a desk, and no longer than that: whoever finds the browser open tomorrow is asked.
LOGGED_IN = timedelta(hours=12)

# What is read by programs, or before anybody is known.
OPEN = frozenset({"static", "healthz", "metrics.metrics", "login"})

# So many guesses are free, for people mistype. From then on one is heard every few seconds, and a minute at the most: at that pace
# a password of ten letters takes longer than a life, and the operator still comes in while somebody guesses.
FREE_GUESSES, PAUSE, LONGEST_PAUSE = 5, 5.0, 60.0
# Guesses are forgotten after so many seconds without one.
REMEMBERED = 900

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Login:
    """One coming in with the password: `id` tells it apart from others, in other browsers."""

    id: str
    at: datetime


class Guesses:
    """How soon a guess is heard, counted by who guesses, in all processes together."""

    def __init__(self, redis: Callable[[], Redis]) -> None:
        self._redis = redis
        self._heard = float("-inf")

    def wait(self, who: str) -> float:
        """Seconds until a guess of theirs is heard; 0 where it is heard now, and counted."""
        try:
            return self._wait(self._redis(), who)
        except RedisError:
            return self._wait_alone()

    def right(self, who: str) -> None:
        """It was no guess: forget theirs."""
        try:
            self._redis().delete(*_keys(who))
        except RedisError:
            log.warning("guesses_kept", why="Redis does not answer")

    def _wait(self, redis: Redis, who: str) -> float:
        count_key, pause_key = _keys(who)
        if (left := int(redis.pttl(pause_key))) > 0:
            return left / 1000
        with redis.pipeline() as pipe:
            pipe.incr(count_key)
            pipe.expire(count_key, REMEMBERED)
            count = int(pipe.execute()[0])
        if count < FREE_GUESSES:
            return 0.0
        pause = min(PAUSE * 2 ** min(count - FREE_GUESSES, 10), LONGEST_PAUSE)
        # of those who come in the same moment, one is heard
        return 0.0 if redis.set(pause_key, 1, nx=True, px=int(pause * 1000)) else pause

    def _wait_alone(self) -> float:
        """Without Redis each process hears one guess a pause, from whomever."""
        now = time.monotonic()
        if (left := self._heard + PAUSE - now) > 0:
            return left
        self._heard = now
        return 0.0


def _keys(who: str) -> tuple[str, str]:
    named = sha256(who.encode()).hexdigest()[:16]
    return f"bridge:console:guesses:{named}", f"bridge:console:pause:{named}"


class Entrance:
    """The log-in, and the guard before every other route."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        assert settings.admin_password, "worker.settings.load sees to it"
        self._password = _digest(settings.admin_password.get_secret_value())
        self._now = now
        self._guesses = Guesses(lambda: shop.workshop().redis)

    def attach(self, app: Flask) -> None:
        """Stand before all of the app's routes."""
        app.before_request(self._guard)
        app.add_url_rule("/login", "login", self.login, methods=["GET", "POST"])
        app.add_url_rule("/logout", "logout", self.logout, methods=["POST"])
        app.jinja_env.globals["csrf"] = csrf

    def login(self) -> ResponseReturnValue:
        """The form, and what becomes of a password that was typed into it."""
        to = _local(request.values.get("next", ""))
        if request.method == "GET":
            return redirect(to) if g.is_known else render_template("login.html", to=to)
        who = request.remote_addr or ""
        if wait := self._guesses.wait(who):
            return _login_again(to, f"Too many wrong passwords: wait {max(round(wait), 1)} s, then try again.", 429)
        if not hmac.compare_digest(_digest(request.form.get("password", "")), self._password):
            log.warning("login_refused")
            return _login_again(to, "That is not the password (ADMIN_PASSWORD).", 401)
        self._guesses.right(who)
        session.clear()  # nothing that was known before is known of whoever is in now
        session["login"] = [secrets.token_urlsafe(16), int(self._now().timestamp())]
        return redirect(to, 303)

    def logout(self) -> ResponseReturnValue:
        """Out, in this browser."""
        session.clear()
        flash("You are logged out.")
        return redirect(url_for("login"), 303)

    def _guard(self) -> ResponseReturnValue | None:
        found = self._current()
        g.login, g.is_known = found, found is not None
        if request.method == "POST":
            _must_be_ours()
        if found or request.endpoint in OPEN:
            return None
        if "X-Live" in request.headers:  # a page that asks for itself is told, and asks the person
            abort(401)
        to = request.full_path.rstrip("?") if request.method == "GET" else "/"
        return redirect(url_for("login", next=to), 303)

    def _current(self) -> Login | None:
        try:
            login_id, at = session["login"]
            found = Login(str(login_id), datetime.fromtimestamp(at, UTC))
        except (KeyError, TypeError, ValueError):
            return None
        return found if self._now() - found.at < LOGGED_IN else None


def csrf() -> str:
    """The token that this browser's forms carry."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def _must_be_ours() -> None:
    """A form that was written by this console for this browser, or a 400."""
    given = request.form.get("csrf", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, session.get("csrf", secrets.token_urlsafe()).encode()):
        abort(
            400,
            "This form is older than your log-in, or was not written by this console. Go back, load the page again, and repeat it.",
        )


def _login_again(to: str, told: str, status: int) -> ResponseReturnValue:
    return render_template("login.html", to=to, told=told), status


def _local(address: str) -> str:
    """An address of this console, else its first page: nobody is sent elsewhere by a link with somebody else's `next`."""
    is_local = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_local else "/"


def _digest(text: str) -> bytes:
    """Of one length, so that comparing tells nothing of the password's."""
    return sha256(text.encode("utf-8", "replace")).digest()
