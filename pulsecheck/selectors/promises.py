"""The promise ledger, and how everybody keeps their word."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet

from accounts.models import Promise, User
from accounts.models.care import PromiseStatus
from accounts.paging import Page
from accounts.selectors import keep_if_large, of_visible_accounts
from pulsecheck.selectors.lists import ListFilters, keyset_page, named

STATES = {
    "": "Open",
    "overdue": "Overdue",
    "kept": "Kept",
    "late": "Kept late",
    "broken": "Broken",
    "all": "All",
}
RECORD_DAYS = 365
OPEN = Q(status=PromiseStatus.OPEN)
IN_TIME = Q(kept_on__lte=F("due_on"))
LATE = Q(kept_on__gt=F("due_on"))


def _broken(today: dt.date) -> Q:
    """Said to be broken, or not kept although its day is over."""
    return Q(kept_on=None) & (Q(status=PromiseStatus.BROKEN) | Q(due_on__lt=today))


def _whose(user: User, whose: str) -> QuerySet[Promise]:
    seen = of_visible_accounts(Promise.objects.all(), user)
    return seen.filter(made_by=user) if whose == "mine" else seen


def promise_page(user: User, filters: ListFilters, today: dt.date) -> Page:
    """Open promises by the day they are due, others the newest first; one query."""
    conditions = {
        "": OPEN,
        "overdue": OPEN & Q(due_on__lt=today),
        "kept": IN_TIME,
        "late": LATE,
        "broken": _broken(today),
        "all": Q(),
    }
    rows = named(_whose(user, filters.whose), filters.text).filter(conditions[filters.state])
    is_open = filters.state in {"", "overdue"}
    related = rows.select_related("account", "made_by", "made_to")
    return keyset_page(related, filters, "due_on", newest_first=not is_open, parse=dt.date.fromisoformat)


@dataclass(frozen=True)
class PromiseCounts:
    """Open promises, of these overdue and due within a week; of those due in the last year how many were kept in time,
    kept late, and not kept."""

    open: int
    overdue: int
    soon: int
    kept: int
    late: int
    broken: int

    @property
    def share(self) -> float | None:
        """Kept in time, 0..1; None where none was due."""
        due = self.kept + self.late + self.broken
        return self.kept / due if due else None


def count_promises(user: User, whose: str, today: dt.date) -> PromiseCounts:
    """What stands above the list; one query."""
    return keep_if_large(
        "promises",
        user,
        whose,
        (today,),
        lambda: _counted(user, whose, today),
        lambda c: c.open + c.kept + c.late + c.broken,
    )


def _counted(user: User, whose: str, today: dt.date) -> PromiseCounts:
    week, year = today + dt.timedelta(days=7), today - dt.timedelta(days=RECORD_DAYS)
    recent = OPEN | Q(due_on__gt=year)
    was_due = Q(due_on__gt=year) & (Q(due_on__lt=today) | ~OPEN)
    return PromiseCounts(
        **_whose(user, whose)
        .filter(recent)
        .order_by()
        .aggregate(
            open=Count("pk", filter=OPEN),
            overdue=Count("pk", filter=OPEN & Q(due_on__lt=today)),
            soon=Count("pk", filter=OPEN & Q(due_on__range=(today, week))),
            kept=Count("pk", filter=was_due & IN_TIME),
            late=Count("pk", filter=was_due & LATE),
            broken=Count("pk", filter=was_due & _broken(today)),
        )
    )


@dataclass(frozen=True)
class PersonRecord:
    """How one person kept what they promised and was due in the last year."""

    name: str
    role: str
    kept: int
    late: int
    broken: int

    @property
    def due(self) -> int:
        return self.kept + self.late + self.broken

    @property
    def share(self) -> float | None:
        """Kept in time, 0..1."""
        return self.kept / self.due if self.due else None


def fell_due(rows: QuerySet[Promise], after: dt.date, today: dt.date) -> QuerySet[Promise]:
    """Promises that were due after that day and whose fate is known by `today`: the day is over, or somebody said it."""
    return rows.filter(due_on__gt=after).filter(Q(due_on__lt=today) | ~OPEN)


def promise_records(user: User, today: dt.date) -> list[PersonRecord]:
    """Everybody who promised something to the accounts `user` sees, the least reliable first; one query."""
    return keep_if_large(
        "promise-records",
        user,
        "all",
        (today,),
        lambda: _records(user, today),
        lambda found: sum(record.due for record in found),
    )


def _records(user: User, today: dt.date) -> list[PersonRecord]:
    year = today - dt.timedelta(days=RECORD_DAYS)
    was_due = fell_due(_whose(user, "all"), year, today)
    found = (
        was_due.order_by()
        .values("made_by__name", "made_by__role", "made_by")
        .annotate(
            kept=Count("pk", filter=IN_TIME),
            late=Count("pk", filter=LATE),
            broken=Count("pk", filter=_broken(today)),
        )
    )
    records = [
        PersonRecord(row["made_by__name"], row["made_by__role"], row["kept"], row["late"], row["broken"])
        for row in found
    ]
    return sorted(records, key=lambda r: (r.share if r.share is not None else 1.0, -r.due, r.name))
