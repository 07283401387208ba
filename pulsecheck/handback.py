"""The rules of handing an account back: to whom, how many a night, and when it is too soon to ask again. Plain Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

ANSWER_IN_DAYS = 2
COOL_DOWN = dt.timedelta(days=30)
# Nobody gets more while this many days' worth of calls wait for an answer.
MOST_DAYS_WAITING = 5
# Handbacks that nobody has: as many a night as one person could take.
NOBODYS_CALLS = 8

TIER_RANK = {"thriving": 0, "steady": 1, "new": 1, "watch": 2, "quiet": 3, "at_risk": 4, "lost": 5}
WON_IT = "Won this account."


@dataclass(frozen=True)
class Person:
    """One of our people, as far as handing over is concerned; `is_here` = may sign in and has not left."""

    id: int
    name: str
    is_here: bool = True
    team_manager_id: int | None = None
    calls_per_day: int = NOBODYS_CALLS


@dataclass(frozen=True)
class Staff:
    """Everybody by id, and who manages the company, those who see all of it first."""

    people: Mapping[int, Person]
    company_managers: Sequence[int] = ()

    def is_here(self, person_id: int | None) -> bool:
        """Whether this person can take something on."""
        return person_id is not None and person_id in self.people and self.people[person_id].is_here


@dataclass(frozen=True)
class Choice:
    """Who gets a handback (None = nobody can) and the sentence that says why."""

    person_id: int | None
    because: str


def choose_person(
    staff: Staff, original_id: int | None, manager_id: int | None, declined: Collection[int] = ()
) -> Choice:
    """Whoever won the account; else the manager of that person's team, else the account manager, else a manager of the
    company. People who have left, and those in `declined`, are passed over."""
    for person_id, because in _candidates(staff, original_id, manager_id, declined):
        if staff.is_here(person_id) and person_id not in declined:
            return Choice(person_id, because)
    return Choice(None, f"{_why_not(staff, original_id, declined)} Nobody could be found to take over.")


def _candidates(
    staff: Staff, original_id: int | None, manager_id: int | None, declined: Collection[int]
) -> Iterable[tuple[int | None, str]]:
    yield original_id, WON_IT
    why = _why_not(staff, original_id, declined)
    original = staff.people.get(original_id or 0)
    if original is not None:
        yield original.team_manager_id, f"{why} You manage {original.name}'s team."
    yield manager_id, f"{why} You look after the account."
    for person_id in staff.company_managers:
        yield person_id, f"{why} You are a manager of the company."


def _why_not(staff: Staff, original_id: int | None, declined: Collection[int]) -> str:
    original = staff.people.get(original_id or 0)
    if original is None:
        return "Nobody is on record as having won this account."
    reason = "has declined" if original.id in declined and original.is_here else "has left"
    return f"{original.name}, who won the account, {reason}."


def is_too_soon(tier_now: str, tier_then: str, closed_on: dt.date, today: dt.date) -> bool:
    """Closed as saved or as a false alarm within 30 days, and it looks no worse than it did then."""
    worse = TIER_RANK.get(tier_now, 0) > TIER_RANK.get(tier_then, 0)
    return today - closed_on < COOL_DOWN and not worse


@dataclass(frozen=True)
class Candidate:
    """A handback that could be opened tonight; `money` at risk in the company's currency."""

    account_id: int
    person_id: int | None
    money: Decimal


def within_budget(
    candidates: Iterable[Candidate],
    staff: Staff,
    opened_today: Mapping[int | None, int],
    waiting: Mapping[int | None, int],
) -> list[Candidate]:
    """The candidates each person can take on tonight, most money first: as many as that person's calls of a day, less
    those already opened today, and none while five days' worth wait for an answer."""
    left: dict[int | None, int] = {}
    chosen = []
    for candidate in sorted(candidates, key=lambda c: (-c.money, c.account_id)):
        person = candidate.person_id
        if person not in left:
            left[person] = _budget(staff, person, opened_today.get(person, 0), waiting.get(person, 0))
        if left[person] > 0:
            left[person] -= 1
            chosen.append(candidate)
    return chosen


def _budget(staff: Staff, person_id: int | None, opened_today: int, waiting: int) -> int:
    calls = staff.people[person_id].calls_per_day if person_id is not None else NOBODYS_CALLS
    return min(calls - opened_today, calls * MOST_DAYS_WAITING - waiting)
