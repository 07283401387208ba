"""What the frame of every page shows; a handful of indexed reads."""

from __future__ import annotations

import datetime as dt

from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from accounts.models import User
from notifications.models import Notification
from pulsecheck.models import Handback, Touchpoint
from pulsecheck.models.handbacks import HandbackState
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import Score, ScoreRun
from retention.models.scores import RunState

COUNT_SECONDS = 120


def latest_run() -> ScoreRun | None:
    """The newest published run."""
    return ScoreRun.objects.filter(state=RunState.PUBLISHED).order_by("-as_of").first()


def run_stamp(run: ScoreRun) -> str:
    """Changes whenever the scores of the newest run do: part of the key of what is kept about them."""
    published = run.published_at
    return f"{run.pk}-{published.timestamp() if published else 0}"


def freshness(run: ScoreRun | None) -> str:
    """How old the scores are, in words."""
    if run is None or run.published_at is None:
        return "Not scored yet"
    hours = (timezone.now() - run.published_at).total_seconds() / 3600
    age = "just now" if hours < 0.1 else f"{hours * 60:.0f} min ago" if hours < 1 else _hours_or_days(hours)
    return f"Scored {age}"


def _hours_or_days(hours: float) -> str:
    return f"{hours:.0f} h ago" if hours < 36 else f"{hours / 24:.0f} days ago"


def has_sample() -> bool:
    """Whether the sample company is loaded; asked of the staff, a short table."""
    return User.objects.filter(is_sample=True).exists()


def frame_counts(user: User, run: ScoreRun | None) -> dict[str, int]:
    """What waits for `user`: unread messages, handbacks to answer, pulses due, and accounts at risk they see."""
    today = timezone.localdate()
    return {
        "unread": Notification.objects.filter(user=user, read_at__isnull=True).count(),
        "handbacks": Handback.objects.filter(salesperson=user, state=HandbackState.OPEN).count(),
        "pulses": _pulses_due(user, today + dt.timedelta(days=7)),
        "risky": _risky(user, run),
    }


def _pulses_due(user: User, until: dt.date) -> int:
    return Touchpoint.objects.filter(assignee=user, state=TouchpointState.PLANNED, due_on__lte=until).count()


def _risky(user: User, run: ScoreRun | None) -> int:
    """Changes only with a run, so it is kept until the next one (at most five minutes)."""
    if run is None:
        return 0
    key = f"risky-{run_stamp(run)}-{user.pk}-{user.role}"
    found = cache.get(key)
    if found is None:
        found = Score.objects.visible_to(user).filter(as_of=run.as_of).risky().aggregate(n=Count("pk"))["n"]
        cache.set(key, found, COUNT_SECONDS)
    return int(found)
