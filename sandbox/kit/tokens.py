"""Requests for tokens, as both vendors' books show them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request: `spent` is the code or the refresh token that was sent; `error` is empty where tokens were given."""

    at: datetime
    client_id: str
    grant_type: str
    spent: str
    error: str

    def shown(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}
