"""benchmark score: a whole scoring run, step by step, against the cost of merely reading the orders."""

from __future__ import annotations

import resource
import sys
import time
from argparse import Namespace
from typing import Any

import numpy as np
from django.core.management.base import CommandParser

from retention.benchmarks.book import LAST_DAY, load_book, scratch_database
from retention.datasets import copy_to_array, day_number, load_history
from retention.models import FittedModel, Score
from retention.scoring.models import model_from_bytes
from retention.scoring.scores import score_accounts
from retention.services import scoring


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--horizon", type=int, default=90)


def run(chosen: Namespace) -> dict[str, Any]:
    """Figures in seconds unless their name says otherwise; `ratio` is the whole run over the floor."""
    with scratch_database():
        began = time.perf_counter()
        orders = load_book(chosen.accounts, chosen.orders)
        figures: dict[str, Any] = {"accounts": chosen.accounts, "orders": orders}
        figures["generate_and_load"] = time.perf_counter() - began
        figures["floor"] = min(_floor() for _ in range(3))
        figures |= _whole_run(chosen.horizon)
        figures |= _engine_alone()
        figures["scores"] = Score.objects.count()
    figures["ratio"] = figures["whole_run"] / figures["floor"]
    figures["accounts_per_second"] = chosen.accounts / figures["whole_run"]
    figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024 if sys.platform != "darwin" else 1024**2
    )
    return figures


def _floor() -> float:
    """The same three columns through binary COPY into numpy arrays, and nothing else."""
    began = time.perf_counter()
    rows = copy_to_array(
        "SELECT account_id, ordered_at, amount::float8 FROM accounts_order",
        {"account": ">i8", "moment": ">i8", "amount": ">f8"},
    )
    for name, kind in (("account", np.int64), ("moment", np.int64), ("amount", np.float64)):
        rows[name].astype(kind)
    return time.perf_counter() - began


def _whole_run(horizon: int) -> dict[str, float]:
    """What `score` does, with the seconds of each step."""
    marks: dict[str, float] = {}

    def mark(doing: str, done: int, total: int) -> None:
        marks.setdefault(doing, time.perf_counter())

    began = time.perf_counter()
    scoring.score_book(LAST_DAY, horizon, takes_action=False, progress=mark)
    ended = time.perf_counter()
    return {
        "read": marks["fitting"] - marks["reading orders"],
        "fit": marks["scoring"] - marks["fitting"],
        "score_and_write": ended - marks["scoring"],
        "whole_run": ended - began,
    }


def _engine_alone() -> dict[str, float]:
    """Scores and reasons without the database."""
    history = load_history(LAST_DAY)
    fitted = model_from_bytes(bytes(FittedModel.objects.latest("pk").payload))
    began = time.perf_counter()
    scores = score_accounts(history, day_number(LAST_DAY), fitted)
    seconds = time.perf_counter() - began
    return {"engine_accounts_per_second": len(scores) / seconds}
