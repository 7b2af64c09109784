"""Our webhook at Kommo: which events it asks for, and which registrations are ours. The address holds a secret and is never shown whole."""

from collections.abc import Sequence
from enum import StrEnum

from integrations.errors import Refusal, Unauthorised
from integrations.kommo.client import Kommo
from integrations.kommo.entities import Hook
from worker.settings import Settings

PATH = "/webhooks/kommo/"

# What the receiver can make something of (kommo.md 4.2): leads that enter a stage, leads that wait, and the clients that they wait for.
EVENTS = frozenset(
    {
        "add_lead", "update_lead", "status_lead", "delete_lead", "restore_lead",
        "add_contact", "update_contact", "add_company", "update_company",
    }
)  # fmt: skip


class Registered(StrEnum):
    """What became of it."""

    KEPT = "kept"
    MADE = "made"
    REPLACED = "replaced"
    NO_PLAN = "no plan"  # the account's plan has no webhooks (kommo.md 4.1)


def register(kommo: Kommo, settings: Settings) -> Registered:
    """Have our events sent to the present address, and nothing to earlier ones of ours."""
    try:
        return _register(kommo, settings)
    except Unauthorised as error:
        if is_lack_of_plan(error):
            return Registered.NO_PLAN
        raise


def is_lack_of_plan(error: Unauthorised) -> bool:
    """Which status a plan without webhooks gives is undocumented: 402 or 403 (kommo.md 4.1). A block is neither."""
    return error.status in {402, 403} and error.reason is not Refusal.BLOCKED


def _register(kommo: Kommo, settings: Settings) -> Registered:
    there = kommo.webhooks()
    present = find(there, settings.kommo_webhook_url())
    others = [hook for hook in ours(there, settings) if hook is not present]
    kept = present is not None and present.settings == EVENTS and not present.disabled
    if present and present.disabled:
        kommo.delete_webhook(present.destination)  # only a new registration is a live one (kommo.md 4.1)
    if not kept:
        kommo.register_webhook(settings.kommo_webhook_url(), EVENTS)
    for hook in others:  # after the new one is there, so that nothing is missed
        kommo.delete_webhook(hook.destination)
    if kept and not others:
        return Registered.KEPT
    return Registered.REPLACED if others or present else Registered.MADE


def find(there: Sequence[Hook], destination: str) -> Hook | None:
    """The registration of this address."""
    return next((hook for hook in there if hook.destination == destination), None)


def ours(there: Sequence[Hook], settings: Settings) -> list[Hook]:
    """Registrations of this installation: at our present address, or with one of our tokens at an earlier one."""
    tokens = [token.get_secret_value() for token in settings.kommo_webhook_token]
    return [
        hook
        for hook in there
        if hook.destination.startswith(settings.public_url + PATH)
        or any(hook.destination.endswith(PATH + token) for token in tokens)
    ]


def shown(settings: Settings) -> str:
    """The address as it may be printed: a person who holds the token can complete it."""
    return f"{settings.public_url}{PATH}<KOMMO_WEBHOOK_TOKEN>"
