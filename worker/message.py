"""The message that rings: letter for letter what Celery would send (protocol 2, over Redis), made without Celery.

A receiver rings once for nearly every webhook, and Celery's own way there takes longer than all else that a webhook costs. Which letters
those are is a test, against the Celery that is installed.
"""

import json
import os
import socket
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from worker.jobs import Ring

# The topic that Flower listens to, of each database of a Redis.
EVENTS = "/{db}.celeryev/task.sent"

_NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
# Nobody answers a ring, but each message says who asked.
_REPLY_TO = str(uuid4())
_HOST = socket.gethostname()


def origin() -> str:
    """This process, as Celery calls one that is no worker."""
    return f"gen{os.getpid()}@{_HOST}"


def task(ring: Ring, task_id: str) -> str:
    """The message that a worker takes from the queue of the ring's kind."""
    about = f"({ring.about})"
    headers: dict[str, Any] = {
        "lang": "py", "task": ring.kind.value, "id": task_id, "shadow": None, "eta": None, "expires": None, "group": None,
        "group_index": None, "retries": 0, "timelimit": [None, None], "root_id": task_id, "parent_id": None,
        "argsrepr": about, "kwargsrepr": "{}", "origin": origin(), "ignore_result": None,
        "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
    }  # fmt: skip
    properties = {
        "correlation_id": task_id, "reply_to": _REPLY_TO, "argsrepr": about, "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": ring.kind.value},
    }  # fmt: skip
    return _envelope([[ring.job_id], {}, _NO_CALLBACKS], headers, properties)


def sent(ring: Ring, task_id: str, clock: int) -> str:
    """The event that shows the task in Flower before a worker has it."""
    event = {
        "hostname": origin(), "utcoffset": _hours_from_utc(), "pid": os.getpid(), "clock": clock, "uuid": task_id,
        "root_id": task_id, "parent_id": None, "name": ring.kind.value, "args": f"({ring.about})", "kwargs": "{}",
        "retries": 0, "eta": None, "expires": None, "queue": ring.kind.value, "exchange": "",
        "routing_key": ring.kind.value, "timestamp": time.time(), "type": "task-sent",
    }  # fmt: skip
    properties = {"delivery_mode": 1, "delivery_info": {"exchange": "celeryev", "routing_key": "task.sent"}}
    return _envelope(event, {"hostname": origin()}, properties)


def _envelope(body: Any, headers: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    own = {"priority": 0, "body_encoding": "base64", "delivery_tag": str(uuid4())}
    return json.dumps(
        {
            "body": b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {**properties, **own},
        }
    )


def _hours_from_utc() -> float:
    """How far behind UTC this machine's clock is, in hours; Celery counts to the west."""
    return (time.altzone if time.localtime().tm_isdst else time.timezone) / 3600
