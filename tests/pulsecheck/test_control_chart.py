"""p-charts: the limits of published examples, and groups too small to judge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsecheck.control_chart import Group, Verdict, against, limits_of, needed, p_chart

# NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.3.2: misregistered chips on 30 wafers of 50 each.
# It gives 0.2313 as the mean, 0.4102 and 0.0524 as limits, and wafers 15 and 23 outside of them.
WAFERS = [
    0.24, 0.30, 0.16, 0.20, 0.08, 0.14, 0.32, 0.18, 0.28, 0.20, 0.10, 0.12, 0.34, 0.24, 0.44,
    0.16, 0.20, 0.10, 0.26, 0.22, 0.40, 0.36, 0.48, 0.30, 0.18, 0.24, 0.14, 0.26, 0.18, 0.12,
]  # fmt: skip


def test_the_wafers_of_the_handbook() -> None:
    chart = p_chart(Group(str(n), round(share * 50), 50) for n, share in enumerate(WAFERS, 1))
    assert chart.centre == pytest.approx(0.2313, abs=5e-5)
    limits = chart.points[0].limits
    assert limits is not None
    assert limits.upper == pytest.approx(0.4102, abs=5e-5)
    assert limits.lower == pytest.approx(0.0524, abs=1e-4)
    assert [p.group.label for p in chart.points if p.verdict == Verdict.HIGH] == ["15", "23"]
    assert [p for p in chart.points if p.verdict == Verdict.LOW] == []


def test_ten_samples_of_two_hundred() -> None:
    """Textbook example: 320 defects in 2,000 items give 0.16, 0.2378 and 0.0822, and nothing stands out."""
    defects = (40, 44, 22, 34, 24, 32, 28, 32, 34, 30)
    chart = p_chart(Group("", count, 200) for count in defects)
    assert chart.centre == pytest.approx(0.16)
    limits = limits_of(0.16, 200)
    assert (round(limits.upper, 4), round(limits.lower, 4)) == (0.2378, 0.0822)
    assert {point.verdict for point in chart.points} == {Verdict.USUAL}


def test_limits_are_wider_for_smaller_groups_and_stay_shares() -> None:
    assert limits_of(0.1, 25).upper > limits_of(0.1, 100).upper
    assert limits_of(0.02, 10).lower == 0.0
    assert limits_of(0.98, 10).upper == 1.0


def test_a_small_group_is_not_judged_however_bad_it_looks() -> None:
    chart = against([Group("small", 4, 4), Group("large", 40, 100)], 0.1)
    assert [point.verdict for point in chart.points] == [Verdict.CANNOT_TELL, Verdict.HIGH]
    assert needed(0.1) == 30
    assert against([Group("", 9, 30)], 0.1).points[0].verdict == Verdict.HIGH
    assert against([Group("", 9, 29)], 0.1).points[0].verdict == Verdict.CANNOT_TELL


def test_nothing_to_measure_is_said_so() -> None:
    empty = p_chart([Group("May", 0, 0)])
    assert empty.centre is None
    assert empty.points[0].share is None
    never = p_chart([Group("May", 0, 500)])
    assert never.points[0].verdict == Verdict.CANNOT_TELL
    assert needed(0.0) is None


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20))
def test_whatever_the_groups_limits_hold_the_centre(counts: list[tuple[int, int]]) -> None:
    chart = p_chart(Group("", min(a, b), max(a, b)) for a, b in counts)
    for point in chart.points:
        if point.limits and chart.centre is not None:
            assert 0 <= point.limits.lower <= chart.centre <= point.limits.upper <= 1
        if point.verdict == Verdict.HIGH:
            assert point.share is not None
            assert point.limits is not None
            assert point.share > point.limits.upper
