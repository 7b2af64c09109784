"""The drive: files come in sessions and parts, and in versions (kommo.md 10). A host of its own."""

import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from flask import Flask, Response, g, request

from sandbox.kit import note
from sandbox.kommo import wire
from sandbox.kommo.gate import Gate, bearer
from sandbox.kommo.nouns import StoredFile
from sandbox.kommo.problems import Refused
from sandbox.kommo.state import State

MOST_BYTES = 314_572_800
JSON = "application/json"


@dataclass(slots=True)
class Session:
    id: int
    name: str
    size: int
    mime: str
    file_uuid: str | None
    by: int
    ends: float
    content: bytearray = field(default_factory=bytearray)


class Drive:
    """Uploads in progress. The caller holds the state's lock."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._numbers = itertools.count(26_136_001)
        self._sessions: dict[str, Session] = {}  # by the one token that takes the next part

    def begin(self, item: dict[str, Any], by: int) -> tuple[Session, str]:
        name, size = item.get("file_name"), item.get("file_size")
        if not isinstance(name, str) or not name:
            raise Refused(400, "file_name is required")
        if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= MOST_BYTES:
            raise Refused(400, "file_size is not valid")
        file_uuid = item.get("file_uuid")
        if file_uuid is not None and file_uuid not in self._state.files:
            raise Refused(404, "File not found")
        life = self._state.clock.lasts(float(self._state.switches["session_life_s"]))
        mime = str(item.get("content_type") or "application/octet-stream")
        session = Session(next(self._numbers), name, size, mime, file_uuid, by, self._state.clock.ticks() + life)
        return session, self._token(session)

    def _token(self, session: Session) -> str:
        token = uuid.uuid4().hex + uuid.uuid4().hex
        self._sessions[token] = session
        return token

    def take(self, token: str, part: bytes) -> tuple[Session, str | None]:
        """One part; answers the token for the next one, None after the last. A token takes one part only."""
        session = self._sessions.get(token)
        if session is None or self._state.clock.ticks() >= session.ends:
            raise Refused(404, "Session not found")
        if not part or len(part) > self._state.switches["max_part_size"]:
            raise Refused(400, "Part size is not valid")
        if len(session.content) + len(part) > session.size:
            raise Refused(400, "File size exceeded")
        del self._sessions[token]
        session.content += part
        return session, None if len(session.content) == session.size else self._token(session)

    def keep(self, session: Session) -> StoredFile:
        """The whole file: a new one, or a new version that becomes the active one."""
        files, now = self._state.files, self._state.clock.stamp()
        version = (str(uuid.uuid4()), session.size)
        stored = files.get(session.file_uuid or "")
        if stored is None:
            stored = StoredFile(
                session.file_uuid or str(uuid.uuid4()),
                session.name,
                session.mime,
                bytes(session.content),
                [version],
                now,
                now,
                session.by,
            )
            files[stored.uuid] = stored
        else:
            stored.versions.append(version)
            stored.content, stored.mime, stored.name, stored.updated_at = (
                bytes(session.content),
                session.mime,
                session.name,
                now,
            )
        return stored


def create_drive(state: State, gate: Gate) -> Flask:
    app = Flask("sandbox.kommo.drive")
    gate.guard(app, is_drive=True)
    drive = Drive(state)
    url = state.kit.urls["drive"]

    @app.before_request
    def enter() -> None:
        """An upload address carries its own right; all else needs a token that may handle files."""
        wire.mark_call()
        with state.lock:
            found = state.tokens.find(bearer())
        if request.endpoint not in ("upload", None):
            if found is None:
                raise Refused(401)
            if "files" not in found.scopes:
                raise Refused(403)
        if found is not None:
            note().client = f"user {found.user_id}"
            g.grant = found
            state.used(found)

    @app.post("/v1.0/sessions")
    def begin() -> Response:
        item = wire.sent_one()
        with state.lock:
            session, token = drive.begin(item, wire.grant().user_id)
        return _json(
            {
                "max_file_size": MOST_BYTES,
                "max_part_size": state.switches["max_part_size"],
                "session_id": session.id,
                "upload_url": f"{url}{state.switches['upload_path']}/{token}",
            }
        )

    @app.post("/upload/<token>")
    @app.post("/v1.0/sessions/upload/<token>")
    def upload(token: str) -> Response:
        with state.lock:
            session, following = drive.take(token, request.get_data())
            if following is None:
                return _json(_shown(url, drive.keep(session), session.id))
        shown = {"next_url": f"{url}{state.switches['upload_path']}/{following}", "session_id": session.id}
        return _json(shown, state.switches["part_status"])

    _files(app, state, lambda stored: _shown(url, stored))
    return app


def _files(app: Flask, state: State, show: Callable[[StoredFile], dict[str, Any]]) -> None:
    @app.get("/v1.0/files")
    def find() -> Response:
        uuids = wire.query().texts("filter", "uuid")
        name = wire.query().at("filter", "name")
        with state.lock:
            rows = (
                [state.files[one] for one in uuids if one in state.files]
                if uuids is not None
                else list(state.files.values())
            )
            found = [
                show(one)
                for one in rows
                if not one.is_trashed and name in (None, one.name, PurePosixPath(one.name).stem)
            ]
        shown = found[: wire.query().limit]
        return _json({"_count": len(found), "_embedded": {"files": shown}}) if shown else wire.nothing()

    @app.get("/v1.0/files/<file_uuid>")
    def get(file_uuid: str) -> Response:
        with state.lock:
            found = state.files.get(file_uuid)
            return _json(show(found)) if found and not found.is_trashed else wire.nothing()

    @app.get("/v1.0/files/<file_uuid>/versions")
    def versions(file_uuid: str) -> Response:
        with state.lock:
            found = _known(state, file_uuid)
            rows = [{"uuid": one, "size": size, "is_main": one == found.version_uuid} for one, size in found.versions]
        return _json({"_embedded": {"versions": rows}})

    @app.patch("/v1.0/files/<file_uuid>")
    def update(file_uuid: str) -> Response:
        item = wire.sent_one()
        with state.lock:
            found = _known(state, file_uuid)
            found.name = str(item.get("name", found.name))
            return _json(show(found))

    @app.delete("/v1.0/files")
    def trash() -> Response:
        if "files_delete" not in wire.grant().scopes:
            raise Refused(403)
        _mark(state, trashed=True)
        return _json({})

    @app.post("/v1.0/files/restore")
    def restore() -> Response:
        _mark(state, trashed=False)
        return _json({})

    @app.get("/download/<_account>/<file_uuid>/<_version>/<_name>")
    @app.get("/download/<_account>/<file_uuid>/<_name>")
    def download(file_uuid: str, _account: str, _name: str, _version: str = "") -> Response:
        with state.lock:
            found = _known(state, file_uuid)
            return Response(found.content, content_type=found.mime)


def _known(state: State, file_uuid: str) -> StoredFile:
    found = state.files.get(file_uuid)
    if found is None:
        raise Refused(404, "File not found")
    return found


def _mark(state: State, *, trashed: bool) -> None:
    items = wire.sent_many()
    with state.lock:
        for item in items:
            _known(state, str(item.get("uuid"))).is_trashed = trashed


def _json(content: Any, status: int = 200) -> Response:
    answer = wire.hal(content, status)
    answer.content_type = JSON
    return answer


def _shown(url: str, stored: StoredFile, session_id: int | None = None) -> dict[str, Any]:
    """`name` comes without its extension (kommo.md 10.3)."""
    path = PurePosixPath(stored.name)
    account = str(uuid.uuid5(uuid.NAMESPACE_URL, url))
    place = f"{url}/download/{account}/{stored.uuid}"
    author = {"type": "internal", "id": stored.created_by}
    return {
        "_links": {
            "download": {"href": f"{place}/{stored.name}"},
            "download_version": {"href": f"{place}/{stored.version_uuid}/{stored.name}"},
            "self": {"href": f"{url}/v1.0/files/{stored.uuid}"},
        },
        "uuid": stored.uuid,
        "version_uuid": stored.version_uuid,
        "name": path.stem,
        "sanitized_name": path.stem,
        "size": stored.size,
        "type": "image" if stored.mime.startswith("image/") else "file",
        "metadata": {"extension": path.suffix.lstrip("."), "mime_type": stored.mime},
        "session_id": session_id,
        "source_id": None,
        "is_trashed": stored.is_trashed,
        "has_multiple_versions": len(stored.versions) > 1,
        "previews": None,
        "created_at": stored.created_at,
        "created_by": author,
        "updated_at": stored.updated_at,
        "updated_by": author,
        "deleted_at": None,
        "deleted_by": None,
    }
