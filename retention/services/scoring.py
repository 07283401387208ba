"""Scoring runs: PostgreSQL owns the work, any number of workers do it, one transaction per chunk.

A run is a row per date; its chunks are rows too. A worker claims a chunk, and holds the row's lock while it
scores, so a chunk whose worker died is free again as soon as its short lease is over, and one whose worker
merely is slow is not given away.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from accounts.models.account import BillingMode
from accounts.selectors import company_today, get_company
from retention.datasets import (
    LAST_ID,
    Records,
    day_number,
    load_account_ids,
    load_records,
    order_days,
)
from retention.datasets.contracts import contract_days, has_contracts
from retention.models import FittedModel, JobRun, ScoreChunk, ScoreRun, Tier
from retention.models.scores import ChunkState, RunState
from retention.scoring import models as engine
from retention.scoring.errors import ScoringError
from retention.scoring.explain import wording_of
from retention.scoring.fitting import fit_book
from retention.scoring.history import History, purchases_of
from retention.scoring.horizon import check_horizon, default_horizon
from retention.scoring.ladder import fit_sample
from retention.scoring.scores import Scores, score_accounts
from retention.scoring.tiers import TierRules
from retention.selectors.definitions import definition_for, definitions_in_force, tier_policy_in_force
from retention.services.announcing import announce_scores
from retention.services.contracts import fit_contracts, score_contract_accounts
from retention.services.rollback import pinned_model
from retention.services.score_rows import write_scores

CHUNK_ACCOUNTS = 25_000
LEASE = dt.timedelta(seconds=15)
MOST_ATTEMPTS = 5
STALE = dt.timedelta(days=30)  # a book without orders for so long is history, not a quiet month

Progress = Callable[[str, int, int], None]  # what is being done, how far, of how many


def prepare_run(
    as_of: dt.date,
    horizon: int | None = None,
    *,
    takes_action: bool = True,
    started_by: User | None = None,
    starts_now: bool = True,
) -> ScoreRun:
    """Make (or make anew) the run of a date, without model and chunks yet.

    With `starts_now` the caller fits it; without, any worker may (task `score_run`).

    Raises
    ------
    ScoringError
        The horizon or the date cannot be used, or there is nothing to score; one plain sentence.
    """
    if horizon is not None:
        check_horizon(horizon)
    _check_date(as_of)
    with transaction.atomic():
        run, _ = ScoreRun.objects.select_for_update(no_key=True).get_or_create(
            as_of=as_of, defaults={"horizon_days": horizon or 0}
        )
        run.chunks.all().delete()
        run.horizon_days = horizon or 0
        run.state = RunState.PREPARING
        run.model = run.contract_model = None
        run.takes_action, run.started_by = takes_action, started_by
        run.started_at = timezone.now() if starts_now else None
        run.published_at = run.acted_at = None
        run.message = ""
        run.save()
    return run


def _check_date(as_of: dt.date) -> None:
    first = _book_days()[0]
    if as_of < first:
        raise ScoringError(
            f"The first order is of {first}: choose that day or a later one instead of {as_of}."
        )
    if as_of > company_today():
        raise ScoringError(f"{as_of} has not come yet: choose today or an earlier day.")


def _book_days() -> tuple[dt.date, dt.date]:
    """First and last day on which the book shows life, by orders and contracts."""
    orders, contracts = order_days(), contract_days()
    if contracts is not None:
        # A contract is alive until it ends, but no day that has not come yet is.
        contracts = contracts[0], max(contracts[0], min(contracts[1], company_today() - dt.timedelta(days=1)))
    days = [span for span in (orders, contracts) if span is not None]
    if not days:
        raise ScoringError("There are no orders yet: import an orders file first.")
    return min(first for first, _ in days), max(last for _, last in days)


def fit_run(run: ScoreRun, records: Records | None = None) -> ScoreRun:
    """Fit the model of a run, store it, and cut the book into chunks for any worker to score. Where an administrator
    pinned an earlier model, that one is used.

    `records` may be given where the whole book is in memory anyway; the model is the same either way.
    """
    ids = load_account_ids()
    model, contracts = pinned_model(run.as_of, run.horizon_days), has_contracts()
    model = None if model is None else _worded(model)
    horizon = run.horizon_days if model is None else model.horizon_days
    contract_model = None
    if model is None or contracts:
        sample = fit_sample(ids)
        known = load_records(run.as_of, only=sample) if records is None else records.only(sample)
        horizon = horizon or horizon_of_book(known.history, run.as_of)
        contract_model = fit_contracts(run.as_of, horizon, known) if contracts else None
        if model is None and (contract_model is None or (known.history.cents > 0).any()):
            model = _fitted(run, known, horizon)
    with transaction.atomic():
        run = ScoreRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        run.model, run.contract_model, run.horizon_days = model, contract_model, horizon
        run.state = RunState.SCORING
        run.save()
        run.chunks.all().delete()
        ScoreChunk.objects.bulk_create(_chunks(run, ids))
    return run


def _fitted(run: ScoreRun, known: Records, horizon: int) -> FittedModel:
    fitted = fit_book(known.history, known.signals, day_number(run.as_of), horizon)
    return _stored(replace(fitted, margin=known.margins.of_book()), run.as_of)


def horizon_of_book(orders: History, as_of: dt.date) -> int:
    """The company's own definition where it states one, else what the buying rhythm says."""
    stated = definition_for(definitions_in_force(), "", BillingMode.REPEAT).horizon_days
    return stated or default_horizon(purchases_of(orders), day_number(as_of))


