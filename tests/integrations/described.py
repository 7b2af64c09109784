"""Requests to Xero against its official description, where that is at hand; it is not ours to carry along."""

import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest

from tests.integrations.vendor import Seen

DESCRIPTION = Path(__file__).parents[3] / "shared" / "spec" / "xero_accounting.yaml"
ACCOUNTING = "/api.xro/2.0"


def is_there() -> bool:
    """Whether requests can be checked."""
    return DESCRIPTION.exists()


def check(seen: Seen) -> None:
    """Fail where Xero's description knows no such request: path, parameters, their names and types, body."""
    path = seen.path[seen.path.index(ACCOUNTING) + len(ACCOUNTING) :]
    headers = {name: value for name, value in seen.headers.items() if name.lower() != "content-length"}
    if "If-Modified-Since" in headers:
        headers["If-Modified-Since"] += "Z"  # described with an offset, and taken without (xero.md 10.2)
    request = requests.Request(
        seen.method, f"https://api.xero.com{ACCOUNTING}{path}", headers=headers, params=seen.query, data=seen.body
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it knows no OAuth: tokens are not what is checked here
        _description().validate_request(RequestsOpenAPIRequest(request))
    unknown = {name for name, _ in seen.query} - _parameters(seen.method, path)
    assert not unknown, f"{seen.method} {path} has no {unknown}"


@cache
def _description() -> OpenAPI:
    return OpenAPI.from_file_path(
        str(DESCRIPTION), config=Config(spec_validator_cls=None)
    )  # it is not quite valid itself


def _read() -> Any:
    return _description().spec.read_value()


def _parameters(method: str, path: str) -> set[str]:
    """The names of the query parameters that are described for a path."""
    described: Any = _read()
    return {
        parameter["name"]
        for template, item in described["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        for parameter in map(
            _resolved, [*item.get("parameters", ()), *item.get(method.lower(), {}).get("parameters", ())]
        )
        if parameter["in"] == "query"
    }


def _resolved(parameter: Any) -> Any:
    reference = parameter.get("$ref", "").rpartition("/")[2]
    return _read()["components"]["parameters"][reference] if reference else parameter
