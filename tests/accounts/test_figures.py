"""Figures over many rows are kept for a while; those over few are always counted anew."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from accounts.selectors import keep_if_large
from tests.factories import Cast, make_cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    cache.clear()
    return make_cast()


def counted(cast_user, whose, figures, large=2, parts=()):
    """The figure as a page gets it; `figures` gives another one each time it is added up."""
    return keep_if_large("test", cast_user, whose, parts, lambda: next(figures), lambda n: n, large=large)


def test_few_are_counted_anew_and_many_are_kept(cast: Cast) -> None:
    few, many = iter([1, 2]), iter([3, 4])

    assert [counted(cast.owner, "mine", few) for _ in range(2)] == [1, 2]
    assert [counted(cast.owner, "all", many) for _ in range(2)] == [3, 3]


def test_who_sees_the_same_shares_what_is_kept_and_nobody_else_gets_it(cast: Cast) -> None:
    everything = iter([10, 11, 12, 13])

    assert counted(cast.administrator, "all", everything) == 10
    assert counted(cast.marketing, "all", everything) == 10  # sees all accounts as well
    assert counted(cast.administrator, "mine", everything) == 11
    assert counted(cast.owner, "all", everything) == 12
    assert counted(cast.teammate, "all", everything) == 13


def test_other_questions_have_other_figures(cast: Cast) -> None:
    figures = iter([10, 11])

    assert counted(cast.owner, "all", figures, parts=("Hotels",)) == 10
    assert counted(cast.owner, "all", figures, parts=("Hotels-",)) == 11
    assert counted(cast.owner, "all", figures, parts=("Hotels",)) == 10
