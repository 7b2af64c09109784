"""Which webhooks go where, and what becomes of them: subscriptions, retries, switching off (kommo.md 4.1-4.5, 4.9)."""

import itertools
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from sandbox.kit import Delivery, Kit
from sandbox.kommo import hookbody
from sandbox.kommo.nouns import StageHook, Webhook

if TYPE_CHECKING:
    from sandbox.kommo.changes import Change, Occurrence
    from sandbox.kommo.state import State

CODES = frozenset(
    [
        "add_lead",
        "update_lead",
        "delete_lead",
        "restore_lead",
        "status_lead",
        "responsible_lead",
        "note_lead",
        "add_contact",
        "update_contact",
        "delete_contact",
        "restore_contact",
        "responsible_contact",
        "note_contact",
        "add_company",
        "update_company",
        "delete_company",
        "restore_company",
        "responsible_company",
        "note_company",
        "add_task",
        "delete_task",
        "responsible_task",
        "add_talk",
        "add_message",
        "add_outgoing_message",
        "add_chat_template_review",
    ]
)

MOST_WEBHOOKS = 100
# before the second, third, fourth and fifth attempt (kommo.md 4.5); the last two only after 499 and 5xx
LADDER_S = (300.0, 900.0, 900.0, 3600.0)
TRIED_AFTER_ANY = 2
# four retries within an hour; the steps are not documented (kommo.md 4.9)
STAGE_LADDER_S = (300.0, 600.0, 900.0, 1800.0)
STAGE_BAD_ANSWERS = 100
STAGE_SUSPENDED_S = 300.0


class Dispatcher:
    """`send` is called with the state's lock held and only writes down; the kit's threads send."""

    def __init__(self, state: "State", kit: Kit) -> None:
        self._state = state
        self._clock = kit.clock
        patience = self._patience
        self._account_sender = kit.hooks.sender("kommo", patience=patience, ladder=self._ladder, after=self._after)
        self._stage_sender = kit.hooks.sender(
            "kommo", patience=patience, ladder=self._stage_ladder, after=self._after_stage
        )
        self.clear()

    def clear(self) -> None:
        self.webhooks: dict[str, Webhook] = {}
        self.stage_hooks: list[StageHook] = []
        self._bad: dict[str, deque[float]] = {}
        self._wanted: frozenset[str] = frozenset()
        self._sort = itertools.count(1)

    # subscriptions

    def subscribe(self, destination: str, codes: list[str], *, by: int, sort: int | None, merge: bool) -> Webhook:
        """What was subscribed before stays disabled if it was: only people switch it on again, or a delete and a new one."""
        now = self._clock.stamp()
        hook = self.webhooks.get(destination)
        if hook is None:
            hook = Webhook(self._state.next_id(), destination, list(codes), sort or next(self._sort), now, now, by)
            self.webhooks[destination] = hook
        else:
            hook.settings = list(dict.fromkeys([*hook.settings, *codes])) if merge else list(codes)
            hook.updated_at = now
        self._note_wanted()
        return hook

    def unsubscribe(self, destination: str) -> bool:
        gone = self.webhooks.pop(destination, None) is not None
        self._bad.pop(destination, None)
        self._note_wanted()
        return gone

    def switch(self, destination: str, *, on: bool) -> bool:
        """A person presses Save (kommo.md 4.5), or Kommo switches off."""
        hook = self.webhooks.get(destination)
        if hook is None:
            return False
        hook.disabled = not on
        self._bad.pop(destination, None)
        self._note_wanted()
        return True

    def wanted(self, code: str) -> bool:
        return code in self._wanted

    def _note_wanted(self) -> None:
        self._wanted = frozenset(code for hook in self.webhooks.values() if not hook.disabled for code in hook.settings)

    # sending

    def send(self, change: "Change") -> None:
        # a plan without webhooks sends none; those of a stage have no such condition (kommo.md 4.1, 4.9)
        for hook in self.webhooks.values() if self._state.switches["plan"] != "Base" else ():
            mine = [one for one in change.occurrences if one.code in hook.settings]
            if mine and not hook.disabled:
                for body in self._bodies(mine):
                    self._account_sender.submit(hook.destination, body, _headers())
        for stage_hook in self.stage_hooks:
            for arrival in change.arrivals:
                if arrival.lead.stage == (stage_hook.pipeline_id, stage_hook.status_id):
                    body = hookbody.stage_body(self._state.account, arrival.lead, arrival.was)
                    self._stage_sender.submit(stage_hook.url, body, _headers())

    def _bodies(self, occurrences: list["Occurrence"]) -> list[bytes]:
        how = self._state.switches["bodies"]
        most = 1 if how == "entity" else self._state.switches["most_in_body"]
        together: dict[tuple[str, str] | None, list[Occurrence]] = {}
        for one in occurrences:
            together.setdefault(None if how == "all" else (one.group, one.action), []).append(one)
        return [
            self._body(those[start : start + most])
            for those in together.values()
            for start in range(0, len(those), most)
        ]

    def _body(self, occurrences: list["Occurrence"]) -> bytes:
        groups: dict[str, dict[str, list[Any]]] = {}
        for one in occurrences:
            groups.setdefault(one.group, {}).setdefault(one.action, []).append(one.entry)
        switches = self._state.switches
        return hookbody.account_body(
            self._state.account, groups, last=switches["account_block"] == "last", domain=switches["account_domain"]
        )

    # what becomes of them

    def _patience(self) -> float:
        return float(self._state.switches["hook_timeout_s"])

    def _ladder(self, delivery: Delivery) -> float | None:
        tried = len(delivery.attempts)
        status = delivery.attempts[-1].status
        code = self._state.switches["timeout_class"] if status is None else status
        if tried > len(LADDER_S) or (tried > TRIED_AFTER_ANY and not (code == 499 or 500 <= code <= 599)):
            return None
        return LADDER_S[tried - 1]

    def _after(self, delivery: Delivery) -> None:
        """Switches a webhook off: too many bad answers in two hours, and the last one bad too."""
        if delivery.attempts[-1].ok:
            return
        with self._state.lock:
            bad = self._count_bad(delivery.target, self._state.switches["disable_window_s"])
            hook = self.webhooks.get(delivery.target)
            if hook is not None and bad > self._state.switches["disable_after"]:
                hook.disabled = True
                self._note_wanted()

    def _count_bad(self, target: str, window_s: float) -> int:
        now = self._clock.ticks()
        bad = self._bad.setdefault(target, deque())
        bad.append(now)
        while bad[0] < now - self._clock.lasts(window_s):
            bad.popleft()
        return len(bad)

    def _after_stage(self, delivery: Delivery) -> None:
        if not delivery.attempts[-1].ok:
            with self._state.lock:
                self._count_bad(delivery.target, STAGE_SUSPENDED_S)

    def _stage_ladder(self, delivery: Delivery) -> float | None:
        """Never switched off for good: too many bad answers only put the retries off."""
        tried = len(delivery.attempts)
        if tried > len(STAGE_LADDER_S):
            return None
        suspended = len(self._bad.get(delivery.target, ())) > STAGE_BAD_ANSWERS
        return STAGE_LADDER_S[tried - 1] + (STAGE_SUSPENDED_S if suspended else 0)


def _headers() -> dict[str, str]:
    return {
        "user-agent": "amoCRM-Webhooks/3.0",
        "accept-encoding": "gzip",
        "content-type": "application/x-www-form-urlencoded",
        "x-amocrm-requestid": str(uuid.uuid4()),
    }
