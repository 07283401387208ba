"""Run an import: the door that files, the API and CRM connections all go through.

One transaction per run, so a run that is killed, cancelled or fails leaves nothing behind; progress is written
through a second connection, so that it can be seen meanwhile. Rows refused are kept with the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from accounts.ingest.errors import ImportBusy, ImportCancelled, IngestError
from accounts.ingest.merge import EXAMPLES, MODELS, Counts, Merge, Problem, copy_rows, escape
from accounts.ingest.parse import Choices, Parser, Rejected, keep
from accounts.ingest.schema import Kind, find_kind
from accounts.ingest.sniff import RowsTable, Table, open_table
from accounts.ingest.values import DateOrder, NumberStyle, Reading
from accounts.models import AuditEntry, ImportRun, User
from accounts.models.imports import ImportState
from accounts.selectors import company_today, get_company, get_exchange_rates

# Advisory locks: (RUN_LOCK, run id) is held while a run is worked on, SAVE_LOCK while rows are matched and saved.
RUN_LOCK = 7301
SAVE_LOCK = 7302
LOCK_TIMEOUT = "55P03"
REPORT_EVERY = 0.5
ANALYZE_FROM = 5_000
ANALYZE_SHARE = 0.05  # of the table; the database itself waits for a tenth
GREW = """
SELECT n_mod_since_analyze + %(created)s >= %(share)s * n_live_tup FROM pg_stat_all_tables
WHERE relid = %(table)s::regclass
"""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a person chose for one import. Empty `dates` (day-first, month-first), `numbers` (point, comma) and
    `encoding` mean: find out from the file; so do columns that `mapping` does not name, when `guess` is set. With
    `by_email` a contact under a new id is the one of its account that alone has its e-mail."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    guess: bool = True
    dates: str = ""
    numbers: str = ""
    encoding: str = ""
    create_accounts: bool = False
    all_or_nothing: bool = False
    by_email: bool = True

    @classmethod
    def of(cls, run: ImportRun) -> Self:
        """The options a run was started with."""
        known = {name: run.options[name] for name in cls.__dataclass_fields__ if name in run.options}
        return cls(**known)

    @property
    def choices(self) -> Choices:
        return Choices(
            self.mapping,
            self.guess,
            DateOrder(self.dates) if self.dates else None,
            NumberStyle(self.numbers) if self.numbers else None,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: rows read and refused so far, share of the file read (0..1), and what it is doing."""

    rows: int
    rejected: int
    share: float
    doing: str


Listener = Callable[[Progress], None]


