"""What of Kommo can be switched: limits that plans change, and what nobody knows for sure (kommo.md 17)."""

from typing import Any

SWITCHES: dict[str, Any] = {
    # limits (kommo.md 3)
    "rate": 7,  # calls a second
    "limit_scope": "ip",  # or "integration": what those calls are counted by; the docs say both
    "account_rate": 50,  # calls a second to one account, by whomsoever
    "retry_after": 1,  # seconds named in a 429; None leaves it out. The docs' example says 300
    "rate_answer": "json",  # or "text": 429s are not always JSON
    "block_after": 300,  # so many 429s within block_window_s and all is answered with 403 until support unblocks
    "block_window_s": 300,
    # plans and rights
    "plan": "Advanced",  # "Base" has no webhooks
    "no_plan_status": 402,  # what Base gets from /webhooks; 403 is as likely
    "paid": True,  # false: 402 everywhere
    "field_cap": 200,
    # consent
    "refresh_rotation": "grace",  # the old refresh token is good until the new pair is used; or "strict": not at all
    "spent_refresh_status": 401,  # or 400: what a spent refresh token is answered with
    "oauth_referer": "{subdomain}.kommo.com",  # or {subdomain}.amocrm.com, {host} (our own), or a forged one
    "old_subdomain_status": 404,  # or 401: what a former subdomain's host answers
    # answers
    "minor_units": True,  # price_with_minor_units in answers, fractions in `price` on writes
    "single_patch_leads": "root",  # or "wrapped"
    "pipeline_by_id": "root",  # or "wrapped", as the docs' example has it
    "unknown_id_in_batch": "omit",  # or "refuse": PATCH of ids that are not there
    "search_lag_s": 0.0,  # how long `query` does not find what is new
    # the drive
    "max_part_size": 524288,
    "part_status": 202,  # of a part that is not the last; the docs say 200
    "upload_path": "/upload",  # or "/v1.0/sessions/upload"
    "session_life_s": 86400,
    # webhooks
    "hook_timeout_s": 2.0,  # real seconds, whatever the time factor
    "timeout_class": 0,  # or 499: how a time-out counts on the ladder of retries
    "status_also_updates": True,  # a stage move comes as `status` and as `update`
    "bodies": "action",  # one body an action; "entity": one each; "all": all actions in one
    "most_in_body": 100,  # entries; how many a real bulk action puts into one is not documented
    "account_block": "first",  # or "last", as in older captures
    "account_domain": None,  # "amocrm.com": how accounts from before the new name call themselves
    "api_user_in_hooks": "user",  # or "robot": modified_user_id 0 for API writes
    "minor_units_in_hooks": False,
    "empty_names": False,  # the docs' example of a status hook has an empty name
    "webhook_repost": "replace",  # or "merge": POST of a destination that is there
    "webhook_post_status": 200,  # or 201
    "disable_after": 100,  # bad answers within disable_window_s
    "disable_window_s": 7200,
}
