"""What Xero's description says against a request or an answer. It is no whole truth: xero.md 10.2 says where it misleads."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.media_types.exceptions import MediaTypeNotFound
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.responses.exceptions import ResponseNotFound
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.described.exchanges import Exchange

FOLDER = Path(__file__).parents[3] / "shared" / "spec"
WEBHOOKS = "xero-webhooks.yaml"
HOST = "https://api.xero.com"
ACCOUNTING, CONNECTIONS = "/api.xro/2.0", "/connections"
ABSENT = "no description of Xero's API at ../shared/spec"
NO_SUCH_CALL = "no such call"


def is_there() -> bool:
    """Whether anything can be held to the description."""
    return (FOLDER / "xero_accounting.yaml").exists()


def is_described(exchange: Exchange) -> bool:
    """Whether there is a description for this kind of call: tokens have none."""
    return exchange.path.startswith((ACCOUNTING, CONNECTIONS, CONNECTIONS.title()))


def against_request(exchange: Exchange) -> list[str]:
    """What the description says against a request: path, parameters with their names and types, body."""
    description, asked = _asked(exchange)
    found = list(_said(description.iter_request_errors(asked)))
    return found + [f"no parameter {name}" for name, _ in exchange.query if name not in _parameters(asked)]


def against_answer(exchange: Exchange) -> list[str]:
    """What it says against an answer: status, media type, body. Nothing, where the call itself is not described."""
    description, asked = _asked(exchange)
    said = list(_said(description.iter_response_errors(asked, _Answered.of(exchange))))
    return [] if NO_SUCH_CALL in said else said


def against_webhook(name: str, body: bytes) -> list[str]:
    """What the description of webhooks says against one that was sent."""
    sent = _Sent(name, "post", "/", RequestParameters(), body, "application/json")
    return list(_said(_description(WEBHOOKS).iter_webhook_request_errors(sent)))


# --- as openapi-core wants it --------------------------------------------------------------------------------------------


@dataclass
class _Asked:
    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = HOST


@dataclass
class _Sent:
    name: str
    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = HOST


@dataclass
class _Answered:
    status_code: int
    data: bytes
    headers: Mapping[str, str]
    content_type: str

    @staticmethod
    def of(exchange: Exchange) -> "_Answered":
        assert exchange.status is not None
        kind = Headers(dict(exchange.answer_headers)).get("Content-Type", "")
        return _Answered(exchange.status, exchange.answer, exchange.answer_headers, kind)


def _asked(exchange: Exchange) -> tuple[OpenAPI, _Asked]:
    """The request as it is described: paths have a case there, a PDF a path, and instants an offset (xero.md 1.1, 5.1, 10.2)."""
    headers = Headers(dict(exchange.headers))
    if "If-Modified-Since" in headers:
        headers["If-Modified-Since"] += "Z"
    path = exchange.path
    if path.startswith((CONNECTIONS, CONNECTIONS.title())):
        description, path = _description("xero-identity.yaml"), CONNECTIONS.title() + path[len(CONNECTIONS) :]
    else:
        description = _description("xero_accounting.yaml")
        wants_pdf = exchange.header("Accept") == "application/pdf"
        path += "/pdf" if wants_pdf and re.fullmatch(f"{ACCOUNTING}/Invoices/[^/]+", path) else ""
    return description, _Asked(
        method=exchange.method.lower(),
        path=quote(path, safe="/:,"),
        parameters=RequestParameters(query=ImmutableMultiDict(exchange.query), header=headers),
        body=exchange.body or None,
        content_type=exchange.header("Content-Type") or exchange.header("Accept"),
    )


@cache
def _description(name: str) -> OpenAPI:
    """Strict about names that it does not know, but for webhooks, which are described in parts; it is itself not quite valid."""
    strict: Literal["allow", "forbid"] = "allow" if name == WEBHOOKS else "forbid"
    config = Config(spec_validator_cls=None, additional_properties_default_policy=strict)
    return OpenAPI.from_file_path(str(FOLDER / name), config=config)


# --- what it said --------------------------------------------------------------------------------------------------------


def _said(errors: Iterable[Exception]) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it knows no OAuth: tokens are not what is judged here
        for error in errors:
            yield from _words(error)


def _words(error: BaseException) -> Iterator[str]:
    """One error as sentences that are the same for the same thing, whatever the values were."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case InvalidSchemaValue():
                for each in cause.schema_errors:
                    yield from _schema_words(each)
                return
            case ResponseNotFound():
                yield f"status {cause.http_status}"
                return
            case MediaTypeNotFound():
                yield f"media type {cause.mimetype or 'none'}"
                return
            case PathError():
                yield NO_SUCH_CALL
                return
        last, cause = cause, cause.__cause__
    yield f"{type(error).__name__}: {last}"


def _schema_words(error: Any) -> Iterator[str]:
    """`error` is one of jsonschema's."""
    place = "".join("[]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).removeprefix(".")
    if unknown := re.fullmatch(r"Additional properties are not allowed \((.+) w(?:as|ere) unexpected\)", error.message):
        for name in re.findall(r"'([^']+)'", unknown[1]):
            yield f"{place}.{name} is not described".removeprefix(".")
    elif error.context:
        for each in error.context:
            yield from _schema_words(each)
    else:
        yield f"{place}: {error.message}"


@cache
def _templates() -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name in ("xero_accounting.yaml", "xero-identity.yaml"):
        described: Any = _description(name).spec.read_value()
        read |= {
            path: {
                method: {
                    parameter["name"]
                    for parameter in (
                        _resolved(described, each) for each in [*item.get("parameters", ()), *how.get("parameters", ())]
                    )
                    if parameter["in"] == "query"
                }
                for method, how in item.items()
                if isinstance(how, dict)
            }
            for path, item in described["paths"].items()
        }
    return read


def _resolved(described: Any, parameter: Any) -> Any:
    reference = parameter.get("$ref", "").rpartition("/")[2]
    return described["components"]["parameters"][reference] if reference else parameter


def _parameters(asked: _Asked) -> set[str]:
    """The names of the query parameters that are described for a call."""
    path = asked.path.removeprefix(ACCOUNTING)
    return {
        name
        for template, methods in _templates().items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        for name in methods.get(asked.method, ())
    }
