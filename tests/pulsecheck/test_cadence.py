"""The plan of contacts: whatever the book looks like, it keeps its promises."""

import datetime as dt
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulsecheck.business_days import business_calendar
from pulsecheck.cadence import (
    YEAR,
    Away,
    Customer,
    Occasions,
    Planned,
    Policies,
    Policy,
    Term,
    Worker,
    Workplace,
    floor_day,
    plan,
)

TODAY = dt.date(2026, 11, 20)  # a Friday
GERMANY = business_calendar("DE")
BRITAIN = business_calendar("GB")
OCCASIONS = Occasions((7, 30, 60, 90), (180, 90, 60, 30))
POLICIES = Policies(
    [
        Policy("at_risk", "", 14),
        Policy("steady", "", 90),
        Policy("steady", "Hotels", 30),
        Policy("steady", "", 60, billing_mode="contract"),
        Policy("steady", "", 45, value_from=10_000),
    ],
    OCCASIONS,
)
days_before = st.integers(0, 900).map(lambda n: TODAY - dt.timedelta(days=n))
days_around = st.integers(-40, 300).map(lambda n: TODAY + dt.timedelta(days=n))
people = st.sampled_from([None, 1, 2, 3])


@st.composite
def terms(draw):
    starts_on, ends_on = draw(days_before), draw(days_around)
    notice = draw(st.none() | st.integers(1, 120).map(lambda n: ends_on - dt.timedelta(days=n)))
    return Term(starts_on, ends_on, notice)


planned = st.builds(
    Planned, days_around, people, st.sampled_from(["", "At risk: every 14 days, nobody has asked yet"])
)
customer = st.builds(
    Customer,
    id=st.just(0),
    tier=st.sampled_from(["at_risk", "steady", "quiet", ""]),
    segment=st.sampled_from(["", "Hotels"]),
    assignee_id=people,
    contacted_on=st.none() | days_before,
    skipped_on=st.none() | days_before,
    since=st.none() | days_before | st.integers(0, 120).map(lambda n: TODAY - dt.timedelta(days=n)),
    planned=st.none() | planned,
    billing_mode=st.sampled_from(["repeat", "contract", "both"]),
    value=st.sampled_from([0.0, 50_000.0]),
    country=st.sampled_from(["", "GB"]),
    terms=st.lists(terms(), max_size=2).map(tuple),
)
# A book of accounts, some of them never asked, some planned already.
books = st.lists(customer, max_size=25).map(
    lambda found: [c._replace(id=number) for number, c in enumerate(found)]
)


@st.composite
def absences(draw):
    first = draw(days_around)
    last = first + dt.timedelta(days=draw(st.integers(0, 40) | st.just(500)))
    return Away(first, last, draw(people))


@st.composite
def workplaces(draw):
    """Three people who may be away, stand in for each other (in a circle, too) or can take next to nothing."""
    staff = {
        number: Worker(
            number,
            f"Person {number}",
            draw(st.none() | st.integers(0, 4)),
            draw(st.sampled_from([None, BRITAIN])),
            tuple(draw(st.lists(absences(), max_size=2))),
            draw(people),
        )
        for number in (1, 2, 3)
    }
    return Workplace(GERMANY, staff, {"GB": BRITAIN})


PLAIN = Workplace(GERMANY)
# A busy machine is no fault of the plan.
patient = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def staffed(**calls):
    """A workplace of people (p1=3: person 1 makes three calls a day) who are always there."""
    staff = [Worker(int(name[1:]), calls_per_day=count) for name, count in calls.items()]
    return Workplace(GERMANY, {worker.id: worker for worker in staff})


def applied(book, changes):
    """The book as it is when the changes are written down."""
    by_account = {change.account_id: change for change in changes}
    return [
        customer._replace(planned=Planned(change.due_on, change.assignee_id, change.reason))
        if (change := by_account.get(customer.id))
        else customer
        for customer in book
    ]


def new_days(book, changes):
    """(customer, change) of contacts that were placed; what was late stays late."""
    late = {c.id: c.planned.due_on for c in book if c.planned and c.planned.due_on < TODAY}
    by_id = {customer.id: customer for customer in book}
    return [(by_id[c.account_id], c) for c in changes if c.due_on != late.get(c.account_id)]


