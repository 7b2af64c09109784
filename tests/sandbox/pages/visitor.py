"""A person without JavaScript: opens pages, fills in forms as they stand, presses buttons."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self

import requests

from sandbox import kommo, xero
from sandbox.kit.stand import Sandbox


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What a button says: its name and value."""


class Page(HTMLParser):
    """What of a page a person works with: its words, forms and links."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.status, self.url, self.text = answer.status_code, answer.url, answer.text
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.addresses: list[str] = []
        self.said = ""
        self.words: list[str] = []
        self._select = self._area = self._button = self._link = None  # type: Any
        self._is_said = False
        self.feed(answer.text)

    @property
    def seen(self) -> str:
        return " ".join(" ".join(self.words).split())

    def form(self, ending: str) -> Form:
        found = [one for one in self.forms if one.action.endswith(ending)]
        assert found, f"no form to …{ending}, but {[one.action for one in self.forms]}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.addresses += [given[name] for name in ("href", "src") if name in given]
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "button":
            self._button = (given.get("name", ""), given.get("value", ""))
        elif tag == "a":
            self._link = given.get("href")
        elif given.get("id") == "said":
            self._is_said = True
        elif self.forms:
            self._put_in(tag, given, self.forms[-1].fields)

    def _put_in(self, tag: str, given: dict[str, str], fields: dict[str, str]) -> None:
        match tag:
            case "input" if "name" in given:
                fields[given["name"]] = given.get("value", "")
            case "select":
                self._select = given["name"]
            case "option" if self._select:
                if "selected" in given or self._select not in fields:
                    fields[self._select] = given.get("value", "")
            case "textarea":
                self._area = given["name"]
                fields[self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "select":
                self._select = None
            case "textarea":
                self._area = None
            case "button":
                self._button = None
            case "a":
                self._link = None
            case "div":
                self._is_said = False

    def handle_data(self, words: str) -> None:
        self.words.append(words)
        if self._is_said:
            self.said += words
        if self._area:
            self.forms[-1].fields[self._area] += words
        if self._button is not None and self.forms and words.strip():
            self.forms[-1].buttons[words.strip()] = self._button
        if self._link and words.strip():
            self.links.setdefault(words.strip(), self._link)


class Visitor:
    def __init__(self) -> None:
        self.sandbox = Sandbox([kommo.open_vendor, xero.open_vendor])
        self.url = self.sandbox.kit.urls["control"]
        self.session = requests.Session()

    def __enter__(self) -> Self:
        self.sandbox.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()
        self.sandbox.stop()

    def open(self, path: str) -> Page:
        return Page(self.session.get(self.url + path, timeout=10))

    def press(self, page: Page, ending: str, button: str = "", **filled: str) -> Page:
        """Sends the form that leads to an address with this ending, with what was filled in."""
        form = page.form(ending)
        fields = form.fields | filled
        name, value = form.buttons[button] if button else ("", "")
        if name:
            fields[name] = value
        address = form.action if form.action.startswith("/") else page.url.removeprefix(self.url)
        return Page(self.session.post(self.url + address, data=fields, timeout=10))

    def tell(self, path: str, content: Any = None, method: str = "POST") -> Any:
        answer = self.session.request(method, f"{self.url}/_sandbox{path}", json=content, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def books(self) -> Any:
        return self.session.get(f"{self.url}/_sandbox/books", timeout=10).json()

    def kommo(self, method: str, path: str, content: Any) -> Any:
        """As an integration does."""
        url = f"{self.sandbox.kit.urls['kommo']}/acme/api/v4{path}"
        headers = {"Authorization": f"Bearer {self.sandbox.ready['kommo_token']}"}
        answer = self.session.request(method, url, json=content, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def lead(self, lead_id: int) -> Any:
        return next(one for one in self.books()["kommo"]["leads"] if one["id"] == lead_id)

    def invoice(self, number: str) -> Any:
        return next(one for one in self.books()["xero"]["invoices"] if one["number"] == number)
