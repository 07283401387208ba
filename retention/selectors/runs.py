"""How far the score run is that somebody is waiting for."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from retention.models import ScoreRun
from retention.models.scores import ChunkState, RunState

UNDER_WAY = (RunState.PREPARING, RunState.SCORING)


@dataclass(frozen=True)
class RunProgress:
    """A run that is not published yet: parts done of all (0 of 0 while the model is being fitted)."""

    run: ScoreRun
    done: int
    parts: int
    accounts: int

    @property
    def is_fitting(self) -> bool:
        return self.run.state == RunState.PREPARING


def run_under_way() -> RunProgress | None:
    """The newest run that is being prepared or scored; None when there is none."""
    run = ScoreRun.objects.filter(state__in=UNDER_WAY).select_related("started_by").order_by("-as_of").first()
    if run is None:
        return None
    finished = Q(state=ChunkState.DONE)
    chunks = run.chunks.aggregate(
        parts=Count("pk"), done=Count("pk", filter=finished), accounts=Sum("accounts", filter=finished)
    )
    return RunProgress(run, chunks["done"], chunks["parts"], chunks["accounts"] or 0)


def sums_are_margin(run: ScoreRun | None) -> bool:
    """Whether the money of a run is what is left after cost (docs/decisions/0007); else it is sales."""
    model = run.summary.get("model") if run is not None else None
    return bool(model and model.get("margin") is not None)
