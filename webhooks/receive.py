"""The receiver's HTTP side: authenticate, record, commit, ring, answer.

An answer tells a vendor what it can do: 200 once all is durable, understood or not; 401 or 404 if it is not them; 503 if nothing is durable, so
that it is sent again. Bodies of answers are empty, and nothing sets a cookie: Xero refuses both (xero.md 9.4).
"""

import hmac
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import redis
import sqlalchemy as sa
import structlog
from flask import Flask, Response, abort, jsonify, request
from pydantic import SecretStr
from werkzeug.exceptions import HTTPException

from webhooks import kommo, xero
from webhooks.deadline import Deadline, TooLate
from webhooks.decode import decode
from webhooks.known import Notice
from webhooks.recording import Arrival, record
from webhooks.ringing import Ringer
from worker.database import Database
from worker.jobs import Ring
from worker.ring import client_address
from worker.settings import Settings

# Real bodies have some kilobytes; a bulk change of a thousand leads stays below.
MOST_BYTES = 1024 * 1024
# As many as Gunicorn lets in at a time (webhooks/gunicorn.py). They mostly wait, and those that wait together share a commit.
THREADS = 16
# A transaction that waits for a lock must not hold up all others.
RECORDERS = 3
# SQLite's one place to write is not queued for: who finds it taken asks again later and later, up to every 0.1 s. With this pause, in seconds,
# between two transactions of a burst the other processes find it free; and more comes together.
LETTING_IN = 0.005
# Kommo waits for 2 s (kommo.md 4.5), in which the network and a busy machine have their share too.
RECORDING_SECONDS = 1.3
# A broker that takes longer to say PONG than this is none.
BROKER_PATIENCE = 0.3

log = structlog.get_logger()


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    database: Database,
    ring: Callable[[Sequence[Ring]], object],
    *,
    now: Callable[[], datetime] = utc_now,
    patience: float = RECORDING_SECONDS,
) -> Flask:
    """The receiver. `ring` is told of each new job after its commit, on a thread of its own; `patience` bounds each transaction, in seconds."""
    receiver = Receiver(settings, database, Ringer(ring), now=now, patience=patience)
    app = Flask("webhooks", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES + 1
    app.add_url_rule("/webhooks/kommo/<token>", view_func=receiver.kommo, methods=["POST"])
    app.add_url_rule("/webhooks/kommo/<token>/uninstall", view_func=receiver.uninstall, methods=["GET"])
    app.add_url_rule("/webhooks/xero", view_func=receiver.xero, methods=["POST"])
    app.add_url_rule("/healthz", view_func=receiver.healthz)
    app.add_url_rule("/readyz", view_func=receiver.readyz)
    app.register_error_handler(HTTPException, lambda refusal: _empty(refusal.code or 500))
    app.register_error_handler(Exception, _not_durable)
    return app


class Receiver:
    """One method a route."""

    def __init__(
        self, settings: Settings, database: Database, ring: Ringer, *, now: Callable[[], datetime], patience: float
    ) -> None:
        self._tokens = _texts(settings.kommo_webhook_token)
        self._keys = _texts(settings.xero_webhook_key)
        self._database = database
        self._ring = ring
        self._now = now
        threads, rest = (1, LETTING_IN) if database.writes_singly else (RECORDERS, 0.0)
        self._recorded = Deadline(self._record, patience, threads=threads, rest=rest)
        self._database_answered: Deadline[None] = Deadline(self._ask_database, patience, threads=1)
        self._broker = redis.Redis.from_url(
            client_address(settings.redis_url), socket_connect_timeout=BROKER_PATIENCE, socket_timeout=BROKER_PATIENCE
        )

    def kommo(self, token: str) -> Response:
        """An account's webhook, or one of its Digital Pipeline. Kommo signs neither: the token in the address is all there is."""
        self._expect(token)
        body = _body()
        return self._take("kommo", body, kommo.read(decode(body)))

    def uninstall(self, token: str) -> Response:
        """Kommo's word that an account has revoked our access (kommo.md 2.6)."""
        self._expect(token)
        notice = kommo.read_uninstall(request.args.get("account_id", ""))
        return self._take("kommo-uninstall", request.query_string, notice)

    def xero(self) -> Response:
        """An app's webhook. One without events asks whether we check signatures, and is answered like any other."""
        body = _body()
        if not xero.is_authentic(body, request.headers.get("X-Xero-Signature", ""), self._keys):
            log.warning("signature_refused", source="xero", bytes=len(body))
            abort(401)
        return self._take("xero", body, xero.read(body))

    def healthz(self) -> Response:
        """The process answers."""
        return _empty(200)

    def readyz(self) -> Response:
        """Whether the database answers, without which nothing can be taken in; the broker's state is told, but nothing waits for it."""
        state = {"database": self._database_answers(), "broker": self._broker_answers()}
        response = jsonify(state)
        response.status_code = 200 if state["database"] else 503
        return response

    def _expect(self, token: str) -> None:
        """Let in only who knows a token of ours; every token is compared, each in constant time."""
        given = token.encode("utf-8", "replace")
        if not any([hmac.compare_digest(given, own.encode()) for own in self._tokens]):  # noqa: C419  (a list, so that all are)
            log.warning("token_refused", source="kommo")
            abort(404)

    def _take(self, source: str, body: bytes, notice: Notice) -> Response:
        """The answer once what came is durable."""
        content_type = re.sub(r"[^ -~]", "?", request.headers.get("Content-Type", ""))[:200]
        self._recorded(Arrival(source, body, content_type, self._now(), notice))
        return _empty(200)

    def _record(self, arrivals: Sequence[Arrival]) -> None:
        with self._database.statements() as transaction:
            rings = record(transaction, arrivals)
        self._ring(rings)

    def _ask_database(self, _: object) -> None:
        with self._database.reading() as session:
            session.execute(sa.text("SELECT 1"))

    def _database_answers(self) -> bool:
        try:
            self._database_answered(None)
        except Exception as fault:  # noqa: BLE001  (whatever is the matter with it, it does not answer)
            log.warning("database_silent", error=type(fault).__name__)
            return False
        return True

    def _broker_answers(self) -> bool:
        try:
            return bool(self._broker.ping())
        except redis.RedisError:
            return False


def _body() -> bytes:
    """The whole body, or a 413. Werkzeug cuts one that does not say its length at its own limit, so that is a byte further."""
    body = request.get_data(cache=False)
    if len(body) > MOST_BYTES:
        abort(413)
    return body


def _texts(secrets: Sequence[SecretStr]) -> tuple[str, ...]:
    return tuple(secret.get_secret_value() for secret in secrets)


def _empty(status: int) -> Response:
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def _not_durable(fault: Exception) -> Response:
    """Nothing was committed, as far as we know: whoever sent it has to send it again.

    Of the database's errors only the kind is logged, for their text may carry what was sent; anything else is a fault of ours.
    """
    kinds = {"error": type(fault).__name__, "cause": type(getattr(fault, "orig", None)).__name__}
    is_databases = isinstance(fault, sa.exc.SQLAlchemyError | TooLate)
    log.error("not_durable", **kinds, exc_info=None if is_databases else fault)
    return _empty(503)
