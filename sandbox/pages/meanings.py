"""Each setting in a sentence, with its choices, where the reference sheets speak of it, and how sure they are.

A vendor's switch without an entry here fails a test: what can be switched can be understood.
"""

import json
from dataclasses import dataclass
from typing import Any

# how sure the sheets are
TRUST = {
    "documented": "The vendor's own documentation says so.",
    "seen": "Seen in real traffic or by a laboratory with a real account.",
    "reported": "Reported second hand: issues, forums, other integrators.",
    "open": "Nobody knows, or sources differ: make your client bear each choice.",
    "ours": "The sandbox's own; no vendor has it.",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """`choices`: (value, what it means), where only some values make sense."""

    name: str
    says: str
    trust: str
    sheet: str = ""
    choices: tuple[tuple[Any, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """`path`: under which name the settings hold these; "" for the sandbox's own, "noise" for a dict of them."""

    title: str
    path: str
    meanings: tuple[Meaning, ...]


M = Meaning

GROUPS: tuple[Group, ...] = (
    Group("Time and limits", "", (
        M("limits", "The vendors' rate limits are enforced.", "ours"),
        M("time_factor", "How many times faster the vendors' time runs: 60 makes a minute's limit last a second.", "ours"),
        M("clock_shift_s", "Seconds that the vendors' clocks are ahead of ours.", "ours"),
        M("silence_s", "How long a fault “timeout” keeps a client waiting, at most, in seconds.", "ours"),
    )),
    Group("Slow answers", "answer_ms", (
        M("kommo", "Milliseconds that each answer of Kommo takes at least.", "ours"),
        M("drive", "The same for Kommo's drive, where files go.", "ours"),
        M("xero", "The same for Xero.", "ours"),
    )),
    Group("Webhooks on bad roads", "noise", (
        M("drop", "Share of webhooks that never arrive (0 to 1).", "reported", "kommo.md 4.7, xero.md 9.4"),
        M("duplicate", "Share of webhooks that come twice.", "documented", "kommo.md 4.7, xero.md 9.4"),
        M("reorder", "Share of webhooks that are overtaken by later ones.", "documented", "kommo.md 4.7, xero.md 9.4"),
        M("delay", "Share of webhooks that come late.", "reported", "xero.md 9.4"),
        M("delay_s", "How late those are at most, in seconds.", "ours"),
        M("seed", "The same seed gives the same drops, delays and duplicates again.", "ours"),
    )),
    Group("Kommo: limits", "kommo", (
        M("rate", "Calls a second before it answers 429.", "documented", "kommo.md 3"),
        M("limit_scope", "What those calls are counted by; the documentation says both.", "open", "kommo.md 3",
          (("ip", "by address"), ("integration", "by integration"))),
        M("account_rate", "Calls a second to one account, by all clients together.", "reported", "kommo.md 3"),
        M("retry_after", "Seconds that a 429 names; the documentation's example says 300.", "open", "kommo.md 3",
          ((1, "1 s"), (5, "5 s"), (300, "300 s"), (None, "names none"))),
        M("rate_answer", "What a 429 looks like.", "reported", "kommo.md 3", (("json", "JSON"), ("text", "a page, not JSON"))),
        M("block_after", "So many 429s, and everything is answered 403 until support unblocks. The block is documented, its threshold "
          "is not.", "open", "kommo.md 3"),
        M("block_window_s", "Within so many seconds.", "open", "kommo.md 3"),
    )),
    Group("Kommo: plan and rights", "kommo", (
        M("plan", "Base has no webhooks.", "documented", "kommo.md 4.1", (("Advanced", "Advanced"), ("Base", "Base"))),
        M("no_plan_status", "What /webhooks answers on Base.", "open", "kommo.md 17.8", ((402, "402"), (403, "403"))),
        M("paid", "The account is paid for; if not, everything is answered 402.", "documented", "kommo.md 12"),
        M("field_cap", "How many custom fields the plan allows.", "documented", "kommo.md 3"),
    )),
    Group("Kommo: consent", "kommo", (
        M("refresh_rotation", "A refresh token that was used once: the documentation says both.", "open", "kommo.md 2.3",
          (("grace", "is good until the new pair is used"), ("strict", "is dead at once"))),
        M("spent_refresh_status", "What a spent refresh token is answered with.", "open", "kommo.md 17.7", ((401, "401"), (400, "400"))),
        M("oauth_referer", "The account's host on the way back from consent; anybody can forge it.", "documented", "kommo.md 2.1",
          (("{subdomain}.kommo.com", "of kommo.com"), ("{subdomain}.amocrm.com", "of amocrm.com"), ("{host}", "the sandbox's own"),
           ("evil.example", "a forged one"))),
        M("old_subdomain_status", "What the host of a former subdomain answers.", "open", "kommo.md 1.2", ((404, "404"), (401, "401"))),
    )),
    Group("Kommo: answers", "kommo", (
        M("minor_units", "Prices have cents (price_with_minor_units); if not, whole units only.", "open", "kommo.md 17.3"),
        M("single_patch_leads", "What PATCH of one lead answers.", "open", "kommo.md 17.5",
          (("root", "the lead itself"), ("wrapped", "a list with the lead"))),
        M("pipeline_by_id", "What one pipeline's answer looks like: the documentation has a list, its library reads the pipeline itself.",
          "open", "kommo.md 6", (("root", "the pipeline itself"), ("wrapped", "a list with it"))),
        M("unknown_id_in_batch", "A PATCH of several leads names one that is not there.", "open", "kommo.md 17.5",
          (("omit", "is left out of the answer"), ("refuse", "the whole batch is refused"))),
        M("search_lag_s", "For so many seconds a search does not find what is new.", "open", "kommo.md 5.7"),
    )),
    Group("Kommo: files", "kommo", (
        M("max_part_size", "Bytes that one part of an upload may have.", "documented", "kommo.md 10.2"),
        M("part_status", "What a part that is not the last is answered with: 202 was seen, 200 is documented.", "seen", "kommo.md 17.6",
          ((202, "202"), (200, "200"))),
        M("upload_path", "Where parts go; the address is to be taken as it is given.", "seen", "kommo.md 17.6",
          (("/upload", "/upload/…"), ("/v1.0/sessions/upload", "/v1.0/sessions/upload/…"))),
        M("session_life_s", "Seconds that an upload may take as a whole.", "documented", "kommo.md 10.2"),
    )),
    Group("Kommo: webhooks", "kommo", (
        M("hook_timeout_s", "Seconds of real time that a receiver has to answer.", "documented", "kommo.md 4.5"),
        M("timeout_class", "How a time-out counts for the retries: as no answer (3 attempts) or as 499 (5 attempts).", "open", "kommo.md 17.4",
          ((0, "as no answer"), (499, "as 499"))),
        M("status_also_updates", "A move comes as `status` and as `update`.", "documented", "kommo.md 4.4"),
        M("bodies", "What goes into one webhook.", "reported", "kommo.md 4.3",
          (("action", "one action"), ("entity", "one entity"), ("all", "all that was done at once"))),
        M("most_in_body", "Entities in one webhook at most; how many a bulk action really sends is not documented.", "open", "kommo.md 4.3"),
        M("account_block", "Where the account stands in the body: first today, last in older captures.", "seen", "kommo.md 4.3",
          (("first", "first"), ("last", "last"))),
        M("account_domain", "What accounts from before the new name call themselves.", "seen", "kommo.md 4.4",
          ((None, "kommo.com"), ("amocrm.com", "amocrm.com"))),
        M("api_user_in_hooks", "Who changed it, where an integration did.", "open", "kommo.md 17.2",
          (("user", "the user of its token"), ("robot", "nobody (0)"))),
        M("minor_units_in_hooks", "Webhooks carry cents too.", "open", "kommo.md 17.3"),
        M("empty_names", "Webhooks leave the name empty, as an example in the documentation does.", "open", "kommo.md 4.4"),
        M("webhook_repost", "Registering the same address again.", "open", "kommo.md 17.1",
          (("replace", "replaces its events"), ("merge", "adds to its events"))),
        M("webhook_post_status", "What registering answers.", "open", "kommo.md 17.1", ((200, "200"), (201, "201"))),
        M("disable_after", "Bad answers, and the webhook is switched off.", "documented", "kommo.md 4.5"),
        M("disable_window_s", "Within so many seconds.", "documented", "kommo.md 4.5"),
    )),
    Group("Xero: limits", "xero", (
        M("concurrent_limit", "Calls at the same time.", "documented", "xero.md 2.1"),
        M("minute_limit", "Calls a minute.", "documented", "xero.md 2.1"),
        M("day_limit", "Calls a day; 1,000 on the Starter tier.", "documented", "xero.md 2.1"),
        M("app_minute_limit", "Calls a minute of one app to all organisations.", "documented", "xero.md 2.1"),
        M("appminute_retry_after", "A 429 for the app's minute names a wait.", "open", "xero.md 2.2"),
    )),
    Group("Xero: consent", "xero", (
        M("refresh_rotation", "A refresh token that was used once.", "documented", "xero.md 1.3",
          (("grace", "is good for another 30 minutes"), ("strict", "is dead at once"))),
        M("second_consent", "What a consent does to tokens of the same person's earlier ones.", "open", "xero.md 1.3",
          (("keeps", "they stay good"), ("ends", "they die"))),
        M("reauthorised_event", "The authEventId of an organisation that is authorised again.", "reported", "xero.md 1.5",
          (("first", "stays its first, so that the filtered list is empty"), ("new", "is the new one"))),
        M("scope_error", "How a scope that the app may not ask for is told of.", "open", "xero.md 1.4",
          (("page", "on a page"), ("redirect", "by redirect"))),
        M("old_app", "The apps were made before 2 March 2026, and may ask for broad scopes.", "documented", "xero.md 1.8"),
    )),
    Group("Xero: answers", "xero", (
        M("in_flight_duplicate", "The same idempotency key again while its first call still runs.", "open", "xero.md 3",
          (("wait", "waits, then the same answer"), ("conflict", "is refused"), ("process", "is worked off twice"))),
        M("dead_numbers", "The number of a voided or deleted invoice for a new one.", "open", "xero.md 4.8",
          (("refused", "is refused"), ("reusable", "may be used again"))),
        M("missing_tenant", "The status of a call without xero-tenant-id.", "open", "xero.md 1.6", ((403, "403"), (400, "400"), (404, "404"))),
        M("no_accept", "A call without Accept: application/json.", "open", "xero.md 4.2", (("xml", "gets XML"), ("refuse", "is refused"))),
        M("where_null_fails", "Reference.Contains(…) fails on invoices without a reference.", "reported", "xero.md 4.10"),
        M("draft_pdf", "The PDF of a draft.", "open", "xero.md 5.1", (("given", "is given"), ("refused", "is not there"))),
        M("unknown_contact", "A write that names an unknown ContactID.", "open", "xero.md 6.5",
          (("refused", "is refused (400)"), ("missing", "is not found (404)"))),
        M("inline_contact_name", "A new ContactNumber with a name that is taken.", "open", "xero.md 6.5",
          (("edit", "edits the contact of that name"), ("refuse", "is refused"))),
        M("unknown_tracking", "A tracking option that is not there.", "open", "xero.md 7.6",
          (("dropped", "is dropped"), ("refuse", "is refused"))),
        M("zero_total_is_paid", "An approved invoice over nothing is paid at once; no source says.", "open", "xero.md 4.7"),
        M("approval_limit_reached", "The organisation's plan allows no more approved invoices.", "documented", "xero.md 8.5"),
        M("provider_name", "What the app is called in answers, after the next reset.", "seen", "xero.md 4.2"),
    )),
    Group("Xero: webhooks", "xero", (
        M("hook_batch_s", "Events that come so close together (seconds) leave in one body.", "reported", "xero.md 9.4"),
        M("hook_batch_most", "Events in one body at most.", "open", "xero.md 9.4"),
        M("hook_patience_s", "Seconds that a receiver has to answer.", "documented", "xero.md 9.4"),
        M("hook_wrong_probes", "How many wrongly signed probes an intent to receive has.", "reported", "xero.md 9.3"),
        M("hook_categories", "What the app has subscribed to, by commas.", "documented", "xero.md 9.2"),
        M("hook_keeps_order", "While a webhook is retried, later events wait.", "documented", "xero.md 9.4"),
        M("hook_strange_share", "Share of events that come with one of an unknown category (0 to 1).", "reported", "xero.md 9.2"),
        M("hook_lower_kinds", "“Update” instead of “UPDATE”, as older documentation has it.", "documented", "xero.md 9.2"),
    )),
)  # fmt: skip


def table(usual: dict[str, Any]) -> str:
    """The vendors' switches for the docs, with what each is at the start (`usual`: by vendor and name)."""
    rows = [
        "| switch | at the start | or | what it means | how sure | sheet |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for group in GROUPS:
        for one in group.meanings if group.path in usual else ():
            now = usual[group.path][one.name]
            labels = dict(one.choices)
            others = ", ".join(_said(value, label) for value, label in one.choices if value != now)
            trust = f"**{one.trust}**" if one.trust == "open" else one.trust
            cells = (
                f"`{group.path}.{one.name}`",
                _said(now, labels.get(now) if one.choices else None),
                others,
                one.says,
                trust,
                one.sheet,
            )
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _said(value: Any, label: str | None = None) -> str:
    """As PATCH /settings takes it, and in words where the words say more."""
    written = json.dumps(value)
    return f"`{written}`" if label is None or label.strip(" s") == written.strip('"') else f"`{written}`: {label}"
