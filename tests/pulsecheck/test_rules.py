"""To whom an account goes back, how many a night, and when it is too soon to ask again."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsecheck.handback import DECLINED, Candidate, Person, Staff, choose_person, is_too_soon, within_budget

ORIGINAL, BOSS, CARER, CHIEF = 1, 2, 3, 4
DAY = dt.date(2026, 11, 20)


def staff(gone=()):
    names = {ORIGINAL: "Olga", BOSS: "Mona", CARER: "Tim", CHIEF: "Chris"}
    people = {
        pk: Person(pk, name, pk not in gone, BOSS if pk == ORIGINAL else None, 2)
        for pk, name in names.items()
    }
    return Staff(people, [CHIEF])


@pytest.mark.parametrize(
    ("gone", "expected", "because"),
    [
        ((), ORIGINAL, "Won this account."),
        ((ORIGINAL,), BOSS, "Olga, who won the account, has left. You manage Olga's team."),
        ((ORIGINAL, BOSS), CARER, "Olga, who won the account, has left. You look after the account."),
        (
            (ORIGINAL, BOSS, CARER),
            CHIEF,
            "Olga, who won the account, has left. You are a manager of the company.",
        ),
        (
            (ORIGINAL, BOSS, CARER, CHIEF),
            None,
            "Olga, who won the account, has left. Nobody could be found to take over.",
        ),
    ],
)
def test_the_next_in_line_takes_over(gone, expected, because):
    choice = choose_person(staff(gone), ORIGINAL, CARER)

    assert (choice.person_id, choice.because) == (expected, because)


def test_who_declined_is_passed_over():
    choice = choose_person(staff(), ORIGINAL, CARER, {ORIGINAL: DECLINED, BOSS: DECLINED})

    assert (choice.person_id, choice.because) == (
        CARER,
        "Olga, who won the account, has declined. You look after the account.",
    )


def test_an_account_nobody_won_goes_to_who_looks_after_it():
    choice = choose_person(staff(), None, CARER)

    assert choice.person_id == CARER
    assert choice.because.startswith("Nobody is on record as having won this account.")


@pytest.mark.parametrize(
    ("now", "then", "days", "expected"),
    [
        ("quiet", "quiet", 29, True),
        ("quiet", "quiet", 30, False),
        ("at_risk", "quiet", 1, False),
        ("quiet", "at_risk", 1, True),
        ("at_risk", "", 1, False),
    ],
)
def test_a_settled_account_rests_unless_it_gets_worse(now, then, days, expected):
    assert is_too_soon(now, then, DAY - dt.timedelta(days=days), DAY) is expected


candidates = st.lists(
    st.builds(
        Candidate,
        st.integers(1, 10**6),
        st.sampled_from([None, ORIGINAL, CARER]),
        st.integers(0, 500).map(Decimal),
    ),
    unique_by=lambda c: c.account_id,
    max_size=40,
)


@given(candidates, st.integers(0, 3))
def test_nobody_gets_more_than_a_day_of_calls_and_the_most_money_first(found, already):
    chosen = within_budget(found, staff(), {ORIGINAL: already}, {})

    mine = [c for c in chosen if c.person_id == ORIGINAL]
    assert len(mine) <= max(2 - already, 0)
    left_out = [c for c in found if c.person_id == ORIGINAL and c not in chosen]
    assert all(c.money <= chosen_one.money for c in left_out for chosen_one in mine)


def test_no_more_comes_while_a_week_of_calls_waits_for_an_answer():
    one = [Candidate(1, ORIGINAL, Decimal(5))]

    assert within_budget(one, staff(), {}, {ORIGINAL: 9}) == one
    assert within_budget(one, staff(), {}, {ORIGINAL: 10}) == []
