"""Retention, erosion and renewals against answers worked out by hand, and what must hold for any book."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retention.kpis.revenue import (
    NEVER,
    annualised_churn,
    contract_values,
    erosion_rate,
    full_loss_rate,
    gross_revenue_retention,
    logo_churn_rate,
    net_logo_rate,
    net_revenue_retention,
    partial_decline_rate,
    renewal_rate,
)

# Four customers: one grew (100 -> 150), one shrank (200 -> 120), one left (100 -> 0), one is new (0 -> 80).
BEFORE = np.array([100.0, 200.0, 100.0, 0.0])
AFTER = np.array([150.0, 120.0, 0.0, 80.0])


@pytest.mark.parametrize(
    ("kpi", "expected"),
    [
        (gross_revenue_retention, 220 / 400),
        (net_revenue_retention, 270 / 400),
        (erosion_rate, 180 / 400),
        (full_loss_rate, 100 / 400),
        (partial_decline_rate, 80 / 400),
        (logo_churn_rate, 1 / 3),
        (net_logo_rate, 0 / 3),
    ],
)
def test_known_answers(kpi, expected):
    assert kpi(BEFORE, AFTER).figure().value == pytest.approx(expected)


def test_a_slice_is_the_same_formula_over_fewer_accounts():
    figure = gross_revenue_retention(BEFORE, AFTER).figure(np.array([1, 3]))
    assert (figure.value, figure.numerator, figure.denominator, figure.accounts) == (0.6, 120.0, 200.0, 1)


def test_a_book_without_customers_a_year_ago_has_no_retention():
    figure = gross_revenue_retention(np.zeros(2), np.array([5.0, 6.0])).figure()
    assert (figure.value, figure.accounts) == (None, 0)


def test_a_monthly_churn_of_five_percent_is_46_percent_a_year():
    assert annualised_churn(0.05) == pytest.approx(0.4596399)


money = st.floats(0, 1e9, allow_nan=False)
books = st.integers(1, 30).flatmap(
    lambda n: st.tuples(arrays(np.float64, n, elements=money), arrays(np.float64, n, elements=money))
)


@given(books)
def test_gross_never_exceeds_net_nor_one_and_erosion_is_what_is_missing(book):
    before, after = book
    gross = gross_revenue_retention(before, after).figure().value
    if gross is None:
        assert before.sum() == 0
        return
    assert 0 <= gross <= 1 + 1e-12
    assert gross <= net_revenue_retention(before, after).figure().value + 1e-12
    erosion = erosion_rate(before, after).figure()
    assert gross + erosion.value == pytest.approx(1)
    split = full_loss_rate(before, after).figure(), partial_decline_rate(before, after).figure()
    assert sum(part.numerator for part in split) == pytest.approx(erosion.numerator)


@given(books, st.randoms(use_true_random=False))
def test_slices_add_up_to_the_book_whatever_the_order_of_rows(book, random):
    before, after = book
    rows = list(range(len(before)))
    random.shuffle(rows)
    cut = len(rows) // 2
    terms = gross_revenue_retention(before, after)
    halves = terms.figure(np.array(rows[:cut], dtype=int)), terms.figure(np.array(rows[cut:], dtype=int))
    whole = terms.figure()
    assert sum(half.numerator for half in halves) == pytest.approx(whole.numerator)
    assert sum(half.accounts for half in halves) == whole.accounts


def contracts(*rows: tuple[int, int, int, int, float]) -> dict[str, np.ndarray]:
    """Rows of (account, first day, last day, day of cancellation, yearly value); grace of 30 days."""
    account, starts, ends, cancelled, value = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "account_row": account,
        "starts": starts,
        "ends": ends,
        "cancelled": cancelled,
        "annual_value": value.astype(float),
        "grace_days": np.full(len(rows), 30),
    }


def test_contract_values_count_what_is_in_force():
    book = contracts(
        (0, 0, 100, NEVER, 1000),  # in force on day 100, its last
        (0, 50, 400, NEVER, 500),  # a second one beside it
        (1, 0, 400, 100, 700),  # cancelled that very day
        (2, 101, 400, NEVER, 900),  # begins tomorrow
        (3, 0, 80, NEVER, 300),  # ran out 20 days ago: grace
        (4, 0, 69, NEVER, 300),  # ran out 31 days ago: lost
    )
    values, in_grace = contract_values(100, 5, **book)
    assert values.tolist() == [1500, 0, 0, 300, 0]
    assert in_grace.tolist() == [False, False, False, True, False]


def test_a_renewed_contract_is_not_counted_twice_in_its_grace_period():
    values, in_grace = contract_values(100, 1, **contracts((0, 0, 90, NEVER, 1000), (0, 91, 455, NEVER, 800)))
    assert values.tolist() == [800]
    assert not in_grace.any()


def test_renewals_are_judged_once_their_grace_period_is_over():
    book = contracts(
        (0, 0, 100, NEVER, 1),
        (0, 120, 500, NEVER, 1),  # renewed late, within 30 days
        (1, 0, 100, NEVER, 1),
        (1, 140, 500, NEVER, 1),  # 40 days later: won back, not renewed
        (2, 0, 150, NEVER, 1),  # not followed
        (3, 0, 190, NEVER, 1),  # grace period still running on day 200
        (4, 0, 150, 149, 1),
        (4, 150, 500, NEVER, 1),  # cancelled before its end
    )
    book.pop("annual_value")
    terms, waiting = renewal_rate(50, 200, 5, **book)
    assert terms.numerator.tolist() == [1, 0, 0, 0, 0]
    assert terms.denominator.tolist() == [1, 1, 1, 0, 1]
    assert waiting == 1
