"""From what should be and what is planned to what has to change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pulsecheck.cadence.diary import HORIZON, Away, Calendar, Diary, IsClosed, OpenDays, Workplace
from pulsecheck.cadence.occasions import Customer, Want, day_words, floor_day, next_want
from pulsecheck.cadence.policies import Policies
from pulsecheck.cadence.room import Item, Room, Span

DAY = dt.timedelta(days=1)
NEAR_FLOOR = 120 * DAY  # from here on a full calendar could push a contact beyond its year
# The more urgent tier gets the better day.
URGENCY = {"at_risk": 0, "quiet": 1, "watch": 2, "new": 3, "steady": 4, "thriving": 5, "lost": 6}
WATCH = URGENCY["watch"]


class Change(NamedTuple):
    """Plan a contact (`is_new`), or move the one that is planned for `was_on`. `wanted_on` is the day by which it should be, `moved`
    says in words why `due_on` is another one. `is_beyond`: it is more than `assignee_id` can make that day, because every
    day before the customer's year is over is full."""

    account_id: int
    is_new: bool
    due_on: dt.date
    assignee_id: int | None
    reason: str
    kind: str
    wanted_on: dt.date
    moved: str = ""
    is_beyond: bool = False
    was_on: dt.date | None = None


# Contacts a person has on a day besides those of the customers that are planned: (person, day) -> how many.
Booked = Mapping[tuple[int, dt.date], int]


def plan(
    customers: Sequence[Customer],
    policies: Policies,
    place: Workplace,
    today: dt.date,
    booked: Booked | None = None,
) -> list[Change]:
    """What has to change so that everybody is looked in on in time.

    Fills each day of a person no further than that person's calls, moving contacts forward before moving them back.
    Where a whole window is full, others that have time make room. Only when no arrangement of all contacts would do,
    the year wins over the capacity, and the change says so (`is_beyond`). While somebody is away, who stands in makes the
    contacts of those days. Deterministic and idempotent.
    """
    planner = _Planner(place, today)
    planner.book(booked or {})
    standing: list[Item] = []
    waiting: list[Item] = []
    for customer in customers:
        want = next_want(customer, policies, today)
        urgency = URGENCY.get(customer.tier, 9)
        item = Item(customer, want, floor_day(customer, today), urgency, planner.stands(customer, want))
        (standing if item.stands else waiting).append(item)
    for item in standing:
        planner.take(item)
    waiting.sort(key=lambda item: _turn(item, today))
    crowded = [item for item in waiting if not planner.find(item)]
    moved = planner.make_room(crowded, standing, waiting)
    changes = [planner.change(item) for item in waiting] + [planner.change(item) for item in moved]
    return sorted(changes, key=lambda change: change.account_id)


def standing(
    customers: Sequence[Customer], changes: Sequence[Change]
) -> dict[int, tuple[dt.date, int | None]]:
    """By account the day and the person of its contact once `changes` are made."""
    found = {c.id: (c.planned.due_on, c.planned.assignee_id) for c in customers if c.planned}
    return found | {change.account_id: (change.due_on, change.assignee_id) for change in changes}


def _turn(item: Item, today: dt.date) -> tuple[int, int, dt.date, int]:
    """Who chooses a day first: the endangered and occasions, then those whose year is nearly over, then the others."""
    is_first = item.urgency <= WATCH or item.want.is_occasion
    is_near = item.floor - today <= NEAR_FLOOR
    return (0 if is_first else 1 if is_near else 2, item.urgency, item.want.on, item.customer.id)


def _is_day_off(calendar: Calendar, day: dt.date) -> bool:
    return not calendar.is_business_day(day)


def _late_day(customer: Customer, today: dt.date) -> dt.date | None:
    """The day of a contact that is overdue: another tier or person does not make it less late."""
    planned, last = customer.planned, customer.contacted_on
    if planned is None or planned.due_on >= today or (last is not None and last >= planned.due_on):
        return None
    return planned.due_on


