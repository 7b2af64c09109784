"""One file a job kind. A handler reads the present state of both systems, compares, and writes the difference.

To add a kind: a member of `worker.jobs.Kind`, a file here with `handle(jobs, world)`, a line below, and its queue in celeryconfig and the Procfile;
tests/test_house.py fails until all of them agree.
"""

from collections.abc import Callable, Mapping, Sequence

from integrations.errors import CallError
from integrations.turns import Priority
from worker.claims import Claimed
from worker.handlers import attach_invoice, create_deal, create_invoice, sync_status
from worker.jobs import Kind
from worker.verdicts import Verdict
from worker.world import World

# A verdict for each job, or the error that one of them met by itself; an error that is raised is everybody's.
Handler = Callable[[Sequence[Claimed], World], Mapping[int, Verdict | CallError]]

HANDLERS: Mapping[Kind, Handler] = {
    Kind.CREATE_INVOICE: create_invoice.handle,
    Kind.ATTACH_INVOICE: attach_invoice.handle,
    Kind.SYNC_STATUS: sync_status.handle,
    Kind.CREATE_DEAL: create_deal.handle,
}

# How many jobs one claim takes: 50 invoices a create call and 50 deals a write, 40 invoices a read (xero.md 4.6, 4.10; kommo.md 3). A PDF is a call
# of its own, and some share the write of their field: more of them would hold a worker's child for long. Deals are made one by one, each looked for before.
MOST: Mapping[Kind, int] = {
    Kind.CREATE_INVOICE: 50,
    Kind.ATTACH_INVOICE: 4,
    Kind.SYNC_STATUS: 40,
    Kind.CREATE_DEAL: 10,
}

PRIORITIES: Mapping[Kind, Priority] = {
    Kind.CREATE_INVOICE: Priority.NEW,
    Kind.ATTACH_INVOICE: Priority.PDF,
    Kind.SYNC_STATUS: Priority.STATUS,
    Kind.CREATE_DEAL: Priority.NEW,
}
