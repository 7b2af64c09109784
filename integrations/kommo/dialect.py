"""What Kommo's answers mean: errors by whose move is next, and the envelope of lists. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.answer import Answer
from integrations.errors import Broken, CallError, Missing, RateLimited, Refusal, Rejected, Unauthorised
from integrations.kommo import limits


def meaning(answer: Answer) -> CallError | None:
    """Why this answer is an error, or None (kommo.md 12). Bodies of 403, 429 and 50x need not be JSON."""
    vendor, call, status = answer.vendor, answer.call, answer.status
    if status < 300:
        return None
    detail = _detail(answer)
    if refusal := _refusal(answer):
        return Unauthorised(vendor, call, detail, reason=refusal, status=status)
    if status == 404:
        return Missing(vendor, call, detail, status=status)
    if status == 429:
        return RateLimited(vendor, call, detail, retry_after=limits.retry_after(answer), status=status)
    if 400 <= status < 500 and answer.is_json and status != 408:
        return _rejection(answer, detail)
    return Broken(vendor, call, detail, status=status)


def _refusal(answer: Answer) -> Refusal | None:
    """A 401 says nothing of its cause: expired, revoked and malformed tokens read the same (kommo.md 2.5)."""
    match answer.status:
        case 401:
            return Refusal.EXPIRED
        case 402:
            return Refusal.UNPAID
        case 403:
            return Refusal.BLOCKED if limits.is_block(answer) else Refusal.SCOPE
    return None


def _rejection(answer: Answer, detail: str) -> Rejected:
    faults = [
        (_index(item.get("request_id")), str(fault.get("path", "")), _sentence(fault))
        for item in _list(answer.said(), "validation-errors")
        for fault in _list(item, "errors")
    ]
    return Rejected(
        answer.vendor,
        answer.call,
        messages=tuple(sentence for _, _, sentence in faults) or (detail,),
        elements=tuple(index for index, _, _ in faults) or (None,),
        paths=tuple(path for _, path, _ in faults) or ("",),
        status=answer.status,
    )


def _sentence(fault: Mapping[str, Any]) -> str:
    """Kommo's own words with where and what: "custom_fields_values.0.field_id: The value … (NotSupportedChoice)"."""
    return f"{fault.get('path', '')}: {fault.get('detail', '')} ({fault.get('code', '')})"


def _detail(answer: Answer) -> str:
    said = answer.said()
    if isinstance(said, dict):
        return str(said.get("hint") or said.get("detail") or said.get("title") or "")
    return answer.media_type or "no body"


def _index(request_id: object) -> int | None:
    """Our items carry no request_id, so that Kommo names them by their index (kommo.md 5.7)."""
    text = str(request_id)
    return int(text) if text.isascii() and text.isdigit() else None


def _list(said: object, key: str) -> list[dict[str, Any]]:
    members = said.get(key) if isinstance(said, dict) else None
    return [member for member in members if isinstance(member, dict)] if isinstance(members, list) else []


def members(said: Any, name: str) -> list[dict[str, Any]]:
    """What is embedded under a name; nothing where the answer was empty (204), or where there is none of it.

    One thing may come as itself, without the envelope (kommo.md 5.7, 9.2).
    """
    if said is None:
        return []
    embedded = said.get("_embedded") or {}
    if name in embedded or "id" not in said:
        found = embedded.get(name) or []
        return list(found.values()) if isinstance(found, dict) else list(found)
    return [said]


def has_more(said: Any) -> bool:
    """Whether there is another page: only the link says so, a short page does not (kommo.md 5.3)."""
    return bool(said) and bool((said.get("_links") or {}).get("next"))


def instant(seconds: object) -> datetime:
    """Kommo's times are Unix seconds."""
    return datetime.fromtimestamp(int(str(seconds)), UTC)
