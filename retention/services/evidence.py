"""How good the score is, worked out after a run is published: looked back, matured, and what has moved.

It follows publication on the batch queue, on at most the accounts a model is fitted on, so nobody waits for it. A
`RunEvidence` row per run says whether it is done; whoever works on it holds that row's lock, so a killed worker frees
it and two that are told at the same time work once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from accounts.selectors import get_company
from notifications.models import Topic
from notifications.services import Message, notify_all
from retention.datasets import (
    date_of,
    day_number,
    load_account_ids,
    load_history,
    load_signals,
    order_days,
)
from retention.datasets.said import load_said
from retention.models import BacktestCutoff, MaturedRun, ModelFlag, RunEvidence, ScoreRun
from retention.models.evidence import FlagKind
from retention.models.scores import Clock, RunState
from retention.scoring import models as engine
from retention.scoring.backtest import (
    Cutoff,
    Terms,
    Verdict,
    backtest,
    calibration_rows,
    cutoff_days,
    judge_scores,
)
from retention.scoring.errors import ScoringError
from retention.scoring.features import rhythm_state
from retention.scoring.history import History, Ints, purchases_of
from retention.scoring.inputs import input_shifts, weights_of
from retention.scoring.ladder import fit_sample
from retention.scoring.signals import Signals
from retention.selectors.definitions import tier_policy_in_force
from retention.selectors.model_words import flag_sentence
from retention.selectors.team import team_calls
from retention.services.scoring import horizon_of_book

CUTOFFS = 3
MOST_ATTEMPTS = 5
MATURED_AT_ONCE = 5  # the newest first; the others follow with the next runs
LOOKED_AT = 20_000  # accounts; each look back fits a model, and more show the same
INPUT_DAYS = 30  # inputs are compared with those of so many days before, or of the day the model was fitted
LATE_RUNS = 30  # newest runs for which late records are counted
ERROR_FLAG, INPUT_FLAG = 0.05, 0.25
LEAST_WEIGHT = 0.01  # an input that moves the scores by less than this share of all movement raises no flag
CLEARED_BELOW = 0.8  # of the limit: a flag that was raised stays until then, so that it does not flutter


def find_unproven() -> int | None:
    """The newest published run, when the look back on it is still to be made."""
    run = _newest_run()
    if run is None:
        return None
    evidence = RunEvidence.objects.filter(run=run, publication=run.published_at).first()
    is_open = evidence is None or (evidence.finished_at is None and evidence.attempts < MOST_ATTEMPTS)
    return run.pk if is_open else None


def _newest_run() -> ScoreRun | None:
    return ScoreRun.objects.filter(state=RunState.PUBLISHED).order_by("-as_of").first()


def gather_evidence(run_id: int) -> bool:
    """Look back on a published run, once per publication, as long as it is the newest; False when there was nothing to
    do, or somebody does it."""
    if not _claim(run_id):
        return False
    with transaction.atomic():
        unfinished = RunEvidence.objects.filter(run_id=run_id, finished_at=None)
        evidence = unfinished.select_for_update(skip_locked=True).first()
        if evidence is None:
            return False
        run = ScoreRun.objects.select_related("model").get(pk=run_id)
        _look_back(run, evidence)
        evidence.finished_at = timezone.now()
        evidence.save()
    return True


def _claim(run_id: int) -> bool:
    """Count the attempt, so that a look back which kills its worker is not tried for ever."""
    run = _newest_run()
    if run is None or run.pk != run_id or run.model is None:
        return False  # a book without orders has no model of orders to look back on
    with transaction.atomic():
        RunEvidence.objects.get_or_create(run=run)
        evidence = RunEvidence.objects.filter(run=run).select_for_update(skip_locked=True).first()
        if evidence is None:
            return False
        if evidence.publication != run.published_at:
            evidence.publication, evidence.attempts, evidence.finished_at = run.published_at, 0, None
        if evidence.finished_at is not None or evidence.attempts >= MOST_ATTEMPTS:
            return False
        evidence.attempts += 1
        evidence.save()
    return True


def _look_back(run: ScoreRun, evidence: RunEvidence) -> None:
    """Everything about one run, in the transaction that holds its evidence."""
    if run.model is None:
        evidence.message = "Only contracts are scored here, and this look back is on orders."
        _store_cutoffs(run, [])
        return
    ids = load_account_ids()
    sample = _looked_at(ids)
    history, signals = load_history(run.as_of, only=sample), load_signals(run.as_of, only=sample)
    terms = company_terms()
    evidence.message = ""
    try:
        cutoffs = _backtest(run, history, signals, terms)
    except ScoringError as problem:
        cutoffs, evidence.message = [], str(problem)
    _store_cutoffs(run, cutoffs)
    evidence.facts = _facts(history, run, accounts=len(ids), terms=terms)
    weights = _look_at_inputs(run, evidence, history, signals)
    matured = _mature(run, history, terms)
    _raise_flags(run, list(_found(cutoffs, matured, evidence, weights)))
    _count_late_records()
    evidence.refresh_from_db(fields=["late_records"])


def _looked_at(ids: Ints) -> Ints:
    """The accounts a look back is on: of those a model is fitted on, evenly, at most so many."""
    sample = fit_sample(ids)
    return sample[:: -(-len(sample) // LOOKED_AT)] if len(sample) > LOOKED_AT else sample


def company_terms() -> Terms:
    """What our people can do, and where the tiers begin."""
    policy = tier_policy_in_force()
    return Terms(team_calls().per_day, policy.at_risk_from, policy.watch_from)


# -- looking back --------------------------------------------------------------
def backtest_book(horizon: int | None, cutoffs: int) -> list[Cutoff]:
    """What the score would have said on earlier days, up to the last day with an order, on all accounts."""
    days = order_days()
    if days is None:
        raise ScoringError("There are no orders yet: import an orders file first.")
    history = load_history(days[1])
    horizon = horizon_of_book(history, days[1]) if horizon is None else horizon
    last_day = day_number(days[1])
    earlier = _models_in_use(cutoff_days(last_day, horizon, cutoffs))
    lag = _lag(ScoreRun.objects.filter(as_of__lt=days[1]), days[1])
    signals = load_signals(days[1])
    return backtest(history, last_day, horizon, cutoffs, company_terms(), earlier, lag, signals)


def _backtest(run: ScoreRun, history: History, signals: Signals, terms: Terms) -> list[Cutoff]:
    last_day = day_number(run.as_of)
    days = cutoff_days(last_day, run.horizon_days, CUTOFFS)
    earlier = _models_in_use(days)
    if (
        run.model is not None
    ):  # a pinned model is older than its run: it is the one to hold beside a fresh one
        own = engine.model_from_bytes(bytes(run.model.payload))
        earlier |= {day: own for day in days if own.as_of <= day}
    lag = _lag(ScoreRun.objects.filter(as_of__lt=run.as_of), run.as_of)
    return backtest(history, last_day, run.horizon_days, CUTOFFS, terms, earlier, lag, signals)


def _models_in_use(days: Iterable[int]) -> dict[int, engine.FittedModel]:
    """By day, the model of the newest run up to then, where this version of Mainstay can still read it."""
    found = {}
    for day in days:
        runs = ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__lte=date_of(day))
        run = runs.exclude(model=None).select_related("model").order_by("-as_of").first()
        if run is not None and run.model is not None:
            try:
                found[day] = engine.model_from_bytes(bytes(run.model.payload))
            except ScoringError:
                continue
    return found


def _lag(earlier: object, as_of: dt.date) -> int:
    """Days since the model of the run before was fitted; 0 without one."""
    runs = earlier.filter(state=RunState.PUBLISHED, model__clock=Clock.REPEAT)  # type: ignore[attr-defined]
    fitted = runs.order_by("-as_of").values_list("model__as_of", flat=True).first()
    return (as_of - fitted).days if fitted else 0


def _judged(horizon: int, stage: str, has_signal: bool, verdict: Verdict) -> dict[str, object]:
    """The columns that a look back and a matured run share."""
    return {
        "horizon_days": horizon,
        "customers": verdict.customers,
        "churn_rate": verdict.churn_rate,
        "stage": stage,
        "has_signal": has_signal,
        "figures": {name: shown.as_dict() for name, shown in verdict.figures.items()},
        "calibration": calibration_rows(verdict.calibration),
        "at_capacity": verdict.capacity.as_dict(),
        "ece_by_chance": verdict.by_chance,
    }


def _store_cutoffs(run: ScoreRun, cutoffs: Sequence[Cutoff]) -> None:
    run.cutoffs.all().delete()
    rows = []
    for cutoff in cutoffs:
        told = cutoff.as_dict()
        shared = _judged(cutoff.horizon, cutoff.stage, cutoff.has_signal, cutoff.verdict)
        rows.append(
            BacktestCutoff(
                run=run,
                cutoff_on=date_of(cutoff.as_of),
                previous_is=cutoff.previous_is,
                previous_as_of=None if cutoff.previous_as_of is None else date_of(cutoff.previous_as_of),
                lead_time=told["lead_time"],
                missed=told["missed"],
                **shared,
            )
        )
    BacktestCutoff.objects.bulk_create(rows)


def _facts(history: History, run: ScoreRun, accounts: int, terms: Terms) -> dict[str, object]:
    """What the page says of the book: how much there is to learn from."""
    purchases = purchases_of(history)
    as_of = day_number(run.as_of)
    rows = purchases.customers(as_of)
    repeat = int((rhythm_state(purchases, as_of, rows).x > 0).sum()) if len(rows) else 0
    first = int(purchases.day.min()) if len(purchases.day) else as_of
    return {
        "accounts": accounts,
        "looked_at": history.accounts,
        "customers": len(rows),
        "repeat_buyers": repeat,
        "first_day": date_of(first).isoformat(),
        "days": as_of - first,
        "calls_per_day": terms.calls_per_day,
        "callers": team_calls().people,
        "at_risk_from": terms.at_risk_from,
        "watch_from": terms.watch_from,
    }


# -- inputs ----------------------------------------------------------------------
def _look_at_inputs(
    run: ScoreRun, evidence: RunEvidence, history: History, signals: Signals
) -> dict[str, float]:
    """What moves the scores now, and what has moved since; returns how much each input weighs."""
    assert run.model is not None, "a published run has its model"
    model, as_of = engine.model_from_bytes(bytes(run.model.payload)), day_number(run.as_of)
    purchases = purchases_of(history)
    weights = weights_of(model, purchases, as_of, purchases.customers(as_of), signals)
    before = min(model.as_of, as_of - INPUT_DAYS)
    shifts = input_shifts(purchases, before, as_of, model.basis)
    evidence.factors = weights.factors
    evidence.inputs_since = date_of(before) if shifts else None
    evidence.inputs = [shift.as_dict() | {"weight": weights.inputs.get(shift.name, 0.0)} for shift in shifts]
    return weights.inputs


# -- matured predictions -----------------------------------------------------------
def _mature(run: ScoreRun, history: History, terms: Terms) -> MaturedRun | None:
    """Judge earlier runs whose horizon has passed by the day of `run`; returns the newest that was a prediction."""
    done = dict(MaturedRun.objects.values_list("run_id", "publication"))
    earlier = ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__lt=run.as_of, model__isnull=False)
    due = [
        one
        for one in earlier.select_related("model").order_by("-as_of")
        if one.as_of + dt.timedelta(days=one.horizon_days) <= run.as_of
        and done.get(one.pk, "") != one.published_at
    ]
    for one in due[:MATURED_AT_ONCE]:
        _mature_one(one, history, terms)
    predicted = MaturedRun.objects.filter(is_afterwards=False, run__as_of__lt=run.as_of)
    return predicted.select_related("run").order_by("-run__as_of").first()


def _mature_one(run: ScoreRun, history: History, terms: Terms) -> None:
    assert run.model is not None, "only runs with a model of orders mature"
    try:
        model = engine.model_from_bytes(bytes(run.model.payload))
    except ScoringError:
        model = None
    ids, p = load_said(run.as_of, history.account_ids)
    day, horizon = day_number(run.as_of), run.horizon_days
    verdict = judge_scores(history, day, horizon, ids, p, model, terms.calls_per_day) if len(ids) else None
    if verdict is None:
        return
    ends_on = run.as_of + dt.timedelta(days=horizon)
    published_on = run.published_at and get_company().local_date(run.published_at)
    MaturedRun.objects.update_or_create(
        run=run,
        defaults=_judged(horizon, run.model.stage, run.model.has_signal, verdict)
        | {
            "publication": run.published_at,
            "is_afterwards": published_on is None or published_on > ends_on,
        },
    )


# -- flags -------------------------------------------------------------------------
Finding = tuple[str, str, float, float]  # kind, subject, value, what chance may bring about


def _found(
    cutoffs: Sequence[Cutoff], matured: MaturedRun | None, evidence: RunEvidence, weights: dict[str, float]
) -> Iterable[Finding]:
    if cutoffs:
        newest = cutoffs[0]
        yield FlagKind.CALIBRATION, "backtest", newest.model.ece, newest.verdict.by_chance
    if matured is not None:
        yield FlagKind.CALIBRATION, "matured", matured.figures["model"]["ece"], matured.ece_by_chance
    for shift in evidence.inputs:
        if weights.get(shift["name"], 0.0) >= LEAST_WEIGHT:
            yield FlagKind.INPUT, shift["name"], shift["index"], shift["by_chance"]


def _raise_flags(run: ScoreRun, findings: Sequence[Finding]) -> None:
    """Raise what is off, clear what no longer is, and tell managers and administrators of what is new, once."""
    raised = {(flag.kind, flag.subject): flag for flag in ModelFlag.objects.raised().select_for_update()}
    new = []
    for kind, subject, value, by_chance in findings:
        limit = ERROR_FLAG if kind == FlagKind.CALIBRATION else INPUT_FLAG
        flag = raised.get((kind, subject))
        if flag is not None and value > CLEARED_BELOW * limit:
            del raised[kind, subject]
            flag.value, flag.by_chance = value, by_chance
            flag.save()
        elif flag is None and value > limit:
            new.append(
                ModelFlag.objects.create(
                    kind=kind, subject=subject, value=value, by_chance=by_chance, raised_on=run.as_of
                )
            )
    for flag in raised.values():
        flag.cleared_on = run.as_of
        flag.save()
    _tell(run, [flag for flag in new if not flag.may_be_chance])


def _tell(run: ScoreRun, flags: Sequence[ModelFlag]) -> None:
    if not flags:
        return
    title = flag_sentence(flags[0]) if len(flags) == 1 else f"The score needs a look: {len(flags)} reasons"
    readers = User.objects.filter(role__in=(Role.MANAGER, Role.ADMINISTRATOR), is_active=True)
    notify_all(
        Message(
            user,
            Topic.MODEL,
            title,
            body="\n".join(flag_sentence(flag) for flag in flags),
            path=reverse("retention:model") + "#flags",
            dedupe_key=f"model-flags:{run.as_of}",
        )
        for user in readers
    )


# -- late records --------------------------------------------------------------------
_LATE = """
SELECT width_bucket(created_at, %(published)s::timestamptz[]), width_bucket(dated, %(ends)s::timestamptz[]), count(*)
FROM (
    SELECT created_at, ordered_at AS dated FROM accounts_order WHERE status <> 'cancelled'
    UNION ALL SELECT created_at, opened_at FROM accounts_issue
    UNION ALL SELECT created_at, happened_at FROM accounts_interaction
    UNION ALL SELECT created_at, taken_at FROM pulsecheck_pulsecheck
) records WHERE created_at > %(first)s AND dated < %(last)s
GROUP BY 1, 2
"""


def _count_late_records() -> None:
    """For the newest runs: what is dated by their day and arrived after they were published (orders, issues,
    contacts, pulses). One pass over what was written since the oldest of them."""
    kept = RunEvidence.objects.filter(run__state=RunState.PUBLISHED, run__published_at__isnull=False)
    evidence = list(kept.select_related("run").order_by("-run__as_of")[:LATE_RUNS])
    if not evidence:
        return
    zone = get_company().zone
    ends = [dt.datetime.combine(e.run.as_of + dt.timedelta(days=1), dt.time(), zone) for e in evidence]
    published = [e.run.published_at for e in evidence if e.run.published_at is not None]
    edges = {"published": sorted(set(published)), "ends": sorted(set(ends))}
    with connection.cursor() as cursor:
        cursor.execute(_LATE, edges | {"first": min(published), "last": max(ends)})
        counts = np.array(cursor.fetchall() or np.empty((0, 3)), dtype=np.int64)
    for one, arrived, end in zip(evidence, published, ends, strict=True):
        is_late = counts[:, 0] > edges["published"].index(arrived)
        is_dated_before = counts[:, 1] <= edges["ends"].index(end)
        one.late_records = int(counts[is_late & is_dated_before, 2].sum())
    RunEvidence.objects.bulk_update(evidence, ["late_records"])
