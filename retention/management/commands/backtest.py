"""backtest: what the score would have said on earlier days, against what then happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from retention.datasets import date_of
from retention.scoring.backtest import Cutoff
from retention.scoring.errors import ScoringError
from retention.scoring.metrics import Figures
from retention.services.evidence import backtest_book

TITLES = ("AUC", "AP", "log loss", "Brier", "ECE", "lift")


class Command(BaseCommand):
    help = (
        "Check the score on past days, beside BG/NBD alone, days since the last order and the model before: figures,"
        " calibration, what the team's calls would have reached, lead time, leavers nobody was told of."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--horizon", type=int, metavar="DAYS", help="default: as `score` would choose")
        parser.add_argument(
            "--cutoffs", type=int, default=3, metavar="N", help="past days to check, one horizon apart"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")

    def handle(self, *args: Any, **chosen: Any) -> None:
        if not 1 <= chosen["cutoffs"] <= 24:
            raise CommandError(f"{chosen['cutoffs']} cutoffs cannot be used; give between 1 and 24.")
        try:
            results = backtest_book(chosen["horizon"], chosen["cutoffs"])
        except ScoringError as problem:
            raise CommandError(str(problem)) from None
        for result in results:
            self.stdout.write(table(result))
        if chosen["json"]:
            rows = [row_of(result) for result in results]
            chosen["json"].write_text(json.dumps(rows, indent=1) + "\n")


SHOWN = {"model": "score", "bgnbd": "BG/NBD", "recency": "recency", "previous": "previous"}


def row_of(result: Cutoff) -> dict[str, Any]:
    """All that is known of one day, with its dates as dates."""
    row = result.as_dict()
    for name in ("as_of", "previous_as_of"):
        row[name] = None if row[name] is None else date_of(row[name]).isoformat()
    return row


def table(result: Cutoff) -> str:
    """The figures of one day, a line per method; what the team's calls would have reached; who left unnoticed."""
    stage = result.stage if result.has_signal else "no usable signal"
    head = (
        f"As of {date_of(result.as_of)}, horizon {result.horizon} days: {result.customers:,} customers,"
        f" {result.churn_rate:.1%} did not come back; stage: {stage}"
    )
    lines = [head, " " * 12 + "".join(f"{title:>10}" for title in TITLES)]
    figures = result.verdict.figures
    for name, label in SHOWN.items():
        if name in figures:
            lines.append(f"{label:<12}" + "".join(f"{value:10.4f}" for value in _values(figures[name])))
    return "\n".join([*lines, *_sentences(result)]) + "\n"


def _values(shown: Figures) -> tuple[float, ...]:
    return shown.auc, shown.ap, shown.log_loss, shown.brier, shown.ece, shown.lift


def _sentences(result: Cutoff) -> Iterator[str]:
    capacity, missed, lead = result.verdict.capacity, result.missed, result.lead_time
    if result.previous_is and result.previous_as_of is not None:
        how = "as stored" if result.previous_is == "stored" else "the same recipe, fitted earlier"
        yield f"  previous: {how}, on what was known on {date_of(result.previous_as_of)}"
    groups = ", ".join(f"{g.said:.0%} {g.happened:.0%}" for g in result.verdict.calibration)
    yield f"  said and happened: {groups} (chance alone makes an ECE of {result.verdict.by_chance:.3f})"
    found = ", ".join(f"{SHOWN[name]} {count:.0f}" for name, count in capacity.found.items())
    yield (
        f"  {capacity.calls} calls ({capacity.window}) among {capacity.customers:,} active customers, of whom"
        f" {capacity.leavers:,} left, reach: {found}, by lot {capacity.at_random:.0f}"
    )
    yield (
        f"  left unnoticed: {missed.customers:,} of {missed.leavers:,}, {missed.as_usual:,} of them silent for no longer"
        " than usual"
    )
    if lead is not None:
        days = "less than half were rated at risk" if lead.days is None else f"median {lead.days:+.0f} days"
        yield f"  lead time: {lead.in_time:,} of {lead.leavers:,} leavers rated at risk in time; {days}"
