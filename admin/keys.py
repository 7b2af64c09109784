"""`keys`: the keys that encrypt tokens at rest."""

import click

from admin.door import opened
from admin.screen import tell
from worker.keys import rotate


@click.group()
def keys() -> None:
    """The keys that encrypt tokens at rest (SECRET_KEYS)."""


@keys.command("rotate")
def rotate_keys() -> None:
    """Encrypt every token and secret again with the newest of SECRET_KEYS. It may be run again at any time."""
    with opened("connect") as workshop:
        done = rotate(workshop.database, workshop.vault)
        older = len(workshop.settings.secret_keys) - 1
    tell(f"{done.sealed_again} of {done.of} secrets are encrypted again with the newest key.")
    if older and done.sealed_again == done.of:
        tell("Once every process runs with the new SECRET_KEYS, run this again and take the older ones out of it.")