@patient
@given(books, workplaces())
def test_planning_twice_changes_nothing(book, place):
    once = applied(book, plan(book, POLICIES, place, TODAY))

    assert plan(once, POLICIES, place, TODAY) == []


@patient
@given(books, st.dictionaries(st.sampled_from(["p1", "p2", "p3"]), st.integers(0, 4)))
def test_the_next_morning_changes_nothing_where_nothing_has_happened(book, calls):
    """Occasions come and go with the days; without them nothing does."""
    place, policies = staffed(**calls), Policies([Policy("at_risk", "", 14), Policy("steady", "", 90)])
    once = applied(book, plan(book, policies, place, TODAY))

    assert plan(once, policies, place, TODAY + dt.timedelta(days=1)) == []


@patient
@given(books, workplaces())
def test_everybody_has_a_contact_on_a_working_day_of_both_sides(book, place):
    changes = plan(book, POLICIES, place, TODAY)

    for customer, change in new_days(book, changes):
        assert change.due_on >= TODAY
        assert place.is_open(change.due_on, change.assignee_id, customer.country), change
    assert all(customer.planned for customer in applied(book, changes))


@patient
@given(books, workplaces())
def test_nobody_goes_longer_than_a_year(book, place):
    """Whoever is away, whatever they can do: at the latest on the first day open to both sides."""
    for customer, change in new_days(book, plan(book, POLICIES, place, TODAY)):
        floor = floor_day(customer, TODAY)
        soonest = floor
        while not place.is_open(soonest, change.assignee_id, customer.country):
            soonest += dt.timedelta(days=1)
        is_kept = change.due_on <= soonest
        assert is_kept or not _could_be_made(place, customer, floor), change


def _could_be_made(place, customer, floor):
    """Whether whoever looks after the customer, or who stands in, has an open day up to the floor."""
    home, day = customer.assignee_id, TODAY
    while day <= floor:
        holder = home if home is None or not place.away(home, day) else place.stand_in(home, day)
        if (holder is not None or home is None) and place.is_open(day, holder, customer.country):
            return True
        day += dt.timedelta(days=1)
    return False


@patient
@given(books, workplaces())
def test_whoever_is_away_has_nothing_to_do(book, place):
    for customer, change in new_days(book, plan(book, POLICIES, place, TODAY)):
        away = place.away(change.assignee_id, change.due_on)
        assert away is None, change
        if change.assignee_id != customer.assignee_id:
            assert place.away(customer.assignee_id, change.due_on), change


@patient
@given(books, st.integers(1, 3))
def test_nobody_has_more_in_a_day_than_they_can_do(book, calls):
    """As long as there is a free day in the year, which 25 customers leave."""
    book = [customer._replace(planned=None, contacted_on=TODAY) for customer in book]

    load = Counter(
        (c.assignee_id, c.due_on) for c in plan(book, POLICIES, staffed(p1=calls, p2=3, p3=1), TODAY)
    )

    most = {1: calls, 2: 3, 3: 1}
    assert all(count <= most[person] for (person, _), count in load.items() if person)


# ── full calendars ─────────────────────────────────────────────────────
@st.composite
def crowded(draw):
    """Customers whose year is nearly over, of two people who can take next to nothing, are away and stand in. What some of
    them have in the calendar, put there by a person or not, was for a reason that no longer holds."""
    near = st.integers(335, 372).map(lambda n: TODAY - dt.timedelta(days=n))
    ahead = st.integers(0, 20).map(lambda n: TODAY + dt.timedelta(days=n))
    outdated = st.builds(
        Planned, due_on=ahead, assignee_id=people, reason=st.just("Another tier"), is_fixed=st.booleans()
    )
    # All fields: what is not said of a NamedTuple, hypothesis makes up.
    one = st.builds(
        Customer, id=st.just(0), tier=st.sampled_from(["at_risk", "steady", "thriving"]), segment=st.just(""),
        assignee_id=st.sampled_from([1, 1, 2]), contacted_on=near | st.just(TODAY), country=st.sampled_from(["", "GB"]),
        skipped_on=st.none(), since=st.none(), planned=st.none() | outdated, billing_mode=st.just("repeat"),
        value=st.sampled_from([0.0, 50_000.0]), terms=st.just(()),
    )  # fmt: skip
    book = [c._replace(id=n) for n, c in enumerate(draw(st.lists(one, min_size=6, max_size=24)))]
    away = st.builds(
        lambda begin, length, other: Away(begin, begin + dt.timedelta(days=length), other),
        st.integers(-3, 20).map(lambda n: TODAY + dt.timedelta(days=n)),
        st.integers(0, 25),
        st.sampled_from([None, 2, 3]),
    )
    staff = {
        n: Worker(n, f"Person {n}", draw(st.integers(0, 2)), None, tuple(draw(st.lists(away, max_size=1))), 3)
        for n in (1, 2, 3)
    }
    return book, Workplace(GERMANY, staff, {"GB": BRITAIN})


