"""Whether an address of our own answers, asked as anybody on the internet would."""

from dataclasses import dataclass

import requests

from integrations.line import USER_AGENT, is_loopback

# A host that takes longer than this for a page without a body is not to be reached by vendors that wait for two (kommo.md 4.5).
TIMEOUTS = (3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Reached:
    """The status that an address answered with; None where nobody did, and `why`. `is_certificate`: it is there, and nobody may trust it."""

    status: int | None
    why: str = ""
    is_certificate: bool = False


def ask(url: str, *, timeouts: tuple[float, float] = TIMEOUTS) -> Reached:
    """One GET, without redirects."""
    with requests.Session() as session:
        session.trust_env = not is_loopback(url)
        session.headers["User-Agent"] = USER_AGENT
        try:
            return Reached(session.get(url, timeout=timeouts, allow_redirects=False).status_code)
        except requests.exceptions.SSLError as error:
            return Reached(None, type(error).__name__, is_certificate=True)
        except requests.RequestException as error:
            return Reached(None, type(error).__name__)
