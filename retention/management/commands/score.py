"""score: work out who is about to leave, as of the end of a day."""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from retention.models import ScoreRun
from retention.scoring.errors import ScoringError
from retention.services.actions import act_on_run
from retention.services.scoring import default_as_of, score_book


def iso_date(text: str) -> dt.date:
    """A date as typed on the command line."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"'{text}' is not a date; write it as 2026-01-31.") from None


class Command(BaseCommand):
    help = "Score every customer as of the end of a day, from what had happened by then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--as-of", metavar="YYYY-MM-DD", help="default: yesterday, or the book's last day"
        )
        parser.add_argument(
            "--horizon", type=int, metavar="DAYS", help="default: from the book's own buying rhythm"
        )
        parser.add_argument(
            "--no-actions", action="store_true", help="open no handbacks, plan no touchpoints"
        )

    def handle(self, *args: Any, **chosen: Any) -> None:
        began = time.monotonic()
        try:
            as_of = iso_date(chosen["as_of"]) if chosen["as_of"] else default_as_of()
            run = score_book(
                as_of, chosen["horizon"], takes_action=not chosen["no_actions"], progress=self._show
            )
        except ScoringError as problem:
            raise CommandError(str(problem)) from None
        act_on_run(run)
        if sys.stderr.isatty():
            self.stderr.write("")
        self.stdout.write(summary(run, time.monotonic() - began))

    def _show(self, doing: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            counted = f" {done} of {total} parts" if total > 1 else ""
            self.stderr.write(f"\r{doing}{counted}".ljust(60), ending="")
            self.stderr.flush()


STAGES = {
    "rules": "rules (too few customers for more)",
    "rhythm": "buying-rhythm model",
    "learned": "learned model",
    "contract": "contract model",
}


def summary(run: ScoreRun, seconds: float) -> str:
    """The last line a person reads: how many, which model, who is at risk, what is at stake."""
    said = run.summary
    tiers = said["tiers"]
    stage = STAGES[said["stage"]] if said["has_signal"] else "no usable signal, everyone gets the base rate"
    risky = ", ".join(
        f"{tiers.get(name, 0):,} {name.replace('_', ' ')}" for name in ("at_risk", "quiet", "watch")
    )
    return (
        f"Scored {run.accounts:,} accounts as of {run.as_of}, horizon {run.horizon_days} days, {stage}: {risky};"
        f" {said['currency']} {said['revenue_at_risk']:,.0f} a year at risk; {seconds:.1f} s."
    )