class _Planner:
    """The diaries while they fill."""

    def __init__(self, place: Workplace, today: dt.date) -> None:
        self.place = place
        self.today = today
        self._diaries: dict[int | None, Diary] = {}
        self._open_days: dict[tuple[int, tuple[Away, ...]], OpenDays] = {}
        self._closed: dict[str, IsClosed | None] = {"": None}
        self._held: dict[tuple[int | None, Away, bool], dict[dt.date, int | None]] = {}
        self._absent = {pk for pk, worker in place.people.items() if worker.absences}

    def diary(self, person_id: int | None) -> Diary:
        found = self._diaries.get(person_id)
        if found is None:
            worker = self.place.people.get(person_id or 0)
            calendar, absences = self.place.calendar_of(person_id), worker.absences if worker else ()
            key = (id(calendar), absences)
            if key not in self._open_days:
                self._open_days[key] = OpenDays(calendar, absences, self.today)
            found = Diary(self._open_days[key], worker.calls_per_day if worker else None)
            self._diaries[person_id] = found
        return found

    def book(self, booked: Booked) -> None:
        """What others than the planned customers take of people's days."""
        for (person_id, day), count in booked.items():
            self.diary(person_id).take(day, count)

    def stands(self, customer: Customer, want: Want) -> bool:
        """Whether what is planned stands. What is overdue stays where it is: it is late, not moved."""
        planned = customer.planned
        if planned is None or planned.reason != want.reason:
            return False
        if planned.assignee_id != self._holder(customer, planned.due_on):
            return False
        if planned.due_on < self.today:
            return True
        return self.place.is_open(
            planned.due_on, planned.assignee_id, customer.country
        ) and not self.place.away(planned.assignee_id, planned.due_on)

    def take(self, item: Item) -> None:
        """What stands takes its place in the diary; what is late takes none."""
        planned = item.customer.planned
        if planned is not None and planned.due_on >= self.today:
            item.day, item.person_id = planned.due_on, planned.assignee_id
            self.diary(item.person_id).take(item.day)

    def find(self, item: Item) -> bool:
        """Give an open contact a day with room; False when there is none before its year is over."""
        late = _late_day(item.customer, self.today)
        if late is not None:
            item.day, item.person_id = late, self._holder(item.customer, late)
            return True
        found = self._place(item)
        if found is not None:
            item.day, item.person_id = found
        return found is not None

    def make_room(
        self, crowded: Sequence[Item], standing: Sequence[Item], waiting: Sequence[Item]
    ) -> list[Item]:
        """Days for those that found none, and for what stands on days that have become too full; returns what stood and
        has to move."""
        full = [(pk, day) for pk, diary in self._diaries.items() for day in diary.overfull()]
        if not crowded and not full:
            return []
        on_days = [item for item in (*standing, *waiting) if item.day is not None and item.day >= self.today]
        room = Room(self.diary, self.spans, on_days)
        without = [item for item in crowded if not room.admit(item)]
        for item in without:
            self._put_beyond(item)
        for person_id, day in sorted(full, key=lambda slot: (slot[0] or 0, slot[1])):
            room.relieve(person_id, day)
        return [item for item in standing if item.has_moved]

    def spans(self, item: Item) -> list[Span]:
        """Where and when a contact may be: its own person's open days until its year is over, and those of who stands in
        while that one is away."""
        customer, earliest = item.customer, max(item.want.earliest, self.today)
        first = earliest if item.day is not None and item.day >= earliest else self.today
        is_closed, home = self._closed_where(customer.country), customer.assignee_id
        spans = [Span(home, first, item.floor, is_closed)]
        worker = self.place.people.get(home or 0)
        for away in worker.absences if worker else ():
            spans += self._spans_of_absence(item, away, first, is_closed)
        return spans

    def _spans_of_absence(
        self, item: Item, away: Away, first: dt.date, is_closed: IsClosed | None
    ) -> list[Span]:
        """Of one absence: by who holds the contact on its days."""
        begin, end = max(away.first, first), min(away.last, item.floor)
        if begin > end:
            return []
        holders = self._holders(item, away)

        def span(person_id: int | None) -> Span:
            def is_other(day: dt.date) -> bool:
                return holders.get(day, -1) != person_id or (is_closed is not None and is_closed(day))

            return Span(person_id, begin, end, is_other)

        home = item.customer.assignee_id
        return [span(pk) for pk in sorted(set(holders.values()) - {home}, key=lambda pk: pk or 0)]

    def _holders(self, item: Item, away: Away) -> Mapping[dt.date, int | None]:
        """By day of an absence, who holds the contacts of whoever is away; the same for all of them whose year lets
        them wait, and for all others."""
        home = item.customer.assignee_id
        key = (home, away, self.diary(home).opens_by(item.floor))
        if key not in self._held:
            first, last = max(away.first, self.today), min(away.last, self.today + HORIZON * DAY)
            days = (first + n * DAY for n in range((last - first).days + 1))
            self._held[key] = {day: self._holder(item.customer, day) for day in days}
        return self._held[key]

    def _put_beyond(self, item: Item) -> None:
        """No arrangement of all contacts leaves room before the year is over: one more than somebody can make, or,
        where nobody is there at all until then, the first day with room after it."""
        for span in self.spans(item):
            diary = self.diary(span.person_id)
            day = diary.spread(span.last, span.is_closed) if diary.opens_by(span.last) else None
            if day is not None:
                item.day, item.person_id, item.is_beyond = day, span.person_id, True
                return
        home, country = item.customer.assignee_id, self._closed_where(item.customer.country)
        diary = self.diary(home)
        last = diary.days[-1] if diary.days else item.floor
        day = diary.place(item.floor, item.floor, last, country)
        item.day, item.person_id = day or self.place.calendar.on_or_after(item.floor), home

    def change(self, item: Item) -> Change:
        """What to write down."""
        customer, want, day = item.customer, item.want, item.day
        if day is None:
            raise ValueError(f"Account {customer.id} was given no day.")
        is_plain = not item.is_beyond and (day == want.on or day < self.today)
        moved = "" if is_plain else self._why_moved(item, day)
        was_on = customer.planned.due_on if customer.planned else None
        return Change(
            customer.id, was_on is None, day, item.person_id, want.reason, want.kind, want.on, moved, item.is_beyond,
            was_on,
        )  # fmt: skip

    def _holder(self, customer: Customer, due_on: dt.date) -> int | None:
        """Who makes a contact on that day: whoever looks after the customer, or who stands in; what is overdue, now."""
        home = customer.assignee_id
        on = due_on if due_on > self.today else self.today
        if home not in self._absent or self.place.away(home, on) is None:
            return home
        stand_in = self.place.stand_in(home, on)
        if stand_in is not None or due_on < self.today:
            return stand_in or home
        if self.diary(home).opens_by(floor_day(customer, self.today)):
            return home
        return self._backup(home, on)

    def _backup(self, home: int, on: dt.date) -> int | None:
        backup = self.place.people[home].backup_id
        return backup if backup is not None and self.place.away(backup, on) is None else None

    def _closed_where(self, country: str) -> IsClosed | None:
        """Days off where the customer is; None where that says nothing."""
        if country not in self._closed:
            there = self.place.countries.get(country)
            self._closed[country] = None if there is None else partial(_is_day_off, there)
        return self._closed[country]

    def _place(self, item: Item) -> tuple[dt.date, int | None] | None:
        customer, want, home = item.customer, item.want, item.customer.assignee_id
        target = want.on if want.on > self.today else self.today
        is_closed = self._closed_where(customer.country)
        away = self.place.away(home, target) if home in self._absent else None
        if away is not None:
            found = self._with_stand_in(item, away, target, is_closed)
            if found is not None:
                return found
        diary = self.diary(home)
        day = diary.place(target, want.earliest, item.floor, is_closed)
        if day is None and want.is_occasion:
            day = diary.place(target, self.today, item.floor, is_closed)
        return (day, home) if day is not None else None

    def _with_stand_in(
        self, item: Item, away: Away, target: dt.date, is_closed: IsClosed | None
    ) -> tuple[dt.date, int | None] | None:
        """A day within the absence of whoever looks after the customer, with who stands in then."""
        home = item.customer.assignee_id or 0
        stand_in = self.place.stand_in(home, target)
        if stand_in is None:
            if self.diary(home).opens_by(item.floor):
                return None
            return self._somebody(home, target, item.floor, is_closed)

        def is_other(day: dt.date) -> bool:
            return self.place.stand_in(home, day) != stand_in or (is_closed is not None and is_closed(day))

        last = min(away.last, max(item.floor, target))
        day = self.diary(stand_in).place(target, max(away.first, item.want.earliest), last, is_other)
        return (day, stand_in) if day is not None else None

    def _somebody(
        self, home: int, target: dt.date, floor: dt.date, is_closed: IsClosed | None
    ) -> tuple[dt.date, int | None] | None:
        """Nobody stands in and the year would be over before anybody is back: the backup, else nobody in particular."""

        def is_other(day: dt.date) -> bool:
            return self.place.away(home, day) is None or (is_closed is not None and is_closed(day))

        for person_id in (self._backup(home, target), None):
            day = self.diary(person_id).find(target, self.today, floor, is_other)
            if day is not None and self._backup(home, day) == person_id:
                self.diary(person_id).take(day)
                return day, person_id
        return None

    def _why_moved(self, item: Item, due_on: dt.date) -> str:
        """Why it is not on the very day it should be."""
        customer, on = item.customer, item.want.on
        if item.is_beyond:
            return (
                f"Every day up to {day_words(item.floor)} is full. Nobody goes without a contact for more than a year, "
                f"so it is one more than {self._name(item.person_id)} can make that day."
            )
        if on < self.today:
            return "That day is over, so it is the first day with room."
        home = customer.assignee_id
        name = self._name(home)
        if not self.place.is_open(on, home, customer.country):
            told = f"{on:%a} {day_words(on)} is no working day"
        elif self.place.away(home, on):
            told = f"{name} is away on {on:%a} {day_words(on)}"
        else:
            told = f"{name}'s {on:%a} {day_words(on)} is full"
        near = "the nearest day with room before it" if due_on < on else "the next day with room after it"
        return f"{told}, so it is {near}."

    def _name(self, person_id: int | None) -> str:
        worker = self.place.people.get(person_id or 0)
        return worker.name if worker and worker.name else "whoever looks after them"
