"""Text as Xero compares it."""

import unicodedata


def fold(text: str) -> str:
    """Text as Xero compares it: without case and accents (xero.md 6.1)."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in plain if not unicodedata.combining(sign))