def _stored(fitted: engine.FittedModel, as_of: dt.date) -> FittedModel:
    model, _ = FittedModel.objects.get_or_create(
        version=fitted.version,
        defaults={
            "as_of": as_of,
            "horizon_days": fitted.basis.horizon,
            "stage": fitted.stage,
            "has_signal": fitted.has_signal,
            "summary": fitted.summary | {"margin": fitted.margin},
            "payload": fitted.to_bytes(),
        },
    )
    return _worded(model)


def _worded(model: FittedModel) -> FittedModel:
    """Keep with the model what its reasons are told with; also with one fitted before words were kept."""
    if not model.wording:
        fitted = engine.model_from_bytes(bytes(model.payload))
        model.wording = wording_of(fitted, fitted.factors).to_json()
        model.save(update_fields=["wording", "updated_at"])
    return model


def _chunks(run: ScoreRun, ids: np.ndarray) -> list[ScoreChunk]:
    """Ranges of ids that together cover every id there could be."""
    starts = [0, *ids[CHUNK_ACCOUNTS::CHUNK_ACCOUNTS].tolist()]
    ends = [start - 1 for start in starts[1:]] + [LAST_ID]
    return [
        ScoreChunk(run=run, number=number, first_id=first, last_id=last)
        for number, (first, last) in enumerate(zip(starts, ends, strict=True))
    ]


def claim_chunk(run_id: int | None = None) -> ScoreChunk | None:
    """Take a chunk that waits, or whose worker is gone; None when there is none to take now."""
    free = Q(state=ChunkState.WAITING) | Q(state=ChunkState.CLAIMED, lease_until__lt=Now())
    with transaction.atomic():
        chunks = ScoreChunk.objects.filter(free, run__state=RunState.SCORING)
        if run_id is not None:
            chunks = chunks.filter(run_id=run_id)
        chunk = chunks.order_by("run_id", "number").select_for_update(skip_locked=True, of=["self"]).first()
        if chunk is None:
            return None
        chunk.attempts += 1
        if chunk.attempts > MOST_ATTEMPTS:
            _give_up(chunk)
            return None
        chunk.state, chunk.lease_until = ChunkState.CLAIMED, timezone.now() + LEASE
        chunk.claimed_by = f"{socket.gethostname()}:{os.getpid()}"
        chunk.save()
    return chunk


def _give_up(chunk: ScoreChunk) -> None:
    chunk.state = ChunkState.FAILED
    chunk.message = f"Given up after {MOST_ATTEMPTS} attempts; the last was by {chunk.claimed_by}."
    chunk.save()
    ScoreRun.objects.filter(pk=chunk.run_id).update(state=RunState.FAILED, message=chunk.message)


