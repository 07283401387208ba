"""benchmark score: a whole scoring run, step by step, against the cost of merely reading the orders."""

from __future__ import annotations

import resource
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from django.core.management.base import CommandParser
from django.db import connections

from retention.benchmarks.book import LAST_DAY, in_a_process, load_book, scratch_database
from retention.datasets import copy_to_array, day_number
from retention.datasets.records import Records, load_records
from retention.models import FittedModel, Score, ScoreChunk, ScoreRun
from retention.models.scores import ChunkState, RunState
from retention.scoring.features import NAMES, features_at
from retention.scoring.history import purchases_of
from retention.scoring.models import model_from_bytes
from retention.scoring.scores import score_accounts
from retention.services import scoring


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--horizon", type=int, default=90)
    parser.add_argument("--no-growth", action="store_true", help="leave out the run on half the book")
    parser.add_argument("--no-workers", action="store_true", help="leave out the runs by worker processes")


def run(chosen: Namespace) -> dict[str, Any]:
    """Figures in seconds unless their name says otherwise; `..._floors` are ratios to the floor."""
    half = None
    if not chosen.no_growth:
        with scratch_database():
            in_a_process(load_book, chosen.accounts // 2, chosen.orders // 2)
            half = in_a_process(_whole_run, chosen.horizon)["whole_run"]
    with scratch_database():
        began = time.perf_counter()
        orders = in_a_process(load_book, chosen.accounts, chosen.orders)
        figures: dict[str, Any] = {"accounts": chosen.accounts, "orders": orders}
        figures["generate_and_load"] = time.perf_counter() - began
        figures["floor"] = in_a_process(_floor)
        figures |= in_a_process(_whole_run, chosen.horizon)
        figures |= in_a_process(_steps, LAST_DAY)
        if not chosen.no_workers:
            said = {_digest()}
            for count in (1, 2):
                figures[f"workers_{count}"] = _by_workers(count)
                said.add(_digest())
            figures["different_results"] = len(said) - 1  # command, one worker, two workers: all the same
        figures["scores"] = Score.objects.count()
    if half is not None:
        figures["growth_when_doubled"] = figures["whole_run"] / half
    floor = figures["floor"]
    figures["read_and_features_floors"] = (figures["read"] + figures["features"]) / floor
    figures["whole_run_floors"] = figures["whole_run"] / floor
    figures["features_of_pandas"] = figures["features"] / figures["pandas_aggregates"]
    return figures


def _best(work: Callable[[], Any], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _floor() -> float:
    """The same three columns through binary COPY into numpy arrays, and nothing else."""
    return _best(_read_three_columns)


def _read_three_columns() -> None:
    rows = copy_to_array(
        "SELECT account_id, ordered_at, amount::float8 FROM accounts_order",
        {"account": ">i8", "moment": ">i8", "amount": ">f8"},
    )
    for name, kind in (("account", np.int64), ("moment", np.int64), ("amount", np.float64)):
        rows[name].astype(kind)


def _whole_run(horizon: int) -> dict[str, float]:
    """What `score` does, with the seconds of each step and the most memory it took."""
    marks: dict[str, float] = {}

    def mark(doing: str, done: int, total: int) -> None:
        marks.setdefault(doing, time.perf_counter())

    began = time.perf_counter()
    scoring.score_book(LAST_DAY, horizon, takes_action=False, progress=mark)
    ended = time.perf_counter()
    return {
        "read_records": marks["fitting"] - marks["reading orders"],
        "fit": marks["scoring"] - marks["fitting"],
        "score_and_write": ended - marks["scoring"],
        "whole_run": ended - began,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (1024 if sys.platform != "darwin" else 1024**2),
    }


def _steps(as_of: Any) -> dict[str, float]:
    """The steps by themselves, in one process and without writing."""
    began = time.perf_counter()
    records = load_records(as_of)
    read = time.perf_counter() - began
    day, fitted = day_number(as_of), model_from_bytes(bytes(FittedModel.objects.latest("pk").payload))
    features = _best(lambda: _features(records, day, fitted), 2)
    arguments = (records.history, day, fitted, None, records.signals)
    engine = _best(lambda: score_accounts(*arguments, margins=records.margins), 2)
    accounts = len(purchases_of(records.history).customers(day))
    return {
        "read": read,
        "features": features,
        "feature_count": len(NAMES),
        "pandas_aggregates": _pandas_aggregates(records),
        "engine_accounts_per_second": accounts / engine,
        "scored_and_told_accounts_per_second": accounts / max(engine - features, 1e-9),
    }


def _features(records: Records, day: int, fitted: Any) -> None:
    purchases = purchases_of(records.history)
    features_at(purchases, day, purchases.customers(day), fitted.basis)


def _pandas_aggregates(records: Records) -> float:
    """One groupby.agg of thirteen aggregates over the same rows."""
    history = records.history
    table = pd.DataFrame(
        {
            "account": np.repeat(history.account_ids, np.diff(history.offsets)),
            "day": history.day,
            "cents": history.cents,
        }
    )
    began = time.perf_counter()
    table.groupby("account", sort=False).agg(
        {
            "day": ["min", "max", "count", "mean", "std", "nunique"],
            "cents": ["sum", "mean", "std", "min", "max", "last", "median"],
        }
    )
    return time.perf_counter() - began


def _by_workers(count: int) -> float:
    """Seconds until so many worker processes, each reading its own parts, have scored the fitted run anew."""
    run = ScoreRun.objects.get(as_of=LAST_DAY)
    ScoreChunk.objects.filter(run=run).update(state=ChunkState.WAITING, attempts=0)
    ScoreRun.objects.filter(pk=run.pk).update(state=RunState.SCORING)
    connections.close_all()
    began = time.perf_counter()
    with ProcessPoolExecutor(count, get_context("fork")) as pool:
        for one in [pool.submit(_score_free_chunks, run.pk) for _ in range(count)]:
            one.result()
    scoring.publish_run(run.pk)
    return time.perf_counter() - began


def _digest() -> str:
    """A hash of everything the scores say, to the last digit."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT md5(string_agg(md5(account_id::text || churn_probability || tier || revenue_at_risk || coalesce(told::text, reasons_written::text)), '' "
            "ORDER BY account_id)) FROM retention_score"
        )
        return str(cursor.fetchone()[0])


def _score_free_chunks(run_id: int) -> None:
    while (chunk := scoring.claim_chunk(run_id)) is not None:
        scoring.score_chunk(chunk)
