"""What other programs are told when scores are published; written in the transaction that publishes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery

from notifications.models import EventKind
from notifications.services.webhooks import Fact, is_anybody_listening, publish
from retention.models import Score, ScoreRun, Tier
from retention.models.scores import RunState

BATCH = 2000


def announce_scores(run: ScoreRun) -> None:
    """That there are new scores, which tiers changed since the published run before, and who became at risk. Of an earlier day
    that is scored again, nothing."""
    published = ScoreRun.objects.filter(state=RunState.PUBLISHED)
    if published.filter(as_of__gt=run.as_of).exists():
        return
    if is_anybody_listening(EventKind.TIER_CHANGED, EventKind.AT_RISK):
        before = published.filter(as_of__lt=run.as_of).order_by("-as_of").first()
        batch: list[Fact] = []
        for fact in _changes(run, before):
            batch.append(fact)
            if len(batch) >= BATCH:
                publish(batch)
                batch = []
        publish(batch)
    publish([Fact(EventKind.SCORES_PUBLISHED, None, _about(run))])


def _about(run: ScoreRun) -> dict[str, Any]:
    names = ("accounts", "tiers", "revenue_at_risk", "currency", "stage")
    return {"as_of": run.as_of, "horizon_days": run.horizon_days} | {
        name: run.summary.get(name) for name in names
    }


def _changes(run: ScoreRun, before: ScoreRun | None) -> Iterator[Fact]:
    """Accounts whose tier is another than in the run before; those scored for the first time only when at risk."""
    known = Score.objects.filter(account=OuterRef("account"), as_of=before.as_of if before else dt.date.min)
    scores = Score.objects.filter(as_of=run.as_of).annotate(before=Subquery(known.values("tier")[:1]))
    changed = scores.filter(Q(before=None) | ~Q(before=F("tier"))).order_by("account_id")
    columns = ("account_id", "tier", "before", "churn_probability", "revenue_at_risk", "currency")
    for row in changed.values(*columns).iterator(chunk_size=BATCH):
        account_id, previous = row.pop("account_id"), row.pop("before")
        told = row | {"as_of": run.as_of, "previous_tier": previous}
        if previous is not None:
            yield Fact(EventKind.TIER_CHANGED, account_id, told)
        if row["tier"] == Tier.AT_RISK:
            yield Fact(EventKind.AT_RISK, account_id, told)
