"""What connected systems are told after a night: the risk of their accounts, why, and when somebody looks in next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from accounts.crm.outbox import queue_write_backs
from accounts.models import Connection
from pulsecheck.models import Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import Score, ScoreRun

AT_ONCE = 2_000


def queue_scores(run: ScoreRun) -> int:
    """Note for every connection that is written back to what `run` says of its accounts; how many differ from what was
    noted before. In the caller's transaction: what is told exists exactly when the run was acted on."""
    return sum(_queue(run, connection) for connection in Connection.objects.filter(writes_back=True))


def _queue(run: ScoreRun, connection: Connection) -> int:
    source = connection.record_source
    theirs = Q(account__record_source=source) | Q(account__aliases__record_source=source)
    ids = sorted(
        set(Score.objects.filter(theirs, as_of=run.as_of).order_by().values_list("account_id", flat=True))
    )
    queued = 0
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        scores = Score.objects.filter(as_of=run.as_of, account__in=part).select_related("run__model")
        next_on = _next_touchpoints(part)
        rows = {score.account_id: _fields(score, next_on.get(score.account_id)) for score in scores}
        queued += queue_write_backs(connection, rows)
    return queued


def _next_touchpoints(accounts: list[int]) -> Mapping[int, dt.date]:
    planned = Touchpoint.objects.filter(account__in=accounts, state=TouchpointState.PLANNED)
    return dict(planned.order_by("-due_on").values_list("account_id", "due_on"))


def _fields(score: Score, next_on: dt.date | None) -> dict[str, Any]:
    """As other systems take it. The day of scoring is left out: it alone would make every row a change, every night."""
    return {
        "churn_probability": round(score.churn_probability, 3),
        "tier": str(score.get_tier_display()),
        "reasons": "\n".join(reason["sentence"] for reason in score.reasons[:3]),
        "revenue_at_risk": str(score.revenue_at_risk),
        "revenue_currency": score.currency,
        "next_touchpoint_on": next_on.isoformat() if next_on else None,
    }
