"""Grouping orders, merging days, looking up positions."""

import numpy as np
import pytest

from retention.scoring.errors import ScoringError
from retention.scoring.history import UNKNOWN_DAY, history_from_rows, purchases_of
from retention.scoring.labels import churned, training_cutoffs


def test_rows_in_any_order_are_grouped_by_account_and_day() -> None:
    history = history_from_rows(np.array([7, 3, 7, 3]), np.array([20, 12, 10, 11]), np.array([4.0, 3, 2, 1]))
    assert history.account_ids.tolist() == [3, 7]
    assert history.offsets.tolist() == [0, 2, 4]
    assert history.day.tolist() == [11, 12, 10, 20]
    assert history.cents.tolist() == [100, 300, 200, 400]


def test_two_orders_on_one_day_are_one_purchase() -> None:
    history = history_from_rows(np.array([1, 1, 1]), np.array([5, 5, 9]), np.array([10.0, 20.5, 1.0]))
    purchases = purchases_of(history)
    assert purchases.day.tolist() == [5, 9]
    assert purchases.cents.tolist() == [3050, 100]


def test_returns_and_zeros_are_no_purchases() -> None:
    history = history_from_rows(np.array([1, 1, 1]), np.array([5, 6, 7]), np.array([10.0, -4.0, 0.0]))
    purchases = purchases_of(history)
    assert purchases.day.tolist() == [5]
    assert purchases.return_day.tolist() == [6]


def test_accounts_without_orders_are_kept_but_are_no_customers() -> None:
    history = history_from_rows(
        np.array([5]), np.array([10]), np.array([1.0]), account_ids=np.array([4, 5, 6])
    )
    purchases = purchases_of(history)
    assert purchases.accounts == 3
    assert purchases.customers(10).tolist() == [1]
    assert purchases.customers(9).tolist() == []


def test_until_forgets_later_orders_and_later_deliveries() -> None:
    history = history_from_rows(
        np.array([1, 1]), np.array([5, 50]), np.array([1.0, 2.0]),
        promised=np.array([8, 60]), delivered=np.array([12, 55]),
    )  # fmt: skip
    known = history.until(10)
    assert known.day.tolist() == [5]
    assert known.delivered is not None
    assert known.delivered.tolist() == [UNKNOWN_DAY]


def test_parts_are_the_same_as_the_whole() -> None:
    random = np.random.default_rng(0)
    account, day = random.integers(1, 60, 500), random.integers(0, 300, 500)
    whole = history_from_rows(account, day, np.ones(500))
    part = whole.between(20, 29)
    chosen = whole.only(np.arange(20, 30))
    assert part.account_ids.tolist() == chosen.account_ids.tolist() == list(range(20, 30))
    assert part.day.tolist() == chosen.day.tolist()
    assert part.offsets.tolist() == chosen.offsets.tolist()


def test_sparse_ids_are_found() -> None:
    ids = np.array([3, 10**12, 2 * 10**12])
    history = history_from_rows(ids[[2, 0]], np.array([1, 2]), np.array([1.0, 1.0]), account_ids=ids)
    assert np.diff(history.offsets).tolist() == [1, 0, 1]


def test_positions_match_a_plain_count() -> None:
    random = np.random.default_rng(1)
    account, day = random.integers(0, 40, 900), random.integers(0, 200, 900)
    purchases = purchases_of(history_from_rows(account, day, np.ones(900)))
    rows = np.arange(purchases.accounts)
    for cut in (-1, 0, 57, 58.5, 199, 400):
        found = purchases.position(cut, rows) - purchases.offsets[rows]
        assert found.tolist() == [len(set(day[(account == a) & (day <= cut)])) for a in purchases.account_ids]