def wait_to_save(cursor: Any) -> None:
    """Be the only one who matches and saves records until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SAVE_LOCK])


def start_import(
    kind: str,
    *,
    source: str = "file",
    file_name: str = "",
    user: User | None = None,
    options: ImportOptions | None = None,
    is_dry_run: bool = False,
) -> ImportRun:
    """A new run, not begun yet. `source` names where the records come from: ids are only compared within it."""
    source = source.strip()
    if not source or len(source) > 60 or not source.isprintable():
        raise IngestError("The source needs a name of 1 to 60 characters, such as 'shop' or 'file'.")
    return ImportRun.objects.create(
        kind=find_kind(kind).name,
        record_source=source,
        file_name=file_name[:255],
        options=asdict(options or ImportOptions()),
        created_by=user,
        is_dry_run=is_dry_run,
        state=ImportState.QUEUED,
    )


def import_rows(
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    source: str,
    user: User | None = None,
    create_accounts: bool = False,
    all_or_nothing: bool = False,
    by_email: bool = True,
    name: str = "",
) -> ImportRun:
    """Upsert records that are in memory (API, CRM). Keys are our column names, decimals
    follow a point; row n is reported as line n.

    Raises IngestError when the batch as a whole cannot be taken, ImportBusy when another import is saving.
    """
    options = ImportOptions(
        numbers="point",
        create_accounts=create_accounts,
        all_or_nothing=all_or_nothing,
        by_email=by_email,
    )
    unknown = {key for row in rows for key in row} - set(find_kind(kind).names)
    if unknown:
        raise IngestError(f"{kind} have no field {', '.join(sorted(unknown))}.")
    run = start_import(kind, source=source, file_name=name, user=user, options=options)
    return run_import(run, RowsTable(rows), wait_seconds=20)


def import_file(run: ImportRun, path: Path, listener: Listener | None = None) -> ImportRun:
    """Run an import from the file at `path`."""
    try:
        table = open_table(path, run.file_name, ImportOptions.of(run).encoding)
    except IngestError as problem:
        _finish_badly(run, ImportState.FAILED, str(problem))
        raise
    return run_import(run, table, listener)


def run_import(
    run: ImportRun, table: Table, listener: Listener | None = None, wait_seconds: int = 0
) -> ImportRun:
    """Read, check and save `table` as `run` says; the finished run. A cancelled run comes back as cancelled.

    Raises IngestError with one sentence when nothing could be imported; the run then says the same.
    """
    try:
        with transaction.atomic():
            _hold(run)
            _begin(run, table)
            with Reporter(run, table, listener) as reporter, connection.cursor() as cursor:
                Importer(run, table, cursor, reporter, wait_seconds).run()
    except ImportBusy:
        raise
    except ImportCancelled:
        _finish_badly(run, ImportState.CANCELLED, "Cancelled; nothing was imported.")
    except IngestError as problem:
        _finish_badly(run, ImportState.FAILED, str(problem))
        raise
    except DatabaseError as problem:
        sentence = _database_trouble(problem)
        _finish_badly(run, ImportState.FAILED, sentence)
        is_locked = getattr(problem.__cause__, "pgcode", None) == LOCK_TIMEOUT
        raise (ImportBusy if is_locked else IngestError)(sentence) from problem
    run.refresh_from_db()
    return run


def _hold(run: ImportRun) -> None:
    """Nobody else works on this run until the transaction ends, and it has not been done already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [RUN_LOCK, run.pk % 2**31])
        if not cursor.fetchone()[0]:
            raise ImportBusy("This import is running already.")
    state = ImportRun.objects.values_list("state", flat=True).get(pk=run.pk)
    if state == ImportState.CANCELLED:
        raise ImportCancelled
    if state not in {ImportState.QUEUED, ImportState.RUNNING}:
        raise ImportBusy("This import has ended already.")


def _begin(run: ImportRun, table: Table) -> None:
    run.started_at = timezone.now()
    run.bytes_total = table.bytes_total


def _finish_badly(run: ImportRun, state: ImportState, message: str) -> None:
    ImportRun.objects.filter(pk=run.pk).update(state=state, message=message, finished_at=timezone.now())
    run.refresh_from_db()


def _database_trouble(problem: DatabaseError) -> str:
    code = getattr(problem.__cause__, "pgcode", None) or ""
    if code == "53100":
        return "The disk of the database is full; nothing was imported. Make room and start the import again."
    if code == LOCK_TIMEOUT:
        return "Another import is saving its rows; nothing was imported. Start it again in a minute."
    if code.startswith(("23", "40")):
        return "Somebody changed the same records at the same moment; nothing was imported. Start it again."
    return (
        f"The database could not save the import, so nothing was kept: {str(problem).strip().splitlines()[0]}"
    )


