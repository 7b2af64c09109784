"""The ledger, and what works it off: SQLAlchemy and Celery live here. The table decides, the queue only rings."""
