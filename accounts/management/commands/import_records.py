"""import_records KIND FILE: read a file of records into the database."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.ingest.errors import IngestError
from accounts.ingest.headers import parse_mapping
from accounts.ingest.load import ImportOptions, Progress, import_file, start_import
from accounts.ingest.schema import KINDS
from accounts.models import ImportRun
from accounts.models.imports import ImportState

SHOWN_REFUSALS = 10


class Command(BaseCommand):
    help = (
        "Import a file of records (CSV in any common form, .gz, .xlsx). Importing it again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument(
            "--create-accounts", action="store_true", help="make accounts for unknown customers"
        )
        parser.add_argument("--map", action="append", default=[], metavar='"Their Column=our_column,..."')
        parser.add_argument(
            "--source", default="file", help="where the records come from; ids count within it"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, change nothing")
        parser.add_argument(
            "--all-or-nothing", action="store_true", help="import nothing if a row is refused"
        )
        parser.add_argument("--dates", choices=["day-first", "month-first"], default="")
        parser.add_argument(
            "--numbers", choices=["point", "comma"], default="", help="sign before the decimals"
        )
        parser.add_argument(
            "--encoding", default="", help="such as utf-8 or cp1252, when guessing goes wrong"
        )

    def handle(self, *args: Any, **chosen: Any) -> None:
        began = time.monotonic()
        try:
            run = self._import(chosen)
        except IngestError as problem:
            raise CommandError(str(problem)) from None
        self._show_refusals(run)
        if run.state == ImportState.FAILED:
            raise CommandError(run.message)
        self.stdout.write(summary(run, time.monotonic() - began))

    def _import(self, chosen: dict[str, Any]) -> ImportRun:
        mapping: dict[str, str] = {}
        for text in chosen["map"]:
            mapping |= parse_mapping(text)
        options = ImportOptions(
            mapping=mapping,
            **{
                name: chosen[name]
                for name in ("dates", "numbers", "encoding", "create_accounts", "all_or_nothing")
            },
        )
        path: Path = chosen["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        run = start_import(
            chosen["kind"],
            source=chosen["source"],
            file_name=path.name,
            options=options,
            is_dry_run=chosen["dry_run"],
        )
        return import_file(run, path, self._show if sys.stderr.isatty() else None)

    def _show(self, progress: Progress) -> None:
        line = f"\r{progress.doing}: {progress.rows:,} rows ({progress.share:.0%}), {progress.rejected:,} refused"
        self.stderr.write(f"{line:<70}", ending="" if progress.doing != "saving" else "\n")
        self.stderr.flush()

    def _show_refusals(self, run: ImportRun) -> None:
        for row in run.rejected.all()[:SHOWN_REFUSALS]:
            where = f", {row.column} '{row.value[:60]}'" if row.column else ""
            self.stderr.write(f"line {row.line_number}{where}: {row.reason}")
        if run.rows_rejected > SHOWN_REFUSALS:
            self.stderr.write(
                f"... and {run.rows_rejected - SHOWN_REFUSALS:,} more refused rows, see import {run.pk}"
            )


def summary(run: ImportRun, seconds: float) -> str:
    """The last line a person reads: what the import did, in counts."""
    verb = "Would import" if run.is_dry_run else "Imported"
    parts = [
        f"{run.rows_created:,} new",
        f"{run.rows_changed:,} changed",
        f"{run.rows_unchanged:,} unchanged",
        f"{run.rows_rejected:,} refused",
    ]
    made = f", {run.accounts_created:,} accounts created" if run.accounts_created else ""
    same = " Nothing changed." if run.rows_unchanged and not (run.rows_created or run.rows_changed) else ""
    said = f" {run.message}" if run.message else ""
    rate = f"{run.rows_read / seconds:,.0f} rows/s" if seconds else ""
    return (
        f"{verb} {run.rows_read:,} {run.kind.replace('_', ' ')} from {run.file_name} in {seconds:.1f} s ({rate}):"
        f" {', '.join(parts)}{made}. Import {run.pk}.{same}{said}"
    )
