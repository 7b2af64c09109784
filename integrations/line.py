"""The connections to a vendor, and whether a request left on one of them."""

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from integrations.answer import Effect

Params = Sequence[tuple[str, str | int]]

# A server may close an idle connection just as we send on it, and then nobody knows whether a create arrived. So a create goes
# over a connection that was used within this time, or a new one: servers keep idle ones for 5 s at the very least.
FRESH = 3.0


USER_AGENT = "kommo-xero-bridge"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent. `shown` stands for the path in records and errors where the path itself holds a secret."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Params
    body: bytes | None
    effect: Effect
    shown: str

    @property
    def call(self) -> str:
        """The call's name in errors."""
        return f"{self.method} {self.shown}"

    @property
    def path(self) -> str:
        """The path, and the names of its parameters: their values may be a person's name or address."""
        names = "&".join(dict.fromkeys(name for name, _ in self.params))
        return f"{self.shown}?{names}" if names else self.shown


class Bearer(requests.auth.AuthBase):
    """Puts the token on the request. As `auth`, so that no .netrc of the machine takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Line:
    """The connections to a vendor's hosts, kept between calls."""

    def __init__(self, *, fresh: float) -> None:
        self._fresh = fresh
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        plain = HTTPAdapter(max_retries=0)
        self._session.mount("https://", plain)
        self._session.mount("http://", plain)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # calls stand each for itself
        self._used: dict[str, float] = {}

    def transmit(self, request: Request, token: str, timeouts: tuple[float, float]) -> requests.Response:
        """The answer with its whole body, or what requests makes of its absence."""
        # A sandbox on this machine is not to be sought through the company's proxy.
        self._session.trust_env = not is_loopback(request.url)
        response = self._session.request(
            request.method,
            request.url,
            params=list(request.params),
            data=request.body,
            headers=dict(request.headers),
            auth=Bearer(token),
            timeout=timeouts,
            allow_redirects=False,
        )
        self._used[urlsplit(request.url).netloc] = time.monotonic()
        return response

    def freshen(self, url: str) -> None:
        """Close connections that have been idle for so long that the host may close them too."""
        if time.monotonic() - self._used.get(urlsplit(url).netloc, 0.0) > self._fresh:
            self._session.close()

    def close(self) -> None:
        """Close them all; the next call opens one again."""
        self._session.close()


def never_left(error: requests.RequestException) -> bool:
    """Whether the request surely was not sent: there was no connection to send it on, or it could not be put together."""
    unsent = (
        requests.exceptions.ConnectTimeout,
        requests.exceptions.ProxyError,
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidHeader,
    )
    return isinstance(error, unsent) or any(
        isinstance(cause, NewConnectionError | ssl.SSLCertVerificationError) for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[object]:
    """What requests and urllib3 wrapped into the error."""
    for cause in (*error.args, getattr(error, "reason", None)):
        yield cause
        if isinstance(cause, BaseException):
            yield from _causes(cause)


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
