"""What follows from a published run, once: figures, handbacks, touchpoints."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from retention.models import ScoreRun
from retention.models.scores import RunState
from retention.services.kpis import record_kpis


def act_on_run(run: ScoreRun) -> bool:
    """Do once what a published run calls for; False when it was done, or when it takes no action.

    The run's row is locked meanwhile, so two workers that are told at the same time act once.
    """
    with transaction.atomic():
        locked = ScoreRun.objects.select_for_update().get(pk=run.pk)
        if locked.state != RunState.PUBLISHED or locked.acted_at is not None or not locked.takes_action:
            return False
        record_kpis(locked.as_of)
        locked.acted_at = timezone.now()
        locked.save(update_fields=["acted_at", "updated_at"])
    return True
