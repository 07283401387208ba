"""When a customer is to be looked in on next, and why: rhythm, onboarding, renewal, and the year nobody goes beyond."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pulsecheck.cadence.policies import YEAR, Policies, Policy

DAY = dt.timedelta(days=1)
# A contact this long before an occasion counts for it; less where occasions follow each other closely.
COUNTS_BEFORE = 14
# An onboarding contact that was missed is made up for so long; after that the rhythm goes on.
MAKE_UP_DAYS = 30

REGULAR, YEARLY, ONBOARDING, RENEWAL = "regular", "yearly", "onboarding", "renewal"
# Of two on the same day the more particular one names the contact.
PRECEDENCE = {RENEWAL: 0, ONBOARDING: 1, REGULAR: 2, YEARLY: 3}


class Planned(NamedTuple):
    """A contact that stands in the calendar; `is_fixed`: a person put it on its day."""

    due_on: dt.date
    assignee_id: int | None
    reason: str
    is_fixed: bool = False


@dataclass(frozen=True)
class Term:
    """A contract that runs: `notice_on` is the last day on which it can be cancelled, where there is one."""

    starts_on: dt.date
    ends_on: dt.date
    notice_on: dt.date | None = None


class Customer(NamedTuple):
    """An account as the plan sees it. `contacted_on` is the last pulse check, `skipped_on` the last contact that was
    left out on purpose, `since` the day it became a customer (the first contact counts from there), `value` what twelve
    months are expected to bring in the company's currency, `country` where it is (ISO code, empty = not known)."""

    id: int
    tier: str
    segment: str
    assignee_id: int | None
    contacted_on: dt.date | None = None
    skipped_on: dt.date | None = None
    since: dt.date | None = None
    planned: Planned | None = None
    billing_mode: str = ""
    value: float = 0.0
    country: str = ""
    terms: tuple[Term, ...] = ()

    @property
    def last_on(self) -> dt.date | None:
        """The last contact, made or left out on purpose."""
        made, left_out = self.contacted_on, self.skipped_on
        return made or left_out if made is None or left_out is None else max(made, left_out)


class Want(NamedTuple):
    """A contact that should be: by which day, from which day on it counts, and why, in words."""

    kind: str
    on: dt.date
    reason: str
    earliest: dt.date = dt.date.min

    @property
    def is_occasion(self) -> bool:
        """Whether it belongs to a day of its own rather than to a rhythm."""
        return self.kind in (ONBOARDING, RENEWAL)


