"""When to look in on whom: a plan of contacts from policies, working days and what people can do. Plain Python.

`plan` compares what should be with what is planned and says only what has to change. A planned contact stands as long
as its reason stands (tier, rhythm, last contact), it falls on a working day and the same person looks after the
account; so planning twice changes nothing, and nobody's calendar moves overnight without cause.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

DAY = dt.timedelta(days=1)
YEAR = 365
NEAR_FLOOR = 120 * DAY  # from here on a full calendar could push a contact beyond its year
# The more urgent tier gets the better day.
URGENCY = {"at_risk": 0, "quiet": 1, "watch": 2, "new": 3, "steady": 4, "thriving": 5, "lost": 6}
TIER_WORDS = {
    "at_risk": "At risk",
    "quiet": "Quiet",
    "watch": "Watch",
    "new": "New",
    "steady": "Steady",
    "thriving": "Thriving",
    "lost": "Lost",
}


class Calendar(Protocol):
    """Which days are working days."""

    def is_business_day(self, day: dt.date) -> bool: ...

    def on_or_before(self, day: dt.date) -> dt.date: ...

    def on_or_after(self, day: dt.date) -> dt.date: ...


@dataclass(frozen=True)
class Policy:
    """A contact at least every `every_days` for a tier, and within it for a segment (empty = all)."""

    tier: str
    segment: str
    every_days: int


@dataclass(frozen=True)
class Planned:
    """A contact that stands in the calendar."""

    due_on: dt.date
    assignee_id: int | None
    reason: str


@dataclass(frozen=True)
class Customer:
    """An account as the plan sees it. `contacted_on` is the last pulse check, `skipped_on` the last contact that was
    left out on purpose, `since` the day it became a customer (the first contact counts from there)."""

    id: int
    tier: str
    segment: str
    assignee_id: int | None
    contacted_on: dt.date | None = None
    skipped_on: dt.date | None = None
    since: dt.date | None = None
    planned: Planned | None = None


@dataclass(frozen=True)
class Change:
    """Plan a contact (`is_new`), or move the one that is planned."""

    account_id: int
    is_new: bool
    due_on: dt.date
    assignee_id: int | None
    reason: str


class Policies:
    """The policies in force; the most particular one wins, and without any it is once a year."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._every = {(p.tier, p.segment): min(p.every_days, YEAR) for p in policies}

    def every_days(self, tier: str, segment: str) -> int:
        """Days between two contacts."""
        return self._every.get((tier, segment)) or self._every.get((tier, "")) or YEAR


