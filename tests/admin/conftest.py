"""An operator's desk: the commands in this process, on a migrated database, a real Redis and the sandbox's vendors."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import requests
import structlog
from click.testing import CliRunner, Result
from redis import Redis

from admin.cli import main
from stack.children import Children
from stack.plan import environment, is_ours
from stack.sandbox import Sandbox, start_sandbox
from worker.database import Database, open_database

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Desk:
    """Where an operator types. `env` is the whole environment that the commands see of ours."""

    sandbox: Sandbox
    folder: Path
    env: dict[str, str]

    def run(self, *words: str, typed: str | None = None) -> Result:
        """One command, whatever becomes of it. An error that is no operator's mistake fails the test."""
        unset: dict[str, str | None] = {name: None for name in os.environ if is_ours(name)}
        result = CliRunner().invoke(main, words, input=typed, env=unset | self.env)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def do(self, *words: str, typed: str | None = None) -> str:
        """One command that is done, and what it says."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *words: str, typed: str | None = None) -> str:
        """One command that is refused, and why: on standard error, and nothing else there."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 1, result.output
        assert "Traceback" not in result.output
        return result.stderr

    def ask(self, *words: str, status: int = 0) -> Any:
        """A reading command's JSON."""
        result = self.run(*words, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    def connect(self) -> None:
        """Both grants, as the sandbox printed them."""
        self.do("connect", "kommo", "demo", "--token", self.sandbox.ready["kommo_token"])
        self.do("connect", "xero", "demo", "--client-credentials")

    def rewrite(self, old: str, new: str) -> None:
        """Another line in the connections file."""
        path = Path(self.env["CONNECTIONS_FILE"])
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def sandbox(children: Children, ground_folder: Path) -> Iterator[Sandbox]:
    """Both vendors, whose periods pass fifty times faster, so that no command waits for a window."""
    opened = start_sandbox(children, ground_folder / "desk", env=os.environ, more=["--time-factor", "50"])
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the release line makes it."""
    path = tmp_path_factory.mktemp("release") / "bridge.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"sqlite:///{path}")
        alembic.command.upgrade(alembic.config.Config(toml_file=ROOT / "pyproject.toml"), "head")
    return path


@pytest.fixture
def desk(sandbox: Sandbox, redis: Redis, redis_url: str, tmp_path: Path, migrated: Path, monkeypatch) -> Desk:
    """A desk that nothing was typed at yet; the vendors are as they were at the beginning."""
    sandbox.post("reset", {"seed": "demo"})
    shutil.copy(migrated, tmp_path / "bridge.db")
    monkeypatch.chdir(tmp_path)  # no .env of ours is read here
    env = environment(folder=tmp_path, sandbox=sandbox.ready, redis_url=redis_url)
    custom = {name.upper(): str(sandbox.ready[name]) for name in ("xero_client_id", "xero_client_secret")}
    return Desk(sandbox, tmp_path, env | custom | {"BRIDGE_TIME_FACTOR": "50"})


@pytest.fixture
def ledger(desk: Desk) -> Iterator[Database]:
    """The desk's database."""
    opened = open_database(desk.env["DATABASE_URL"])
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command sets up logging for its process, and here that is the tests'."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def kommo_api(desk: Desk) -> Iterator[Any]:
    """Calls of another program to the same Kommo account."""
    base = f"{desk.sandbox.ready['kommo_url']}/acme/api/v4"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {desk.sandbox.ready['kommo_token']}"

        def call(method: str, path: str, body: object = None) -> Any:
            answer = session.request(method, f"{base}/{path}", json=body, timeout=10)
            assert answer.ok, answer.text
            return answer.json() if answer.content else None

        yield call
