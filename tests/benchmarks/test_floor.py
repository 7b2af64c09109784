"""The floor is what the limits allow, and nothing more."""

import pytest

from tests.benchmarks import floor
from tests.benchmarks.floor import Pace

EVERYDAY = Pace(factor=1, answer=0.1)


@pytest.mark.parametrize(("calls", "seconds"), [(0, 0), (1, 0), (60, 0), (61, 60), (120, 60), (121, 120)])
def test_sixty_calls_go_at_once_and_then_a_minute_passes(calls, seconds):
    assert EVERYDAY.xero_waits(calls) == seconds


@pytest.mark.parametrize(("calls", "seconds"), [(7, 0), (8, 1), (14, 1), (15, 2)])
def test_seven_calls_go_at_once_and_then_a_second_passes(calls, seconds):
    assert EVERYDAY.kommo_waits(calls) == seconds


def test_the_factor_shrinks_every_wait():
    assert Pace(factor=10, answer=0).xero_waits(61) == 6


def test_two_hundred_known_clients_need_four_creates_and_a_pdf_each():
    least = floor.burst(200, pace=EVERYDAY)
    assert least.xero_calls == 204
    assert least.xero_calls / 200 == pytest.approx(1.02)
    assert least.invoice == pytest.approx(0.2)  # read, create: no minute passes
    assert least.pdf == pytest.approx(3 * 60 + 0.4)


def test_a_new_client_takes_a_call_more():
    assert floor.burst(200, pace=EVERYDAY, new_clients=True).xero_calls / 200 == pytest.approx(2.02)


def test_a_thousand_payments_need_25_reads_and_20_writes():
    least = floor.payments(1000, pace=EVERYDAY)
    assert (least.xero_calls, least.kommo_writes) == (25, 20)
    assert least.shown == pytest.approx(2 + 0.2)  # twenty writes at seven a second


def test_one_deal_waits_for_nothing_but_answers():
    least = floor.burst(1, pace=EVERYDAY)
    assert (least.invoice, least.status, least.pdf) == pytest.approx((0.2, 0.3, 0.4))
