"""Celery's tasks: one name a job kind, each of them a ring for one job; and the canary, which shows that rings are heard."""

from functools import cache

import structlog
from celery.signals import worker_process_shutdown

from integrations.errors import CallError, Unauthorised
from worker import canary as canaries
from worker import keeping, moving, noticing, reconciling, telling
from worker.app import app, settings
from worker.jobs import Kind
from worker.run import attempt
from worker.verdicts import describe
from worker.workshop import NotSetUp, Workshop

log = structlog.get_logger()


@cache
def workshop() -> Workshop:
    """This process's workshop: made by a child after its fork, for connections don't survive one."""
    return Workshop(settings, children=app.conf.worker_concurrency)


@app.task(name=Kind.CREATE_INVOICE.value)
def create_invoice(job_id: int) -> None:
    """A deal becomes an invoice."""
    attempt(workshop(), Kind.CREATE_INVOICE, job_id)


@app.task(name=Kind.ATTACH_INVOICE.value)
def attach_invoice(job_id: int) -> None:
    """An invoice's PDF goes on its deal."""
    attempt(workshop(), Kind.ATTACH_INVOICE, job_id)


@app.task(name=Kind.SYNC_STATUS.value)
def sync_status(job_id: int) -> None:
    """A deal shows what became of its invoice."""
    attempt(workshop(), Kind.SYNC_STATUS, job_id)


@app.task(name=Kind.CREATE_DEAL.value)
def create_deal(job_id: int) -> None:
    """An invoice raised by hand becomes a deal."""
    attempt(workshop(), Kind.CREATE_DEAL, job_id)


@app.task(name="reconcile")
def reconcile(connection: str) -> None:
    """Both systems of a connection are compared; whatever is in the way now, the next round is a quarter of an hour away."""
    try:
        reconciling.reconcile(workshop(), connection)
    except NotSetUp as error:  # there is nothing to compare yet, and `check` says what is to be done
        log.info("reconcile_passed_over", connection=connection, why=str(error))
    except CallError as error:  # beat asks again within a minute
        if isinstance(error, Unauthorised):
            workshop().tokens(error.vendor, connection).refused(error.reason, error.call)
        moving.follow(workshop(), connection, error)
        log.warning("reconcile_put_off", connection=connection, why=describe(error))


@app.task(name="keep_alive")
def keep_alive() -> None:
    """Consents that nobody has used for long are renewed before they end."""
    keeping.keep_alive(workshop())


@app.task(name="look")
def look() -> None:
    """Everything is checked, and what fails is remembered."""
    noticing.look(workshop())


@app.task(name="tell")
def tell() -> None:
    """The operator is told what is new."""
    telling.tell(workshop())


@app.task(name="canary")
def canary() -> None:
    """A worker hears rings."""
    canaries.sing(workshop().redis, workshop().now())


@worker_process_shutdown.connect
def _close(**_: object) -> None:
    if workshop.cache_info().currsize:
        workshop().close()
