"""The Celery application: `celery -A worker.app worker`, `beat`, `flower`."""

import sys
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging

from worker import connections, logs
from worker.ring import broker_address
from worker.settings import SettingsError, load

try:
    settings = load()
except SettingsError as error:
    sys.exit(str(error))

app = Celery("bridge", broker=broker_address(settings.redis_url), include=["worker.tasks"])
app.config_from_object("celeryconfig")


@celeryd_init.connect
@beat_init.connect
def _check_connections(**_: object) -> None:
    """A broken connections file is told at the start, whole, and not by the first job."""
    try:
        connections.load(settings.connections_file)
    except SettingsError as error:
        sys.exit(str(error))


@celeryd_init.connect
def _count_children(conf: Any, options: dict[str, Any], **_: object) -> None:
    """How many an operator asked for, by `--concurrency` or CELERY_WORKER_CONCURRENCY: choosing leaves one of them free."""
    if isinstance(asked := options.get("concurrency"), int) and asked:
        conf.worker_concurrency = asked


@setup_logging.connect
def _own_log_lines(**_: object) -> None:
    """Celery leaves logging alone once somebody answers this signal."""
    logs.configure()
