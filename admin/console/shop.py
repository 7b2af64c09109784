"""The workshop of a request: opened when it is first asked for, closed with the request, so that files and settings of others are read anew."""

from collections.abc import Callable
from datetime import datetime
from typing import cast

from flask import Flask, current_app, g

from worker.settings import Settings
from worker.workshop import Workshop

KEY = "bridge"


def attach(app: Flask, settings: Settings, now: Callable[[], datetime]) -> None:
    """Give the app's requests their workshops."""
    app.extensions[KEY] = (settings, now)
    app.teardown_appcontext(_close)


def workshop() -> Workshop:
    """This request's."""
    if "workshop" not in g:
        settings, now = current_app.extensions[KEY]
        g.workshop = Workshop(settings, now=now)
    return cast("Workshop", g.workshop)


def settings() -> Settings:
    """The process's."""
    return cast("Settings", current_app.extensions[KEY][0])


def _close(_: BaseException | None) -> None:
    if opened := g.pop("workshop", None):
        opened.close()
