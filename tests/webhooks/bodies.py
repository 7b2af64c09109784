"""The samples beside this file, as bytes."""

from pathlib import Path

FOLDER = Path(__file__).parent / "samples"
KOMMO = sorted(path.name for path in FOLDER.glob("*.form"))
XERO = sorted(path.name for path in FOLDER.glob("*.json"))


def sample(name: str) -> bytes:
    """One body, byte for byte."""
    return (FOLDER / name).read_bytes()