def score_chunk(chunk: ScoreChunk, records: Records | None = None) -> int:
    """Score one claimed chunk in one transaction; returns the number of accounts scored.

    A claim that was lost meanwhile (the run was started anew, or another worker took over) writes nothing.
    """
    with transaction.atomic():
        # Waiting, not skipping: a worker that looks for a chunk holds rows it will not take for a moment. Not in the usual
        # order, which is that of runs: their row would be held too, and no chunk be scored beside another.
        held = (
            ScoreChunk.objects.select_for_update()
            .filter(pk=chunk.pk, state=ChunkState.CLAIMED, attempts=chunk.attempts)
            .order_by()
            .first()
        )
        if held is None:
            return 0
        run = ScoreRun.objects.select_related("model", "contract_model").get(pk=chunk.run_id)
        if records is None:
            known = load_records(run.as_of, chunk.first_id, chunk.last_id)
        else:
            known = records.between(chunk.first_id, chunk.last_id)
        rules = tier_policy_in_force().rules()
        scores = _scores_by_orders(run, known, rules)
        contracts = score_contract_accounts(run, chunk, known, scores, rules)
        held.accounts = write_scores(run, chunk, known, scores, contracts)
        held.state, held.finished_at = ChunkState.DONE, timezone.now()
        held.save()
    return held.accounts


def _scores_by_orders(run: ScoreRun, known: Records, rules: TierRules) -> Scores | None:
    """None in a book that has contracts and no orders."""
    if run.model is None:
        return None
    fitted = engine.model_from_bytes(bytes(run.model.payload))
    return score_accounts(known.history, day_number(run.as_of), fitted, rules, known.signals, known.margins)


def publish_run(run_id: int) -> ScoreRun | None:
    """Show the scores of a run once its last chunk is done; None while it is not, or when somebody else did."""
    with transaction.atomic():
        # "no key": scores that are being written refer to this row, and need not wait for each other here.
        run = ScoreRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.state != RunState.SCORING or run.chunks.exclude(state=ChunkState.DONE).exists():
            return None
        run.summary = _summary_of(run)
        run.accounts = run.summary["accounts"]
        run.state, run.published_at = RunState.PUBLISHED, timezone.now()
        run.save()
        announce_scores(run)
    return run


def _summary_of(run: ScoreRun) -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tier, count(*), sum(revenue_at_risk_company)::float8 FROM retention_score"
            " WHERE as_of = %s GROUP BY tier ORDER BY tier",
            [run.as_of],
        )
        rows = cursor.fetchall()
    model = run.model or run.contract_model
    assert model is not None, "a run has its model before it is published"
    risky = {Tier.AT_RISK, Tier.QUIET}
    return {
        "accounts": sum(count for _, count, _ in rows),
        "tiers": {tier: count for tier, count, _ in rows},
        "revenue_at_risk": round(sum(money for tier, _, money in rows if tier in risky), 2),
        "currency": get_company().currency,
        "stage": model.stage,
        "has_signal": model.has_signal,
        "model": model.summary,
        "contracts": run.contract_model.summary if run.contract_model else None,
    }


def score_book(
    as_of: dt.date,
    horizon: int | None = None,
    *,
    takes_action: bool = True,
    progress: Progress = lambda *_: None,
) -> ScoreRun:
    """A whole run in this process, reading the orders once: what the command does.

    Workers may take chunks of it meanwhile; the result is the same.
    """
    run = prepare_run(as_of, horizon, takes_action=takes_action)
    try:
        with transaction.atomic():
            _hold(run)
            progress("reading orders", 0, 1)
            records = load_records(as_of)
            progress("fitting", 0, 1)
            run = fit_run(run, records)
    except ScoringError as problem:
        fail_run(run, str(problem))
        raise
    total = run.chunks.count()
    progress("scoring", 0, total)
    # While PostgreSQL writes one chunk, the next one is worked out. A transaction around us would hide the chunks.
    helpers = 0 if total < 2 or connection.in_atomic_block else 1
    with ThreadPoolExecutor(1) as pool:
        others = [pool.submit(_score_in_thread, run, records) for _ in range(helpers)]
        for _ in _scored(run, records):
            progress("scoring", run.chunks.filter(state=ChunkState.DONE).count(), total)
        for other in others:
            other.result()
    return _await_publication(run)


def _scored(run: ScoreRun, records: Records) -> Iterator[int]:
    """Score free chunks of a run until there are none; yields the accounts of each."""
    while (chunk := claim_chunk(run.pk)) is not None:
        yield score_chunk(chunk, records)


def _score_in_thread(run: ScoreRun, records: Records) -> None:
    try:
        for _ in _scored(run, records):
            pass
    finally:
        connection.close()