@lru_cache(maxsize=4096)
def day_words(day: dt.date) -> str:
    """3 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def next_want(customer: Customer, policies: Policies, today: dt.date) -> Want:
    """The contact that is due first."""
    wants = [_regular(customer, policies, today)]
    if policies.occasions.onboarding and customer.since:
        wants += _onboarding(customer, customer.since, policies.occasions.onboarding, today)
    for term in customer.terms if policies.occasions.renewal else ():
        wants += _renewals(customer, term, policies.occasions.renewal, today)
    return (
        wants[0]
        if len(wants) == 1
        else min(wants, key=lambda want: (want.on, PRECEDENCE[want.kind], want.reason))
    )


def explain(customer: Customer, policy: Policy) -> str:
    """Why a contact is due: "At risk: every 14 days, last pulse on 3 Nov 2026". Says nothing about today, so it
    changes only when the cause does."""
    every = policy.every_days
    rhythm = "at least once a year" if every >= YEAR else f"every {every} days"
    return f"{policy.words}: {rhythm}, {_last_contact(customer)}"


def _last_contact(customer: Customer) -> str:
    if customer.skipped_on and (not customer.contacted_on or customer.skipped_on > customer.contacted_on):
        return f"left out on {day_words(customer.skipped_on)}"
    return (
        f"last pulse on {day_words(customer.contacted_on)}"
        if customer.contacted_on
        else "nobody has asked yet"
    )


def _regular(customer: Customer, policies: Policies, today: dt.date) -> Want:
    """By the rhythm: counted from the last contact, and today for who never had one and should have. A contact left out
    on purpose counts, but never beyond a year after the last real one."""
    policy = policies.policy_for(customer.tier, customer.segment, customer.billing_mode, customer.value)
    every = min(policy.every_days, YEAR) * DAY
    last = customer.last_on
    if last is None:
        return Want(REGULAR, customer.since + every if customer.since else today, explain(customer, policy))
    year = _year_over(customer)
    if year is not None and last + every > year:
        contacted = customer.contacted_on
        told = f"the last pulse was on {day_words(contacted)}" if contacted else "nobody has asked yet"
        return Want(YEARLY, year, f"At least once a year: {told}")
    return Want(REGULAR, last + every, explain(customer, policy))


def _year_over(customer: Customer) -> dt.date | None:
    """A year after the last pulse check (or the beginning); None when a contact was left out on purpose since then,
    so that its rhythm counts, and for who never had one."""
    start = customer.contacted_on or customer.since
    if start is None:
        return None
    over = start + YEAR * DAY
    return None if customer.skipped_on is not None and customer.skipped_on >= over else over


def floor_day(customer: Customer, today: dt.date) -> dt.date:
    """The day by which there has to be a contact, whatever else: a year after the last pulse check (or the beginning).
    For whom that is over, or who never had one, a year from now."""
    floor = _year_over(customer)
    return floor if floor is not None and floor >= today else today + YEAR * DAY


@lru_cache(maxsize=64)
def _steps(days: tuple[int, ...]) -> tuple[tuple[int, dt.timedelta], ...]:
    """Each number of days with how long before it a contact counts: less where the one before is near."""
    ordered = sorted(days)
    before = [0, *ordered]
    return tuple(
        (number, min(COUNTS_BEFORE, (number - earlier) // 2) * DAY)
        for number, earlier in zip(ordered, before, strict=False)
    )


@lru_cache(maxsize=64)
def _countdown(days: tuple[int, ...]) -> tuple[tuple[int, dt.timedelta], ...]:
    """The same for days before an end, the farthest first."""
    ordered = sorted(days, reverse=True)
    before = [ordered[0] + 2 * COUNTS_BEFORE, *ordered]
    return tuple(
        (number, min(COUNTS_BEFORE, (earlier - number) // 2) * DAY)
        for number, earlier in zip(ordered, before, strict=False)
    )


def _onboarding(customer: Customer, since: dt.date, days: tuple[int, ...], today: dt.date) -> list[Want]:
    """The contact of the first months that is to be made next."""
    if since + (max(days) + MAKE_UP_DAYS) * DAY < today:
        return []
    slots = (
        (number, on, on - counts, on + MAKE_UP_DAYS * DAY)
        for number, counts in _steps(days)
        for on in (since + number * DAY,)
    )
    found = _pending(customer.last_on, slots, today)
    if found is None:
        return []
    number, on, earliest = found
    reason = f"Onboarding: {number} days after they became a customer on {day_words(since)}"
    return [Want(ONBOARDING, on, reason, earliest)]


def _renewals(customer: Customer, term: Term, days: tuple[int, ...], today: dt.date) -> list[Want]:
    """The contacts to be made next before a contract can last be cancelled, and before it ends."""
    wants = []
    if term.notice_on and today <= term.notice_on < term.ends_on:
        wants += _before(customer, term, term.notice_on, "notice has to be given by", days, today)
    if today <= term.ends_on:
        wants += _before(customer, term, term.ends_on, "the contract ends on", days, today)
    return wants


def _before(
    customer: Customer, term: Term, end: dt.date, told: str, days: tuple[int, ...], today: dt.date
) -> list[Want]:
    slots = (
        (number, on, on - counts, end)
        for number, counts in _countdown(days)
        for on in (end - number * DAY,)
        if on > term.starts_on
    )
    found = _pending(customer.last_on, slots, today)
    if found is None:
        return []
    number, on, earliest = found
    return [Want(RENEWAL, on, f"Renewal: {number} days before {told} {day_words(end)}", earliest)]


def _pending(
    last: dt.date | None, slots: Iterable[tuple[int, dt.date, dt.date, dt.date]], today: dt.date
) -> tuple[int, dt.date, dt.date] | None:
    """Of a series of (number, day, from when a contact counts for it, until when it is made up for) the one to be made
    next: not made yet, and not overtaken by the one after it."""
    found = None
    for number, on, earliest, until in slots:
        if (last is not None and last >= earliest) or until < today:
            continue
        if found is not None and on > today:
            break
        found = (number, on, earliest)
    return found