class Reporter:
    """Writes progress where others can see it while the run's own transaction is open, and notices a cancel."""

    def __init__(self, run: ImportRun, table: Table, listener: Listener | None) -> None:
        self.run = run
        self.table = table
        self.listener = listener
        self.side = connection.copy()
        self.last = 0.0

    def __enter__(self) -> Self:
        with self.side.cursor() as cursor:
            cursor.execute(
                "UPDATE accounts_importrun SET state = %s, started_at = %s, bytes_total = %s, message = ''"
                " WHERE id = %s AND state <> %s",
                ["running", self.run.started_at, self.run.bytes_total, self.run.pk, "cancelled"],
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.side.close()

    def report(self, doing: str, rows: int, rejected: int, *, now: bool = False) -> None:
        """Tell how far the run is, at most twice a second unless `now`; ImportCancelled when it shall stop."""
        if not now and time.monotonic() - self.last < REPORT_EVERY:
            return
        self.last = time.monotonic()
        with self.side.cursor() as cursor:
            cursor.execute(
                "UPDATE accounts_importrun SET rows_read = %s, rows_rejected = %s, bytes_read = %s,"
                " updated_at = now() WHERE id = %s RETURNING state",
                [rows, rejected, self.table.bytes_read, self.run.pk],
            )
            row = cursor.fetchone()
        if row and row[0] == ImportState.CANCELLED:
            raise ImportCancelled
        if self.listener:
            share = self.table.bytes_read / self.table.bytes_total if self.table.bytes_total else 1.0
            self.listener(Progress(rows, rejected, share, doing))


class Importer:
    """The steps of one run, inside its transaction."""

    def __init__(
        self, run: ImportRun, table: Table, cursor: CursorWrapper, reporter: Reporter, wait_seconds: int
    ) -> None:
        self.run_row = run
        self.table = table
        self.cursor = cursor
        self.reporter = reporter
        self.wait_seconds = wait_seconds
        self.options = ImportOptions.of(run)
        self.kind: Kind = find_kind(run.kind)
        self.rows = 0
        self.refusals: list[Rejected] = []
        self.refused = 0
        self.examples: list[dict[str, Any]] = []

    def run(self) -> None:
        company = get_company()
        reading = Reading(company.zone, company_today(), frozenset(get_exchange_rates()))
        self.parser = Parser(self.table, self.kind, reading, self.options.choices)
        self.merge = Merge(
            self.cursor,
            self.kind,
            self.parser.columns,
            source=self.run_row.record_source,
            currency=company.currency,
            zone=company.zone.key,
            create_accounts=self.options.create_accounts,
            by_email=self.options.by_email,
        )
        self._read()
        self._lock()
        self._match()
        counts = self._save()
        self._finish(counts)

    def _read(self) -> None:
        """Everything in the file that can be taken at all, into the staging table."""
        self.merge.prepare()
        self.cursor.execute("DROP TABLE IF EXISTS pg_temp.import_rejects")
        self.cursor.execute(
            'CREATE TEMP TABLE import_rejects (line bigint, "column" text, value text, reason text, raw text)'
            " ON COMMIT DROP"
        )
        for batch in self.parser.batches():
            self.rows += len(batch.lines) + len(batch.rejected)
            self.merge.stage(batch)
            self._refuse(batch.rejected)
            self.reporter.report("reading", self.rows, self.refused)

    def _lock(self) -> None:
        """One import at a time from here on: two at once could both take the same row for new."""
        if self.wait_seconds:
            self.cursor.execute(f"SET LOCAL lock_timeout = '{self.wait_seconds}s'")
        self.reporter.report("matching", self.rows, self.refused, now=True)
        wait_to_save(self.cursor)

    def _match(self) -> None:
        self.merge.resolve()
        refused = self.merge.refused()
        for line, raw, (problem, other, value) in self._with_raw(refused):
            header = self.parser.layout.theirs.get(problem.column, problem.column)
            reason = problem.reason.format(other=other)
            self._refuse([Rejected(line, header, value[:500], reason, keep(raw))])
        self._flush_refusals()

    def _with_raw(
        self, refused: Iterator[tuple[int, Problem, int, str]]
    ) -> Iterator[tuple[int, list[str], tuple[Problem, int, str]]]:
        """The refused rows with their cells, from a second look at the file: both come in the order of lines."""
        current = next(refused, None)
        if current is None:
            return
        for batch in self.table.batches():
            for line, raw in zip(batch.lines, batch.rows, strict=True):
                if current is not None and line == current[0]:
                    yield line, raw, current[1:]
                    current = next(refused, None)
            if current is None:
                return

    def _refuse(self, rejected: Sequence[Rejected]) -> None:
        self.refused += len(rejected)
        for one in rejected[: EXAMPLES - len(self.examples)]:
            self.examples.append({name: getattr(one, name) for name in ("line", "column", "value", "reason")})
        self.refusals.extend(rejected)
        if len(self.refusals) >= 5_000:
            self._flush_refusals()

    def _flush_refusals(self) -> None:
        if not self.refusals:
            return
        kept, self.refusals = self.refusals, []
        columns = [
            [str(one.line) for one in kept],
            [escape(one.column[:200]) for one in kept],
            [escape(one.value) for one in kept],
            [escape(one.reason[:500]) for one in kept],
            [escape(json.dumps(one.raw, ensure_ascii=False)) for one in kept],
        ]
        copy_rows(self.cursor, "import_rejects", columns)

    def _save(self) -> Counts:
        """Count, and unless this is a preview (or a row was refused and all or nothing is wanted) write."""
        counts = self.merge.count()
        counts.rejected = self.refused
        counts.examples["rejected"] = self.examples
        self.reporter.report("saving", self.rows, self.refused, now=True)
        self.is_held_back = self.options.all_or_nothing and self.refused > 0
        if not self.run_row.is_dry_run and not self.is_held_back:
            self.merge.write(self.run_row.pk, lambda: self._report("saving"))
            self._look_at_what_grew(counts.created)
        return counts

    def _look_at_what_grew(self, created: int) -> None:
        """New statistics, by which queries are planned, once the table has grown by so much; not after each of two hundred
        batches of a sync."""
        table = MODELS[self.kind.name]._meta.db_table
        if created >= ANALYZE_FROM:
            self.cursor.execute(GREW, {"created": created, "table": table, "share": ANALYZE_SHARE})
            if self.cursor.fetchone()[0]:
                self.cursor.execute(f"ANALYZE {table}")

    def _report(self, doing: str) -> None:
        self.reporter.report(doing, self.rows, self.refused)

    def _finish(self, counts: Counts) -> None:
        """Store the outcome in the transaction of the data: both are there, or neither."""
        run = ImportRun.objects.select_for_update().get(pk=self.run_row.pk)
        if run.state == ImportState.CANCELLED:
            raise ImportCancelled
        run.rejected.all().delete()
        self.cursor.execute(
            'INSERT INTO accounts_rejectedrow (run_id, line_number, "column", value, reason, raw)'
            ' SELECT %s, line, "column", value, reason, raw::jsonb FROM import_rejects ORDER BY line',
            [run.pk],
        )
        self.cursor.execute("SELECT clock_timestamp()")
        run.finished_at = self.cursor.fetchone()[0]
        run.started_at = self.run_row.started_at
        run.state, run.message = self._outcome(counts)
        run.rows_read, run.rows_rejected = self.rows, counts.rejected
        run.rows_created, run.rows_changed, run.rows_unchanged = (
            counts.created,
            counts.changed,
            counts.unchanged,
        )
        run.accounts_created, run.examples = counts.accounts_created, counts.examples
        run.bytes_total = run.bytes_read = self.table.bytes_total
        run.options = run.options | {
            "ignored": list(self.parser.layout.ignored),
            "columns": self.parser.layout.theirs,
        }
        run.options.pop("attempts", None)
        run.options["header"] = list(self.parser.layout.header)
        run.save()
        if run.state == ImportState.DONE:
            self._audit(run)

    def _outcome(self, counts: Counts) -> tuple[ImportState, str]:
        if self.run_row.is_dry_run:
            return ImportState.PREVIEWED, ""
        if self.is_held_back:
            return ImportState.FAILED, (
                f"{counts.rejected:,} of {self.rows:,} rows were refused, so none was imported (all or nothing)."
            )
        return ImportState.DONE, "" if self.rows else "The file has a header but no rows."

    def _audit(self, run: ImportRun) -> None:
        AuditEntry.objects.create(
            user=run.created_by,
            action="import_records",
            subject="import_run",
            subject_id=run.pk,
            detail={
                "kind": run.kind,
                "source": run.record_source,
                "file": run.file_name,
                "rows": run.rows_read,
            },
        )
