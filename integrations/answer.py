"""An answer that came, and what it means where it can't be read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self, TypeVar

from integrations import exact_json
from integrations.errors import Broken, CallError, OutcomeUnknown

T = TypeVar("T")

Effect = Literal["none", "same", "create"]
"""What a call does: nothing; the same however often it is sent; or something new each time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that did come; `effect` is that of the call, since it decides what nonsense means."""

    vendor: str
    call: str
    effect: Effect
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def at(self) -> datetime | None:
        """When it was given, by the vendor's clock; None where it does not say."""
        try:
            return parsedate_to_datetime(self.headers.get("Date", "")).astimezone(UTC)
        except ValueError:
            return None

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON, in any of its kinds ("application/hal+json", "application/problem+json")."""
        return self.media_type == "application/json" or self.media_type.endswith("+json")

    def json(self) -> Any:
        """The body with Decimals; None where there is none. Broken, or OutcomeUnknown for a create, where it is not JSON."""
        if not self.content:
            return None
        if not self.is_json:
            raise self.nonsense(f"{self.media_type or 'an untyped body'} where JSON was due")
        return self.read(lambda answer: exact_json.read(answer.content))

    def said(self) -> Any:
        """The body of a refusal, where it is JSON; None else. Never raises."""
        try:
            return self.json()
        except CallError:
            return None

    def parse(self, parse: Callable[[Any], T]) -> T:
        """What `parse` makes of the JSON; where it makes nothing of it, the answer is nonsense."""
        said = self.json()
        return self.read(lambda _: parse(said))

    def read(self, read: Callable[[Self], T]) -> T:
        """What `read` makes of the answer; where it makes nothing of it, the answer is nonsense."""
        try:
            return read(self)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise self.nonsense(f"not understood: {type(error).__name__} {error}") from error

    def nonsense(self, detail: str) -> CallError:
        """The error for an answer that can't be read: a create may have taken effect all the same."""
        return lost_or(Broken, self.effect)(self.vendor, self.call, detail, status=self.status)


Meaning = Callable[[Answer], CallError | None]
"""A dialect's judgement: why this answer is an error, or None."""


def lost_or(otherwise: type[CallError], effect: Effect) -> type[CallError]:
    """The error for an answer that tells nothing: for a create it is unknown whether it took effect."""
    return OutcomeUnknown if effect == "create" else otherwise


def doubted(error: CallError, effect: Effect) -> CallError:
    """The same error, unless it leaves open whether a create took effect."""
    if effect == "create" and isinstance(error, Broken):
        return OutcomeUnknown(error.vendor, error.call, error.detail, status=error.status)
    return error
