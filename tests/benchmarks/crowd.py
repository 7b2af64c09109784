"""What people do in a burst: type in clients and deals, and approve many deals at once."""

from collections.abc import Sequence
from typing import Any, Literal

from tests.benchmarks.place import APPROVED, OFFER, Place

How = Literal["each", "bulk"]
"""One webhook a deal, or what a bulk action makes: one webhook for up to a hundred."""


def clients(place: Place, count: int, tag: str) -> list[int]:
    """So many new companies in Kommo, which Xero does not know."""
    return [
        int(place.sandbox.post("kommo/companies", {"name": f"{tag} {n} Ltd", "email": f"{slug(tag)}{n}@client.example"})["id"])
        for n in range(count)
    ]  # fmt: skip


def deals(place: Place, count: int, companies: Sequence[int], tag: str) -> list[int]:
    """So many new deals, not yet approved, the companies in turn."""
    typed = [
        {"name": f"{tag} {n}", "price": f"{100 + n % 400}.50", "company": companies[n % len(companies)], **OFFER}
        for n in range(count)
    ]
    made: dict[str, Any] = place.sandbox.post("kommo/leads", typed)
    return [int(lead_id) for lead_id in made["ids"]]


def approve(place: Place, leads: Sequence[int], how: How = "each") -> None:
    """All at once: the webhooks are held until the last deal is moved, then they come as fast as they are taken."""
    place.sandbox.patch("settings", {"hooks_paused": True})
    for some in [list(leads)] if how == "bulk" else [[lead_id] for lead_id in leads]:
        place.sandbox.post("kommo/leads/move", {"ids": some, **APPROVED})
    place.sandbox.patch("settings", {"hooks_paused": False})


def slug(tag: str) -> str:
    """For an address."""
    return "".join(letter for letter in tag.lower() if letter.isalnum())
