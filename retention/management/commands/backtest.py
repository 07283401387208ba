"""backtest: what the score would have said on earlier days, against what then happened."""

from __future__ import annotations

import json
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
    help = "Check the score on past days, beside BG/NBD alone and days since the last order."

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
            rows = [row.as_dict() | {"as_of": date_of(row.as_of).isoformat()} for row in results]
            chosen["json"].write_text(json.dumps(rows, indent=1) + "\n")


def table(result: Cutoff) -> str:
    """The figures of one day, a line per method."""
    stage = result.stage if result.has_signal else "no usable signal"
    head = (
        f"As of {date_of(result.as_of)}, horizon {result.horizon} days: {result.customers:,} customers,"
        f" {result.churn_rate:.1%} did not come back; stage: {stage}"
    )
    lines = [head, " " * 12 + "".join(f"{title:>10}" for title in TITLES)]
    for name, shown in (("score", result.model), ("BG/NBD", result.bgnbd), ("recency", result.recency)):
        lines.append(f"{name:<12}" + "".join(f"{value:10.4f}" for value in _values(shown)))
    return "\n".join(lines) + "\n"


def _values(shown: Figures) -> tuple[float, ...]:
    return shown.auc, shown.ap, shown.log_loss, shown.brier, shown.ece, shown.lift
