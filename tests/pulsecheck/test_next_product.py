"""What customers bought next: counted by hand, and tried out on the past."""

from __future__ import annotations

import datetime as dt

import pytest

from pulsecheck.next_product import Step, by_product, steps_of, suggest, try_out

TODAY = dt.date(2026, 11, 22)
COFFEE, CUPS, MILK, TEA = 1, 2, 3, 4


def ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def test_steps_counted_by_hand() -> None:
    histories = [
        {COFFEE: ago(400), CUPS: ago(380), MILK: ago(300)},  # coffee → cups → milk
        {COFFEE: ago(400), TEA: ago(400), CUPS: ago(10)},  # coffee and tea → cups
        {COFFEE: ago(200)},  # had time, bought nothing new
        {COFFEE: ago(20)},  # too early to say
    ]
    found = {(s.bought, s.following): (s.followers, s.buyers) for s in steps_of(histories, TODAY)}
    assert found == {(COFFEE, CUPS): (2, 3), (CUPS, MILK): (1, 1), (TEA, CUPS): (1, 1)}


def test_only_the_next_purchase_counts_not_any_later_one() -> None:
    steps = steps_of([{COFFEE: ago(400), CUPS: ago(300), MILK: ago(200)}], TODAY)
    assert (COFFEE, MILK) not in {(s.bought, s.following) for s in steps}


def test_the_best_supported_gap_is_suggested() -> None:
    steps = by_product([Step(COFFEE, CUPS, 100, 30), Step(COFFEE, MILK, 100, 60), Step(COFFEE, TEA, 20, 13)])
    assert [s.product for s in suggest({COFFEE: ago(9)}, steps, most=3)] == [MILK, TEA, CUPS]
    assert [s.product for s in suggest({COFFEE: ago(9), MILK: ago(9)}, steps)] == [TEA]


def test_too_few_customers_support_nothing() -> None:
    steps = by_product([Step(COFFEE, CUPS, 19, 19), Step(COFFEE, MILK, 500, 4)])
    assert suggest({COFFEE: ago(9)}, steps) == []


def test_wilson_against_a_published_value() -> None:
    """Newcombe 1998, table I, 81 of 263: 0.2553 to 0.3662; 0 of 20 has 0 below."""
    assert Step(1, 2, 263, 81).at_least == pytest.approx(0.2553, abs=5e-5)
    assert Step(1, 2, 20, 0).at_least == 0.0


def test_tried_out_on_the_past_it_knows_only_the_past() -> None:
    """Thirty followed coffee with cups long ago; of ten coffee buyers of last spring, six did so since."""
    old = [{COFFEE: ago(900), CUPS: ago(800)} for _ in range(30)]
    came = [{COFFEE: ago(250), CUPS: ago(100)} for _ in range(6)]
    stayed = [{COFFEE: ago(250)} for _ in range(4)]
    later = [{COFFEE: ago(30)}, {}]  # customers nobody knew then
    trial = try_out([*old, *came, *stayed, *later], ago(180))
    assert (trial.suggested, trial.hits, trial.plain_hits) == (10, 6, 6)
