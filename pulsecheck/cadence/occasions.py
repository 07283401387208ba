"""When a customer is to be looked in on next, and why: rhythm, onboarding, renewal, and the year nobody goes beyond."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from pulsecheck.cadence.policies import YEAR, Policies, Policy

DAY = dt.timedelta(days=1)
# A contact this long before an occasion counts for it; less where occasions follow each other closely.
COUNTS_BEFORE = 14
# An onboarding contact that was missed is made up for so long; after that the rhythm goes on.
MAKE_UP_DAYS = 30

REGULAR, YEARLY, ONBOARDING, RENEWAL = "regular", "yearly", "onboarding", "renewal"
# Of two on the same day the more particular one names the contact.
PRECEDENCE = {RENEWAL: 0, ONBOARDING: 1, REGULAR: 2, YEARLY: 3}


@dataclass(frozen=True)
class Planned:
    """A contact that stands in the calendar."""

    due_on: dt.date
    assignee_id: int | None
    reason: str


@dataclass(frozen=True)
class Term:
    """A contract that runs: `notice_on` is the last day on which it can be cancelled, where there is one."""

    starts_on: dt.date
    ends_on: dt.date
    notice_on: dt.date | None = None


@dataclass(frozen=True)
class Customer:
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
        return max(filter(None, (self.contacted_on, self.skipped_on)), default=None)


@dataclass(frozen=True)
class Want:
    """A contact that should be: by which day, from which day on it counts, and why, in words."""

    kind: str
    on: dt.date
    reason: str
    earliest: dt.date = dt.date.min

    @property
    def is_occasion(self) -> bool:
        """Whether it belongs to a day of its own rather than to a rhythm."""
        return self.kind in (ONBOARDING, RENEWAL)


def day_words(day: dt.date) -> str:
    """3 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def next_want(customer: Customer, policies: Policies, today: dt.date) -> Want:
    """The contact that is due first."""
    wants = [_regular(customer, policies, today)]
    if policies.occasions.onboarding and customer.since:
        wants += _pending(customer, _onboarding(customer.since, policies.occasions.onboarding), today)
    for term in customer.terms if policies.occasions.renewal else ():
        for series in _renewals(term, policies.occasions.renewal, today):
            wants += _pending(customer, series, today)
    return min(wants, key=lambda want: (want.on, PRECEDENCE[want.kind], want.reason))


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
    floor = floor_day(customer, today)
    if last + every > floor:
        start = customer.contacted_on or customer.since
        told = f"the last pulse was on {day_words(start)}" if start else "nobody has asked yet"
        return Want(YEARLY, floor, f"At least once a year: {told}")
    return Want(REGULAR, last + every, explain(customer, policy))


def floor_day(customer: Customer, today: dt.date) -> dt.date:
    """A year after the last pulse check (or the beginning): nobody goes longer without one. For whom that is over, or
    who never had one, a year from now."""
    start = customer.contacted_on or customer.since
    floor = start + YEAR * DAY if start else today + YEAR * DAY
    return floor if floor >= today else today + YEAR * DAY


def _onboarding(since: dt.date, days: tuple[int, ...]) -> Iterator[tuple[Want, dt.date]]:
    """Each with the last day on which it is made up for when missed."""
    before = 0
    for number in sorted(days):
        on = since + number * DAY
        reason = f"Onboarding: {number} days after they became a customer on {day_words(since)}"
        counts = min(COUNTS_BEFORE, (number - before) // 2)
        before = number
        yield Want(ONBOARDING, on, reason, on - counts * DAY), on + MAKE_UP_DAYS * DAY


def _renewals(term: Term, days: tuple[int, ...], today: dt.date) -> Iterator[list[tuple[Want, dt.date]]]:
    """The contacts before a contract can last be cancelled, and before it ends."""
    if term.notice_on and today <= term.notice_on < term.ends_on:
        told = f"notice has to be given by {day_words(term.notice_on)}"
        yield list(_before(term, term.notice_on, days, told))
    if today <= term.ends_on:
        yield list(_before(term, term.ends_on, days, f"the contract ends on {day_words(term.ends_on)}"))


def _before(term: Term, end: dt.date, days: tuple[int, ...], told: str) -> Iterator[tuple[Want, dt.date]]:
    before = 0
    for number in sorted(days, reverse=True):
        on = end - number * DAY
        counts = min(COUNTS_BEFORE, (before - number) // 2) if before else COUNTS_BEFORE
        before = number
        if on > term.starts_on:
            yield Want(RENEWAL, on, f"Renewal: {number} days before {told}", on - counts * DAY), end


def _pending(
    customer: Customer, series: Iterator[tuple[Want, dt.date]] | list[tuple[Want, dt.date]], today: dt.date
) -> list[Want]:
    """The one of a series that is to be made next: not made yet, and not overtaken by the one after it."""
    last = customer.last_on
    found: list[Want] = []
    for want, until in series:
        if (last is not None and last >= want.earliest) or until < today:
            continue
        if found and want.on > today:
            break
        found = [want]
    return found
