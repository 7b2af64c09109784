"""What most teams would write: a Flask view, `.delay()`, one Celery task a deal, `self.retry(countdown=...)`, `rate_limit`.

Meant honestly: it reads what the vendors say about waiting, asks for no more tasks a minute than Xero's limit carries, keeps its
token, uses one session a process, and neither loses nor doubles an invoice when it tries again.
"""
