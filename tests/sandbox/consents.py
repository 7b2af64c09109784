"""A person before a consent page, and what the app hears of it: nothing is followed out of the vendor's own port."""

import base64
import html
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

RADIO = re.compile(r'<input type="radio" name="(\w+)" value="([^"]*)"( checked)?> <span>([^<\n]*)')
BUTTON = re.compile(r'<button[^>]* name="(\w+)" value="(\w+)">([^<]*)</button>')


@dataclass
class Page:
    """`choices`: by the group's name and a label, which value; `checked`: what is chosen when it opens."""

    answer: requests.Response

    @property
    def choices(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for name, value, _, label in RADIO.findall(self.answer.text):
            found.setdefault(name, {})[html.unescape(label).strip()] = value
        return found

    @property
    def checked(self) -> dict[str, str]:
        return {name: value for name, value, is_checked, _ in RADIO.findall(self.answer.text) if is_checked}

    @property
    def buttons(self) -> dict[str, tuple[str, str]]:
        return {label: (name, value) for name, value, label in BUTTON.findall(self.answer.text)}

    def press(self, button: str, **chosen: str) -> requests.Response:
        """Sends the form as a browser does: to the page's own address. `chosen`: a group's name and a label, or part of it."""
        fields = dict(self.checked)
        for group, label in chosen.items():
            fields[group] = next(value for text, value in self.choices[group].items() if label in text)
        name, value = self.buttons[button]
        form = fields | {name: value}
        return requests.post(self.answer.url, data=form, allow_redirects=False, timeout=10)


def open_page(address: str, asked: dict[str, str]) -> Page:
    return Page(requests.get(address, params=asked, allow_redirects=False, timeout=10))


def heard(answer: requests.Response) -> tuple[str, dict[str, str]]:
    """Where the browser is sent, and what the app is told there."""
    assert answer.status_code == 302, answer.text
    url = urlsplit(answer.headers["Location"])
    told = {name: values[0] for name, values in parse_qs(url.query, strict_parsing=True).items()}
    return url._replace(query="").geturl(), told


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
