"""How the house is built, as tests: which room may enter which, what must be named alike, and how long a thing may be."""

import ast
import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path

import alembic.command
import alembic.config
import click
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from dotenv import dotenv_values
from honcho.environ import parse_procfile

import celeryconfig

ROOT = Path(__file__).parent.parent

MAY_ENTER: dict[str, set[str]] = {
    "integrations": set(),
    "worker": {"integrations"},
    "webhooks": {"worker"},
    "admin": {"worker"},
    "sandbox": set(),
    "stack": set(),
    "tests/system": {"stack", "tests"},
}
ROOMS = {"integrations", "worker", "webhooks", "admin", "sandbox", "stack", "tests"}

# The receiver records and rings: of the worker it sees what that takes, and nothing that could call a vendor.
RECEIVER_MAY = {"database", "deliveries", "jobs", "links", "logs", "ring", "routes", "settings"}

BANNED = {
    "util", "utils", "helper", "helpers", "common", "core", "base", "manager", "service", "processor", "data", "info",
}  # fmt: skip

LONGEST_FUNCTION, LONGEST_FILE = 40, 300
SHORT_ROOMS = ("integrations", "worker", "webhooks", "admin", "stack")


def sources(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which room they enter"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("room", MAY_ENTER)
def test_rooms_have_one_way_doors(room):
    own = {room.partition("/")[0]}
    for path in sources(room):
        entered = {name.partition(".")[0] for name in imports(path)} & ROOMS
        assert entered <= MAY_ENTER[room] | own, f"{path.relative_to(ROOT)} may not import {entered}"


def test_the_receiver_sees_only_what_records_and_rings():
    seen = {name.split(".")[1] for path in sources("webhooks") for name in imports(path) if name.startswith("worker.")}
    assert seen <= RECEIVER_MAY


def queues_in_procfile() -> set[str]:
    worker = parse_procfile((ROOT / "Procfile").read_text()).processes["worker"]
    found = re.search(r" -Q (\S+)", worker)
    assert found
    return set(found[1].split(","))


def test_kinds_handlers_and_queues_are_the_same():
    kinds = {kind.value for kind in importlib.import_module("worker.jobs").Kind}
    handled = {kind.value for kind in importlib.import_module("worker.handlers").HANDLERS}
    routed = {route["queue"] for route in celeryconfig.task_routes.values()} | {celeryconfig.task_default_queue}
    assert kinds == handled == set(celeryconfig.KINDS)
    assert routed == queues_in_procfile() == kinds | {"housekeeping"}


def test_no_attempt_outlives_the_redelivery_of_its_ring():
    assert celeryconfig.task_time_limit < celeryconfig.visibility_timeout


def test_every_setting_is_in_the_example():
    settings = importlib.import_module("worker.settings")
    names = {name.upper() for name in settings.Settings.model_fields} - {"TIMING", "KEEPING"}
    names |= {f"BRIDGE_{name}".upper() for name in settings.Timing.model_fields}
    names |= {f"KEEP_{name}".upper() for name in settings.Keeping.model_fields}
    assert set(dotenv_values(ROOT / ".env.example")) == names


def test_every_key_of_a_connection_is_in_the_example():
    connections = importlib.import_module("worker.connections")
    lines = re.sub(r"(?m)^# (?=\[?\[?[\w.]+\]|\w+ = )", "", (ROOT / "connections.example.toml").read_text())
    shown = {match for line in lines.splitlines() for match in re.findall(r"^(\w+) = |^\[+connection\.(\w+)\]", line)}
    tables = [
        kind for kind in vars(connections).values() if is_dataclass(kind) and kind.__module__ == connections.__name__
    ]
    keys = {{"triggers": "trigger"}.get(one.name, one.name) for table in tables for one in fields(table)}
    assert keys <= {name for pair in shown for name in pair if name}


def test_the_example_of_a_connections_file_is_valid():
    connections = importlib.import_module("worker.connections")
    assert [one.name for one in connections.load(ROOT / "connections.example.toml")] == ["acme"]


def test_migrations_make_exactly_the_tables_of_the_code(database_url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database_url)
    alembic.command.upgrade(alembic.config.Config(toml_file=ROOT / "pyproject.toml"), "head")
    engine = sa.create_engine(database_url)
    with closing_engine(engine), engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, importlib.import_module("worker.tables").METADATA) == []


@contextmanager
def closing_engine(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    finally:
        engine.dispose()


def test_no_function_and_no_file_is_long():
    long = []
    for path in (path for path in sources(*SHORT_ROOMS) if "versions" not in path.parts):
        text = path.read_text(encoding="utf-8")
        if sum(bool(line.strip()) for line in text.splitlines()) > LONGEST_FILE:
            long.append(str(path.relative_to(ROOT)))
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        long += [f"{path.relative_to(ROOT)}: {one.name}" for one in functions if length(one) > LONGEST_FUNCTION]
    assert long == []


def length(function: ast.FunctionDef) -> int:
    """Lines of code: a signature with an argument a line and a docstring make nothing harder to follow."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_names_say_what_a_thing_is():
    vague = []
    for path in sources(*ROOMS):
        classes = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        words = {path.stem, *(word.lower() for name in classes for word in re.findall("[A-Z][a-z]+", name))}
        # the parent of all tables is called Base wherever SQLAlchemy is used
        vague += [
            f"{path.relative_to(ROOT)}: {word}" for word in words & BANNED if (path.stem, word) != ("database", "base")
        ]
    assert vague == []


def test_every_requirement_is_pinned():
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in pinned if line.strip() and not line.startswith("#") and "==" not in line] == []


def test_every_command_says_what_it_does():
    found = dict(commands(importlib.import_module("admin.cli").main))
    assert [" ".join(names) for names, command in found.items() if not command.help] == []
    assert {names[0] for names in found if names} >= {"connect", "setup", "check", "status", "jobs", "trace"}


def commands(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield names, command
    if isinstance(command, click.Group):
        for name, part in command.commands.items():
            yield from commands(part, (*names, name))