def day_words(day: dt.date) -> str:
    """3 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def explain(customer: Customer, every_days: int) -> str:
    """Why a contact is due: "At risk: every 14 days, last pulse on 3 Nov 2026". Says nothing about today, so it
    changes only when the cause does."""
    name = TIER_WORDS.get(customer.tier, "Every customer")
    rhythm = "at least once a year" if every_days >= YEAR else f"every {every_days} days"
    return f"{name}: {rhythm}, {_last_contact(customer)}"


def _last_contact(customer: Customer) -> str:
    if customer.skipped_on and (not customer.contacted_on or customer.skipped_on > customer.contacted_on):
        return f"left out on {day_words(customer.skipped_on)}"
    return (
        f"last pulse on {day_words(customer.contacted_on)}"
        if customer.contacted_on
        else "nobody has asked yet"
    )


def wanted_day(customer: Customer, every_days: int, today: dt.date) -> dt.date:
    """The day by which the contact should be: counted from the last one, and today for who never had one and should
    have. A contact left out on purpose counts, but never beyond a year after the last real one."""
    last = max(filter(None, (customer.contacted_on, customer.skipped_on)), default=None)
    if last is None:
        return customer.since + every_days * DAY if customer.since else today
    return min(last + every_days * DAY, floor_day(customer, today))


def floor_day(customer: Customer, today: dt.date) -> dt.date:
    """A year after the last pulse check (or the beginning): nobody goes longer without one. For whom that is over, or
    who never had one, a year from now."""
    start = customer.contacted_on or customer.since
    floor = start + YEAR * DAY if start else today + YEAR * DAY
    return floor if floor >= today else today + YEAR * DAY


def plan(
    customers: Sequence[Customer],
    policies: Policies,
    calendar: Calendar,
    capacity: Mapping[int, int],
    today: dt.date,
) -> list[Change]:
    """What has to change so that everybody is looked in on in time. `capacity` = contacts a day by person (who is not
    named has no limit). Fills each day no further than that, moving contacts forward before moving them back; only
    where a whole window is full, the year wins over the capacity. Deterministic and idempotent."""
    days = _Days(calendar, capacity, today)
    open_ones: list[tuple[Customer, str, dt.date]] = []
    for customer in customers:
        every = policies.every_days(customer.tier, customer.segment)
        reason = explain(customer, every)
        if _still_good(customer, reason, calendar, today) and customer.planned is not None:
            days.take(customer.planned.assignee_id, customer.planned.due_on)
        else:
            open_ones.append((customer, reason, wanted_day(customer, every, today)))
    open_ones.sort(key=lambda item: _turn(item[0], item[2], today))
    return [
        _change(
            customer,
            reason,
            _late_day(customer, today)
            or days.place(customer.assignee_id, wanted, floor_day(customer, today)),
        )
        for customer, reason, wanted in open_ones
    ]


def _turn(customer: Customer, wanted: dt.date, today: dt.date) -> tuple[int, int, dt.date, int]:
    """Who chooses a day first: the endangered, then those whose year is nearly over, then the others."""
    urgency = URGENCY.get(customer.tier, 9)
    is_endangered = urgency <= URGENCY["watch"]
    is_near = floor_day(customer, today) - today <= NEAR_FLOOR
    return (0 if is_endangered else 1 if is_near else 2, urgency, wanted, customer.id)


def _late_day(customer: Customer, today: dt.date) -> dt.date | None:
    """The day of a contact that is overdue: another tier or person does not make it less late."""
    planned, last = customer.planned, customer.contacted_on
    if planned is None or planned.due_on >= today or (last is not None and last >= planned.due_on):
        return None
    return planned.due_on


def _still_good(customer: Customer, reason: str, calendar: Calendar, today: dt.date) -> bool:
    """Whether what is planned stands. What is overdue stays where it is: it is late, not moved."""
    planned = customer.planned
    if planned is None or planned.reason != reason or planned.assignee_id != customer.assignee_id:
        return False
    return planned.due_on < today or calendar.is_business_day(planned.due_on)


def _change(customer: Customer, reason: str, due_on: dt.date) -> Change:
    return Change(customer.id, customer.planned is None, due_on, customer.assignee_id, reason)


class _Days:
    """The working days of the next two years and how full they are, by person."""

    def __init__(self, calendar: Calendar, capacity: Mapping[int, int], today: dt.date) -> None:
        self.calendar = calendar
        self.capacity = capacity
        first = calendar.on_or_after(today)
        span = (first + n * DAY for n in range(2 * YEAR))
        self.days = [day for day in span if calendar.is_business_day(day)]
        self.index = {day: number for number, day in enumerate(self.days)}
        self.used: Counter[tuple[int, int]] = Counter()
        self.overflow: Counter[int] = Counter()
        # For each person: a full day points to a neighbour that may have room (with path compression).
        self.later: dict[int, list[int]] = {}
        self.earlier: dict[int, list[int]] = {}

    def take(self, person: int | None, day: dt.date) -> None:
        """Something stands on this day already."""
        if person in self.capacity and person is not None and day in self.index:
            self._fill(person, self.index[day])

    def place(self, person: int | None, wanted: dt.date, floor: dt.date) -> dt.date:
        """The working day on or before `wanted` that has room; else the next one with room up to `floor`."""
        last = self._last(floor)
        number = min(self._last(wanted), last)
        if person is None or person not in self.capacity:
            return self.days[number]
        found = self._find(self._links(person, self.earlier, -1), number + 1) - 1
        if found < 0:
            found = self._find(self._links(person, self.later, 1), number)
        if found > last:
            found = self._spread(person, last)
        self._fill(person, found)
        return self.days[found]

    def _last(self, day: dt.date) -> int:
        """The working day on or before `day`, at least the first one."""
        if day <= self.days[0]:
            return 0
        if day >= self.days[-1]:
            return len(self.days) - 1
        return self.index[self.calendar.on_or_before(day)]

    def _links(self, person: int, table: dict[int, list[int]], step: int) -> list[int]:
        """`later[n]` starts as n; `earlier` is shifted by one, so that 0 means "none before"."""
        if person not in table:
            table[person] = list(range(len(self.days) + 2))
            if self.capacity[person] < 1:
                ends = 0 if step < 0 else len(self.days)
                table[person] = [ends] * (len(self.days) + 2)
        return table[person]

    @staticmethod
    def _find(links: list[int], start: int) -> int:
        end = start
        while links[end] != end:
            end = links[end]
        while links[start] != end:
            links[start], start = end, links[start]
        return end

    def _fill(self, person: int, number: int) -> None:
        self.used[person, number] += 1
        if self.used[person, number] == self.capacity[person]:
            self._links(person, self.later, 1)[number] = number + 1
            self._links(person, self.earlier, -1)[number + 1] = number

    def _spread(self, person: int, last: int) -> int:
        """Everything is full up to `last`: one more on each day in turn."""
        self.overflow[person] += 1
        return (self.overflow[person] - 1) % (last + 1)
