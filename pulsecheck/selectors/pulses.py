"""Who is to be looked in on, and how far we are with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.models import Account, User
from accounts.models.account import LifecycleStage
from accounts.paging import Page, make_page
from accounts.permissions import LEADERS, has_role
from accounts.selectors import keep_if_large
from pulsecheck.models import PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.selectors.lists import behind

PAGE_SIZE = 50
MANY_CUSTOMERS = 1000
WHOSE = {"mine": "Mine", "all": "All I see", "nobody": "Nobody's"}
SPANS = {
    "": ("Next 7 days", 7),
    "overdue": ("Overdue", -1),
    "month": ("Next 30 days", 30),
    "all": ("All planned", None),
}
KEYS = ("whose", "span", "q", "after")
# What a row shows; whole rows would be read for nothing.
ROW = (
    "due_on", "reason", "snoozed_from",
    "account__name", "account__segment", "account__industry",
    "assignee__name", "assignee__is_active", "assignee__left_on",
)  # fmt: skip


@dataclass(frozen=True)
class Filters:
    """What the reader asked for, as it stands in the url; values that make no sense are left out."""

    whose: str = "mine"
    span: str = ""
    text: str = ""
    after: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str], user: User) -> Filters:
        """Leaders look at everybody's unless they ask for their own."""
        kept = {k: query[k].strip() for k in KEYS if query.get(k, "").strip() and "\0" not in query[k]}
        standard = "all" if has_role(user, *LEADERS) else "mine"
        return cls(
            whose=kept["whose"] if kept.get("whose") in WHOSE else standard,
            span=kept["span"] if kept.get("span") in SPANS else "",
            text=kept.get("q", ""),
            after=kept.get("after", ""),
            query=kept,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return bool(set(self.query) - {"after"})


@dataclass(frozen=True)
class Coverage:
    """Customers (whom this person is to look in on, or all they see), how many of them were asked within a year, and contacts overdue and due
    within a week."""

    customers: int
    covered: int
    overdue: int
    due: int

    @property
    def share(self) -> float | None:
        """0..1; None without customers."""
        return self.covered / self.customers if self.customers else None


def _whose(touchpoints: QuerySet[Touchpoint], whose: str, user: User) -> QuerySet[Touchpoint]:
    if whose == "mine":
        return touchpoints.filter(assignee=user)
    return touchpoints.filter(assignee=None) if whose == "nobody" else touchpoints


def due_page(user: User, filters: Filters, today: dt.date) -> Page:
    """A page of planned contacts by the day they are due, so what is overdue comes first; a constant number of
    queries. Each row carries its account's last pulse check as `last_pulse`."""
    everything = Touchpoint.objects.visible_to(user).filter(state=TouchpointState.PLANNED)
    planned = _whose(everything, filters.whose, user)
    days = SPANS[filters.span][1]
    if days is not None:
        planned = planned.filter(due_on__lte=today + dt.timedelta(days=days))
    if filters.text:
        planned = planned.filter(account__name__icontains=filters.text)
    related = planned.select_related("account", "assignee").only(*ROW)
    found = list(behind(related, filters.after, "due_on", parse=dt.date.fromisoformat)[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    _attach_last_pulses(shown)
    cursor = f"{shown[-1].due_on.isoformat()}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, filters.query, cursor, words)


def _attach_last_pulses(touchpoints: list[Touchpoint]) -> None:
    ids = [touchpoint.account_id for touchpoint in touchpoints]
    pulses = PulseCheck.objects.filter(account__in=ids).order_by("account_id", "-taken_at", "-pk")
    newest = {
        pulse.account_id: pulse
        for pulse in pulses.distinct("account_id").only("account_id", "score", "taken_at")
    }
    for touchpoint in touchpoints:
        touchpoint.last_pulse = newest.get(touchpoint.account_id)  # type: ignore[attr-defined]


def coverage(user: User, whose: str, today: dt.date, now: dt.datetime) -> Coverage:
    """How many customers were asked within a year; three queries."""
    return keep_if_large(
        "coverage",
        user,
        whose,
        (today,),
        lambda: _coverage(user, whose, today, now),
        lambda c: c.customers,
        large=MANY_CUSTOMERS,
    )


def _coverage(user: User, whose: str, today: dt.date, now: dt.datetime) -> Coverage:
    planned = Touchpoint.objects.visible_to(user).filter(state=TouchpointState.PLANNED).order_by()
    customers = Account.objects.visible_to(user).filter(lifecycle_stage=LifecycleStage.CUSTOMER)
    if whose != "all":
        customers = customers.filter(pk__in=_whose(planned, whose, user).values("account"))
    asked = PulseCheck.objects.filter(account=OuterRef("pk"), taken_at__gte=now - dt.timedelta(days=365))
    soon = today + dt.timedelta(days=7)
    due = _whose(planned, whose, user).aggregate(
        overdue=Count("pk", filter=Q(due_on__lt=today)),
        due=Count("pk", filter=Q(due_on__gte=today, due_on__lte=soon)),
    )
    return Coverage(customers=customers.count(), covered=customers.filter(Exists(asked)).count(), **due)


def open_steps(user: User, most: int = 20) -> list[PulseCheck]:
    """Next steps of pulse checks that `user` has to do, the earliest first."""
    mine = PulseCheck.objects.visible_to(user).filter(next_step_owner=user, next_step_done_at=None)
    shown = mine.select_related("account").only("next_step", "next_step_due_on", "account__name")
    return list(shown.order_by("next_step_due_on", "pk")[:most])
