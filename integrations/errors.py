"""What can go wrong with a call, named by whose move is next, not by a status code.

Each vendor's dialect decides which of these an answer means: a 403 is a block for too many calls at Kommo (kommo.md 3) and a lost
connection at Xero (xero.md 8.3).
"""

from enum import StrEnum


class CallError(Exception):
    """A call that did not do what was asked.

    `call` names it as "GET /api/v4/leads": method and path, never values that a person typed.
    `status` is the vendor's HTTP status, None where there was no answer.
    """

    def __init__(self, vendor: str, call: str, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(vendor, call, detail)
        self.vendor = vendor
        self.call = call
        self.detail = detail
        self.status = status

    def __str__(self) -> str:
        answered = f" ({self.status})" if self.status is not None else ""
        return (
            f"{self.vendor}: {self.call}{answered}: {self.detail}"
            if self.detail
            else f"{self.vendor}: {self.call}{answered}"
        )


class Unreachable(CallError):
    """No answer, and nothing can have happened: not connected, or a read that may be asked again."""


class Broken(CallError):
    """The vendor's fault (5xx, nonsense) on a call that may be repeated as it is."""


class OutcomeUnknown(CallError):
    """A creating write whose answer was lost: it may have taken effect. Look before any second try."""


class RateLimited(CallError):
    """Not our turn. `retry_after` is in seconds; `own` says that our own budget held the call back, so that nothing was sent.

    `in_line`: that time is this ask's own, and whoever asks next is told another one.
    """

    def __init__(
        self,
        vendor: str,
        call: str,
        detail: str = "",
        *,
        retry_after: float,
        own: bool = False,
        in_line: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(vendor, call, detail, status=status)
        self.retry_after = retry_after
        self.own = own
        self.in_line = in_line


class Refusal(StrEnum):
    """Why a vendor does not let us in."""

    EXPIRED = "expired"  # renew the token once, then go on
    REVOKED = "revoked"  # a person must connect again
    SCOPE = "scope"  # a person must consent to more
    DISCONNECTED = "disconnected"  # the organisation is no longer connected
    UNPAID = "unpaid"  # the vendor's account is not paid
    BLOCKED = "blocked"  # too many calls: the vendor shut us out, and only its support opens again


class Unauthorised(CallError):
    """The vendor does not let us in. Never retried in a loop: jobs wait until `reason` is mended."""

    def __init__(self, vendor: str, call: str, detail: str = "", *, reason: Refusal, status: int | None = None) -> None:
        super().__init__(vendor, call, detail, status=status)
        self.reason = reason


class Rejected(CallError):
    """What we sent is not acceptable, and will not be if it is sent again. `messages` are the vendor's own, one a fault.

    `elements` tells which element of a batch was meant by each message: its index as the vendor names it, None where it names none.
    `paths` tells what in that element, e.g. "custom_fields_values.0.field_id" (kommo.md 12); empty where the vendor does not say.
    """

    def __init__(
        self,
        vendor: str,
        call: str,
        detail: str = "",
        *,
        messages: tuple[str, ...] = (),
        elements: tuple[int | None, ...] = (),
        paths: tuple[str, ...] = (),
        status: int | None = None,
    ) -> None:
        super().__init__(vendor, call, detail or "; ".join(messages), status=status)
        self.messages = messages
        self.elements = elements
        self.paths = paths


class Missing(CallError):
    """What was asked for is not there."""


class LeaseLost(Exception):
    """The worker no longer owns the job, so the write was not sent: somebody else does it."""
