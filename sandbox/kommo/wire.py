"""What all of the account host's routes share: who asks, what they sent, and the shape of answers."""

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from flask import Response, g, request

from sandbox.kit import note
from sandbox.kommo.changes import Actor
from sandbox.kommo.problems import FieldRefused, Refused, validation
from sandbox.kommo.query import MOST, Query
from sandbox.kommo.state import State
from sandbox.kommo.tokens import Grant

HAL = "application/hal+json"
PROBLEM = "application/problem+json"

Row = TypeVar("Row")


def hal(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, separators=(",", ":")), status, content_type=HAL)


def nothing() -> Response:
    """204: what Kommo says for nothing found, whether one was asked for or many (kommo.md 12)."""
    return Response(status=204, content_type=HAL)


def refuse(refused: Refused) -> Response:
    return Response(json.dumps(refused.content, separators=(",", ":")), refused.status, content_type=PROBLEM)


def new_request_id() -> str:
    return uuid.uuid4().hex


def grant() -> Grant:
    found: Grant = g.grant
    return found


def actor(state: State) -> Actor:
    named = request.headers.get("X-Context-User-ID", "")
    return state.actor(grant(), int(named) if named.isdigit() else None)


def need_scope(scope: str) -> None:
    if scope not in grant().scopes:
        raise Refused(403)


def need_admin(state: State) -> None:
    if not state.users[grant().user_id].is_admin:
        raise Refused(403)


def query() -> Query:
    if "query" not in g:
        g.query = Query(request.query_string.decode("latin-1"))
    found: Query = g.query
    return found


def api_url() -> str:
    """The address that the client called us by: links must lead back the same way."""
    return f"{request.host_url.rstrip('/')}{request.environ['SCRIPT_NAME']}/api/v4"


def link(path: str) -> dict[str, Any]:
    return {"self": {"href": f"{api_url()}/{path}"}}


# what was sent


def sent() -> Any:
    """The body as JSON, money exact. Nothing at all is refused (kommo.md 12)."""
    body = request.get_data()
    if not body.strip():
        raise Refused(400)
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        raise Refused(400, "Syntax error") from None


def sent_many() -> list[dict[str, Any]]:
    content = sent()
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list) or not content or not all(isinstance(item, dict) for item in content):
        raise Refused(400)
    if len(content) > MOST:
        raise Refused(422)
    return content


def sent_one() -> dict[str, Any]:
    content = sent()
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if not isinstance(content, dict) or not content:
        raise Refused(400)
    return content


def request_id(item: dict[str, Any], index: int) -> str:
    """What the client sent, else the place in the request."""
    return str(item.get("request_id", index))


def each(items: Sequence[dict[str, Any]], read: Callable[[dict[str, Any]], Row]) -> list[Row]:
    """Reads all elements before any is written: one bad one refuses all."""
    rows: list[Row] = []
    errors: dict[str, list[FieldRefused]] = {}
    for index, item in enumerate(items):
        try:
            rows.append(read(item))
        except FieldRefused as fault:
            errors[request_id(item, index)] = [fault]
    if errors:
        raise validation(errors)
    return rows


# what is answered


def page_of(
    rows: Iterable[Row], show: Callable[[Row], dict[str, Any]], name: str, path: str, *, total: int | None = None
) -> Response:
    """One page of a list; 204 past the end. `rows` is only walked as far as the page needs."""
    asked = query()
    start = (asked.page - 1) * asked.limit
    found = list(islice(rows, start, start + asked.limit + 1))
    if not found:
        return nothing()
    links = {"self": {"href": _page_url(path, asked.page, asked.limit)}}
    if len(found) > asked.limit:
        links["next"] = {"href": _page_url(path, asked.page + 1, asked.limit)}
    content: dict[str, Any] = {
        "_page": asked.page,
        "_links": links,
        "_embedded": {name: [show(row) for row in found[: asked.limit]]},
    }
    return hal(content if total is None else {"_total_items": total} | content)


def _page_url(path: str, page: int, limit: int) -> str:
    """As the client asked, filters and all."""
    kept = [(name, value) for name, value in parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)]
    kept = [(name, value) for name, value in kept if name not in ("page", "limit")]
    return f"{api_url()}/{path}?{urlencode([*kept, ('page', page), ('limit', limit)])}"


def written(rows: list[dict[str, Any]], name: str, path: str, status: int = 200) -> Response:
    """The answer to a write of many: ids, never values (kommo.md 5.7)."""
    return hal({"_links": link(path), "_embedded": {name: rows}}, status)


def mark_call() -> None:
    """The pattern of the route goes to the log of calls."""
    if request.url_rule is not None:
        note().pattern = request.url_rule.rule


def as_number(number: Decimal) -> int | float:
    """PHP writes whole floats without a fraction."""
    return int(number) if number == number.to_integral_value() else float(number)
