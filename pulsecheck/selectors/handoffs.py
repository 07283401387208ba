"""Deals handed over from sales to service, and how far their onboarding is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.models import Account, Department, Handoff, OnboardingStep, User
from accounts.models.account import LifecycleStage
from accounts.paging import Page
from accounts.selectors import count_of, keep_if_large, of_visible_accounts
from pulsecheck.selectors.lists import ListFilters, keyset_page, named

STATES = {"": "Under way", "unread": "Not read yet", "done": "Finished", "all": "All"}
NEW_DAYS = 120
STEPS = OnboardingStep.objects.filter(handoff=OuterRef("pk"))
OPEN_STEP = STEPS.filter(done_at=None)
UNREAD = Q(received_at=None)


def _whose(user: User, whose: str) -> QuerySet[Handoff]:
    seen = of_visible_accounts(Handoff.objects.all(), user)
    return seen.filter(Q(handed_by=user) | Q(handed_to=user)) if whose == "mine" else seen


def handoff_page(user: User, filters: ListFilters, today: dt.date) -> Page:
    """Handoffs, the newest deal first, each with `n_steps`, `n_done` and `n_late`; one query."""
    rows = named(_whose(user, filters.whose), filters.text)
    if filters.state == "unread":
        rows = rows.filter(UNREAD)
    elif filters.state == "done":
        rows = rows.filter(~UNREAD, ~Exists(OPEN_STEP))
    elif filters.state == "":
        rows = rows.filter(UNREAD | Exists(OPEN_STEP))
    counted = rows.select_related("account", "handed_by", "handed_to").annotate(
        n_steps=count_of(STEPS),
        n_done=count_of(STEPS.exclude(done_at=None)),
        n_late=count_of(STEPS.filter(done_at=None, due_on__lt=today)),
    )
    return keyset_page(counted, filters, "won_on", newest_first=True, parse=dt.date.fromisoformat)


@dataclass(frozen=True)
class HandoffCounts:
    """Handoffs nobody has read, steps that are overdue, and new customers without a handoff."""

    unread: int
    late_steps: int
    missing: int


def count_handoffs(user: User, whose: str, today: dt.date) -> HandoffCounts:
    """What stands above the list; three queries."""
    return keep_if_large(
        "handoffs",
        user,
        whose,
        (today,),
        lambda: _counted(user, whose, today),
        lambda c: c.missing,
        large=1000,
    )


def _counted(user: User, whose: str, today: dt.date) -> HandoffCounts:
    mine = _whose(user, whose).order_by()
    late = OnboardingStep.objects.filter(handoff__in=mine, done_at=None, due_on__lt=today)
    return HandoffCounts(
        mine.filter(UNREAD).count(), late.count(), without_handoff(user, whose, today).count()
    )


def without_handoff(user: User, whose: str, today: dt.date) -> QuerySet[Account]:
    """New customers that nobody handed over, the newest first."""
    seen = Account.objects.visible_to(user)
    mine = seen.looked_after_by(user) if whose == "mine" else seen
    return mine.filter(
        ~Exists(Handoff.objects.filter(account=OuterRef("pk"))),
        lifecycle_stage=LifecycleStage.CUSTOMER,
        became_customer_on__range=(today - dt.timedelta(days=NEW_DAYS), today),
    ).order_by("-became_customer_on", "pk")


@dataclass(frozen=True)
class Chapter:
    """A department as the guide shows it, with who works there as far as accounts tell."""

    department: Department
    people: list[User]


def guide(most: int = 6) -> list[Chapter]:
    """How the departments work: what they do, when to call them, who is on most retention teams; two queries."""
    rows = (
        User.objects.filter(is_active=True, memberships__isnull=False)
        .values_list("memberships__role", "pk", "name")
        .annotate(n=Count("memberships"))
        .order_by("-n", "name")
    )
    people: dict[str, list[User]] = {}
    for role, pk, name, _ in rows:
        listed = people.setdefault(role, [])
        if len(listed) < most:
            listed.append(User(pk=pk, name=name))
    return [
        Chapter(department, people.get(department.role, []))
        for department in Department.objects.select_related("speaker")
    ]
