"""Starts the habit beside the sandbox: one Gunicorn with two processes and one worker with a child a core, as the product has."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from stack.plan import is_ours
from stack.processes import READY_LINES, ROOT, inherited
from stack.redis import free_port
from tests.benchmarks.place import APPROVED, Place

# Three calls to Xero an invoice where the client is known: a third of its sixty a minute.
TASKS_A_MINUTE = 20


@contextmanager
def habit(place: Place) -> Iterator[str]:
    """Up, and Kommo's webhooks come to it; the address that they come to."""
    port = free_port()
    env = inherited(os.environ, without=is_ours) | settings(place)
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "2",
        "--no-control-socket",
    ]
    celery = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "tests.benchmarks.habit.tasks",
        "worker",
        "--loglevel",
        "info",
        "--without-gossip",
        "--without-mingle",
    ]
    web = place.children.start("habit-web", [*gunicorn, "tests.benchmarks.habit.web:app"], env=env, cwd=ROOT)
    worker = place.children.start("habit-worker", celery, env=env, cwd=ROOT)
    try:
        worker.wait_ready(lambda: READY_LINES["worker"] in worker.output(), 40)
        web.wait_ready(lambda: "Booting worker" in web.output(), 40)
        destination = f"http://127.0.0.1:{port}/webhooks/kommo"
        subscribe(place, destination)
        yield destination
    finally:
        place.children.stop(web, worker)


def settings(place: Place) -> dict[str, str]:
    """Its environment."""
    ready = place.sandbox.ready
    return {
        "HABIT_KOMMO": f"{ready['kommo_url']}/acme",
        "HABIT_TOKEN": ready["kommo_token"],
        "HABIT_XERO": ready["xero_url"],
        "HABIT_TENANT": ready["xero_tenant_id"],
        "HABIT_CLIENT": ready["xero_client_id"],
        "HABIT_SECRET": ready["xero_client_secret"],
        "HABIT_REDIS": place.redis.url.rpartition("/")[0] + "/1",
        "HABIT_RATE": f"{TASKS_A_MINUTE * place.pace.factor:g}/m",
        "HABIT_STAGE": str(stage_id(place)),
    }


def stage_id(place: Place) -> int:
    """The id of the trigger stage."""
    leads = place.sandbox.books()["kommo"]["leads"]
    return next(int(one["status_id"]) for one in leads if one["stage"] == APPROVED["stage"])


def subscribe(place: Place, destination: str) -> None:
    """What a team clicks together in Kommo: deals that change their stage."""
    requests.post(
        f"{place.sandbox.ready['kommo_url']}/acme/api/v4/webhooks",
        json={"destination": destination, "settings": ["status_lead"]},
        headers={"Authorization": f"Bearer {place.sandbox.ready['kommo_token']}"},
        timeout=10,
    ).raise_for_status()
