"""How far everybody is with looking in on their customers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Q

from accounts.models import Absence, User
from accounts.selectors import keep_if_large
from pulsecheck.models import PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState

WORKING_DAYS = 5


@dataclass(frozen=True)
class PersonCoverage:
    """Of one person (None = nobody's): customers, how many were asked within a year, contacts overdue and due within
    seven days, calls a week, and the absence that runs or comes next."""

    person: User | None
    customers: int
    covered: int
    overdue: int
    due: int
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


def coverage_by_person(user: User, today: dt.date, now: dt.datetime) -> list[PersonCoverage]:
    """Everybody whose contacts `user` sees, the most overdue first; three queries."""
    found = keep_if_large(
        "coverage-by-person",
        user,
        "all",
        (today,),
        lambda: _counted(user, today, now),
        lambda rows: sum(customers for customers, *_ in rows.values()),
    )
    people = User.objects.in_bulk([pk for pk in found if pk])
    absences: dict[int, Absence] = {}
    for absence in Absence.objects.filter(person__in=people, ends_on__gte=today).select_related("substitute"):
        absences.setdefault(absence.person_id, absence)
    listed = [PersonCoverage(people.get(pk or 0), *row, absences.get(pk or 0)) for pk, row in found.items()]
    return sorted(listed, key=lambda row: (-row.overdue, row.person.name if row.person else ""))


def _counted(user: User, today: dt.date, now: dt.datetime) -> dict[int | None, tuple[int, int, int, int]]:
    """By person: customers, asked within a year, overdue, due within a week."""
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
    return {
        pk: (customers, covered, overdue, due)
        for pk, customers, covered, overdue, due in rows.values_list(
            "assignee", "customers", "covered", "overdue", "due"
        )
    }
