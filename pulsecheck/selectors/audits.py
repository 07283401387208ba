"""How often a green light was false, as measured by the random audit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from accounts.models import User
from accounts.paging import Page, make_page
from pulsecheck.intervals import Interval, share_interval
from pulsecheck.models import AuditPick, AuditSettings, AuditWeek
from pulsecheck.models.audits import PER_WEEK
from pulsecheck.models.pulses import LOW

PAGE_SIZE = 50
ENOUGH = 30  # accounts asked, below which the rate is said to be unsure
SPAN_DAYS = 365
WHICH = {"": "All drawn", "open": "To ask", "false": "False green", "missed": "Not asked in time"}


@dataclass(frozen=True)
class FalseGreen:
    """What a year of draws showed. `rate` is the share, among those asked, that took the unhappy side (1 to 3 of 6).
    `worst` is what it would be had everybody who was not asked in time been unhappy."""

    drawn: int
    asked: int
    unhappy: int
    open: int
    missed: int
    rate: Interval | None
    worst: float | None

    @property
    def is_unsure(self) -> bool:
        """Too few were asked to rest anything on."""
        return self.asked < ENOUGH


@dataclass(frozen=True)
class WeekFacts:
    """One week in the table."""

    week: AuditWeek
    asked: int
    unhappy: int
    missed: int


def audit_per_week() -> int:
    """How many accounts are drawn a week."""
    stored = AuditSettings.objects.filter(pk=1).values_list("per_week", flat=True).first()
    return PER_WEEK if stored is None else stored


def _year(today: dt.date) -> QuerySet[AuditPick]:
    return AuditPick.objects.filter(week__week_of__gt=today - dt.timedelta(days=SPAN_DAYS)).order_by()


def false_green(today: dt.date) -> FalseGreen:
    """The rate of the whole company over the last 12 months; one query. It names no account, so everybody may see it."""
    counted = _year(today).aggregate(
        drawn=Count("pk"),
        asked=Count("pk", filter=Q(pulse__isnull=False)),
        unhappy=Count("pk", filter=Q(pulse__score__lte=LOW)),
        open=Count("pk", filter=Q(pulse=None, closes_on__gte=today)),
        missed=Count("pk", filter=Q(pulse=None, closes_on__lt=today)),
    )
    settled = counted["asked"] + counted["missed"]
    return FalseGreen(
        **counted,
        rate=share_interval(counted["unhappy"], counted["asked"]),
        worst=(counted["unhappy"] + counted["missed"]) / settled if settled else None,
    )


def audit_weeks(today: dt.date, most: int = 26) -> list[WeekFacts]:
    """The last weeks, the newest first; one query."""
    rows = AuditWeek.objects.annotate(
        asked=Count("picks", filter=Q(picks__pulse__isnull=False)),
        unhappy=Count("picks", filter=Q(picks__pulse__score__lte=LOW)),
        missed=Count("picks", filter=Q(picks__pulse=None, picks__closes_on__lt=today)),
    )
    return [
        WeekFacts(week, week.asked, week.unhappy, week.missed) for week in rows.order_by("-week_of")[:most]
    ]


def audit_page(user: User, query: Mapping[str, str], today: dt.date) -> Page:
    """A page of the accounts that were drawn and `user` may see, the newest draw first; one query."""
    kept = {k: query[k] for k in ("which", "after") if query.get(k, "").strip() and "\0" not in query[k]}
    rows = AuditPick.objects.visible_to(user).select_related("account", "assignee", "pulse", "week")
    if kept.get("which") == "open":
        rows = rows.filter(pulse=None, closes_on__gte=today)
    elif kept.get("which") == "false":
        rows = rows.filter(pulse__score__lte=LOW)
    elif kept.get("which") == "missed":
        rows = rows.filter(pulse=None, closes_on__lt=today)
    if kept.get("after", "").isdecimal() and len(kept["after"]) < 19:
        rows = rows.filter(pk__lt=int(kept["after"]))
    found = list(rows.order_by("-pk")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, kept, str(shown[-1].pk) if shown else "", words)


def audits_to_ask(user: User, today: dt.date, most: int = 20) -> list[AuditPick]:
    """What `user` is to ask because it was drawn, the earliest first."""
    mine = AuditPick.objects.visible_to(user).open_on(today).filter(assignee=user)
    return list(mine.select_related("account").order_by("due_on", "pk")[:most])