def slots_of(place, customer):
    """(person, day) on which a contact may be before the year is over, worked out day by day."""
    floor, home = floor_day(customer, TODAY), customer.assignee_id
    days = [TODAY + dt.timedelta(days=n) for n in range((floor - TODAY).days + 1)]
    returns = any(place.is_open(day, home, "") and not place.away(home, day) for day in days)
    found = []
    for day in days:
        holder = home
        if place.away(home, day):
            holder = place.stand_in(home, day)
            backup = place.people[home].backup_id
            if holder is None and not returns and not place.away(backup, day):
                holder = backup
            elif holder is None and not returns:
                found.append((None, day))
        if holder is not None and place.is_open(day, holder, customer.country):
            found.append((holder, day))
    return found


def most_in_time(place, book):
    """How many contacts a perfect arrangement gets in before the year is over: maximum matching, by plain search."""
    at = {}

    def seat(customer, seen):
        for person, day in slots_of(place, customer):
            room = place.people[person].calls_per_day if person else len(book)
            for place_there in ((person, day, n) for n in range(room)):
                if place_there not in seen:
                    seen.add(place_there)
                    if place_there not in at or seat(at[place_there], seen):
                        at[place_there] = customer
                        return True
        return False

    return sum(seat(customer, set()) for customer in book if slots_of(place, customer))


def beyond(place, changes):
    """How many contacts are more than their person can make on their day."""
    load = Counter((c.assignee_id, c.due_on) for c in changes if c.assignee_id)
    return sum(max(count - place.people[person].calls_per_day, 0) for (person, _), count in load.items())


@patient
@given(crowded())
def test_nobody_has_too_much_in_a_day_unless_no_arrangement_would_do(case):
    """With absences, stand-ins and years that are nearly over: exactly as many are beyond somebody's calls as have to be,
    all of them say so, and the year is held all the same."""
    book, place = case
    changes = plan(book, POLICIES, place, TODAY)

    can_be_made = [customer for customer in book if slots_of(place, customer)]
    needed = len(can_be_made) - most_in_time(place, book)
    assert beyond(place, changes) == sum(change.is_beyond for change in changes) == needed
    for change in changes:
        if change.is_beyond:
            assert "Nobody goes without a contact for more than a year" in change.moved
        if slots_of(place, book[change.account_id]):
            assert change.due_on <= floor_day(book[change.account_id], TODAY), change
    once = applied(book, changes)
    assert plan(once, POLICIES, place, TODAY) == []


def test_a_day_chosen_for_a_reason_that_is_over_is_given_up_for_who_has_no_other():
    """Somebody moved the first one by hand, then its tier changed: planned anew it may be moved again, and does not keep
    the only day on which the other's year is not over yet."""
    year_ago = TODAY - dt.timedelta(days=365)
    moved = Planned(TODAY, 1, "Another tier", is_fixed=True)
    first = Customer(
        0, "steady", "", 1, contacted_on=year_ago + dt.timedelta(days=4), value=50_000.0, planned=moved
    )
    other = Customer(1, "thriving", "", 1, contacted_on=year_ago)

    changes = {c.account_id: c for c in plan([first, other], POLICIES, staffed(p1=1), TODAY)}

    assert changes[1].due_on == TODAY
    assert TODAY < changes[0].due_on <= floor_day(first, TODAY)
    assert not any(change.is_beyond for change in changes.values())


