"""What a trial runs with: secrets made for it, a database in its folder, and the sandbox where the vendors would be."""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack.processes import inherited
from stack.redis import free_port

CONNECTION = "demo"

OWN_NAMES = (
    "DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "PORT", "SECRET_KEYS", "ADMIN_PASSWORD", "CONNECTIONS_FILE", "COLUMNS",
    "ENV_FILE",
)  # fmt: skip
OWN_PREFIXES = (
    "BRIDGE_", "KOMMO_", "XERO_", "CONSOLE_", "FLOWER_", "CELERY_", "GUNICORN_", "WEB_CONCURRENCY", "KEEP_", "NOTIFY_", "SMTP_",
)  # fmt: skip
"""A trial must never meet real accounts, so nothing that could name one is inherited."""


def is_ours(name: str) -> bool:
    """Whether a variable is a setting of the product, and so not a trial's to inherit."""
    return name in OWN_NAMES or name.startswith(OWN_PREFIXES)


def environment(
    *,
    folder: Path,
    sandbox: Mapping[str, Any],
    redis_url: str,
    database_url: str | None = None,
    ports: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """The whole environment of a trial's processes; `sandbox` is the line that the sandbox printed.

    None is taken from an `.env`, which may speak of real accounts and of the people who look after them.
    """
    listen = {name: str((ports or {}).get(name) or free_port()) for name in ("PORT", "CONSOLE_PORT", "FLOWER_PORT")}
    return inherited(os.environ, without=is_ours) | listen | {
        "ENV_FILE": os.devnull,
        "DATABASE_URL": database_url or f"sqlite:///{folder.resolve() / 'bridge.db'}",
        "REDIS_URL": redis_url,
        "PUBLIC_URL": f"http://127.0.0.1:{listen['PORT']}",
        "CONSOLE_URL": f"http://localhost:{listen['CONSOLE_PORT']}",  # of plain http, Xero takes no other name (xero.md 1.1)
        "SECRET_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "ADMIN_PASSWORD": secrets.token_urlsafe(12),
        "CONNECTIONS_FILE": str(write_connections(folder, sandbox)),
        "KOMMO_CLIENT_ID": str(sandbox["kommo_client_id"]),
        "KOMMO_CLIENT_SECRET": str(sandbox["kommo_client_secret"]),
        "KOMMO_WEBHOOK_TOKEN": secrets.token_hex(24),
        "XERO_CLIENT_ID": str(sandbox["xero_app_client_id"]),
        "XERO_CLIENT_SECRET": str(sandbox["xero_app_client_secret"]),
        "XERO_WEBHOOK_KEY": str(sandbox["xero_webhook_key"]),
        "KOMMO_API_URL": f"{sandbox['kommo_url']}/{{subdomain}}",
        "KOMMO_OAUTH_URL": str(sandbox["kommo_oauth_url"]),
        "XERO_API_URL": str(sandbox["xero_url"]),
        "XERO_IDENTITY_URL": str(sandbox["xero_url"]),
        "XERO_LOGIN_URL": str(sandbox["xero_login_url"]),
    }  # fmt: skip


def write_connections(folder: Path, sandbox: Mapping[str, Any]) -> Path:
    """The connections file for what the sandbox is seeded with."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / "connections.toml"
    path.write_text(CONNECTIONS.format(name=CONNECTION, tenant=sandbox["xero_tenant_id"]), encoding="utf-8")
    return path


CONNECTIONS = """\
[[connection]]
name = "{name}"
kommo_subdomain = "acme"
xero_tenant_id = "{tenant}"

[connection.trigger]
pipeline = "Sales"
stage = "Payment approved"

[connection.invoice]
status = "AUTHORISED"
account_code = "200"
tax_type = "OUTPUT2"
line_amounts = "Exclusive"
due_days = 14
currency_field = "Invoice currency"
description_field = "Services"

[connection.deal]
pipeline = "Sales"
stage = "Invoiced in Xero"
since = 2020-01-01
"""
