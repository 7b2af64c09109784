"""The console as Gunicorn starts it: `gunicorn -c admin/console/gunicorn.py admin.console.wsgi:app`."""

import sys

from flask import Flask

from admin.console.app import create_app
from worker import logs
from worker.settings import SettingsError, load

# Gunicorn gives up, instead of starting the worker again and again, when it ends with this.
BOOT_FAILED = 3


def build() -> Flask:
    """The console by the settings of this process; ends the process with a word for the operator where they don't do."""
    try:
        settings = load(needs={"console"})
    except SettingsError as fault:
        sys.stderr.write(f"{fault}\n")
        raise SystemExit(BOOT_FAILED) from None
    logs.configure()
    return create_app(settings)


app = build()
