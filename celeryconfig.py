"""Celery's settings, each with its reason. The broker's address comes from REDIS_URL (worker/app.py sets it).

Redis is a bell: a message carries a job's id, and the ledger decides. What is lost here is found by the sweep two seconds later, so nothing below
tries to make Redis keep anything.
"""

# One queue a job kind, so that a burst of one kind does not hold up the others, and housekeeping on a queue of its own.
KINDS = ("create_invoice", "attach_invoice", "sync_status", "create_deal")
task_routes = {kind: {"queue": kind} for kind in KINDS} | {
    name: {"queue": "housekeeping"} for name in ("canary", "reconcile", "keep_alive", "look", "tell")
}
task_default_queue = "housekeeping"

# Acknowledged as soon as it is taken: a lost ring costs one sweep, while late acknowledgement only brings redeliveries that meet a lease.
task_acks_late = False
# The ledger holds what came of a job; a second record would only disagree with it.
task_ignore_result = True
result_backend = None
# Ids only, as JSON: nothing that could be executed is ever read from Redis.
task_serializer = "json"
accept_content = ["json"]

# An attempt that takes longer than this is stuck. Its lease ends with its process, and another one goes on.
task_time_limit = 600
task_soft_time_limit = 570

# An attempt mostly waits for the vendors, so four of them fit on one core. What can wait, and a burst, leave one of the four free
# for a new deal (worker/choosing.py).
worker_concurrency = 4
# Nothing is hoarded: a ring that waits inside a busy child could be answered by an idle one.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# Flower shows what these two send.
worker_send_task_events = True
task_send_sent_event = True
# A child is replaced now and then, before a slow leak is noticed.
worker_max_tasks_per_child = 1000
# On SIGTERM (with REMAP_SIGTERM=SIGQUIT in the Procfile) running attempts get this long to end; what is left loses its lease and goes on elsewhere.
worker_soft_shutdown_timeout = 20
worker_enable_soft_shutdown_on_idle = False
# Our log lines are our own (worker/logs.py).
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# A worker that starts before Redis waits for it, and one that loses it comes back, however long that takes.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_channel_error_retry = True
worker_cancel_long_running_tasks_on_connection_loss = False
broker_transport_options = {
    # In the order of the Procfile's line: a thousand rings for PDFs stand in no new deal's way.
    "queue_order_strategy": "priority",
    # Early acknowledgement leaves nothing unacknowledged for long; this must only exceed an attempt's time limit.
    "visibility_timeout": 900,
    # A dead connection is noticed within seconds, not never (Celery's default is to wait for ever).
    "health_check_interval": 10,
    "socket_keepalive": True,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    # Told apart from whatever else lies in this database; two installations need a database (or a server) each.
    "global_keyprefix": "bridge:",
}
visibility_timeout = 900

timezone = "UTC"
enable_utc = True
