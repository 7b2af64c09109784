"""The receiver as Gunicorn starts it: `gunicorn -c webhooks/gunicorn.py webhooks.wsgi:app`."""

import sys

from flask import Flask

from webhooks.receive import RECORDERS, create_app
from worker import logs
from worker.database import open_database
from worker.ring import Bell
from worker.settings import SettingsError, load

# Gunicorn gives up, instead of starting the worker again and again, when it ends with this.
BOOT_FAILED = 3


def build() -> Flask:
    """The receiver by the settings of this process; ends the process with a word for the operator where they don't do."""
    try:
        settings = load(needs={"web"})
    except SettingsError as fault:
        sys.stderr.write(f"{fault}\n")
        raise SystemExit(BOOT_FAILED) from None
    logs.configure()
    return create_app(settings, open_database(settings.database_url, pool=RECORDERS + 1), Bell(settings.redis_url))


app = build()
