"""From what should be and what is planned to what has to change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pulsecheck.cadence.diary import Away, Diary, IsClosed, Workplace
from pulsecheck.cadence.occasions import Customer, Want, day_words, floor_day, next_want
from pulsecheck.cadence.policies import Policies

DAY = dt.timedelta(days=1)
ROUNDS = 4  # a hopelessly full calendar is not looked at for ever
NEAR_FLOOR = 120 * DAY  # from here on a full calendar could push a contact beyond its year
# The more urgent tier gets the better day.
URGENCY = {"at_risk": 0, "quiet": 1, "watch": 2, "new": 3, "steady": 4, "thriving": 5, "lost": 6}


@dataclass(frozen=True)
class Change:
    """Plan a contact (`is_new`), or move the one that is planned. `wanted_on` is the day by which it should be, `moved`
    says in words why `due_on` is another one."""

    account_id: int
    is_new: bool
    due_on: dt.date
    assignee_id: int | None
    reason: str
    kind: str
    wanted_on: dt.date
    moved: str = ""


def plan(customers: Sequence[Customer], policies: Policies, place: Workplace, today: dt.date) -> list[Change]:
    """What has to change so that everybody is looked in on in time.

    Fills each day of a person no further than that person's calls, moving contacts forward before moving them back; only
    where a whole window is full, the year wins over the capacity. While somebody is away, who stands in makes the
    contacts of those days. Deterministic and idempotent.
    """
    planner = _Planner(place, today)
    groups: dict[int | None, _Group] = {}
    linked = _linked(place)
    for customer in customers:
        home = customer.assignee_id
        group = groups.setdefault(linked.get(home, home), _Group())
        want = next_want(customer, policies, today)
        if planner.stands(customer, want):
            group.stand.append(customer)
        else:
            group.open.append((customer, want))
    # What stands for somebody of another group (a substitute of old) takes its room there.
    standing_for: dict[int | None, list[Customer]] = {}
    for group in groups.values():
        for customer in group.stand:
            holder = customer.planned.assignee_id if customer.planned else None
            standing_for.setdefault(linked.get(holder, holder), []).append(customer)
    changes: list[Change] = []
    for key, group in groups.items():
        group.open.sort(key=lambda item: _turn(item[0], item[1], today))
        changes += _place_all(place, today, standing_for.get(key, []), group.open)
    return sorted(changes, key=lambda change: change.account_id)


@dataclass
class _Group:
    """Customers of people who can take over from each other, and from nobody else."""

    stand: list[Customer] = field(default_factory=list)
    open: list[tuple[Customer, Want]] = field(default_factory=list)


def _linked(place: Workplace) -> dict[int | None, int | None]:
    """By person one of the people who stand in for each other; who is always there is alone."""
    root: dict[int | None, int | None] = {}

    def find(person_id: int | None) -> int | None:
        while root.get(person_id, person_id) != person_id:
            person_id = root[person_id]
        return person_id

    for worker in place.people.values():
        for other in ({away.substitute_id for away in worker.absences} | {worker.backup_id}) - {None}:
            if worker.absences:
                root[find(other)] = find(worker.id)
    return {person_id: find(person_id) for person_id in root}


def _place_all(
    place: Workplace, today: dt.date, stand: Sequence[Customer], open_ones: Sequence[tuple[Customer, Want]]
) -> list[Change]:
    """Whoever would go beyond somebody's calls because the days before their year is over are taken, chooses first in
    another round, and then as late as the year allows, so that the urgent keep the early days."""
    tight: set[int] = set()
    for _ in range(ROUNDS):
        planner = _Planner(place, today, tight)
        for customer in stand:
            planner.take(customer)
        first = [item for item in open_ones if item[0].id in tight]
        first.sort(key=lambda item: (floor_day(item[0], today), item[0].id))
        found = {item[0].id: planner.change(*item) for item in first}
        found |= {item[0].id: planner.change(*item) for item in open_ones if item[0].id not in tight}
        if planner.overfull <= tight:
            break
        tight |= planner.overfull
    return [found[item[0].id] for item in open_ones]


def standing(
    customers: Sequence[Customer], changes: Sequence[Change]
) -> dict[int, tuple[dt.date, int | None]]:
    """By account the day and the person of its contact once `changes` are made."""
    found = {c.id: (c.planned.due_on, c.planned.assignee_id) for c in customers if c.planned}
    return found | {change.account_id: (change.due_on, change.assignee_id) for change in changes}


def _turn(customer: Customer, want: Want, today: dt.date) -> tuple[int, int, dt.date, int]:
    """Who chooses a day first: the endangered and occasions, then those whose year is nearly over, then the others."""
    urgency = URGENCY.get(customer.tier, 9)
    is_first = urgency <= URGENCY["watch"] or want.is_occasion
    is_near = floor_day(customer, today) - today <= NEAR_FLOOR
    return (0 if is_first else 1 if is_near else 2, urgency, want.on, customer.id)


def _late_day(customer: Customer, today: dt.date) -> dt.date | None:
    """The day of a contact that is overdue: another tier or person does not make it less late."""
    planned, last = customer.planned, customer.contacted_on
    if planned is None or planned.due_on >= today or (last is not None and last >= planned.due_on):
        return None
    return planned.due_on


class _Planner:
    """The diaries while they fill."""

    def __init__(self, place: Workplace, today: dt.date, tight: Collection[int] = ()) -> None:
        self.place = place
        self.today = today
        self.tight = tight
        self.overfull: set[int] = set()
        self._diaries: dict[int | None, Diary] = {}

    def diary(self, person_id: int | None) -> Diary:
        found = self._diaries.get(person_id)
        if found is None:
            worker = self.place.people.get(person_id or 0)
            found = self._diaries[person_id] = Diary(self.place.calendar_of(person_id), worker, self.today)
        return found

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

    def take(self, customer: Customer) -> None:
        """What stands takes its place in the diary."""
        if customer.planned is not None and customer.planned.assignee_id is not None:
            self.diary(customer.planned.assignee_id).take(customer.planned.due_on)

    def change(self, customer: Customer, want: Want) -> Change:
        """Where an open contact goes."""
        late = _late_day(customer, self.today)
        if late is not None:
            return self._changed(customer, want, late, self._holder(customer, late), "")
        is_tight = customer.id in self.tight
        target = floor_day(customer, self.today) if is_tight else max(want.on, self.today)
        due_on, person_id = self._place(customer, want, target)
        return self._changed(customer, want, due_on, person_id, self._why_moved(customer, want, due_on))

    def _changed(
        self, customer: Customer, want: Want, due_on: dt.date, person_id: int | None, moved: str
    ) -> Change:
        is_new = customer.planned is None
        return Change(customer.id, is_new, due_on, person_id, want.reason, want.kind, want.on, moved)

    def _holder(self, customer: Customer, due_on: dt.date) -> int | None:
        """Who makes a contact on that day: whoever looks after the customer, or who stands in; what is overdue, now."""
        home = customer.assignee_id
        on = max(due_on, self.today)
        if home is None or self.place.away(home, on) is None:
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

    def _place(self, customer: Customer, want: Want, target: dt.date) -> tuple[dt.date, int | None]:
        home, floor = customer.assignee_id, floor_day(customer, self.today)
        there = self.place.countries.get(customer.country)
        is_closed: IsClosed = (
            (lambda _: False) if there is None else (lambda day: not there.is_business_day(day))
        )
        away = self.place.away(home, target)
        if home is not None and away is not None:
            found = self._with_stand_in(customer, away, want, target, is_closed)
            if found is not None:
                return found
        return self._own_day(customer, want, target, floor, is_closed)

    def _with_stand_in(
        self, customer: Customer, away: Away, want: Want, target: dt.date, is_closed: IsClosed
    ) -> tuple[dt.date, int | None] | None:
        """A day within the absence of whoever looks after the customer, with who stands in then."""
        home, floor = customer.assignee_id or 0, floor_day(customer, self.today)
        stand_in = self.place.stand_in(home, target)
        if stand_in is None:
            if self.diary(home).opens_by(floor):
                return None
            return self._somebody(home, target, floor, is_closed)

        def is_other(day: dt.date) -> bool:
            return is_closed(day) or self.place.stand_in(home, day) != stand_in

        last = min(away.last, max(floor, target))
        diary = self.diary(stand_in)
        day = diary.place(target, max(away.first, want.earliest), last, is_other)
        if day is None and not self.diary(home).opens_by(floor):
            self.overfull.add(customer.id)
            day = diary.spread(last, is_other)
        return (day, stand_in) if day is not None else None

    def _somebody(
        self, home: int, target: dt.date, floor: dt.date, is_closed: IsClosed
    ) -> tuple[dt.date, int | None] | None:
        """Nobody stands in and the year would be over before anybody is back: the backup, else nobody in particular."""

        def is_other(day: dt.date) -> bool:
            return is_closed(day) or self.place.away(home, day) is None

        for person_id in (self._backup(home, target), None):
            day = self.diary(person_id).place(target, self.today, floor, is_other)
            if day is not None and self._holds(home, day, person_id):
                return day, person_id
        return None

    def _holds(self, home: int, day: dt.date, person_id: int | None) -> bool:
        return self._backup(home, day) == person_id

    def _own_day(
        self, customer: Customer, want: Want, target: dt.date, floor: dt.date, is_closed: IsClosed
    ) -> tuple[dt.date, int | None]:
        home = customer.assignee_id
        diary = self.diary(home)
        day = diary.place(target, want.earliest, floor, is_closed)
        if day is None and want.is_occasion:
            day = diary.place(target, self.today, floor, is_closed)
        if day is None:
            # All is full, or there is not one open day before the floor: then the first one after it.
            self.overfull.add(customer.id)
            day = diary.spread(floor, is_closed) or diary.first_open(floor, is_closed)
        return day or self.place.calendar.on_or_after(floor), home

    def _why_moved(self, customer: Customer, want: Want, due_on: dt.date) -> str:
        """Why it is not on the very day it should be."""
        home, on = customer.assignee_id, want.on
        if due_on == on:
            return ""
        if customer.id in self.tight:
            return "The days before are full, so it is the last day with room before a year is over."
        if on < self.today:
            return "That day is over, so it is the first day with room."
        worker = self.place.people.get(home or 0)
        name = worker.name if worker and worker.name else "Whoever looks after them"
        if not self.place.is_open(on, home, customer.country):
            told = f"{on:%a} {day_words(on)} is no working day"
        elif self.place.away(home, on):
            told = f"{name} is away on {on:%a} {day_words(on)}"
        else:
            told = f"{name}'s {on:%a} {day_words(on)} is full"
        near = "the nearest day with room before it" if due_on < on else "the next day with room after it"
        return f"{told}, so it is {near}."
