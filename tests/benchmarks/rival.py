"""A single deal of one connection while another connection works off a burst, against its time on an idle system."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from stack.children import until
from tests.benchmarks import burst, crowd, hooklog
from tests.benchmarks.figures import Check, Section, Table, median, number, ratio, seconds
from tests.benchmarks.idle import number_of
from tests.benchmarks.place import Place
from tests.benchmarks.sizes import Size
from tests.benchmarks.watching import NUMBER

# The same Kommo account, and so the same seven calls a second: the harder case. Another organisation in Xero.
SECOND = {
    "name": "rival",
    "tenant": "0f7c1a52-6a3e-4d0b-9a51-3c1d6b0e7f21",
    "pipeline": "Projects",
    "stage": "Handed over",
}
BEFORE, AFTER = {"pipeline": "Projects", "stage": "Running"}, {"pipeline": "Projects", "stage": "Handed over"}

TIMES_IDLE = 2.0
PATIENCE = 120
# Clients of the burst: few, since they must be made known first.
CLIENTS_FOR = 200
# Between two single deals, so that they fall into all phases of the burst.
PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Rivalry:
    """Seconds from the webhook to the number on the deal, for each single deal."""

    idle: tuple[float, ...]
    meanwhile: tuple[float, ...]
    left: int
    """Deals of the burst that had no PDF yet when the last single deal was done."""


def measure(place: Place, size: Size) -> Section:
    """Idle first, then amid the burst, which is not waited for."""
    connect(place)
    burst.pace(place, size.at(1))
    client = crowd.clients(place, 1, "Rival")
    single(place, client, "Rival first")
    idle = []
    for n in range(size.rival_deals):
        place.sandbox.wait_idle(quiet=2, timeout=PATIENCE)
        idle.append(single(place, client, f"Rival {n}"))
    leads = crowd.deals(place, size.rival, burst.acquainted(place, min(size.rival, CLIENTS_FOR)), "Burst")
    place.rest()
    mark = place.sandbox.mark()
    place.say(f"a burst of {size.rival} deals, and single ones of another connection meanwhile")
    crowd.approve(place, leads, "bulk")
    meanwhile = [single(place, client, f"Rival amid {n}", after=PAUSE) for n in range(size.rival_deals)]
    attached = sum(call.name == "PUT /leads/{id}/files" for call in place.calls(mark))
    return report(Rivalry(tuple(idle), tuple(meanwhile), size.rival + size.rival_deals - attached), size.rival)


def connect(place: Place) -> None:
    """What an operator does for a second connection."""
    made = place.sandbox.post("xero/organisations", {"name": "Rival Trading", "tenant_id": SECOND["tenant"]})
    name, client = SECOND["name"], made["client_id"]
    place.processes.admin(("connect", "kommo", name, "--token", place.sandbox.ready["kommo_token"]))
    pair = ("--client-id", client, "--client-secret", made["client_secret"])
    place.processes.admin(("connect", "xero", name, "--client-credentials", *pair))
    place.processes.admin(("setup", name))
    target = {"url": f"{place.processes['web.1'].url}/webhooks/xero", "key": place.settings["XERO_WEBHOOK_KEY"]}
    place.sandbox.post(f"xero/webhook?client_id={client}", target)


def single(place: Place, client: Sequence[int], name: str, *, after: float = 0) -> float:
    """One deal of the second connection; its time counts from the sending of its webhook, since Kommo's queue is not ours."""
    typed = {"name": name, "price": "80.00", "company": client[0], **BEFORE}
    lead_id = int(place.sandbox.post("kommo/leads", typed)["id"])
    time.sleep(after)
    place.hooks()
    place.sandbox.post("kommo/leads/move", {"ids": [lead_id], **AFTER})
    until(lambda: number_of(place, lead_id), PATIENCE, what=f"the number on the rival deal {lead_id}", pause=0.1)
    hooks = place.hooks()
    own = [hook for hook in hooks if f"%5D={lead_id}&" in hook["body"]]
    return hooklog.first_shown(hooks, NUMBER)[lead_id] - hooklog.sent(own, "status")[0]


def report(found: Rivalry, burst_size: int) -> Section:
    """The section of the page. Pure."""
    rows = tuple(
        (what, seconds(median(values)), seconds(max(values)))
        for what, values in (("on an idle system", found.idle), (f"amid {burst_size} deals", found.meanwhile))
    )
    idle = median(found.idle)
    return Section(
        name="rival",
        title="A single deal of another connection during a burst",
        notes=(
            f"{len(found.idle)} and {len(found.meanwhile)} single deals, from their webhook to the number on the deal. Both connections have the same Kommo "
            f"account, and so share its limit, and each has its own organisation. The burst still had {number(found.left)} PDFs to attach at the end."
        ),
        tables=(Table("From webhook to number", ("", "p50", "most"), rows),),
        checks=(
            Check("amid the burst, times idle, at the median", ratio(median(found.meanwhile), idle), TIMES_IDLE, " x"),
            Check("the slowest", ratio(max(found.meanwhile), idle), TIMES_IDLE, " x"),
            Check("PDFs that the burst had still to attach", found.left, 1, at_least=True),
        ),
    )
