"""Intervals: known answers, and that they hold the truth as often as they say."""

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsecheck.intervals import net_promoter_interval, share_interval


def test_nothing_asked_is_no_figure():
    assert share_interval(0, 0) is None
    assert net_promoter_interval(0, 0, 0) is None


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3 (Wilson).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_shares_are_those_of_the_paper(hits, n, low, high):
    found = share_interval(hits, n)

    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval(case):
    hits, n = case
    found = share_interval(hits, n)

    assert 0 <= found.low <= found.value <= found.high <= 1
    mirrored = share_interval(n - hits, n)
    assert mirrored.low == pytest.approx(1 - found.high)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["up", "down", "neither"]), min_size=1, max_size=60))
def test_a_score_lies_in_its_interval(answers):
    found = net_promoter_interval(answers.count("up"), answers.count("down"), len(answers))

    assert -100 <= found.low <= found.value <= found.high <= 100


@pytest.mark.parametrize(("up", "down"), [(0.5, 0.2), (0.7, 0.1), (0.3, 0.3), (0.15, 0.6)])
def test_nineteen_of_twenty_intervals_hold_the_true_score(up, down):
    """Exact: the chance of every sample of 25 in which the interval holds the truth."""
    n = 25
    truth, neither, covered = 100 * (up - down), 1 - up - down, 0.0
    for ups in range(n + 1):
        for downs in range(n - ups + 1):
            found = net_promoter_interval(ups, downs, n)
            if found.low <= truth <= found.high:
                rest = n - ups - downs
                ways = comb(n, ups) * comb(n - ups, downs)
                covered += ways * up**ups * down**downs * neither**rest

    assert 0.93 < covered < 0.98
