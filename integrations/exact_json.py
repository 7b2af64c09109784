"""JSON without floats: a Decimal goes out as the number that it is, and a number with a point comes in as a Decimal.

The json module can read Decimals and can't write them, and a float in between may lose a cent.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn

Json = None | bool | int | str | Decimal | Mapping[str, "Json"] | Sequence["Json"]


def read(content: bytes) -> Any:
    """What the bytes say, with Decimal for every number that has a point or an exponent; ValueError where they are not JSON."""
    return json.loads(content, parse_float=Decimal, parse_constant=_refuse)


def write(value: Json) -> bytes:
    """The value as JSON in UTF-8; TypeError for a float, ValueError for a Decimal that is no number."""
    return _text(value).encode()


def _text(value: Json) -> str:
    match value:
        case bool() | None | int() | str():
            return json.dumps(value, ensure_ascii=False)
        case Decimal():
            return _number(value)
        case Mapping():
            return "{" + ",".join(f"{_text(str(key))}:{_text(member)}" for key, member in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(_text(member) for member in value) + "]"
    raise TypeError(f"{type(value).__name__} has no exact place in JSON")


def _number(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is no number")
    return format(value, "f")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
