"""The rules of handing an account back: to whom, how many a night, and when it is too soon to ask again. Plain Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pulsecheck.intervals import share_interval

COOL_DOWN = dt.timedelta(days=30)
# Nobody gets more while this many days' worth of calls wait for an answer.
MOST_DAYS_WAITING = 5
# Handbacks that nobody has: as many a night as one person could take.
NOBODYS_CALLS = 8

TIER_RANK = {"thriving": 0, "steady": 1, "new": 1, "watch": 2, "quiet": 3, "at_risk": 4, "lost": 5}
WON_IT = "Won this account."


@dataclass(frozen=True)
class Person:
    """One of our people, as far as handing over is concerned; `is_here` = may sign in and has not left. Who is away (until
    `away_until`, that day included) may have named a substitute. `alerts_per_day`: handbacks from runs a day."""

    id: int
    name: str
    is_here: bool = True
    team_manager_id: int | None = None
    calls_per_day: int = NOBODYS_CALLS
    alerts_per_day: int | None = None
    away_until: dt.date | None = None
    substitute_id: int | None = None
    time_zone: str = ""

    @property
    def budget(self) -> int:
        """Handbacks this person may get from runs in a day."""
        return self.calls_per_day if self.alerts_per_day is None else self.alerts_per_day


@dataclass(frozen=True)
class Staff:
    """Everybody by id, and who manages the company, those who see all of it first."""

    people: Mapping[int, Person]
    company_managers: Sequence[int] = ()

    def is_here(self, person_id: int | None) -> bool:
        """Whether this person works here, at their desk or away for some days."""
        return person_id is not None and person_id in self.people and self.people[person_id].is_here

    def is_free(self, person_id: int | None) -> bool:
        """Whether this person works here and is not away today."""
        return self.is_here(person_id) and self.people[person_id or 0].away_until is None


@dataclass(frozen=True)
class Choice:
    """Who gets a handback (None = nobody can) and the sentence that says why."""

    person_id: int | None
    because: str


DECLINED, SILENT = "has declined", "has not answered"


def choose_person(
    staff: Staff,
    original_id: int | None,
    manager_id: int | None,
    passed_over: Mapping[int, str] | None = None,
) -> Choice:
    """Whoever won the account; else who stands in for them, else the manager of that person's team, else the account
    manager (or who stands in for these), else a manager of the company. People who have left, who are away, and those in
    `passed_over` (id -> "has declined") are left out; when nobody else remains, somebody who is away gets it."""
    out = passed_over or {}
    candidates = [c for c in _candidates(staff, original_id, manager_id, out) if c.person_id not in out]
    for is_able in (staff.is_free, staff.is_here):
        for choice in candidates:
            if is_able(choice.person_id):
                return choice
    return Choice(None, f"{_why_not(staff, original_id, out)} Nobody could be found to take over.")


def _candidates(
    staff: Staff, original_id: int | None, manager_id: int | None, out: Mapping[int, str]
) -> Iterable[Choice]:
    yield Choice(original_id, WON_IT)
    why = _why_not(staff, original_id, out)
    yield from _stand_in(staff, original_id, why)
    original = staff.people.get(original_id or 0)
    if original is not None:
        yield Choice(original.team_manager_id, f"{why} You manage {original.name}'s team.")
        yield from _stand_in(staff, original.team_manager_id, why)
    yield Choice(manager_id, f"{why} You look after the account.")
    yield from _stand_in(staff, manager_id, why)
    for person_id in staff.company_managers:
        yield Choice(person_id, f"{why} You are a manager of the company.")


def _stand_in(staff: Staff, person_id: int | None, why: str) -> Iterable[Choice]:
    """The substitute of somebody who is away."""
    person = staff.people.get(person_id or 0)
    if person is not None and person.is_here and person.away_until is not None:
        yield Choice(person.substitute_id, f"{why} You stand in for {person.name}.")


def _why_not(staff: Staff, original_id: int | None, out: Mapping[int, str]) -> str:
    original = staff.people.get(original_id or 0)
    if original is None:
        return "Nobody is on record as having won this account."
    if not original.is_here:
        reason = "has left"
    elif original.away_until is not None and out.get(original.id) != DECLINED:
        day = original.away_until
        reason = f"is away until {day.day} {day:%B}"
    else:
        reason = out.get(original.id, DECLINED)
    return f"{original.name}, who won the account, {reason}."


def choose_counter_signer(
    staff: Staff, closer_id: int, original_id: int | None, manager_id: int | None
) -> int | None:
    """Who says whether they see a loss on both sides the same way: the owner of the other side, else the manager of the
    closer's team, else a manager of the company."""
    closer = staff.people.get(closer_id)
    owners = [original_id, manager_id] if closer_id == manager_id else [manager_id, original_id]
    candidates = [*owners, closer.team_manager_id if closer else None, *staff.company_managers]
    return next((pk for pk in candidates if staff.is_here(pk) and pk != closer_id), None)


def is_too_soon(tier_now: str, tier_then: str, closed_on: dt.date, today: dt.date) -> bool:
    """Closed as saved or as a false alarm within 30 days, and it looks no worse than it did then."""
    worse = TIER_RANK.get(tier_now, 0) > TIER_RANK.get(tier_then, 0)
    return today - closed_on < COOL_DOWN and not worse


# So many earlier handbacks stand behind the share of all before a trigger's own share is believed.
PRIOR = 10


def chance_to_save(saved: int, closed: int, saved_of_all: int, closed_of_all: int) -> float:
    """The share of handbacks of a trigger that end saved: its own, drawn towards that of all triggers as if ten more had
    ended like those (Laplace's rule for all of them). 0..1."""
    of_all = (saved_of_all + 1) / (closed_of_all + 2)
    return (saved + PRIOR * of_all) / (closed + PRIOR)


@dataclass(frozen=True)
class Candidate:
    """A handback that could be opened tonight; `money` that can be saved in the company's currency: what is at risk times
    the chance that such a handback saves it."""

    account_id: int
    person_id: int | None
    money: Decimal


def within_budget(
    candidates: Iterable[Candidate],
    staff: Staff,
    opened_today: Mapping[int | None, int],
    waiting: Mapping[int | None, int],
    days_waiting: int = MOST_DAYS_WAITING,
) -> list[Candidate]:
    """The candidates each person can take on tonight, most money first: as many as that person's budget of a day, less
    those already opened today, and none while `days_waiting` days' worth wait for an answer."""
    left: dict[int | None, int] = {}
    chosen = []
    for candidate in sorted(candidates, key=lambda c: (-c.money, c.account_id)):
        person = candidate.person_id
        if person not in left:
            budget = staff.people[person].budget if person is not None else NOBODYS_CALLS
            waits = waiting.get(person, 0)
            left[person] = min(budget - opened_today.get(person, 0), budget * days_waiting - waits)
        if left[person] > 0:
            left[person] -= 1
            chosen.append(candidate)
    return chosen


@dataclass(frozen=True)
class Precision:
    """How often a trigger was right: `right` of `judged` closed handbacks were no false alarm."""

    right: int
    judged: int

    @property
    def share(self) -> float | None:
        """None before anything was judged."""
        return self.right / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of 95 %: where the share lies that chance could hide."""
        found = share_interval(self.right, self.judged)
        return (found.low, found.high) if found else (0.0, 1.0)

    def is_below(self, least: float, least_judged: int) -> bool:
        """Whether the trigger is to fall silent: enough was judged, and the share is less than asked for."""
        return self.judged >= least_judged and self.right < least * self.judged
