"""Whether Celery is set up as the ledger needs it: listening where we ring, on every queue, and losing nothing that can't be found again."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from celery import Celery
from redis import Redis, RedisError

import celeryconfig
from worker.findings import Finding, Grade, failed, ok
from worker.ring import broker_address

# Workers answer within milliseconds; this is for those on a busy machine.
LISTENING = 1.0

# By these, Celery goes elsewhere than its configuration says (Celery 5.7, celery.app.utils.Settings).
ELSEWHERE = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND")

QUEUES = (*celeryconfig.KINDS, celeryconfig.task_default_queue)


def findings(redis_url: str, redis: Redis) -> Iterator[Finding]:
    """Its settings, and who listens to what."""
    app = Celery("check", broker=broker_address(redis_url), set_as_current=False)
    app.config_from_object("celeryconfig")
    yield (finding := settings(app.conf, os.environ))
    if finding.grade is Grade.FAILED or not answers(redis):
        return
    if heard := app.control.inspect(timeout=LISTENING).active_queues():
        yield queues({queue["name"] for listens in heard.values() for queue in listens})


def answers(redis: Redis) -> bool:
    """Whether there is a Redis to ask."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def settings(conf: Mapping[str, Any], environ: Mapping[str, str]) -> Finding:
    """Pure: what the environment or a changed celeryconfig.py would have jobs lost by."""
    if there := [name for name in ELSEWHERE if environ.get(name)]:
        said = f"the environment has {' and '.join(there)}, so that Celery's workers don't listen where we ring"
        return failed("celery", said, "unset it: REDIS_URL says where the broker is")
    wrong = [name for name, is_right in _rules(conf).items() if not is_right]
    if wrong:
        return failed(
            "celery", f"celeryconfig.py was changed: {', '.join(wrong)}", "put the release's celeryconfig.py back"
        )
    return ok("celery", "its settings lose nothing that the sweep does not find")


def _rules(conf: Mapping[str, Any]) -> dict[str, bool]:
    transport = conf["broker_transport_options"]
    return {
        # else a ring is delivered a second time while its job runs
        "visibility_timeout": transport.get("visibility_timeout", 0) > (conf["task_time_limit"] or float("inf")),
        # else rings come back from the dead and meet a lease
        "task_acks_late": not conf["task_acks_late"],
        # else rings wait inside of a busy worker
        "worker_prefetch_multiplier": conf["worker_prefetch_multiplier"] == 1,
        # else a worker that loses the broker gives up some day
        "broker_connection_max_retries": conf["broker_connection_max_retries"] is None,
        # else we ring where nobody listens
        "global_keyprefix": transport.get("global_keyprefix")
        == celeryconfig.broker_transport_options["global_keyprefix"],
    }


def queues(heard: set[str]) -> Finding:
    """Pure: whether somebody listens to every queue, of those that are listened to."""
    if unheard := [queue for queue in QUEUES if queue not in heard]:
        said = f"no worker listens to {', '.join(unheard)}"
        return failed("queues", said, "start the line worker of the Procfile, which names all of them")
    return ok("queues", f"workers listen to all {len(QUEUES)}")
