"""Figures over the at-risk list that are not sums of its rows."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from accounts.models.account import visible_accounts
from accounts.permissions import LEADERS, has_role
from pulsecheck.models import Handback
from pulsecheck.models.handbacks import HandbackOutcome, HandbackState
from retention.models import Score, ScoreRun
from retention.selectors.frame import run_stamp

COUNT_SECONDS = 120


@dataclass(frozen=True)
class AtRiskFigures:
    """Accounts scored that the person sees; handbacks to answer; and how those closed this quarter ended."""

    scored: int
    waiting: int
    saved: int
    closed: int


def at_risk_figures(user: User, run: ScoreRun) -> AtRiskFigures:
    """For leaders over all accounts they see, for others over the handbacks that are theirs."""
    begin = quarter_start(timezone.localdate())
    handbacks = Handback.objects.visible_to(user)
    if not has_role(user, *LEADERS):
        handbacks = handbacks.filter(salesperson=user)
    closed = Q(state=HandbackState.CLOSED, closed_at__date__gte=begin) & ~Q(
        outcome=HandbackOutcome.FALSE_ALARM
    )
    found = handbacks.order_by().aggregate(
        waiting=Count("pk", filter=Q(state=HandbackState.OPEN)),
        closed=Count("pk", filter=closed),
        saved=Count("pk", filter=closed & Q(outcome=HandbackOutcome.SAVED)),
    )
    return AtRiskFigures(_scored(user, run), found["waiting"], found["saved"], found["closed"])


def _scored(user: User, run: ScoreRun) -> int:
    """Who sees everything sees what the run counted; for others it is counted once in a while."""
    if visible_accounts(user) is None and run.accounts:
        return run.accounts
    key = f"scored-{run_stamp(run)}-{user.pk}-{user.role}"
    found = cache.get(key)
    if found is None:
        found = Score.objects.visible_to(user).filter(as_of=run.as_of).count()
        cache.set(key, found, COUNT_SECONDS)
    return int(found)


def quarter_start(day: dt.date) -> dt.date:
    """The first day of the quarter that `day` is in."""
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
