"""How amounts, days and names read in a sentence for people, and how text is made fit to be sent. Pure."""

import re
import unicodedata
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

CENT = Decimal("0.01")

# Rounding fails where the result has more digits than the context; the usual 28 are too few for nonsense that people type.
WIDE = Context(prec=60)

# How the vendors are called, whatever a column or an address calls them.
VENDORS = {"kommo": "Kommo", "xero": "Xero"}

# A sentence on a deal has to be read at a glance: names in it are cut to this.
NAME_IN_SENTENCE = 40


def cents(amount: Decimal) -> Decimal:
    """The amount rounded half-up to two decimals, as Xero does whatever the currency (xero.md 4.9)."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP, context=WIDE)


def money(amount: Decimal, currency: str) -> str:
    """An amount as people read it: "1,234.50 NZD"."""
    return f"{cents(amount):,.2f} {currency}".rstrip()


def number(value: Decimal) -> str:
    """A number without idle zeros: "2", "0.3333"."""
    text = f"{value:f}" if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def day(value: date) -> str:
    """A day as people read it in any country: "28 September 2026"."""
    return f"{value.day} {value:%B} {value.year}"


def plain(text: str) -> str:
    """One line without control characters, and without spaces at the ends or doubled."""
    return " ".join(_without_control(text).split())


def paragraphs(text: str) -> str:
    """The text with its line breaks, each line as `plain` would have it, blank lines at the ends left out."""
    lines = re.split(r"\r\n|\r|\n", text)
    return "\n".join(plain(line) for line in lines).strip()


def cut(text: str, length: int) -> str:
    """The text, or its beginning with an ellipsis, in at most `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def quoted(name: str) -> str:
    """A name for a sentence, in quotation marks and not too long for it."""
    return f'"{cut(plain(name), NAME_IN_SENTENCE)}"'


def _without_control(text: str) -> str:
    # Cs are lone surrogates: they can't be encoded as UTF-8, so a request with one never leaves.
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in text)