def test_positions_of_several_days_match_those_of_one() -> None:
    random = np.random.default_rng(2)
    account, day = random.integers(0, 60, 900), random.integers(0, 200, 900)
    purchases = purchases_of(history_from_rows(account, day, np.ones(900)))
    cuts = [150, -1, 58.5, 400, 0, 58.5, 199]
    for rows in (np.arange(purchases.accounts), np.array([3, 17, 18, 41]), np.array([9])):
        for cut, found in zip(cuts, purchases.positions(cuts, rows), strict=True):
            assert found.tolist() == purchases.position(cut, rows).tolist()
    assert [found.tolist() for found in purchases.positions(cuts, rows[:0])] == [[]] * len(cuts)


@pytest.mark.parametrize("newest_first", [True, False])
def test_rows_that_come_by_account_are_sorted_like_any_others(newest_first: bool) -> None:
    random = np.random.default_rng(3)
    account, day = np.sort(random.integers(1, 40, 600)), random.integers(0, 90, 600)
    amount = np.arange(600.0)
    order = np.lexsort((-day if newest_first else day, account))
    order[100:130] = np.sort(order[100:130])  # a few out of place
    by_account = history_from_rows(account[order], day[order], amount[order])
    shuffled = random.permutation(600)
    whatever = history_from_rows(account[shuffled], day[shuffled], amount[shuffled])
    assert by_account.offsets.tolist() == whatever.offsets.tolist()
    assert by_account.day.tolist() == whatever.day.tolist()
    for at in np.unique(account):
        mine = slice(*by_account.offsets[[at - 1, at]])
        assert sorted(by_account.cents[mine]) == sorted(whatever.cents[mine])
        assert sorted(by_account.cents[mine]) == (100 * amount[account == at]).tolist()


def test_deliveries_of_one_day_come_in_an_order_of_their_own() -> None:
    """Their sums must not depend on the order in which the database hands rows out."""
    random = np.random.default_rng(4)
    rows = [random.integers(low, high, 300) for low, high in ((1, 20), (0, 9), (0, 30), (0, 30))]
    first, *others = (
        history_from_rows(account, day, np.ones(300), promised=promised, delivered=delivered)
        for account, day, promised, delivered in (
            [column[order] for column in rows] for order in (random.permutation(300) for _ in range(4))
        )
    )
    assert first.promised is not None
    assert first.delivered is not None
    for other in others:
        assert first.promised.tolist() == (other.promised.tolist() if other.promised is not None else None)
        assert first.delivered.tolist() == (other.delivered.tolist() if other.delivered is not None else None)


@pytest.mark.parametrize(
    ("account", "day", "amount", "word"),
    [
        ([1], [1, 2], [1.0], "length"),
        ([1], [1], [float("nan")], "amount"),
        ([1], [1], [float("inf")], "amount"),
        ([1], [10**7], [1.0], "dated"),
    ],
)
def test_unusable_rows_are_refused(account: list, day: list, amount: list, word: str) -> None:
    with pytest.raises(ScoringError, match=word):
        history_from_rows(np.array(account), np.array(day), np.array(amount))


def test_an_order_of_an_unknown_account_is_refused() -> None:
    for unknown in (3, 9):
        with pytest.raises(ScoringError, match="account"):
            history_from_rows(
                np.array([unknown]), np.array([1]), np.array([1.0]), account_ids=np.array([2, 4])
            )


def test_cutoffs_end_by_as_of_and_have_a_horizon_before_them() -> None:
    cutoffs = training_cutoffs(1000, 90, first_day=500)
    assert cutoffs == [910, 865, 820, 775, 730, 685, 640, 595]
    assert training_cutoffs(1000, 90, first_day=800) == [910]
    assert training_cutoffs(1000, 400, first_day=500) == []


def test_a_purchase_on_the_last_day_of_the_horizon_counts() -> None:
    purchases = purchases_of(
        history_from_rows(np.array([1, 1, 2, 2]), np.array([0, 100, 0, 101]), np.ones(4))
    )
    assert churned(purchases, 10, 90, np.array([0, 1])).tolist() == [False, True]
