"""Faults and limits: what calls meet, what is held, and every setting with what it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request, url_for

from sandbox.kit.faults import NAMED, BadFault
from sandbox.kit.settings import UnknownSetting
from sandbox.kit.vendor import Kit
from sandbox.pages.meanings import GROUPS, TRUST, Group, Meaning
from sandbox.pages.paper import NotAllowed, amount, back, go, show, typed


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault for one press of a button."""

    title: str
    says: str
    fault: Mapping[str, Any]


CREATE = {"vendor": "xero", "call": "PUT /api.xro/2.0/Invoices"}
TROUBLES: dict[str, Trouble] = {
    "lost": Trouble("Xero: answer lost", "The next invoice is made, but its answer never comes.", CREATE | {"when": "after", "do": "reset"}),
    "broken": Trouble("Xero: 500", "The next invoice is not made.", CREATE | {"do": 500}),
    "closed": Trouble("Xero: 503 five times", "The next five calls, whatever they are.", {"vendor": "xero", "do": 503, "times": 5}),
    "slow_down": Trouble("Xero: 429", "The next call must wait ten seconds.", {"vendor": "xero", "do": 429, "retry_after": 10}),
    "expired": Trouble("Xero: 401", "The next call's token is refused.", {"vendor": "xero", "call": "* /api.xro", "do": 401}),
    "hold": Trouble("Xero: hold", "The next invoice waits at the door until you let it through.", CREATE | {"do": "hold"}),
    "html": Trouble("Kommo: 504 page", "The next write is done, but a gateway's page is the answer.",
                    {"vendor": "kommo", "call": "PATCH /api/v4/leads", "when": "after", "do": 504}),
    "kommo_slow": Trouble("Kommo: 429 three times", "The next three calls.", {"vendor": "kommo", "do": 429, "times": 3}),
    "drive": Trouble("Drive: cut off", "The next file's upload is cut off.", {"vendor": "drive", "call": "POST /", "do": "reset"}),
}  # fmt: skip

VENDORS = {"*": "any", "kommo": "Kommo", "drive": "Kommo's drive", "xero": "Xero"}
DOINGS = [*("500", "503", "429", "401", "403", "404", "504"), *NAMED]


def pages(kit: Kit) -> Blueprint:
    part = Blueprint("weather", __name__)
    _faults(part, kit)
    _settings(part, kit)

    @part.get("/faults")
    def weather() -> Response:
        return show(
            "faults.html",
            troubles=TROUBLES,
            faults=list(reversed(kit.faults.all())),
            held=kit.faults.held(),
            vendors=VENDORS,
            doings=DOINGS,
            groups=[(group, [_shown(kit, group, one) for one in group.meanings]) for group in GROUPS],
            trust=TRUST,
        )

    return part


def _home(**_arguments: Any) -> str:
    return url_for("weather.weather")


def _faults(part: Blueprint, kit: Kit) -> None:
    @part.post("/faults")
    @back(_home, BadFault)
    def add() -> Response:
        trouble = TROUBLES.get(typed("trouble"))
        fault = kit.faults.add(dict(trouble.fault) if trouble else _typed_fault())
        return go(_home(), f"{fault.method} {fault.path} will meet {fault.do}.")

    @part.post("/faults/<int:fault_id>/clear")
    def clear(fault_id: int) -> Response:
        kit.faults.clear(fault_id)
        return go(_home(), "The fault is gone.")

    @part.post("/faults/clear")
    def clear_all() -> Response:
        kit.faults.clear()
        return go(_home(), "All faults are gone.")

    @part.post("/held/<int:held_id>/release")
    def release(held_id: int) -> Response:
        is_cut = typed("then") == "reset"
        done = kit.faults.release(held_id, "reset" if is_cut else "answer")
        said = ("Cut off." if is_cut else "Let through.") if done else "That call is not held any more."
        return go(_home(), said, is_bad=not done)


def _typed_fault() -> dict[str, Any]:
    do = typed("do")
    return {
        "vendor": typed("vendor") or "*",
        "call": f"{typed('method') or '*'} {typed('path') or '/'}",
        "when": typed("when") or "before",
        "do": int(do) if do.isdecimal() else do,
        "times": int(amount(typed("times"), "the number of times")) if typed("times") else None,
        "share": float(amount(typed("share") or "1", "the share")),
        "skip": int(amount(typed("skip") or "0", "the number of calls")),
        "seconds": float(amount(typed("seconds") or "0", "the seconds")),
    }


# --- settings ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as the page has it. `kind` is how it is put in: choice, flag, number or text."""

    meaning: Meaning
    kind: str
    now: Any
    usual: Any

    @property
    def is_changed(self) -> bool:
        return bool(self.now != self.usual)

    @property
    def chosen(self) -> int:
        """Where the present value stands among the choices; after them for one that is none of them."""
        values = [value for value, _ in self.meaning.choices]
        return values.index(self.now) if self.now in values else len(values)

    @property
    def text(self) -> str:
        return ", ".join(map(str, self.now)) if isinstance(self.now, list) else str(self.now)


def _shown(kit: Kit, group: Group, meaning: Meaning) -> Shown:
    now, usual = (_at(values, group.path)[meaning.name] for values in (kit.settings.snapshot(), kit.settings.usual()))
    return Shown(meaning, _kind(meaning, usual), now, usual)


def _at(values: dict[str, Any], path: str) -> dict[str, Any]:
    found = values.get(path) if path else values
    return found if isinstance(found, dict) else {}


def _kind(meaning: Meaning, usual: Any) -> str:
    if meaning.choices:
        return "choice"
    if isinstance(usual, bool):
        return "flag"
    return "number" if isinstance(usual, int | float) else "text"


def _settings(part: Blueprint, kit: Kit) -> None:
    @part.post("/settings/<int:group>/<name>")
    @back(_home, UnknownSetting)
    def change(group: int, name: str) -> Response:
        """One setting: `value`, or `usual` for what it was at the start."""
        found = GROUPS[group] if group < len(GROUPS) else None
        meaning = next((one for one in found.meanings if one.name == name), None) if found else None
        if found is None or meaning is None:
            raise NotAllowed(f"there is no setting {name}")
        shown = _shown(kit, found, meaning)
        value = shown.usual if "usual" in request.form else _read(shown)
        kit.settings.change({found.path: {name: value}} if found.path else {name: value})
        return go(_home(), f"{name} is {value} now.")


def _read(shown: Shown) -> Any:
    value = typed("value")
    match shown.kind:
        case "flag":
            return value == "yes"
        case "choice":
            chosen = int(value) if value.isdecimal() else -1
            if not 0 <= chosen < len(shown.meaning.choices):
                raise NotAllowed(f"{shown.meaning.name} has no such choice")
            return shown.meaning.choices[chosen][0]
        case "number":
            found = amount(value, shown.meaning.name)
            if found < 0 and shown.meaning.name != "clock_shift_s":
                raise NotAllowed(f"{shown.meaning.name} can't be less than nothing")
            return int(found) if isinstance(shown.usual, int) else float(found)
    return [one.strip() for one in value.split(",") if one.strip()] if isinstance(shown.usual, list) else value
