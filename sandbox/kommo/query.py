"""PHP's bracket queries, raw or percent-encoded. Pure."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from sandbox.kommo.problems import Refused

DEFAULT_LIMIT = 50
MOST = 250


def parse(query: str) -> dict[str, Any]:
    """`filter[id][]=1&filter[id][]=2` as {"filter": {"id": {"0": "1", "1": "2"}}}: lists are dicts, as they are to PHP."""
    content: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        _put(content, _keys(name), value)
    return content


def _keys(name: str) -> list[str]:
    head, *rest = name.split("[")
    return [head, *(part.rstrip("]") for part in rest)]


def _put(content: dict[str, Any], keys: list[str], value: str) -> None:
    for key in keys[:-1]:
        step = content.setdefault(key or str(len(content)), {})
        if not isinstance(step, dict):
            return
        content = step
    content[keys[-1] or str(len(content))] = value


class Query:
    """A request's query, asked by path."""

    def __init__(self, query: str) -> None:
        self._content = parse(query)

    def at(self, *path: str) -> Any:
        found: Any = self._content
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def texts(self, *path: str) -> list[str] | None:
        """One value, several, or several with commas between them; None where the name is not there."""
        found = self.at(*path)
        if found is None:
            return None
        values: Iterable[Any] = found.values() if isinstance(found, dict) else [found]
        return [part for value in values if isinstance(value, str) for part in value.split(",")]

    def names(self, *path: str) -> list[str] | None:
        """Like `texts`, but a comma belongs to the name."""
        found = self.at(*path)
        if found is None:
            return None
        return [value for value in (found.values() if isinstance(found, dict) else [found]) if isinstance(value, str)]

    def ids(self, *path: str) -> list[int] | None:
        texts = self.texts(*path)
        if texts is None:
            return None
        if not all(text.strip().isdigit() for text in texts):
            raise Refused(400, "Request validation failed")
        return [int(text) for text in texts]

    def number(self, *path: str) -> int | None:
        found = self.at(*path)
        return int(found) if isinstance(found, str) and found.isdigit() else None

    def span(self, *path: str) -> tuple[int, int] | None:
        """A filter with `from` and `to`, or one moment; both ends are within."""
        if self.at(*path) is None:
            return None
        exact = self.number(*path)
        if exact is not None:
            return exact, exact
        start, end = self.number(*path, "from"), self.number(*path, "to")
        return start or 0, end if end is not None else 2**62

    @property
    def search(self) -> str:
        found = self.at("query")
        return found.strip().lower() if isinstance(found, str) else ""

    @property
    def extras(self) -> set[str]:
        """What `with` asks for."""
        return set(self.texts("with") or [])

    @property
    def page(self) -> int:
        return max(self.number("page") or 1, 1)

    @property
    def limit(self) -> int:
        limit = self.number("limit")
        if limit is None:
            return DEFAULT_LIMIT
        if not 1 <= limit <= MOST:
            raise Refused(422)
        return limit
