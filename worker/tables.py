"""All tables at once, for migrations and tests: each stands beside the rules that it serves."""

from worker import attempts, contacts, cursors, deliveries, facts, grants, jobs, links, notices, routes, sends
from worker.database import Base

MODULES = (attempts, contacts, cursors, deliveries, facts, grants, jobs, links, notices, routes, sends)

METADATA = Base.metadata
