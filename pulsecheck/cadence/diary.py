"""Which days people have, how full they are, and who stands in for whom."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pulsecheck.cadence.policies import YEAR

DAY = dt.timedelta(days=1)
HORIZON = 2 * YEAR  # days ahead that are planned


class Calendar(Protocol):
    """Which days are working days."""

    def is_business_day(self, day: dt.date) -> bool: ...

    def on_or_before(self, day: dt.date) -> dt.date: ...

    def on_or_after(self, day: dt.date) -> dt.date: ...


@dataclass(frozen=True)
class Away:
    """From the first to the last day somebody is not there, and who stands in meanwhile."""

    first: dt.date
    last: dt.date
    substitute_id: int | None = None


@dataclass(frozen=True)
class Worker:
    """One of our people: contacts a day (None = as many as come), working days (None = the company's), absences, and
    who takes over what cannot wait when nobody stands in."""

    id: int
    name: str = ""
    calls_per_day: int | None = None
    calendar: Calendar | None = None
    absences: tuple[Away, ...] = ()
    backup_id: int | None = None

    def away_on(self, day: dt.date) -> Away | None:
        """The absence that covers `day`."""
        return next((away for away in self.absences if away.first <= day <= away.last), None)


@dataclass(frozen=True)
class Workplace:
    """The company's working days, its people, and the working days where customers are (by country)."""

    calendar: Calendar
    people: Mapping[int, Worker] = field(default_factory=dict)
    countries: Mapping[str, Calendar] = field(default_factory=dict)

    def calendar_of(self, person_id: int | None) -> Calendar:
        """The working days of a person; the company's where nobody is named."""
        worker = self.people.get(person_id or 0)
        return worker.calendar if worker and worker.calendar else self.calendar

    def away(self, person_id: int | None, day: dt.date) -> Away | None:
        """The absence of a person on `day`."""
        worker = self.people.get(person_id or 0)
        return worker.away_on(day) if worker else None

    def stand_in(self, person_id: int, day: dt.date) -> int | None:
        """Who stands in on `day` for somebody who is away: the substitute, or that one's own; None when nobody does."""
        passed = {person_id}
        away = self.away(person_id, day)
        while away is not None and away.substitute_id is not None and away.substitute_id not in passed:
            person_id = away.substitute_id
            passed.add(person_id)
            away = self.away(person_id, day)
            if away is None:
                return person_id
        return None

    def is_open(self, day: dt.date, person_id: int | None, country: str) -> bool:
        """Whether it is a working day both for the person and where the customer is."""
        there = self.countries.get(country)
        return self.calendar_of(person_id).is_business_day(day) and (
            there is None or there.is_business_day(day)
        )


IsClosed = Callable[[dt.date], bool]


class OpenDays:
    """The working days of a calendar from `today` on, without those of absences; people who have the same share them."""

    def __init__(self, calendar: Calendar, absences: tuple[Away, ...], today: dt.date) -> None:
        self.days: list[dt.date] = []
        self._first = today.toordinal()
        self._up_to: list[int] = []
        for n in range(HORIZON):
            day = today + n * DAY
            if calendar.is_business_day(day) and not any(away.first <= day <= away.last for away in absences):
                self.days.append(day)
            self._up_to.append(len(self.days))

    def up_to(self, day: dt.date) -> int:
        """How many there are up to `day`, that day included."""
        return self._count(day.toordinal() - self._first)

    def before(self, day: dt.date) -> int:
        """How many there are before `day`: the number of the first one from `day` on."""
        return self._count(day.toordinal() - self._first - 1)

    def _count(self, number: int) -> int:
        if number < 0:
            return 0
        return self._up_to[number] if number < HORIZON else len(self.days)


class Diary:
    """The open days of one person and how full they are; `capacity` None takes as many as come."""

    def __init__(self, open_days: OpenDays, capacity: int | None) -> None:
        self.open_days = open_days
        self.days = open_days.days
        self.capacity = capacity
        self.used: Counter[int] = Counter()
        self.overflow = 0
        # A full day points to a neighbour that may have room (with path compression). `_before` is shifted by one, so
        # that 0 means "none before".
        size = len(self.days) + 2
        is_never = capacity is not None and capacity < 1
        self._after = [len(self.days)] * size if is_never else list(range(size))
        self._before = [0] * size if is_never else list(range(size))

    def take(self, day: dt.date, count: int = 1) -> None:
        """Something stands on this day already."""
        number = self.open_days.before(day)
        if number < len(self.days) and self.days[number] == day:
            for _ in range(count):
                self._fill(number)

    def leave(self, day: dt.date) -> None:
        """One less on a day that has more than its person can make; it stays full."""
        self.used[self.open_days.before(day)] -= 1

    def overfull(self) -> list[dt.date]:
        """Days with more than this person can make, the first one first."""
        if self.capacity is None:
            return []
        return [self.days[n] for n in sorted(n for n, used in self.used.items() if used > self.capacity)]

    def excess(self, day: dt.date) -> int:
        """How many more there are on an open day than this person can make."""
        return self.used[self.open_days.before(day)] - (self.capacity or 0)

    def opens_by(self, day: dt.date) -> bool:
        """Whether there is a working day at all up to `day`."""
        return bool(self.days) and self.days[0] <= day

    def between(self, earliest: dt.date, latest: dt.date) -> list[dt.date]:
        """The open days from `earliest` to `latest`."""
        return self.days[self.open_days.before(earliest) : self.open_days.up_to(latest)]

    def find(
        self, target: dt.date, earliest: dt.date, latest: dt.date, is_closed: IsClosed | None
    ) -> dt.date | None:
        """The open day nearest before `target` with room (not before `earliest`), else the next one after it up to
        `latest`. None when all are full."""
        first, last = self.open_days.before(earliest), self.open_days.up_to(latest) - 1
        number = min(self.open_days.up_to(target) - 1, last)
        found = self._find_before(number, first, is_closed)
        if found is None:
            found = self._find_after(max(number, first), last, is_closed)
        return None if found is None else self.days[found]

    def place(
        self, target: dt.date, earliest: dt.date, latest: dt.date, is_closed: IsClosed | None
    ) -> dt.date | None:
        """The day that `find` finds; takes it."""
        day = self.find(target, earliest, latest, is_closed)
        if day is not None:
            self._fill(self.open_days.before(day))
        return day

    def spread(self, latest: dt.date, is_closed: IsClosed | None) -> dt.date | None:
        """Everything is full up to `latest`: one more on each open day in turn."""
        count = min(max(self.open_days.up_to(latest), 1), len(self.days))
        for _ in range(count):
            day = self.days[self.overflow % count]
            self.overflow += 1
            if is_closed is None or not is_closed(day):
                self.take(day)
                return day
        return None

    def _find_before(self, number: int, first: int, is_closed: IsClosed | None) -> int | None:
        while number >= first:
            number = self._follow(self._before, number + 1) - 1
            if number < first:
                return None
            if is_closed is None or not is_closed(self.days[number]):
                return number
            number -= 1
        return None

    def _find_after(self, number: int, last: int, is_closed: IsClosed | None) -> int | None:
        while number <= last:
            number = self._follow(self._after, number)
            if number > last:
                return None
            if is_closed is None or not is_closed(self.days[number]):
                return number
            number += 1
        return None

    @staticmethod
    def _follow(links: list[int], start: int) -> int:
        end = start
        while links[end] != end:
            end = links[end]
        while links[start] != end:
            links[start], start = end, links[start]
        return end

    def _fill(self, number: int) -> None:
        self.used[number] += 1
        if self.used[number] == self.capacity:
            self._after[number] = number + 1
            self._before[number + 1] = number
