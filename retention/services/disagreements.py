"""Disagreements between model, scorecard and last pulse: found after a run, settled by people, remembered."""

from __future__ import annotations

import datetime as dt
from itertools import groupby

import numpy as np
from django.db import transaction
from django.db.models import F, FloatField
from django.db.models.functions import Cast
from django.utils import timezone

from accounts.models import Contract, User
from accounts.services.audit import write_audit
from pulsecheck.errors import CareError
from retention.datasets import day_number, load_history
from retention.models import Disagreement, Score, ScoreRun, TierPolicy
from retention.scoring.health import weight_array
from retention.scoring.health_words import arguments, lines_of
from retention.scoring.history import purchases_of
from retention.scoring.labels import churned
from retention.scoring.stances import (
    LEAVING,
    SILENT,
    disagree,
    model_stance,
    pulse_stance,
    scorecard_stance,
)
from retention.selectors.book import why
from retention.selectors.definitions import tier_policy_in_force
from retention.selectors.disagreements import LastPulse, dispute_of, disputed_scores, last_pulses
from retention.selectors.health import cards_of, weights_for, weights_in_force

MOST_NEW = 100  # a night: more than people can settle, few enough to be looked at
MOST_LOOKED_AT = 2_000  # of those the stored figures dispute; the whole scorecard takes the side of fewer


def note_disagreements(run: ScoreRun) -> int:
    """Remember what happened to earlier ones, end those that are over, open new ones; returns how many are new.

    An account has one until its horizon is over, so that a dispute of many nights counts once.
    """
    with transaction.atomic():
        remember_outcomes(run)
        disputed = disputed_scores(run).select_related("account")
        undecided = Disagreement.objects.filter(has_left__isnull=True)
        still = disputed.order_by().values("account_id")
        undecided.filter(account__in=still).exclude(ended_on=None).update(ended_on=None)
        undecided.filter(ended_on=None).exclude(account__in=still).update(ended_on=run.as_of)
        worth = Cast(F("revenue_at_risk_company"), FloatField()) / F("churn_probability")
        new = disputed.exclude(account__in=undecided.values("account_id")).annotate(worth=worth)
        rows = _rows(run, list(new.order_by("-worth", "account_id")[:MOST_LOOKED_AT]))
        Disagreement.objects.bulk_create(rows)
    return len(rows)


def _rows(run: ScoreRun, scores: list[Score]) -> list[Disagreement]:
    """Rows for those of the scores of which the whole scorecard, too, says that they are disputed."""
    scores = sorted(scores, key=lambda score: score.account_id)
    ids = [score.account_id for score in scores]
    if not ids:
        return []
    card, in_force = cards_of(run, np.array(ids, dtype=np.int64)), weights_in_force()
    pulses, policy = last_pulses(run, ids), tier_policy_in_force()
    rows = []
    for position, score in enumerate(scores):
        weights = weights_for(in_force, score.account.segment).by_factor
        known = float(card.only(np.array([position])).known_share(weight_array(weights))[0])
        row = _row(run, score, known, pulses.get(score.account_id), policy)
        if disagree(row.model_stance, row.scorecard_stance, row.pulse_stance):
            lines = lines_of(card, position)
            row.scorecard_says = arguments(lines, weights, good=row.scorecard_stance != LEAVING)[:500]
            rows.append(row)
    return sorted(rows, key=lambda row: -row.value)[:MOST_NEW]


def _row(
    run: ScoreRun, score: Score, known_share: float, pulse: LastPulse | None, policy: TierPolicy
) -> Disagreement:
    stance = model_stance(score.churn_probability, policy.watch_from, policy.at_risk_from)
    has_signal = run.model is None or run.model.has_signal
    return Disagreement(
        account_id=score.account_id,
        as_of=run.as_of,
        horizon_days=score.horizon_days,
        churn_probability=score.churn_probability,
        health_score=score.health_score,
        pulse_score=pulse.score if pulse else None,
        model_stance=stance if has_signal else SILENT,
        scorecard_stance=scorecard_stance(score.health_score, known_share),
        pulse_stance=pulse_stance(pulse.score, pulse.days_ago) if pulse else SILENT,
        value=round(float(score.revenue_at_risk_company) / score.churn_probability, 2),
        model_says=_model_says(score, leaving=stance == LEAVING)[:500],
        pulse_says=_pulse_says(pulse)[:500] if pulse else "",
    )


def _model_says(score: Score, *, leaving: bool) -> str:
    """The reason that weighs most for what the model says."""
    if leaving:
        return why(score, 1)
    named = [reason for reason in score.reasons if reason["factor"] != "other"]
    strongest = min(named, key=lambda reason: reason["points"], default=None)
    return strongest["sentence"] if strongest and strongest["points"] < 0 else "No single reason stands out."


def _pulse_says(pulse: LastPulse) -> str:
    ago = (
        "today"
        if not pulse.days_ago
        else "yesterday"
        if pulse.days_ago == 1
        else f"{pulse.days_ago} days ago"
    )
    return f"{pulse.label}, {ago}{': ' + pulse.note if pulse.note else '.'}"


# ── what really happened ───────────────────────────────────────────────
def remember_outcomes(run: ScoreRun) -> int:
    """Say of disagreements whose horizon is over by `run` whether the account left; returns of how many.

    It stayed when it bought within the horizon, or when a contract runs on the day it ends.
    """
    waiting = [
        row
        for row in Disagreement.objects.filter(has_left__isnull=True).order_by(
            "as_of", "horizon_days", "account_id"
        )
        if _end(row) <= run.as_of
    ]
    for _, group in groupby(waiting, key=lambda row: (row.as_of, row.horizon_days)):
        _decide(list(group), run)
    Disagreement.objects.bulk_update(waiting, ["has_left"])
    return len(waiting)


def _end(row: Disagreement) -> dt.date:
    return row.as_of + dt.timedelta(days=row.horizon_days)


def _decide(rows: list[Disagreement], run: ScoreRun) -> None:
    """Rows of one day and horizon, by account."""
    end = _end(rows[0])
    ids = np.array([row.account_id for row in rows], dtype=np.int64)
    bought = purchases_of(load_history(run.as_of, only=ids))
    silent = churned(bought, day_number(rows[0].as_of), rows[0].horizon_days, np.arange(len(ids)))
    running = set(
        Contract.objects.filter(account__in=ids.tolist(), starts_on__lte=end, ends_on__gte=end)
        .exclude(cancelled_on__lte=end)
        .values_list("account_id", flat=True)
    )
    for row, was_silent in zip(rows, silent.tolist(), strict=True):
        row.has_left = was_silent and row.account_id not in running


# ── what people say ────────────────────────────────────────────────────
def settle_disagreement(row: Disagreement, by: User, verdict: str, note: str) -> Disagreement:
    """Who is right, in the opinion of somebody who knows the account.

    Raises
    ------
    CareError
        It is settled already, or over, or the chosen one took no side.
    """
    with transaction.atomic():
        row = Disagreement.objects.select_for_update().get(pk=row.pk)
        if not Disagreement.objects.to_settle().filter(pk=row.pk).exists():
            raise CareError("This is settled already, or they no longer disagree.")
        if verdict not in dict(dispute_of(row).verdicts):
            raise CareError("Choose one of those who took a side, or say that it cannot be told.")
        row.verdict, row.note, row.settled_by, row.settled_at = verdict, note, by, timezone.now()
        row.save()
        write_audit(by, "settle_disagreement", row, account=row.account_id, verdict=verdict)
    return row