def _await_publication(run: ScoreRun) -> ScoreRun:
    """Publish, once workers that took chunks of the run have finished or lost them."""
    while publish_run(run.pk) is None:
        run.refresh_from_db()
        if run.state == RunState.PUBLISHED:
            break
        if run.state == RunState.FAILED:
            raise ScoringError(run.message)
        if (chunk := claim_chunk(run.pk)) is not None:
            score_chunk(chunk)
        else:
            time.sleep(0.2)
    return ScoreRun.objects.select_related("model").get(pk=run.pk)


def fail_run(run: ScoreRun, message: str) -> None:
    """Record why a run cannot be finished."""
    ScoreRun.objects.filter(pk=run.pk).update(state=RunState.FAILED, message=message)


def _hold(run: ScoreRun) -> None:
    """Lock a run's row until the transaction ends: nobody else fits it while its worker lives."""
    ScoreRun.objects.select_for_update(no_key=True).get(pk=run.pk)


def start_night(local_date: dt.date) -> ScoreRun:
    """The run of the night before `local_date`, fitted and ready to be scored; kept when it is there already."""
    wanted = local_date - dt.timedelta(days=1)
    as_of = min(wanted, default_as_of())
    run = ScoreRun.objects.filter(as_of=as_of).exclude(state=RunState.FAILED).first()
    if run is not None and run.state in {RunState.SCORING, RunState.PUBLISHED}:
        return run
    newest = not ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__gt=as_of).exists()
    return fit_run(prepare_run(as_of, takes_action=newest))


def resume_run(run_id: int) -> ScoreRun | None:
    """Fit a run that was prepared and has no model yet; None when somebody does or did that, or it cannot be done."""
    try:
        with transaction.atomic():
            runs = ScoreRun.objects.select_for_update(no_key=True, skip_locked=True)
            run = runs.filter(pk=run_id, state=RunState.PREPARING).first()
            return fit_run(run) if run is not None and _lies_idle(run) else None
    except ScoringError as problem:
        ScoreRun.objects.filter(pk=run_id).update(state=RunState.FAILED, message=str(problem))
        return None


def _lies_idle(run: ScoreRun) -> bool:
    """Nobody has begun to fit it, or whoever did has had time to lock it."""
    return run.started_at is None or timezone.now() - run.started_at > LEASE


@dataclass(frozen=True)
class Unfinished:
    """Runs that wait for somebody, and seconds until the last lease is over (None when nobody holds one)."""

    to_fit: list[int]
    to_score: list[int]
    to_publish: list[int]
    to_act_on: list[int]
    next_lease: float | None


def find_unfinished() -> Unfinished:
    """What the reaper rings for: free chunks, finished runs that nobody published."""
    now = timezone.now()
    open_chunks = ScoreChunk.objects.filter(run__state=RunState.SCORING).exclude(state=ChunkState.DONE)
    free = open_chunks.filter(Q(state=ChunkState.WAITING) | Q(lease_until__lt=now))
    to_publish = ScoreRun.objects.filter(state=RunState.SCORING).exclude(pk__in=open_chunks.values("run_id"))
    leases = _leases(now)
    left = (max(leases) - now).total_seconds() if leases else None
    to_fit = [run.pk for run in ScoreRun.objects.filter(state=RunState.PREPARING) if _lies_idle(run)]
    to_act_on = ScoreRun.objects.filter(state=RunState.PUBLISHED, takes_action=True, acted_at__isnull=True)
    return Unfinished(
        to_fit,
        list(free.order_by("run_id").values_list("run_id", flat=True).distinct()),
        list(to_publish.values_list("pk", flat=True)),
        list(to_act_on.values_list("pk", flat=True)),
        left,
    )


def _leases(now: dt.datetime) -> list[dt.datetime]:
    """When the claims of the moment run out: of chunks, of nights, of runs somebody has begun to fit."""
    chunks = ScoreChunk.objects.filter(run__state=RunState.SCORING, state=ChunkState.CLAIMED)
    nights = JobRun.objects.filter(state="running")
    begun = ScoreRun.objects.filter(state=RunState.PREPARING).values_list("started_at", flat=True)
    ends = [
        *chunks.values_list("lease_until", flat=True),
        *nights.values_list("lease_until", flat=True),
        *(moment + LEASE for moment in begun if moment is not None),
    ]
    return [end for end in ends if end is not None and end >= now]


def default_as_of() -> dt.date:
    """The day a run is for when nobody says: yesterday, or the last day of a book that ended longer ago."""
    first, last = _book_days()
    yesterday = company_today() - dt.timedelta(days=1)
    return max(first, last if yesterday - last > STALE else yesterday)
