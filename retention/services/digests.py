"""The morning mail: what changed for each person since the last one. Once per time zone and working day."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from django.db import transaction
from django.urls import reverse

from accounts.models import Account, User
from accounts.permissions import CARERS
from accounts.selectors import get_company
from notifications.digests import Digest, DigestLine
from notifications.services import send_digest
from pulsecheck.models import Handback, Touchpoint
from pulsecheck.models.handbacks import HandbackOutcome
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import JobRun, Score, ScoreRun, Tier
from retention.models.scores import RISKY_TIERS, RunState

MORNING = dt.time(7)
SATURDAY = 5
MOST_LINES = 10
# How bad a tier is; only a step up among these is news.
GRAVITY = {Tier.WATCH: 1, Tier.QUIET: 2, Tier.AT_RISK: 3}


def send_due_digests(now: dt.datetime) -> int:
    """Write the digests of every time zone where a working day has begun; how many mails that made.

    Each zone's day is claimed and answered in one transaction: rung twice, or after a crash, nobody hears twice.
    """
    return sum(_send_zone(zone, now) for zone in _zones())


def _zones() -> list[str]:
    own = User.objects.filter(is_active=True).order_by().values_list("time_zone", flat=True).distinct()
    return sorted({name or get_company().time_zone for name in own})


@transaction.atomic
def _send_zone(zone: str, now: dt.datetime) -> int:
    local = now.astimezone(ZoneInfo(zone))
    if local.time() < MORNING or local.weekday() >= SATURDAY:
        return 0
    job = f"digest {zone}"[:40]
    before = JobRun.objects.filter(job=job, local_date__lt=local.date()).order_by("-local_date").first()
    _, is_new = JobRun.objects.get_or_create(
        job=job, local_date=local.date(), defaults={"state": "done", "finished_at": now}
    )
    if not is_new:
        return 0
    since = before.finished_at if before and before.finished_at else now - dt.timedelta(days=1)
    return sum(
        send_digest(user, local.date(), digest_for(user, since, local.date())) for user in _people_in(zone)
    )


def _people_in(zone: str) -> list[User]:
    names = [zone, ""] if zone == get_company().time_zone else [zone]
    return list(User.objects.filter(is_active=True, left_on=None, role__in=CARERS, time_zone__in=names))


def digest_for(user: User, since: dt.datetime, today: dt.date) -> Digest:
    """What happened to the accounts `user` won or looks after, and what waits for `user` today."""
    mine = Handback.objects.filter(salesperson=user).select_related("account").order_by("-revenue_at_risk")
    return Digest(
        name=user.name.split()[0] if user.name else "",
        worse=_worse(user, since),
        handbacks=[_handback_line(h) for h in mine.unfinished().filter(opened_at__gte=since)[:MOST_LINES]],
        saved=[
            DigestLine(f"{h.account.name} stays.", reverse("pulsecheck:handback", args=[h.pk]))
            for h in mine.filter(outcome=HandbackOutcome.SAVED, closed_at__gte=since)[:MOST_LINES]
        ],
        due=_due(user, today),
    )


def _worse(user: User, since: dt.datetime) -> list[DigestLine]:
    """Accounts whose tier got worse between the newest run, if it came after `since`, and the one before."""
    runs = list(ScoreRun.objects.filter(state=RunState.PUBLISHED).order_by("-as_of")[:2])
    if len(runs) < 2 or runs[0].published_at is None or runs[0].published_at < since:
        return []
    mine = Account.objects.looked_after_by(user).values("pk")
    scores = Score.objects.filter(account__in=mine, tier__in=RISKY_TIERS)
    before = dict(scores.filter(as_of=runs[1].as_of).values_list("account", "tier"))
    now = scores.filter(as_of=runs[0].as_of).select_related("account")
    worse = [s for s in now if GRAVITY[Tier(s.tier)] > _gravity(before.get(s.account_id))]
    return [_worse_line(score, before.get(score.account_id)) for score in worse[:MOST_LINES]]


def _gravity(tier: str | None) -> int:
    return GRAVITY[Tier(tier)] if tier else 0


def _worse_line(score: Score, before: str | None) -> DigestLine:
    then = f"{Tier(before).label.lower()} before, " if before else ""
    why = f": {score.reasons[0]['sentence']}" if score.reasons else "."
    sentence = f"{score.account.name}: {then}{score.get_tier_display().lower()} now{why}"
    return DigestLine(sentence, reverse("retention:account", args=[score.account_id]))


def _handback_line(handback: Handback) -> DigestLine:
    sentence = f"{handback.account.name}: please answer by {handback.due_on:%a} {handback.due_on.day} {handback.due_on:%b}."
    return DigestLine(sentence, reverse("pulsecheck:handback", args=[handback.pk]))


def _due(user: User, today: dt.date) -> list[DigestLine]:
    touchpoints = Touchpoint.objects.filter(assignee=user, state=TouchpointState.PLANNED, due_on__lte=today)
    return [
        DigestLine(f"Pulse check at {t.account.name}.", reverse("pulsecheck:log_pulse", args=[t.account_id]))
        for t in touchpoints.select_related("account")[:MOST_LINES]
    ]
