"""Exchanges as the sandbox keeps them (sandbox/kit/exchanges.py)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call and its answer; `status` is None where the connection was cut instead."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int | None = None
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""

    def header(self, name: str) -> str:
        """A request header, whatever its case; empty where it was not sent."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")


def read(line: str) -> Exchange:
    """One line of a file."""
    kept = json.loads(line)
    asked, answered = kept["asked"], kept["answered"] or {"status": None, "headers": [], "body": ""}
    return Exchange(
        method=asked["method"],
        path=asked["path"],
        query=tuple(parse_qsl(asked["query"], keep_blank_values=True)),
        headers=dict(asked["headers"]),
        body=asked["body"].encode("latin-1"),
        status=answered["status"],
        answer_headers=dict(answered["headers"]),
        answer=answered["body"].encode("latin-1"),
    )


class Reader:
    """Gives what was added to a folder's files since it was last asked."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder, self._host = folder, host
        self._read: dict[Path, int] = {}

    def new(self) -> Iterator[Exchange]:
        """Whole lines only: one that is being written comes the next time."""
        for path in sorted(self._folder.glob(f"{self._host}-*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._read[path] = self._read.get(path, 0) + len(line)
                    yield read(line.decode())
