"""A year in which nobody does anything: both vendors' clocks and ours go on together, a day at a time."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from integrations.errors import Unauthorised
from integrations.oauth import expiry
from worker import grants, keeping
from worker.connecting import connect_kommo
from worker.notices import Message
from worker.watching import look_at_access

from .consents import VENDORS, consent, requests_for_tokens
from .shop import Shop

YEAR = 365
# A pasted token that ends within the year.
LIFE = 200


class Calendar:
    """Days pass for everybody at once."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.day = shop, 0
        shop.sandbox.patch("settings", {"time_factor": 1})

    def pass_days(self, days: int = 1) -> None:
        self.day += days
        seconds = timedelta(days=self.day).total_seconds()
        self.shop.sandbox.patch("settings", {"clock_shift_s": seconds})
        self.shop.ahead = seconds


@pytest.fixture
def calendar(shop: Shop):
    for vendor in VENDORS:
        shop.sandbox.delete(f"{vendor}/grants")
    yield Calendar(shop)
    shop.sandbox.patch("settings", {"clock_shift_s": 0})
    for vendor in VENDORS:
        shop.sandbox.delete(f"{vendor}/grants")


def test_no_consent_ends_though_nobody_acts(shop: Shop, calendar: Calendar):
    for vendor in VENDORS:
        consent(shop.workshop, shop.sandbox, vendor, "demo", "other")
    for _ in range(YEAR):
        calendar.pass_days()
        keeping.keep_alive(shop.workshop)  # which beat does every hour
    for vendor in VENDORS:
        asked = requests_for_tokens(shop.sandbox, vendor)
        assert {one["error"] for one in asked} == {""}
        assert len(asked) == YEAR // keeping.RENEW_AFTER.days
    with shop.workshop.database.reading() as session:
        assert {one.refusal for one in grants.standings(session)} == {None}
    lead = shop.deal("A year later")
    shop.entered(lead)
    shop.work()
    assert shop.lead(lead).fields["XERO_INVOICE_NUMBER"]


@pytest.mark.parametrize(("vendor", "days"), [("xero", 61), ("kommo", 93)])
def test_without_that_it_would_have_ended(shop: Shop, calendar: Calendar, vendor: str, days: int):
    token = consent(shop.workshop, shop.sandbox, vendor)
    calendar.pass_days(days)
    with pytest.raises(Unauthorised):
        shop.workshop.tokens(vendor, "demo").renew(token.access_token)


def test_the_end_of_a_pasted_token_is_told_four_times(shop: Shop, calendar: Calendar):
    token = shop.sandbox.post("kommo/tokens", {"days": LIFE})["token"]
    connect_kommo(shop.workshop, "demo", token)
    ends_at = expiry(token)
    assert ends_at is not None
    shop.workshop.settings = shop.workshop.settings.model_copy(update={"notify_email": "operator@acme.example"})
    told = []
    for _ in range(LIFE + 2):
        calendar.pass_days()
        look_at_access(shop.workshop)
        with shop.workshop.database.begin() as session:
            left = round((ends_at - shop.now()) / timedelta(days=1))
            told += [(message.changes[0]["state"], left) for message in session.scalars(sa.select(Message))]
            session.execute(sa.delete(Message))
    assert told == [("ends", 30), ("ends", 14), ("ends", 7), ("ends", 1), ("failed", 0)]
