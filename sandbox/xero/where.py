"""The subset of Xero's `where` and `order` that its documentation calls optimised, and a little more (xero.md 4.10).

    Status=="AUTHORISED" AND Date>=DateTime(2026,01,01) AND Contact.ContactID=guid("...")

An expression is read once into a tree; `equals` says which fields it pins to one value, so that an index can answer it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sandbox.xero.folding import fold

Value = str | Decimal | bool | UUID | date | datetime | None
Fields = Mapping[str, Callable[[object], Value]]  # lower-case name -> how to read it off a record


class QueryError(ValueError):
    """An expression that Xero would not read: 400 QueryParseException, number 16."""


@dataclass(frozen=True, slots=True)
class Compare:
    field: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Both:
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Either:
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Not:
    inner: "Node"


Node = Compare | Both | Either | Not

TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:\\.|[^"\\])*")
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)*)
      | (?P<symbol>==|!=|<>|>=|<=|&&|\|\||[=<>(),!])
    )""",
    re.VERBOSE,
)
OPERATORS = {"==": "==", "=": "==", "!=": "!=", "<>": "!=", ">": ">", "<": "<", ">=": ">=", "<=": "<="}
METHODS = ("contains", "startswith", "endswith")


def parse(text: str, fields: Fields) -> Node:
    """The tree of an expression. Raises QueryError for bad syntax and for fields that the resource does not have."""
    return _Reader(text, fields).read()


def matches(node: Node, record: object, fields: Fields, *, null_fails: bool = True) -> bool:
    """Whether a record fulfils an expression. A method on an empty field is an error unless `null_fails` is off."""
    match node:
        case Both(left, right):
            return matches(left, record, fields, null_fails=null_fails) and matches(
                right, record, fields, null_fails=null_fails
            )
        case Either(left, right):
            return matches(left, record, fields, null_fails=null_fails) or matches(
                right, record, fields, null_fails=null_fails
            )
        case Not(inner):
            return not matches(inner, record, fields, null_fails=null_fails)
        case Compare(field, operator, value):
            return _compare(fields[field](record), operator, value, null_fails=null_fails)


def equals(node: Node) -> Iterator[tuple[str, Value]]:
    """The fields that every match must have at one value, so that a search can begin at an index."""
    match node:
        case Both(left, right):
            yield from equals(left)
            yield from equals(right)
        case Compare(field, "==", value):
            yield field, value
        case _:
            return


def parse_order(text: str, fields: Fields) -> list[tuple[str, bool]]:
    """`Field ASC, Other DESC` as (field, descending)."""
    order = []
    for part in text.split(",") if text.strip() else ():
        words = part.split()
        if not words or len(words) > 2 or words[0].lower() not in fields:
            raise QueryError(f"No property or field '{(words or [''])[0]}' exists")
        if len(words) == 2 and words[1].upper() not in {"ASC", "DESC"}:
            raise QueryError("Syntax error")
        order.append((words[0].lower(), len(words) == 2 and words[1].upper() == "DESC"))
    return order


def sort_key(value: Value) -> tuple[bool, Value]:
    """For sorting: nothing before something, text without case."""
    return (value is not None, _folded(value) if value is not None else "")


