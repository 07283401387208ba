"""The plan of contacts: whatever the book looks like, it keeps its promises."""

import dataclasses
import datetime as dt
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulsecheck.business_days import business_calendar
from pulsecheck.cadence import YEAR, Customer, Planned, Policies, Policy, floor_day, plan

TODAY = dt.date(2026, 11, 20)  # a Friday
GERMANY = business_calendar("DE")
POLICIES = Policies([Policy("at_risk", "", 14), Policy("steady", "", 90), Policy("steady", "Hotels", 30)])
days_before = st.integers(0, 900).map(lambda n: TODAY - dt.timedelta(days=n))


planned = st.builds(
    Planned,
    st.integers(-40, 300).map(lambda n: TODAY + dt.timedelta(days=n)),
    st.sampled_from([None, 1, 2]),
    st.sampled_from(["", "At risk: every 14 days, nobody has asked yet"]),
)
customer = st.builds(
    Customer,
    id=st.just(0),
    tier=st.sampled_from(["at_risk", "steady", "quiet", ""]),
    segment=st.sampled_from(["", "Hotels"]),
    assignee_id=st.sampled_from([None, 1, 2]),
    contacted_on=st.none() | days_before,
    skipped_on=st.none() | days_before,
    since=st.none() | days_before,
    planned=st.none() | planned,
)
# A book of accounts, some of them never asked, some planned already.
books = st.lists(customer, max_size=25).map(
    lambda found: [dataclasses.replace(c, id=number) for number, c in enumerate(found)]
)
capacities = st.dictionaries(st.sampled_from([1, 2]), st.integers(0, 4))
# A busy machine is no fault of the plan.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def applied(book, changes):
    """The book as it is when the changes are written down."""
    by_account = {change.account_id: change for change in changes}
    return [
        dataclasses.replace(customer, planned=Planned(change.due_on, change.assignee_id, change.reason))
        if (change := by_account.get(customer.id))
        else customer
        for customer in book
    ]


@patient
@given(books, capacities)
def test_planning_twice_changes_nothing(book, capacity):
    once = applied(book, plan(book, POLICIES, GERMANY, capacity, TODAY))

    assert plan(once, POLICIES, GERMANY, capacity, TODAY) == []
    assert plan(once, POLICIES, GERMANY, capacity, TODAY + dt.timedelta(days=1)) == []


@patient
@given(books, capacities)
def test_everybody_has_a_contact_on_a_working_day(book, capacity):
    changes = plan(book, POLICIES, GERMANY, capacity, TODAY)
    late = {c.id: c.planned.due_on for c in book if c.planned and c.planned.due_on < TODAY}

    new = [change for change in changes if change.due_on != late.get(change.account_id)]
    assert all(GERMANY.is_business_day(change.due_on) and change.due_on >= TODAY for change in new)
    assert all(customer.planned for customer in applied(book, changes))


@patient
@given(books, capacities)
def test_nobody_goes_longer_than_a_year(book, capacity):
    soonest = GERMANY.on_or_after(TODAY)
    by_id = {customer.id: customer for customer in book}

    for change in plan(book, POLICIES, GERMANY, capacity, TODAY):
        floor = floor_day(by_id[change.account_id], TODAY)
        assert change.due_on <= max(floor, soonest)
        assert (change.due_on - TODAY).days <= YEAR + 3


@patient
@given(books)
def test_nobody_has_more_in_a_day_than_they_can_do(book):
    book = [dataclasses.replace(customer, planned=None, contacted_on=TODAY) for customer in book]

    load = Counter((c.assignee_id, c.due_on) for c in plan(book, POLICIES, GERMANY, {1: 1, 2: 3}, TODAY))

    assert all(count <= 1 for (person, _), count in load.items() if person == 1)
    assert all(count <= 3 for (person, _), count in load.items() if person == 2)


def one(**changes):
    return dataclasses.replace(Customer(1, "steady", "", 7, contacted_on=dt.date(2026, 11, 3)), **changes)


def planned_for(customer, capacity=None, today=TODAY):
    [change] = plan([customer], POLICIES, GERMANY, capacity or {}, today)
    return change


