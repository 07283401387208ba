"""How far everybody is with looking in on their customers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count, F, Q

from accounts.models import Absence, User
from accounts.selectors import keep_if_large
from pulsecheck.models import PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState

WORKING_DAYS = 5


@dataclass(frozen=True)
class PersonCoverage:
    """Of one person (None = nobody's): customers, how many were asked within a year, contacts overdue and due within
    seven days, days to come with more than their calls (`full_days`, and how many more), calls a week, and the absence
    that runs or comes next."""

    person: User | None
    customers: int
    covered: int
    overdue: int
    due: int
    full_days: int = 0
    beyond: int = 0
    absence: Absence | None = None

    @property
    def share(self) -> float | None:
        """0..1; None without customers."""
        return self.covered / self.customers if self.customers else None

    @property
    def calls(self) -> int:
        """Calls this person can make in a week."""
        return self.person.calls_per_day * WORKING_DAYS if self.person else 0

    @property
    def is_over(self) -> bool:
        """More due within a week, with what is late, than calls."""
        return self.person is not None and self.overdue + self.due > self.calls


class Counted(NamedTuple):
    """What is counted of one person, in the order of PersonCoverage."""

    customers: int
    covered: int
    overdue: int
    due: int
    full_days: int = 0
    beyond: int = 0


def coverage_by_person(user: User, today: dt.date, now: dt.datetime) -> list[PersonCoverage]:
    """Everybody whose contacts `user` sees, the most overdue first; four queries."""
    found = keep_if_large(
        "coverage-by-person",
        user,
        "all",
        (today,),
        lambda: _counted(user, today, now),
        lambda rows: sum(row.customers for row in rows.values()),
    )
    people = User.objects.in_bulk([pk for pk in found if pk])
    absences: dict[int, Absence] = {}
    for absence in Absence.objects.filter(person__in=people, ends_on__gte=today).select_related("substitute"):
        absences.setdefault(absence.person_id, absence)
    listed = [
        PersonCoverage(people.get(pk or 0), *row, absence=absences.get(pk or 0)) for pk, row in found.items()
    ]
    return sorted(listed, key=lambda row: (-row.overdue, row.person.name if row.person else ""))


def _counted(user: User, today: dt.date, now: dt.datetime) -> dict[int | None, Counted]:
    asked = PulseCheck.objects.filter(taken_at__gte=now - dt.timedelta(days=365)).order_by()
    week = today + dt.timedelta(days=7)
    rows = (
        Touchpoint.objects.visible_to(user)
        .filter(state=TouchpointState.PLANNED)
        .order_by()
        .values("assignee")
        .annotate(
            customers=Count("pk"),
            covered=Count("pk", filter=Q(account__in=asked.values("account"))),
            overdue=Count("pk", filter=Q(due_on__lt=today)),
            due=Count("pk", filter=Q(due_on__gte=today, due_on__lte=week)),
        )
    )
    found = {
        row[0]: row[1:] for row in rows.values_list("assignee", "customers", "covered", "overdue", "due")
    }
    too_full = _too_full(found, today)
    return {pk: Counted(*row, *too_full.get(pk or 0, (0, 0))) for pk, row in found.items()}


def _too_full(people: Iterable[int | None], today: dt.date) -> dict[int, tuple[int, int]]:
    """By person: days to come with more contacts than calls, and how many more. The plan makes such days only where a
    year would be over otherwise; people may by hand."""
    planned = Touchpoint.objects.filter(
        state=TouchpointState.PLANNED, assignee__in=[pk for pk in people if pk], due_on__gte=today
    )
    counted = (
        planned.order_by().values("assignee", "due_on", "assignee__calls_per_day").annotate(n=Count("pk"))
    )
    full = counted.filter(n__gt=F("assignee__calls_per_day"))
    found: dict[int, tuple[int, int]] = {}
    for pk, count, calls in full.values_list("assignee", "n", "assignee__calls_per_day"):
        days, beyond = found.get(pk, (0, 0))
        found[pk] = (days + 1, beyond + count - calls)
    return found
