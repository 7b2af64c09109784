"""One call as it came in, and the answers that Xero gives: envelope, errors, empty pages (xero.md 4.2, 8)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sandbox.kit import Answer
from sandbox.xero.act import Act
from sandbox.xero.organisation import Organisation
from sandbox.xero.shapes import Shape
from sandbox.xero.state import State
from sandbox.xero.wire import bare_instant, dump, dump_xml

JSON_TYPE = "application/json; charset=utf-8"
ID_SEGMENT = re.compile(r"/[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}(?=/|$)")


class BadQuery(ValueError):
    """A parameter that can't be read: 400 like a `where` that can't."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the gate: who, which organisation, what."""

    state: State
    held: Organisation
    client: str
    method: str
    path: str  # below /api.xro/2.0/
    query: Mapping[str, str]  # names in lower case
    accept: str
    modified_since: str
    content_type: str
    body: bytes
    correlation_id: str

    @property
    def decimals(self) -> int:
        return 4 if self.query.get("unitdp") == "4" else 2

    @property
    def summarizes(self) -> bool:
        """Behaves as true where it is not sent, whatever the description says (xero.md 4.6)."""
        return self.query.get("summarizeerrors", "true").lower() != "false"

    @property
    def act(self) -> Act:
        return self.state.act(self.held, self.client, decimals=self.decimals)

    @property
    def since(self) -> datetime | None:
        """If-Modified-Since, in whole seconds."""
        if not self.modified_since:
            return None
        try:
            found = datetime.fromisoformat(self.modified_since)
        except ValueError:
            try:
                found = parsedate_to_datetime(self.modified_since)
            except (ValueError, TypeError):
                raise BadQuery("The If-Modified-Since header could not be read") from None
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return found.replace(microsecond=0)

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() == "true"

    def listed(self, name: str) -> list[str] | None:
        """A comma list; None where it was not sent."""
        if name not in self.query:
            return None
        return [part.strip() for part in self.query[name].split(",") if part.strip()]

    def number(self, name: str) -> int | None:
        try:
            return int(self.query[name]) if name in self.query else None
        except ValueError:
            raise BadQuery(f"The {name} parameter must be a number") from None


def pattern(path: str) -> str:
    """The path with `{id}` for ids, for the log's counts."""
    return ID_SEGMENT.sub("/{id}", path)


def envelope(call: Call, content: Shape, *, pagination: Shape | None = None) -> Answer:
    """A success, as JSON or, for who did not ask for it, as XML."""
    return _formatted(
        call,
        200,
        {
            "Id": call.correlation_id,
            "Status": "OK",
            "ProviderName": call.state.apps[call.client].name,
            "DateTimeUTC": bare_instant(call.state.kit.clock.now()),
            "pagination": pagination,
            **content,
        },
    )


def invalid(call: Call, elements: list[Shape]) -> Answer:
    """400 ValidationException: only the elements that failed (xero.md 6.3)."""
    shown = {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
        "Elements": elements,
    }
    return _formatted(call, 400, shown)


def plain_error(call: Call, number: int, kind: str, message: str) -> Answer:
    return _formatted(call, 400, {"ErrorNumber": number, "Type": kind, "Message": message})


def _formatted(call: Call, status: int, content: Shape) -> Answer:
    if wants_json(call.accept):
        return Answer(status, [("Content-Type", JSON_TYPE)], dump(content).encode())
    call.state.complain("a call without Accept: application/json")
    if call.state.switches["no_accept"] == "refuse":
        return Answer(406, [("Content-Type", "text/plain")], b"Send Accept: application/json")
    return Answer(status, [("Content-Type", "text/xml; charset=utf-8")], dump_xml(content).encode())


def wants_json(accept: str) -> bool:
    return "application/json" in accept.lower()


def problem(status: int, title: str, detail: str, instance: str, *headers: tuple[str, str]) -> Answer:
    """401, 403 and the like (xero.md 8.2, 8.3)."""
    content = {"Type": None, "Title": title, "Status": status, "Detail": detail, "Instance": instance}
    nulls = dump({**content, "Extensions": {}}).replace("{", '{\r\n  "Type": null,', 1)
    return Answer(status, [("Content-Type", "application/json; charset=utf-8"), *headers], nulls.encode())


def missing() -> Answer:
    """404: empty, and said to be HTML (xero.md 8.1)."""
    return Answer(404, [("Content-Type", "text/html; charset=utf-8")])


def no_content() -> Answer:
    return Answer(204)


def not_implemented() -> Answer:
    """501: the method is not implemented for the endpoint."""
    return Answer(501, [("Content-Type", "text/html; charset=utf-8")])


def page_of(total: int, page: int, size: int) -> Shape:
    return {"page": page, "pageSize": size, "pageCount": -(-total // size), "itemCount": total}