class _Reader:
    """A recursive descent over the tokens; OR binds weakest, then AND, then NOT."""

    def __init__(self, text: str, fields: Fields) -> None:
        self.fields = fields
        self.tokens = list(_tokens(text))
        self.at = 0

    def read(self) -> Node:
        node = self._either()
        if self.at != len(self.tokens):
            raise QueryError("Syntax error")
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._take_word("or", "||"):
            node = Either(node, self._both())
        return node

    def _both(self) -> Node:
        node = self._single()
        while self._take_word("and", "&&"):
            node = Both(node, self._single())
        return node

    def _single(self) -> Node:
        if self._take_word("not", "!"):
            return Not(self._single())
        if self._take_word("("):
            node = self._either()
            self._expect(")")
            return node
        return self._comparison()

    def _comparison(self) -> Node:
        kind, name = self._next()
        if kind != "name":
            raise QueryError("Expression expected")
        owner, _, method = name.rpartition(".")
        if method.lower() in METHODS:
            field = self._field(owner)
            self._expect("(")
            value = self._value()
            self._expect(")")
            return Compare(field, method.lower(), value)
        field = self._field(name)
        kind, symbol = self._next()
        if kind != "symbol" or symbol not in OPERATORS:
            raise QueryError("Syntax error")
        return Compare(field, OPERATORS[symbol], self._value())

    def _field(self, name: str) -> str:
        if name.lower() not in self.fields:
            raise QueryError(f"No property or field '{name}' exists")
        return name.lower()

    def _value(self) -> Value:
        kind, text = self._next()
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return Decimal(text)
        if kind == "name":
            return self._named_value(text.lower())
        raise QueryError("Expression expected")

    def _named_value(self, name: str) -> Value:
        if name in {"true", "false"}:
            return name == "true"
        if name == "null":
            return None
        if name == "guid":
            return self._guid()
        if name in {"datetime", "datetime.parse"}:
            return self._datetime()
        raise QueryError(f"No property or field '{name}' exists")

    def _arguments(self) -> list[Value]:
        self._expect("(")
        found = [self._value()]
        while self._take_word(","):
            found.append(self._value())
        self._expect(")")
        return found

    def _guid(self) -> UUID:
        try:
            return UUID(str(self._arguments()[0]))
        except ValueError:
            raise QueryError("Guid should contain 32 digits with 4 dashes") from None

    def _datetime(self) -> datetime:
        arguments = self._arguments()
        try:
            if isinstance(arguments[0], str):
                return datetime.fromisoformat(arguments[0]).replace(tzinfo=None)
            year, month, day, *rest = (int(part) for part in arguments if isinstance(part, Decimal))
            hour, minute, second = (*rest, 0, 0, 0)[:3]
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - Xero's own are without a zone
        except (ValueError, TypeError):
            raise QueryError("Syntax error in DateTime") from None

    def _next(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise QueryError("Expression expected")
        self.at += 1
        return self.tokens[self.at - 1]

    def _take_word(self, *words: str) -> bool:
        if self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if kind in {"name", "symbol"} and text.lower() in words:
                self.at += 1
                return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._take_word(symbol):
            raise QueryError(f"'{symbol}' expected")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found or not found.lastgroup:
            raise QueryError(f"Syntax error at {at}")
        yield found.lastgroup, found.group(found.lastgroup)
        at = found.end()


def _compare(actual: Value, operator: str, wanted: Value, *, null_fails: bool) -> bool:
    if operator in METHODS:
        return _text_method(actual, operator, wanted, null_fails=null_fails)
    if actual is None or wanted is None:
        return (actual is wanted) == (operator == "==") if operator in {"==", "!="} else False
    left, right = _alike(actual, wanted)
    results: dict[str, Callable[[], bool]] = {
        "==": lambda: left == right,
        "!=": lambda: left != right,
        ">": lambda: left > right,
        "<": lambda: left < right,
        ">=": lambda: left >= right,
        "<=": lambda: left <= right,
    }
    return results[operator]()


def _text_method(actual: Value, method: str, wanted: Value, *, null_fails: bool) -> bool:
    if actual is None:
        if null_fails:
            raise QueryError("Object reference not set to an instance of an object.")
        return False
    if not isinstance(actual, str) or not isinstance(wanted, str):
        raise QueryError("Syntax error")
    left, right = fold(actual), fold(wanted)
    if method == "contains":
        return right in left
    return left.startswith(right) if method == "startswith" else left.endswith(right)


def _alike(actual: Value, wanted: Value) -> tuple[tuple[Any], tuple[Any]]:
    """Both sides in one comparable form, in a tuple; text without case and accents (xero.md 4.10, 6.1). Unlike kinds are an error."""
    left, right = _folded(actual), _folded(wanted)
    if type(left) is not type(right):
        raise QueryError(
            f"Operator '==' incompatible with operand types '{type(actual).__name__}' and '{type(wanted).__name__}'"
        )
    return (left,), (right,)


def _folded(value: Value) -> Value:
    if isinstance(value, str):
        return fold(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - calendar dates have no zone
    return value
