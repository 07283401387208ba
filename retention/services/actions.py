"""What follows from a published run, once: figures, handbacks, touchpoints."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from accounts.models.account import LifecycleStage
from accounts.selectors import company_today
from pulsecheck.models import AuditWeek
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.selectors.triggers import find_triggers, get_rules
from pulsecheck.services import Opened, open_handbacks, plan_touchpoints
from pulsecheck.services.audits import Healthy, is_drawn, pick_audit
from pulsecheck.services.triggers import mute_if_wrong
from retention.models import Score, ScoreRun, Tier
from retention.models.scores import RunState
from retention.selectors.risks import snapshot_of
from retention.services.disagreements import note_disagreements
from retention.services.kpis import record_kpis
from retention.services.scoring import default_as_of
from retention.services.write_back import queue_scores

CURRENT = dt.timedelta(
    days=7
)  # scores older than this, counted from where the book is now, send nobody anywhere


def act_on_run(run: ScoreRun) -> bool:
    """Do once what a published run calls for; False when it was done, or when it takes no action.

    Scores of long ago are for looking back: nobody is sent to a customer because of them. The run's row is locked meanwhile, so two workers that are told at the same time act once.
    """
    with transaction.atomic():
        locked = ScoreRun.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=run.pk).first()
        if locked is None or locked.state != RunState.PUBLISHED or locked.acted_at is not None:
            return False
        is_newest = _is_newest(locked)
        if is_newest:
            record_kpis(locked.as_of)
            note_disagreements(locked)
        if not locked.takes_action:
            return False
        is_current = is_newest and default_as_of() - locked.as_of <= CURRENT
        if is_current:
            hand_back_risky(locked)
            plan_touchpoints()
            draw_audit(locked)
            queue_scores(locked)
        locked.acted_at = timezone.now()
        locked.save(update_fields=["acted_at", "updated_at"])
    return is_current


def _is_newest(run: ScoreRun) -> bool:
    """Pages show figures of the newest scores; an earlier day that is scored again leaves them alone."""
    return not ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__gt=run.as_of).exists()


def hand_back_risky(run: ScoreRun) -> Opened:
    """Give the accounts that `run` found at risk or quiet, those with a broken promise and those whose shaky contract is up
    for renewal back to whoever won them, as far as people can take them. First the triggers are judged anew."""
    mute_if_wrong(list(get_rules()))
    risky = Score.objects.filter(as_of=run.as_of, tier__in=(Tier.AT_RISK, Tier.QUIET)).order_by()
    by_score = [(score.account_id, snapshot_of(score), _trigger(score)) for score in risky]
    return open_handbacks([*by_score, *find_triggers(company_today())])


def draw_audit(run: ScoreRun) -> AuditWeek | None:
    """Draw this week's random audit among the accounts that `run` holds to be healthy, unless it is drawn already."""
    today = company_today()
    if is_drawn(today):
        return None
    scores = Score.objects.filter(
        as_of=run.as_of,
        tier__in=(Tier.THRIVING, Tier.STEADY),
        account__lifecycle_stage=LifecycleStage.CUSTOMER,
    )
    rows = scores.order_by().values_list("account_id", "tier", "churn_probability")
    return pick_audit([Healthy(*row) for row in rows], run.as_of, today)


def _trigger(score: Score) -> str:
    if score.tier == Tier.QUIET:
        return HandbackTrigger.QUIET
    return HandbackTrigger.RENEWAL if score.is_renewal else HandbackTrigger.AT_RISK
