"""`connect` and `setup`: what is done once for a connection."""

from datetime import UTC, datetime

import click

from admin.door import opened, secret
from admin.screen import tell
from worker import connecting, setup
from worker.connecting import Connected
from worker.findings import NotDone
from worker.grants import Credentials

LATER = "Consent by OAuth comes with a later release."


@click.group()
def connect() -> None:
    """Give the bridge a connection's access to Kommo or Xero."""


@connect.command()
@click.argument("name")
@click.option("--token", help="Long-lived token of a private integration in Kommo; - reads it from standard input.")
def kommo(name: str, token: str | None) -> None:
    """Try a long-lived token for the connection NAME, and store it encrypted."""
    if token is None:
        mend = "Make a long-lived token in Kommo (Settings, Integrations, a private integration, Keys and scopes), then"
        raise NotDone(f"{LATER} {mend} give it with --token TOKEN, or with --token - on standard input.")
    with opened("connect") as workshop:
        _tell(name, connecting.connect_kommo(workshop, name, secret(token)))


@connect.command()
@click.argument("name")
@click.option("--client-credentials", is_flag=True, help="The app is a custom connection.")
@click.option("--client-id", help="Default: XERO_CLIENT_ID.")
@click.option("--client-secret", help="Default: XERO_CLIENT_SECRET; - reads it from standard input.")
def xero(name: str, *, client_credentials: bool, client_id: str | None, client_secret: str | None) -> None:
    """Try a custom connection's id and secret for the connection NAME, and store them encrypted."""
    if not client_credentials:
        raise NotDone(f"{LATER} Until then use a custom connection of Xero, with --client-credentials.")
    if (client_id is None) != (client_secret is None):
        raise click.UsageError("--client-id and --client-secret belong together.")
    with opened("connect") as workshop:
        pair = Credentials(client_id, secret(client_secret)) if client_id and client_secret else None
        _tell(name, connecting.connect_xero(workshop, name, pair))


@click.command("setup")
@click.argument("name")
def set_up(name: str) -> None:
    """Check what the connection NAME says against both systems, and make our fields and webhook in Kommo.

    It can be run again at any time, and must be after a change in the connections file.
    """
    with opened("setup") as workshop:
        report = setup.set_up(workshop, name)
    for sentence in report.done:
        tell(sentence)
    if report.todo:
        tell("\nLeft to do by hand:", style="bold")
    for sentence in report.todo:
        tell(f"- {sentence}")


def _tell(name: str, connected: Connected) -> None:
    tell(f"{name}: connected with {connected.what}")
    if connected.until is None:
        tell("The grant is renewed by itself.")
    else:
        days = (connected.until - datetime.now(UTC)).days
        tell(f"The token is good until {connected.until:%d %B %Y} ({days} days); connect again before then.")
