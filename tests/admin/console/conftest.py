"""The console in this process, on the desk's database, Redis and vendors, seen by browsers without a screen."""

import os
import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from admin.console.app import create_app
from stack.plan import is_ours
from tests.admin.conftest import Desk
from worker.settings import Settings, load


class Browser:
    """One browser: its cookies, and forms sent as they stand on the page."""

    def __init__(self, app: Flask, password: str) -> None:
        self.client: FlaskClient = app.test_client()
        self._password = password

    def get(self, address: str, **more: Any) -> TestResponse:
        return self.client.get(address, **more)

    def post(self, address: str, page: str | None = None, *, follow: bool = False, **fields: Any) -> TestResponse:
        """A form sent to an address, with the token that stands on `page` (else on the address itself)."""
        token = csrf(self.client.get(page or address).text)
        return self.client.post(address, data={"csrf": token, **fields}, follow_redirects=follow)

    def log_in(self, password: str | None = None, **fields: Any) -> TestResponse:
        return self.post("/login", "/login", password=password or self._password, **fields)


def csrf(page: str) -> str:
    """The token of the first form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found[1]


def words(answer: TestResponse) -> str:
    """What a person reads of a page."""
    text = re.sub(r"(?s)<(script|style|head).*?</\1>", " ", answer.text)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


@pytest.fixture
def settings(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The desk's settings, as a process would read them."""
    for name in [name for name in os.environ if is_ours(name)]:
        monkeypatch.delenv(name)
    for name, value in desk.env.items():
        if is_ours(name):
            monkeypatch.setenv(name, value)
    return load(needs={"console", "web"}, env_file=None)


@pytest.fixture
def console(settings: Settings, redis: Any) -> Flask:
    app = create_app(settings)
    app.testing = False  # errors become pages, as they do for an operator
    return app


@pytest.fixture
def stranger(console: Flask, desk: Desk) -> Browser:
    """A browser that nobody has logged in."""
    return Browser(console, desk.env["ADMIN_PASSWORD"])


@pytest.fixture
def operator(console: Flask, desk: Desk) -> Browser:
    """A browser that is logged in."""
    browser = Browser(console, desk.env["ADMIN_PASSWORD"])
    assert browser.log_in().status_code == 303
    return browser