def test_the_reason_is_a_sentence():
    change = planned_for(one(tier="at_risk"))

    assert change.reason == "At risk: every 14 days, last pulse on 3 Nov 2026"
    assert planned_for(one(contacted_on=None)).reason == "Steady: every 90 days, nobody has asked yet"
    assert (
        planned_for(one(tier="", contacted_on=None, skipped_on=dt.date(2026, 11, 9))).reason
        == "Every customer: at least once a year, left out on 9 Nov 2026"
    )


def test_due_is_the_working_day_before_when_it_falls_on_a_holiday():
    # 3 Nov + 52 days is Christmas Day; the 24th is a working day in Germany.
    policies = Policies([Policy("steady", "", 52)])

    [change] = plan([one()], policies, GERMANY, {}, TODAY)

    assert change.due_on == dt.date(2026, 12, 24)


def test_the_more_particular_policy_wins():
    assert planned_for(one(segment="Hotels")).due_on == dt.date(2026, 12, 3)
    assert planned_for(one(segment="Cafés")).due_on == dt.date(2027, 2, 1)


def test_a_worse_tier_brings_the_contact_forward():
    steady = applied([one()], [planned_for(one())])[0]

    moved = planned_for(dataclasses.replace(steady, tier="at_risk"))

    assert (moved.is_new, moved.due_on) == (False, TODAY)


def test_what_is_overdue_stays_overdue():
    late = applied([one(tier="at_risk")], [planned_for(one(tier="at_risk"))])

    assert plan(late, POLICIES, GERMANY, {7: 1}, TODAY + dt.timedelta(days=60)) == []


def test_another_tier_or_person_does_not_make_it_less_late():
    [late] = applied([one(tier="at_risk")], [planned_for(one(tier="at_risk"))])
    later = TODAY + dt.timedelta(days=60)

    change = planned_for(dataclasses.replace(late, tier="steady", assignee_id=8), today=later)

    assert (change.due_on, change.assignee_id) == (late.planned.due_on, 8)


def test_who_was_asked_since_is_not_late():
    [late] = applied([one(tier="at_risk")], [planned_for(one(tier="at_risk"))])
    later = TODAY + dt.timedelta(days=60)

    change = planned_for(dataclasses.replace(late, contacted_on=later), today=later)

    assert change.due_on > later


def test_whoever_is_near_the_year_chooses_before_those_who_have_time():
    """One contact a day: the thriving customer whose year is over in a week is not crowded out by a steady one."""
    near = Customer(9, "thriving", "", 7, contacted_on=TODAY - dt.timedelta(days=YEAR - 7))
    others = [Customer(n, "steady", "", 7, contacted_on=TODAY - dt.timedelta(days=85)) for n in range(8)]

    changes = plan([*others, near], POLICIES, GERMANY, {7: 1}, TODAY)

    due = {change.account_id: change.due_on for change in changes}
    assert due[9] <= floor_day(near, TODAY)
    assert max(Counter(due.values()).values()) == 1


def test_the_urgent_get_the_nearest_days():
    book = [
        Customer(1, "steady", "", 7, contacted_on=dt.date(2025, 1, 1)),
        Customer(2, "at_risk", "", 7, contacted_on=dt.date(2026, 6, 1)),
    ]

    due = {c.account_id: c.due_on for c in plan(book, POLICIES, GERMANY, {7: 1}, TODAY)}

    assert due == {2: TODAY, 1: dt.date(2026, 11, 23)}


@patient
@given(books)
def test_the_order_of_the_book_does_not_matter(book):
    forwards = plan(book, POLICIES, GERMANY, {1: 2, 2: 2}, TODAY)

    assert plan(book[::-1], POLICIES, GERMANY, {1: 2, 2: 2}, TODAY) == forwards


def test_an_unknown_country_works_from_monday_to_friday():
    nowhere = business_calendar("QQ")

    assert nowhere.on_or_after(dt.date(2026, 12, 25)) == dt.date(2026, 12, 25)
    assert nowhere.after(TODAY, 2) == dt.date(2026, 11, 24)
    assert GERMANY.after(dt.date(2026, 12, 23), 2) == dt.date(2026, 12, 28)
