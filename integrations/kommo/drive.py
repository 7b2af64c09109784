"""Kommo's drive: files, on a host of its own (kommo.md 10)."""

from dataclasses import dataclass

from integrations.answer import Answer
from integrations.exact_json import Json
from integrations.kommo import dialect, limits, settings
from integrations.kommo.entities import FileRef
from integrations.turns import Priority
from integrations.wire import Wire


@dataclass(frozen=True, slots=True)
class Drive:
    """Where an account's files lie.

    `patience`: how many seconds each call may wait in place for its turn, where it must not be in vain that the content was fetched; None: as
    long as others of its priority.
    """

    wire: Wire
    priority: Priority
    patience: float | None = None

    def upload(self, drive_url: str, *, name: str, content: bytes, mime: str, file_uuid: str | None = None) -> FileRef:
        """Put a file there, or a new version of one, in parts as large as the drive says.

        A part is never sent twice: after a failure begin again, for an upload that nobody links is harmless.
        """
        session = settings.write_session(name=name, size=len(content), mime=mime, file_uuid=file_uuid)
        opened = self._send(f"{drive_url}/v1.0/sessions", "/v1.0/sessions", json_body=session)
        size, url = opened.parse(settings.parse_session)
        for start in range(0, max(len(content), 1), size):
            part = self._send(url, "/upload", content=content[start : start + size], mime=mime)
            # Any 2xx is success; whether there is more to come, the address says (kommo.md 10.3).
            url = part.parse(lambda said: str((said or {}).get("next_url") or ""))
            if not url:
                break
        return part.parse(lambda said: settings.parse_stored_file(said, name=name, size=len(content)))

    def _send(
        self, url: str, shown: str, *, json_body: Json = None, content: bytes | None = None, mime: str | None = None
    ) -> Answer:
        """A call to an address as it was given: it holds a token, so it is not shown."""
        return self.wire.send(
            "POST",
            url,
            headers={"Accept": "application/json"} | ({"Content-Type": mime} if mime else {}),
            json_body=json_body,
            content=content,
            write=True,
            effect="same",
            priority=self.priority,
            meaning=dialect.meaning,
            limits=limits.heard_of_drive,
            shown=shown,
            patience=self.patience,
        )
