"""`python -m sandbox.pages` writes the table of switches in docs/sandbox.md anew."""

import re
from pathlib import Path

from sandbox.kommo.switches import SWITCHES as KOMMO
from sandbox.pages.meanings import table
from sandbox.xero.state import SWITCHES as XERO

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "sandbox.md"


def written(page: str) -> str:
    """The page with its table as it must be."""
    fresh = table({"kommo": KOMMO, "xero": XERO})
    return re.sub(
        r"(<!-- made of .*? -->\n).*?(\n<!-- end -->)",
        lambda found: f"{found[1]}\n{fresh}\n{found[2]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
