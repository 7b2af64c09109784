"""Kommo's refusals, word for word (kommo.md 12)."""

import uuid
from typing import Any

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}
DETAILS = {
    400: "Request data can not be empty",
    401: "Invalid user name or password",
    402: "Payment required",
    403: "You do not have permission to perform this action",
    404: "Resource not found",
    405: "Method Not Allowed",
    422: "Limit 250 per page",
    429: "You have sent too many requests in a given amount of time. Please try again later.",
}


class Refused(Exception):
    """An answer that is no success: a problem document."""

    def __init__(self, status: int, detail: str | None = None, **more: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.content = problem(status, detail, **more)


class FieldRefused(Exception):
    """One fault in one element of a request; becomes a part of a validation answer."""

    def __init__(self, code: str, path: str, detail: str) -> None:
        super().__init__(code, path, detail)
        self.code = code
        self.path = path
        self.detail = detail

    def under(self, prefix: str) -> "FieldRefused":
        return FieldRefused(self.code, f"{prefix}.{self.path}" if self.path else prefix, self.detail)

    def shown(self) -> dict[str, str]:
        return {"code": self.code, "path": self.path, "detail": self.detail}


def no_choice(path: str) -> FieldRefused:
    return FieldRefused("NotSupportedChoice", path, "The value you selected is not a valid choice.")


def wrong_type(path: str, kind: str) -> FieldRefused:
    return FieldRefused("InvalidType", path, f"This value should be of type {kind}.")


def missing(path: str) -> FieldRefused:
    return FieldRefused("FieldMissing", path, "This field is missing.")


def problem(status: int, detail: str | None = None, **more: Any) -> dict[str, Any]:
    if status >= 500:
        return {
            "title": "ErrInternalServer",
            "status": status,
            "detail": "Our team are probably already working on the elimination of the problem",
            "trace_id": str(uuid.uuid4()),
        }
    return {
        "title": TITLES.get(status, "Bad Request"),
        "type": f"https://httpstatus.es/{status}",
        "status": status,
        "detail": detail or DETAILS.get(status, ""),
    } | more


def validation(errors: dict[str, list[FieldRefused]]) -> Refused:
    """`errors` by request_id; nothing of the batch is written (kommo.md 5.7)."""
    refused = Refused(400, "Request validation failed")
    listed = [
        {"request_id": request_id, "errors": [fault.shown() for fault in faults]}
        for request_id, faults in errors.items()
    ]
    refused.content = {"validation-errors": listed} | refused.content
    return refused
