"""Repeat purchase, inactivity and cohorts against answers worked out by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retention.kpis.purchases import cohort_retention, inactive_after, repeat_purchase_rate
from retention.kpis.revenue import NEVER


def test_repeat_purchase_rate_counts_only_customers_old_enough_to_tell():
    first = np.array([0, 0, 0, 10, 11, NEVER])
    second = np.array([90, 91, NEVER, 20, 20, NEVER])
    figure = repeat_purchase_rate(first, second, as_of=100, within_days=90).figure()
    # Old enough: the first four. Back within 90 days: the first (on day 90 exactly) and the fourth.
    assert (figure.numerator, figure.denominator, figure.value) == (2, 4, 0.5)


@given(st.integers(1, 400), st.integers(0, 400))
def test_no_second_order_never_counts_as_a_return(within_days, as_of):
    first = np.array([0, 5, 50])
    figure = repeat_purchase_rate(first, np.full(3, NEVER), as_of, within_days).figure()
    assert figure.numerator == 0


def test_inactive_after_twice_the_own_gap_within_bounds_else_the_window():
    gaps = np.array([20.0, 5.0, 300.0, 20.0, np.nan])
    orders = np.array([3, 9, 4, 2, 7])
    days = inactive_after(gaps, orders, floor=30, ceiling=365, window=90)
    assert days.tolist() == [40, 30, 365, 90, 90]


def test_cohorts_follow_customers_by_period_since_their_first():
    # Accounts 0 and 1 begin in period 0, account 2 in period 1, account 3 is in no cohort shown.
    cohort = np.array([0, 0, 1, -1])
    row = np.array([0, 0, 1, 1, 2, 3])
    period = np.array([0, 2, 0, 1, 1, 0])
    revenue = np.array([100.0, 50.0, 100.0, 20.0, 10.0, 999.0])
    table = cohort_retention(cohort, row, period, revenue, periods=3)
    assert table.sizes.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(table.active[0], [1, 0.5, 0.5])
    np.testing.assert_array_equal(table.active[1], [1, 0, np.nan])
    np.testing.assert_array_equal(table.revenue[0], [1, 0.1, 0.25])
    assert np.isnan(table.active[2]).all()


def test_a_period_of_returns_alone_is_no_activity():
    table = cohort_retention(
        np.array([0]), np.array([0, 0]), np.array([0, 1]), np.array([100.0, -30.0]), periods=2
    )
    assert table.active[0].tolist() == [1, 0]
