"""Settings that can be changed while the sandbox runs. Each vendor registers its own under its name."""

import copy
import threading
from typing import Any

DEFAULTS: dict[str, Any] = {
    # how many times faster the vendors' time runs: 60 makes a minute's window last a second
    "time_factor": 1.0,
    # seconds added to the vendors' clocks: lets tokens expire without waiting, or sets the clocks apart from ours
    "clock_shift_s": 0.0,
    # milliseconds that an answer takes at least, by port
    "answer_ms": {"kommo": 0, "drive": 0, "xero": 0},
    # false: no rate limits at all
    "limits": True,
    # shares of webhooks from 0 to 1; the seed makes a run repeatable; delays are up to delay_s seconds
    "noise": {"drop": 0.0, "duplicate": 0.0, "reorder": 0.0, "delay": 0.0, "delay_s": 2.0, "seed": 1},
    # true: webhooks wait until this is false again, or are flushed
    "hooks_paused": False,
    # how long a fault "timeout" keeps a client waiting, at most
    "silence_s": 120.0,
}


class UnknownSetting(ValueError):
    """A name that no part of the sandbox has registered."""


class Settings:
    """A tree of dicts; `register` and `change` keep the same dict objects, so that whoever holds one sees changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Any] = copy.deepcopy(DEFAULTS)
        self._defaults: dict[str, Any] = copy.deepcopy(DEFAULTS)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def register(self, name: str, defaults: dict[str, Any]) -> dict[str, Any]:
        """A vendor's own switches; the answer is live."""
        with self._lock:
            self._defaults[name] = copy.deepcopy(defaults)
            mine: dict[str, Any] = copy.deepcopy(defaults)
            self._values[name] = mine
            return mine

    def change(self, changes: dict[str, Any]) -> None:
        """Merges; refuses names that are not there. Nothing is changed if anything is refused."""
        with self._lock:
            _check(self._values, changes, "")
            _merge(self._values, changes)

    def keep(self, changes: dict[str, Any]) -> None:
        """Like `change`, and a reset comes back to it (what the command line says)."""
        self.change(changes)
        with self._lock:
            _merge(self._defaults, changes)

    def reset(self) -> None:
        with self._lock:
            _merge(self._values, copy.deepcopy(self._defaults))

    def snapshot(self) -> dict[str, Any]:
        with self._lock:
            return copy.deepcopy(self._values)

    def usual(self) -> dict[str, Any]:
        """What a reset comes back to."""
        with self._lock:
            return copy.deepcopy(self._defaults)


def _check(values: dict[str, Any], changes: dict[str, Any], path: str) -> None:
    for name, value in changes.items():
        if name not in values:
            raise UnknownSetting(f"no setting {path}{name}; there are {', '.join(sorted(values))}")
        if isinstance(values[name], dict) and values[name]:
            if not isinstance(value, dict):
                raise UnknownSetting(f"{path}{name} holds several settings")
            _check(values[name], value, f"{path}{name}.")


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(values.get(name), dict) and isinstance(value, dict):
            _merge(values[name], value)
        else:
            values[name] = value