@settings(patient, max_examples=20)
@given(crowded(), st.data())
def test_who_joins_a_full_calendar_finds_room_where_others_have_time(case, data):
    """Planned one after the other, in any order, it comes to as few beyond somebody's calls as planned at once."""
    book, place = case
    known = []
    for customer in data.draw(st.permutations(book)):
        known = applied([*known, customer], plan([*known, customer], POLICIES, place, TODAY))

    needed = sum(bool(slots_of(place, customer)) for customer in book) - most_in_time(place, book)
    assert beyond(place, [customer.planned for customer in known]) == needed


def test_who_has_time_makes_room_for_whoever_has_none():
    """One call a day. Two whose year is over on Tuesday take Friday and Monday or Tuesday, the one that stood there goes."""
    monday = dt.date(2026, 11, 23)
    easy = Customer(1, "steady", "", 7, contacted_on=TODAY - dt.timedelta(days=87))
    place = staffed(p7=1)
    [easy] = applied([easy], plan([easy], POLICIES, place, TODAY))
    assert easy.planned.due_on == monday
    tight = [
        Customer(n, "thriving", "", 7, contacted_on=TODAY - dt.timedelta(days=YEAR - 4)) for n in (2, 3, 4)
    ]

    changes = plan([easy, *tight], POLICIES, place, TODAY)

    due = {change.account_id: change.due_on for change in changes}
    assert sorted(due[n] for n in (2, 3, 4)) == [TODAY, monday, dt.date(2026, 11, 24)]
    assert due[1] == dt.date(2026, 11, 25)
    assert not any(change.is_beyond for change in changes)


def test_what_a_person_put_on_its_day_makes_no_room():
    monday = dt.date(2026, 11, 23)
    held = one(contacted_on=TODAY, planned=None)
    reason = planned_for(held).reason
    held = held._replace(planned=Planned(monday, 7, reason, is_fixed=True))
    tight = [Customer(n, "thriving", "", 7, contacted_on=TODAY - dt.timedelta(days=YEAR - 3)) for n in (2, 3)]

    changes = plan([held, *tight], POLICIES, staffed(p7=1), TODAY)

    assert [change.account_id for change in changes] == [2, 3]
    assert [change.is_beyond for change in changes] == [False, True]
    assert changes[1].moved == (
        "Every day up to 23 Nov 2026 is full. Nobody goes without a contact for more than a year, "
        "so it is one more than whoever looks after them can make that day."
    )


def test_fewer_calls_a_day_spread_what_stands():
    book = [one(id=n, contacted_on=TODAY) for n in range(1, 5)]
    book = applied(book, plan(book, POLICIES, staffed(p7=4), TODAY))
    assert len({customer.planned.due_on for customer in book}) == 1

    book = applied(book, plan(book, POLICIES, staffed(p7=2), TODAY))

    assert sorted(Counter(customer.planned.due_on for customer in book).values()) == [2, 2]
    assert plan(book, POLICIES, staffed(p7=2), TODAY) == []


def test_what_others_have_booked_counts():
    first = planned_for(one()).due_on

    [change] = plan([one()], POLICIES, staffed(p7=1), TODAY, {(7, first): 1})

    assert change.due_on < first


def one(**changes):
    return Customer(1, "steady", "", 7, contacted_on=dt.date(2026, 11, 3))._replace(**changes)


def planned_for(customer, place=PLAIN, today=TODAY, policies=POLICIES):
    [change] = plan([customer], policies, place, today)
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

    change = planned_for(one(), policies=policies)

    assert change.due_on == dt.date(2026, 12, 24)


def test_the_more_particular_policy_wins():
    assert planned_for(one(segment="Hotels")).due_on == dt.date(2026, 12, 3)
    assert planned_for(one(segment="Cafés")).due_on == dt.date(2027, 2, 1)


def test_a_worse_tier_brings_the_contact_forward():
    steady = applied([one()], [planned_for(one())])[0]

    moved = planned_for(steady._replace(tier="at_risk"))

    assert (moved.is_new, moved.due_on) == (False, TODAY)


def test_what_is_overdue_stays_overdue():
    late = applied([one(tier="at_risk")], [planned_for(one(tier="at_risk"))])

    assert plan(late, POLICIES, staffed(p7=1), TODAY + dt.timedelta(days=60)) == []


