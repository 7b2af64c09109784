"""Any bytes at all to the receiver, by a fuzzer that follows the code: run by hand, for as long as one likes; `make test` has Hypothesis for it.

Atheris is no requirement of the project, and needs CPython 3.11 or newer on Linux or macOS. In an environment of its own, beside the project's:

    python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
    PYTHONPATH=.:$(echo .venv/lib/python3*/site-packages) /tmp/fuzz/bin/python tests/webhooks/fuzz.py kommo -max_total_time=300

The first word is what to feed: `kommo` (bracket forms and what is read from them), `xero` (JSON and what is read from it) or `receiver` (both routes of the
real application on a SQLite database, authenticated, so that the bytes get as far as any can). The rest are libFuzzer's own options. It starts from the
samples beside this file; a crash leaves its input as a file `crash-…` and ends with a status that is not 0.
"""

import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # not installed with the project

with atheris.instrument_imports(include=["webhooks"]):
    from webhooks import kommo, xero
    from webhooks.decode import decode
    from webhooks.receive import create_app

from tests.webhooks.bodies import FOLDER
from tests.webhooks.conftest import INVOICE, KEY, TENANT, TOKEN, connect, receiver_settings
from worker import tables
from worker.database import open_database

# A body of some hundred bytes is read in well under a millisecond; nothing may take this many seconds.
SLOWEST = 5


def feed_kommo(body: bytes) -> None:
    """Whatever comes, there is a notice, bounded and of ids that a database takes."""
    notice = kommo.read(decode(body))
    assert len(notice.leads) <= kommo.MOST_EVENTS
    assert len(notice.clients) <= kommo.MOST_EVENTS
    ids = [event.lead_id for event in notice.leads] + [event.client_id for event in notice.clients]
    assert all(0 < one < 10**18 for one in ids)
    assert re.fullmatch(r"[a-z0-9-]{0,63}", notice.subdomain)


def feed_xero(data: bytes) -> None:
    """The same of Xero's, whose ids are UUIDs; half of what is fed is JSON already, since bytes alone hardly ever become any."""
    notice = xero.read(data if len(data) % 2 else like_xero(data))
    assert len(notice.events) <= xero.MOST_EVENTS
    ids = [one for event in notice.events for one in (event.tenant_id, event.resource_id)]
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one) for one in ids)


def like_xero(data: bytes) -> bytes:
    """A body with Xero's names, each of which holds whatever the bytes make."""
    dice = atheris.FuzzedDataProvider(data)

    def anything() -> object:
        text = dice.ConsumeUnicode(40)
        kinds = (
            text,
            TENANT,
            f"https://api.xero.com/{text}/{INVOICE}",
            "2026-11-24T12:00:00" + text,
            len(text),
            None,
            [text],
            {text: text},
        )
        return kinds[dice.ConsumeIntInRange(0, len(kinds) - 1)]

    names = ("tenantId", "resourceId", "resourceUrl", "eventCategory", "eventType", "eventDateUtc")
    events = [{name: anything() for name in names} for _ in range(dice.ConsumeIntInRange(0, 4))]
    told = events if dice.ConsumeIntInRange(0, 9) else anything()
    return json.dumps({"events": told, "entropy": anything()}).encode()


def open_receiver() -> Callable[[bytes], None]:
    """Both routes, as a vendor that knows the secrets would call them: 200, or 413 for too much, and never anything else."""
    database = open_database(f"sqlite:///{Path(tempfile.mkdtemp()) / 'fuzz.db'}", patience=30)
    tables.METADATA.create_all(database.engine)
    with database.begin() as session:
        connect(session)
    client = create_app(receiver_settings(), database, lambda _: None, patience=30).test_client()

    def feed(body: bytes) -> None:
        form = client.post(f"/webhooks/kommo/{TOKEN}", data=body, content_type="application/x-www-form-urlencoded")
        signed = client.post("/webhooks/xero", data=body, headers={"x-xero-signature": xero.sign(body, KEY).decode()})
        assert (form.status_code, form.data) == (200, b"")
        assert (signed.status_code, signed.data) == (200, b"")

    return feed


def main() -> None:
    """Until the time is over, or something breaks."""
    feeds = {"kommo": lambda: feed_kommo, "xero": lambda: feed_xero, "receiver": open_receiver}
    if len(sys.argv) < 2 or sys.argv[1] not in feeds:
        raise SystemExit(__doc__)
    feed = feeds[sys.argv[1]]()
    corpus = Path(tempfile.mkdtemp())
    arguments = [sys.argv[0], *sys.argv[2:], f"-timeout={SLOWEST}", "-print_final_stats=1", str(corpus), str(FOLDER)]
    atheris.Setup(arguments, feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
