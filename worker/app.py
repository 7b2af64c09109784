"""The Celery application: `celery -A worker.app worker`, `beat`, `flower`."""

import sys

from celery import Celery
from celery.signals import setup_logging

from worker import logs
from worker.ring import broker_address
from worker.settings import SettingsError, load

try:
    settings = load()
except SettingsError as error:
    sys.exit(str(error))

app = Celery("bridge", broker=broker_address(settings.redis_url), include=["worker.tasks"])
app.config_from_object("celeryconfig")


@setup_logging.connect
def _own_log_lines(**_: object) -> None:
    """Celery leaves logging alone once somebody answers this signal."""
    logs.configure()