def test_another_tier_or_person_does_not_make_it_less_late():
    [late] = applied([one(tier="at_risk")], [planned_for(one(tier="at_risk"))])
    later = TODAY + dt.timedelta(days=60)

    change = planned_for(late._replace(tier="steady", assignee_id=8), today=later)

    assert (change.due_on, change.assignee_id) == (late.planned.due_on, 8)


def test_who_was_asked_since_is_not_late():
    [late] = applied([one(tier="at_risk")], [planned_for(one(tier="at_risk"))])
    later = TODAY + dt.timedelta(days=60)

    change = planned_for(late._replace(contacted_on=later), today=later)

    assert change.due_on > later


def test_whoever_is_near_the_year_chooses_before_those_who_have_time():
    """One contact a day: the thriving customer whose year is over in a week is not crowded out by a steady one."""
    near = Customer(9, "thriving", "", 7, contacted_on=TODAY - dt.timedelta(days=YEAR - 7))
    others = [Customer(n, "steady", "", 7, contacted_on=TODAY - dt.timedelta(days=85)) for n in range(8)]

    changes = plan([*others, near], POLICIES, staffed(p7=1), TODAY)

    due = {change.account_id: change.due_on for change in changes}
    assert due[9] <= floor_day(near, TODAY)
    assert max(Counter(due.values()).values()) == 1


def test_the_urgent_get_the_nearest_days():
    book = [
        Customer(1, "steady", "", 7, contacted_on=dt.date(2025, 1, 1)),
        Customer(2, "at_risk", "", 7, contacted_on=dt.date(2026, 6, 1)),
    ]

    due = {c.account_id: c.due_on for c in plan(book, POLICIES, staffed(p7=1), TODAY)}

    assert due == {2: TODAY, 1: dt.date(2026, 11, 23)}


@patient
@given(books, workplaces())
def test_the_order_of_the_book_does_not_matter(book, place):
    forwards = plan(book, POLICIES, place, TODAY)

    assert plan(book[::-1], POLICIES, place, TODAY) == forwards


def test_an_unknown_country_works_from_monday_to_friday():
    nowhere = business_calendar("QQ")

    assert nowhere.on_or_after(dt.date(2026, 12, 25)) == dt.date(2026, 12, 25)
    assert nowhere.after(TODAY, 2) == dt.date(2026, 11, 24)
    assert GERMANY.after(dt.date(2026, 12, 23), 2) == dt.date(2026, 12, 28)


# ── which policy ───────────────────────────────────────────────────────
def test_policies_narrow_by_segment_then_billing_then_value():
    every = POLICIES.every_days
    assert every("steady", "", "repeat", 0) == 90
    assert every("steady", "", "contract", 0) == every("steady", "", "both", 0) == 60
    assert every("steady", "", "contract", 20_000) == 60  # billing before value
    assert every("steady", "", "repeat", 20_000) == 45
    assert every("steady", "Hotels", "contract", 20_000) == 30
    assert every("watch", "Hotels") == YEAR
    two = Policies([Policy("steady", "", 20, "contract", 10_000), Policy("steady", "Hotels", 30)])
    assert two.every_days("steady", "Hotels", "contract", 20_000) == 20  # two conditions before one


def test_the_reason_names_the_policy():
    worth = one(value=20_000.0)

    assert (
        planned_for(worth).reason == "Steady, worth 10,000 or more: every 45 days, last pulse on 3 Nov 2026"
    )


# ── onboarding and renewal ─────────────────────────────────────────────
def follow(customer, days):
    """Play `days` on: every contact is made on the day it is due. Returns (day, kind) of each."""
    made = []
    for number in range(days):
        today = TODAY + dt.timedelta(days=number)
        [customer] = applied([customer], plan([customer], POLICIES, PLAIN, today))
        if customer.planned.due_on == today:
            [kind] = [c.kind for c in plan([customer._replace(planned=None)], POLICIES, PLAIN, today)]
            made.append((number, kind))
            customer = customer._replace(contacted_on=today)
    return made


