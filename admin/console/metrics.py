"""`/metrics`: the ledger in Prometheus' words, read when it is asked for. No client's name and no secret is in it, and so it asks for no log-in."""

from collections.abc import Callable, Iterator
from datetime import datetime

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from admin.console.shop import workshop
from worker import measures, notices, overview, watching
from worker.measures import OpenCount
from worker.notices import Notice
from worker.overview import Overview
from worker.workshop import Workshop

routes = Blueprint("metrics", __name__)

ENDED = frozenset({"done", "cancelled"})


@routes.get("/metrics")
def metrics() -> Response:
    """All of it, for a scrape every fifteen seconds or so."""
    registry = CollectorRegistry()
    registry.register(Ledger(workshop))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Ledger(Collector):
    """Asks the database and Redis once a scrape, and no vendor."""

    def __init__(self, workshop: Callable[[], Workshop]) -> None:
        self._workshop = workshop

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every measure; of a database that is down only that it is."""
        try:
            seen = overview.look(self._workshop())
            with self._workshop().database.reading() as session:
                jobs = measures.open_counts(session)
                failing, looked_at = notices.standing(session), watching.looked_at(session)
        except SQLAlchemyError:
            yield gauge("bridge_database_up", "1 while the ledger answers.", 0)
            return
        yield gauge("bridge_database_up", "1 while the ledger answers.", 1)
        yield from _jobs(seen, jobs)
        yield from _budgets(seen)
        yield from _grants(seen)
        yield from _heard(seen)
        yield from _checks(failing, looked_at)

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing beforehand: a registry would collect once more only to learn the names."""
        return []


def gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    """One number."""
    return GaugeMetricFamily(name, told, value=value)


def _jobs(seen: Overview, jobs: list[OpenCount]) -> Iterator[GaugeMetricFamily]:
    family = GaugeMetricFamily("bridge_jobs", "Jobs that are not done.", labels=["connection", "kind", "state"])
    for one in jobs:
        family.add_metric([one.connection, one.kind, one.state], one.jobs)
    yield family
    family = GaugeMetricFamily("bridge_jobs_ended", "Jobs that are kept and ended well.", labels=["kind", "state"])
    for count in seen.jobs:
        if count.state in ENDED:
            family.add_metric([count.kind, count.state], count.jobs)
    yield family
    late = (seen.at - seen.oldest_due).total_seconds() if seen.oldest_due else 0.0
    yield gauge("bridge_oldest_due_seconds", "How long the job is due that has waited longest for a worker.", late)


def _budgets(seen: Overview) -> Iterator[GaugeMetricFamily]:
    left = GaugeMetricFamily("bridge_budget_left", "Calls (or places) left.", labels=["account", "window"])
    limits = GaugeMetricFamily("bridge_budget_limit", "Calls (or places) in all.", labels=["account", "window"])
    stop = GaugeMetricFamily("bridge_budget_stop_seconds", "How long the vendor wants no calls.", labels=["account"])
    for budget in seen.budgets:
        for family, numbers in ((left, budget.left), (limits, budget.limits)):
            for window, number in (numbers or {}).items():
                family.add_metric([budget.key, window], number)
        if budget.left is not None:
            stop.add_metric([budget.key], budget.stop)
    yield from (left, limits, stop)


def _grants(seen: Overview) -> Iterator[GaugeMetricFamily]:
    labels = ["connection", "vendor"]
    days = GaugeMetricFamily("bridge_grant_days_left", "Days until a person must connect again.", labels=labels)
    refused = GaugeMetricFamily("bridge_grant_refused", "1 while the vendor does not let us in.", labels=labels)
    for grant in seen.grants:
        of = [grant.connection, grant.vendor]
        refused.add_metric(of, float(grant.refusal is not None))
        if grant.days_left is not None:
            days.add_metric(of, grant.days_left)
    yield from (days, refused)


def _heard(seen: Overview) -> Iterator[GaugeMetricFamily]:
    yield gauge("bridge_deliveries_not_understood", "Kept webhooks that were not understood.", seen.not_understood)
    heard = GaugeMetricFamily(
        "bridge_last_heard_timestamp_seconds", "When the last webhook came.", labels=["connection", "source"]
    )
    for one in seen.heard:
        if one.at:
            heard.add_metric([one.connection, one.source], one.at.timestamp())
    yield heard
    if seen.canary_at:
        told = "When a worker last heard a ring."
        yield gauge("bridge_workers_heard_timestamp_seconds", told, seen.canary_at.timestamp())


def _checks(failing: list[Notice], looked_at: datetime | None) -> Iterator[GaugeMetricFamily]:
    """What the hourly look found; about the installation where the connection is empty."""
    family = GaugeMetricFamily("bridge_check_failing", "1 for each check that fails.", labels=["connection", "about"])
    for notice in failing:
        family.add_metric([notice.connection, notice.about], 1)
    yield family
    if looked_at:
        told = "When everything was last looked at."
        yield gauge("bridge_checks_timestamp_seconds", told, looked_at.timestamp())
