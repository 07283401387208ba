"""export_scores: the scores of a day as CSV, most money at risk first."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from retention.management.commands.score import iso_date
from retention.models import ScoreRun
from retention.models.scores import RunState
from retention.selectors.scores import EXPORT_COLUMNS, export_rows


class Command(BaseCommand):
    help = "Write the scores of a day (default: of the newest run) as CSV, most money at risk first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--as-of", metavar="YYYY-MM-DD", help="default: the newest published run")
        parser.add_argument("--output", metavar="FILE", type=Path, help="default: standard output")

    def handle(self, *args: Any, **chosen: Any) -> None:
        run = self._run(chosen["as_of"])
        try:
            with _opened(chosen["output"]) as out:
                written = self._write(run, out)
        except BrokenPipeError:
            return  # whoever read our output has seen enough
        except OSError as problem:
            raise CommandError(f"Cannot write {chosen['output']}: {problem.strerror}.") from None
        self.stderr.write(
            f"{written:,} scores as of {run.as_of}"
            + (f" in {chosen['output']}." if chosen["output"] else ".")
        )

    def _run(self, as_of: str | None) -> ScoreRun:
        runs = ScoreRun.objects.filter(state=RunState.PUBLISHED)
        if as_of:
            day = iso_date(as_of)
            if (run := runs.filter(as_of=day).first()) is None:
                raise CommandError(f"There are no scores as of {day}; run 'score --as-of {day}' first.")
            return run
        if (run := runs.first()) is None:
            raise CommandError("There are no scores yet; run 'score' first.")
        return run

    def _write(self, run: ScoreRun, out: IO[str]) -> int:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(EXPORT_COLUMNS)
        written = 0
        for row in export_rows(run):
            writer.writerow(row)
            written += 1
        return written


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that appears only once it is complete."""
    if path is None:
        yield sys.stdout
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as out:
            yield out
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