def test_a_new_customer_is_asked_after_a_week_and_three_months_running():
    made = follow(Customer(1, "thriving", "", 7, since=TODAY), 120)

    assert made == [(7, "onboarding"), (28, "onboarding"), (60, "onboarding"), (90, "onboarding")]


def test_a_contract_is_talked_about_well_before_it_ends_and_before_notice():
    term = Term(
        TODAY - dt.timedelta(days=100), TODAY + dt.timedelta(days=200), TODAY + dt.timedelta(days=110)
    )
    start = Customer(1, "thriving", "", 7, contacted_on=TODAY, terms=(term,))

    made = follow(start, 200)

    # 90, 60 and 30 days before notice on day 110: 20, 50, 80; then 90, 60, 30 before the end on day 200: 110, 140, 170.
    assert [day for day, kind in made if kind == "renewal"] == [20, 49, 80, 110, 140, 168]
    first = planned_for(start)
    assert first.reason == "Renewal: 180 days before the contract ends on 8 Jun 2027"
    assert first.wanted_on == dt.date(2026, 12, 10)


def test_a_missed_onboarding_contact_is_made_up_for_and_then_forgotten():
    since = TODAY - dt.timedelta(days=100)

    assert planned_for(Customer(1, "steady", "", 7, since=since)).kind == "onboarding"
    late = Customer(1, "steady", "", 7, since=TODAY - dt.timedelta(days=121))
    assert planned_for(late).reason == "Steady: every 90 days, nobody has asked yet"


def test_a_contact_just_before_an_occasion_counts_for_it():
    since = TODAY - dt.timedelta(days=25)

    change = planned_for(Customer(1, "thriving", "", 7, since=since, contacted_on=TODAY))

    assert change.reason == "Onboarding: 60 days after they became a customer on 26 Oct 2026"


# ── who is there ───────────────────────────────────────────────────────
def two_people(**absence):
    olga = Worker(
        7, "Olga", 5, absences=(Away(TODAY, TODAY + dt.timedelta(days=30), **absence),), backup_id=9
    )
    return Workplace(GERMANY, {7: olga, 8: Worker(8, "Ben", 1), 9: Worker(9, "Mona", 1)})


def test_who_stands_in_makes_the_contacts_of_those_days_and_gives_them_back():
    place = two_people(substitute_id=8)
    [first, second] = plan([one(tier="at_risk"), one(id=2, tier="at_risk")], POLICIES, place, TODAY)

    assert [(c.assignee_id, c.due_on) for c in (first, second)] == [(8, TODAY), (8, dt.date(2026, 11, 23))]
    [late] = applied([one(tier="at_risk")], [first])
    back = planned_for(late, place, TODAY + dt.timedelta(days=31))
    assert (back.assignee_id, back.due_on) == (7, TODAY)


def test_without_somebody_to_stand_in_it_waits_until_they_are_back():
    change = planned_for(one(tier="at_risk"), two_people())

    assert (change.assignee_id, change.due_on) == (7, dt.date(2026, 12, 21))
    assert (
        change.moved == "That day is over, so it is the first day with room."
        or "Olga is away" in change.moved
    )


def test_unless_the_year_would_be_over_by_then():
    nearly = one(contacted_on=TODAY - dt.timedelta(days=350))

    change = planned_for(nearly, two_people())

    assert (change.assignee_id, change.due_on) == (9, TODAY)


def test_why_it_is_on_another_day_is_said():
    christmas = planned_for(one(), policies=Policies([Policy("steady", "", 52)]))
    assert (
        christmas.moved == "Fri 25 Dec 2026 is no working day, so it is the nearest day with room before it."
    )
    book = [one(), one(id=2)]
    full = plan(book, POLICIES, Workplace(GERMANY, {7: Worker(7, "Olga", 1)}), TODAY)[1]
    assert full.moved == "Olga's Mon 1 Feb 2027 is full, so it is the nearest day with room before it."


def test_a_holiday_at_the_customer_counts_as_well():
    # 27 Dec 2027 is a Monday and a substitute bank holiday in Britain; in Germany people work.
    today = dt.date(2027, 12, 27)
    british = Customer(1, "at_risk", "", 7, country="GB")

    due = planned_for(british, Workplace(GERMANY, {}, {"GB": BRITAIN}), today).due_on

    assert due == dt.date(2027, 12, 29)
