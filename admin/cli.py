"""The root of all commands."""

import logging

import click

from admin.completion import completion
from admin.connections import connect, set_up
from admin.door import Careful
from admin.health import check, status
from admin.jobs import jobs
from admin.keys import keys
from admin.reconciliation import reconcile
from admin.stories import trace
from worker import logs


@click.group(cls=Careful, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Connects Kommo accounts with Xero organisations, and tells how they are doing.

    Exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    logs.configure()
    logging.getLogger().setLevel(logging.WARNING)  # the commands themselves tell an operator what happens


for command in (connect, set_up, check, status, jobs, trace, reconcile, keys, completion):
    main.add_command(command)
