"""Whether a secret lies in clear anywhere that a run leaves behind: what the processes logged, and every value of every table, traces among them."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests
import sqlalchemy as sa

from stack.sandbox import Sandbox

# The vendors print their own secrets, which is how people learn them.
NOT_OURS = ("sandbox",)

# Settings of the product that nobody may read.
SECRET_SETTINGS = (
    "SECRET_KEYS",
    "ADMIN_PASSWORD",
    "KOMMO_WEBHOOK_TOKEN",
    "XERO_WEBHOOK_KEY",
    "KOMMO_CLIENT_SECRET",
    "XERO_CLIENT_SECRET",
)

# A shorter one would be found by chance.
SHORTEST = 8


def secrets(sandbox: Sandbox, settings: Mapping[str, str]) -> dict[bytes, str]:
    """Every secret that there was, in each form that it is sent in, and whose it is."""
    found = {
        str(value): f"{vendor}'s token or code"
        for vendor in ("kommo", "xero")
        for value in sandbox.get(f"{vendor}/secrets")
    }
    found |= {str(sandbox.ready[name]): name for name in ("kommo_token", "xero_client_secret")}
    found |= {value: name for name in SECRET_SETTINGS for value in settings.get(name, "").split(",")}
    for name in ("KOMMO", "XERO"):
        pair = f"{settings[f'{name}_CLIENT_ID']}:{settings[f'{name}_CLIENT_SECRET']}"
        found[base64.b64encode(pair.encode()).decode()] = f"{name}_CLIENT_SECRET as a header"
    return {value.encode(): name for value, name in found.items() if len(value) >= SHORTEST}


def leaks(wanted: Mapping[bytes, str], *, logs: Path, database_url: str) -> list[str]:
    """Where any of them lies in clear: "worker.1.log holds XERO_CLIENT_SECRET". Never the secret itself."""
    places = {path.name: path.read_bytes() for path in sorted(logs.rglob("*")) if path.is_file()}
    places = {name: content for name, content in places.items() if not name.startswith(NOT_OURS)}
    places |= dict(tables(database_url))
    return [
        f"{place} holds {whose}"
        for place, content in places.items()
        for value, whose in wanted.items()
        if value in content
    ]


def tables(database_url: str) -> Iterator[tuple[str, bytes]]:
    """Every table, with all of its values one after the other."""
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        for name in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'SELECT * FROM "{name}"'))
            yield f"table {name}", b"\n".join(_bytes(value) for row in rows for value in row)
    engine.dispose()


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def poke(address: str) -> int:
    """What a stranger's request is answered."""
    with requests.Session() as session:
        session.trust_env = False
        return (session.get if "uninstall" in address else session.post)(address, data=b"x", timeout=10).status_code
