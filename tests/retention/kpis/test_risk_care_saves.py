"""Money ahead, care given and episodes saved, against answers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.kpis.care import on_time_delivery_rate, promise_kept_rate, pulse_coverage
from retention.kpis.revenue import NEVER
from retention.kpis.risk import expected_loss, out_of_touch_share, quiet_share, revenue_at_risk
from retention.kpis.saves import (
    Episodes,
    handback_acceptance_days,
    handback_completion_rate,
    revenue_save_rate,
    save_counts,
    save_rate,
)

P = np.array([0.9, 0.5, 0.1, np.nan])
VALUE = np.array([1000.0, 400.0, 2000.0, np.nan])


NOBODY_LOST = np.zeros(4, dtype=bool)


def test_expected_loss_is_probability_times_value_over_all_scored():
    figure = expected_loss(P, VALUE, NOBODY_LOST).figure()
    assert figure.value == pytest.approx(900 + 200 + 200)
    assert figure.accounts == 3


def test_what_is_lost_already_is_no_loss_to_expect():
    figure = expected_loss(P, VALUE, np.array([True, False, False, False])).figure()
    assert (figure.value, figure.accounts) == (pytest.approx(400), 2)


def test_revenue_at_risk_begins_at_the_threshold_and_leaves_out_the_lost():
    lost = np.array([True, False, False, False])
    assert revenue_at_risk(P, VALUE, lost, 0.5).figure().value == pytest.approx(200)


@given(st.floats(0.01, 0.99))
def test_revenue_at_risk_is_part_of_the_expected_loss(threshold):
    at_risk = revenue_at_risk(P, VALUE, NOBODY_LOST, threshold).figure()
    assert at_risk.numerator <= expected_loss(P, VALUE, NOBODY_LOST).figure().numerator + 1e-9


def test_nothing_scored_is_no_figure_rather_than_zero():
    nothing = np.full(4, np.nan)
    assert expected_loss(nothing, nothing, NOBODY_LOST).figure().value is None


def test_quiet_and_out_of_touch_shares_are_of_customers_not_lost():
    customer = np.array([True, True, True, False])
    assert quiet_share(np.array([True, False, False, True]), customer).figure().value == pytest.approx(1 / 3)
    days = np.array([10.0, 181.0, np.nan, np.nan])
    assert out_of_touch_share(days, customer, 180).figure().value == pytest.approx(2 / 3)


def test_pulse_coverage_counts_those_due():
    since = np.array([10.0, 31.0, np.nan, np.nan, 3.0, 3.0])
    customer = np.array([500.0, 500.0, 500.0, 5.0, 5.0, 500.0])
    cadence = np.array([30.0, 30.0, 30.0, 30.0, 30.0, np.nan])
    # Inside; late; never; too young to be due; young but done; no cadence.
    figure = pulse_coverage(since, customer, cadence).figure()
    assert (figure.numerator, figure.denominator) == (2, 4)


def test_promises_are_due_in_the_period_and_kept_by_their_day():
    row = np.array([0, 0, 1, 1, 1])
    due = np.array([50, 60, 70, 100, 101])
    kept = np.array([50, 61, NEVER, 90, 90])
    terms = promise_kept_rate(row, due, kept, 50, 100, 2)
    # The first was due before the period, the last falls due after it.
    assert terms.numerator.tolist() == [0, 1]
    assert terms.denominator.tolist() == [1, 2]
    assert terms.figure().value == pytest.approx(1 / 3)


def test_on_time_deliveries_add_up_per_account():
    terms = on_time_delivery_rate(
        np.array([0, 0, 1]), np.array([3.0, 1.0, 0.0]), np.array([4.0, 2.0, 2.0]), 3
    )
    assert terms.figure().value == 0.5
    assert terms.denominator.tolist() == [6, 2, 0]


def episodes(*rows: tuple[int, int, int, int, bool, int, float, float]) -> Episodes:
    """Rows of (account, opened, accepted, closed, attempt, horizon, prior, later)."""
    return Episodes(*(np.array(column) for column in zip(*rows, strict=True)))


BOOK = episodes(
    (0, 10, 12, 40, True, 90, 100, 80),  # saved: exactly 80 %
    (1, 10, 16, 40, True, 90, 100, 79),  # kept too little
    (2, 10, NEVER, 40, False, 90, 100, 100),  # nobody tried: outside
    (3, 20, 22, 60, True, 90, 100, 500),  # its horizon is reached on day 110: waiting on day 100
    (4, 50, NEVER, NEVER, False, 90, 100, 100),  # open
    (5, 5, 7, 30, True, 90, 0, 0),  # brought nothing before or after: not active, not saved
)


def test_save_rate_waits_for_the_horizon_and_for_an_attempt():
    terms = save_rate(BOOK, 0, 100, 6)
    assert terms.numerator.tolist() == [1, 0, 0, 0, 0, 0]
    assert terms.denominator.tolist() == [1, 1, 0, 0, 0, 1]
    assert revenue_save_rate(BOOK, 0, 100, 6).figure().value == 0.5


def test_open_and_waiting_episodes_stand_apart():
    counts = save_counts(BOOK, 100, np.ones(6, dtype=bool))
    assert (counts.open, counts.waiting) == (1, 1)


def test_a_save_cannot_be_counted_before_its_horizon():
    assert save_rate(BOOK, 0, 94, 6).figure().value is None


def test_acceptance_time_and_completion():
    assert handback_acceptance_days(BOOK, 0, 100, 6).figure().value == pytest.approx((2 + 6 + 2 + 2) / 4)
    assert handback_completion_rate(BOOK, 0, 100, 6).figure().value == pytest.approx(5 / 6)
