"""`connect` and `setup`: what is done once for a connection."""

from datetime import UTC, datetime, timedelta

import click

from admin.completion import connection_names
from admin.door import opened, secret
from admin.screen import tell
from worker import connecting, consent, setup
from worker.connecting import Connected
from worker.grants import Credentials


@click.group()
def connect() -> None:
    """Give the bridge a connection's access to Kommo or Xero."""


@connect.command()
@click.argument("name", shell_complete=connection_names)
@click.option("--token", help="Long-lived token of a private integration in Kommo; - reads it from standard input.")
def kommo(name: str, token: str | None) -> None:
    """Print the address at Kommo where an administrator lets the bridge in for the connection NAME; with --token, try a long-lived token and store it encrypted."""
    with opened("connect") as workshop:
        if token is None:
            _tell_address(consent.begin(workshop, "kommo", name))
        else:
            _tell(name, connecting.connect_kommo(workshop, name, secret(token)))


@connect.command()
@click.argument("name", shell_complete=connection_names)
@click.option("--client-credentials", is_flag=True, help="The app is a custom connection.")
@click.option("--client-id", help="Default: XERO_CLIENT_ID.")
@click.option("--client-secret", help="Default: XERO_CLIENT_SECRET; - reads it from standard input.")
def xero(name: str, *, client_credentials: bool, client_id: str | None, client_secret: str | None) -> None:
    """Print the address at Xero where a person lets the bridge in for the connection NAME; with --client-credentials, try a custom connection's id and secret and store them encrypted."""
    if not client_credentials and (client_id or client_secret):
        raise click.UsageError(
            "--client-id and --client-secret are those of a custom connection: add --client-credentials."
        )
    if (client_id is None) != (client_secret is None):
        raise click.UsageError("--client-id and --client-secret belong together.")
    if "" in (client_id, client_secret):  # an unset variable of a shell's: another pair than was meant is no help
        raise click.UsageError("--client-id or --client-secret is empty.")
    with opened("connect") as workshop:
        if not client_credentials:
            _tell_address(consent.begin(workshop, "xero", name))
            return
        pair = Credentials(client_id, secret(client_secret)) if client_id and client_secret else None
        _tell(name, connecting.connect_xero(workshop, name, pair))


@click.command("setup")
@click.argument("name", shell_complete=connection_names)
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


def _tell_address(address: str) -> None:
    """The address alone on standard output, so that it can be piped; who opens it must be logged in to the console when they come back."""
    tell(address)
    minutes = consent.LIVES // timedelta(minutes=1)
    click.echo(
        f"Open it in a browser within {minutes} minutes, once, and log in to the console there when it asks.", err=True
    )


def _tell(name: str, connected: Connected) -> None:
    tell(f"{name}: connected with {connected.what}")
    if connected.until is None:
        tell("The grant is renewed by itself.")
    else:
        days = (connected.until - datetime.now(UTC)).days
        tell(f"The token is good until {connected.until:%d %B %Y} ({days} days); connect again before then.")
