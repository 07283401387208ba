"""The issue log, and the story of one issue."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Avg, Count, F, Q, QuerySet
from django.utils import timezone

from accounts.models import Issue, User
from accounts.models.care import Severity, Validity
from accounts.paging import Page
from accounts.selectors import keep_if_large, of_visible_accounts
from pulsecheck.selectors.lists import ListFilters, Menus, keyset_page, named

STATES = {
    "": "Open",
    "late": "Overdue",
    "untold": "Solved, customer not told",
    "reopened": "Came back",
    "closed": "Closed",
    "all": "All",
}
OPEN = Q(resolved_at=None)
UNTOLD = Q(resolved_at__isnull=False, told_at=None)
THEMES, THEME_SECONDS = "issue-themes", 300
TELL_DAYS = 90  # what was solved longer ago without telling is past mending


def untold_since(now: dt.datetime) -> dt.datetime:
    """What was solved before is no longer asked to be told."""
    return now - dt.timedelta(days=TELL_DAYS)


def _themes() -> list[str]:
    """The themes there are; looking through all issues is dear where there are many, so they are kept for some minutes."""
    rows = Issue.objects.exclude(theme="").order_by("theme").values_list("theme", flat=True).distinct()
    return list(rows[:30])


def issue_menus() -> Menus:
    """Severity, validity and the themes there are."""
    themes = cache.get_or_set(THEMES, _themes, THEME_SECONDS) or []
    return {
        "severity": [("", "Any"), *Severity.choices],
        "validity": [("", "Any"), *Validity.choices],
        "theme": [("", "Any"), *((theme, theme.capitalize()) for theme in themes)],
    }


def _whose(user: User, whose: str) -> QuerySet[Issue]:
    seen = of_visible_accounts(Issue.objects.all(), user)
    return seen.filter(owner=user) if whose == "mine" else seen


def issue_page(user: User, filters: ListFilters, today: dt.date) -> Page:
    """Open issues the oldest first, solved ones the newest first; one query."""
    untold = UNTOLD & Q(resolved_at__gte=untold_since(timezone.now()))
    conditions = {
        "": OPEN,
        "late": OPEN & Q(due_on__lt=today),
        "untold": untold,
        "reopened": Q(times_reopened__gt=0),
        "closed": Q(resolved_at__isnull=False),
        "all": Q(),
    }
    rows = named(_whose(user, filters.whose), filters.text).filter(conditions[filters.state])
    rows = rows.filter(**{name: value for name, value in filters.chosen.items() if value})
    by = "resolved_at" if filters.state in {"untold", "closed"} else "opened_at"
    is_open = filters.state in {"", "late"}
    return keyset_page(rows.select_related("account", "owner"), filters, by, newest_first=not is_open)


@dataclass(frozen=True)
class IssueCounts:
    """Open issues, of these overdue and without an owner; solved lately and not told; of those opened in the last year
    the share that came back, and the days it took to solve one."""

    open: int
    late: int
    unowned: int
    untold: int
    year: int
    returned: int
    days: dt.timedelta | None

    @property
    def share_returned(self) -> float | None:
        """0..1; None where there was none."""
        return self.returned / self.year if self.year else None

    @property
    def mean_days(self) -> float | None:
        return self.days.total_seconds() / 86400 if self.days else None


def count_issues(user: User, whose: str, today: dt.date) -> IssueCounts:
    """What stands above the list; one query."""
    return keep_if_large(
        "issues", user, whose, (today,), lambda: _counted(user, whose, today), lambda c: c.open + c.year
    )


def _counted(user: User, whose: str, today: dt.date) -> IssueCounts:
    now = timezone.now()
    of_year = Q(opened_at__gte=now - dt.timedelta(days=365))
    return IssueCounts(
        **_whose(user, whose)
        .filter(OPEN | of_year)
        .order_by()
        .aggregate(
            open=Count("pk", filter=OPEN),
            late=Count("pk", filter=OPEN & Q(due_on__lt=today)),
            unowned=Count("pk", filter=OPEN & Q(owner=None)),
            untold=Count("pk", filter=UNTOLD & Q(resolved_at__gte=untold_since(now))),
            year=Count("pk", filter=of_year),
            returned=Count("pk", filter=of_year & Q(times_reopened__gt=0)),
            days=Avg(F("resolved_at") - F("opened_at"), filter=of_year & ~OPEN),
        )
    )


@dataclass(frozen=True)
class Step:
    """One line of an issue's story."""

    at: dt.datetime
    text: str
    detail: str
    tone: str


def issue_story(issue: Issue) -> list[Step]:
    """What happened to it, the newest first."""
    steps = [Step(issue.opened_at, "Opened", "", "bad")]
    for again in issue.reopenings.select_related("reopened_by"):
        by = f" by {again.reopened_by}" if again.reopened_by else ""
        steps.append(Step(again.resolved_at, "Said to be solved", "", ""))
        steps.append(Step(again.reopened_at, f"Opened again{by}", again.reason, "bad"))
    if issue.resolved_at:
        steps.append(Step(issue.resolved_at, "Solved", issue.resolution, "good"))
    if issue.told_at:
        by = f" by {issue.told_by}" if issue.told_by else ""
        steps.append(Step(issue.told_at, f"The customer was told{by}", issue.reaction, "good"))
    return sorted(steps, key=lambda step: step.at, reverse=True)
