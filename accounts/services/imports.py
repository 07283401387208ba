"""Imports made in the browser: keep the file, look into it, run it in the background, throw the file away."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.utils import timezone

from accounts.ingest.errors import ImportBusy, IngestError
from accounts.ingest.headers import HEADER_WITHIN, find_layout, guess_kind, suggest
from accounts.ingest.load import RUN_LOCK, ImportOptions, import_file
from accounts.ingest.schema import Kind, find_kind
from accounts.ingest.sniff import RawBatch, open_table
from accounts.models import Account, ImportRun, User
from accounts.models.imports import ImportState

# A file is kept so that it can be looked at again and started again, not for ever.
KEPT_FOR = dt.timedelta(days=14)
SHOWN_ROWS = 5
NOT_TAKEN_UP_AFTER = dt.timedelta(seconds=20)
MOST_ATTEMPTS = 3
STARTABLE = {ImportState.UPLOADED, ImportState.PREVIEWED, ImportState.FAILED, ImportState.CANCELLED}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file looks like before anything is decided: its columns, first rows, and what they probably are."""

    describes: str
    header: list[str]
    rows: list[list[str]]
    kind: Kind
    suggested: dict[str, str]


def store_upload(file: UploadedFile, user: User) -> ImportRun:
    """Keep an uploaded file under a name of our own and make its run. IngestError when it is too large."""
    folder = settings.DATA_DIR / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / secrets.token_hex(16)
    try:
        size = _write(file, path)
    except IngestError:
        path.unlink(missing_ok=True)
        raise
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise IngestError(
            f"The file could not be kept ({problem.strerror}); make room on the disk and try again."
        ) from problem
    name = Path((file.name or "file").replace("\\", "/")).name
    return ImportRun.objects.create(
        file_name="".join(char for char in name if char.isprintable())[:255] or "file",
        stored_file=f"uploads/{path.name}",
        bytes_total=size,
        created_by=user,
    )


def _write(file: UploadedFile, path: Path) -> int:
    size = 0
    with path.open("xb") as out:
        path.chmod(0o600)
        for chunk in file.chunks():
            size += len(chunk)
            if size > settings.MAX_IMPORT_BYTES:
                limit = settings.MAX_IMPORT_BYTES // 1024**2
                raise IngestError(
                    f"The file is larger than {limit:,} MB; split it, or import it on the server with import_records."
                )
            out.write(chunk)
    return size


def stored_path(run: ImportRun) -> Path:
    """Where the file of a run lies. IngestError when it has been thrown away."""
    path: Path = settings.DATA_DIR / run.stored_file
    if not run.stored_file or not path.is_file():
        raise IngestError("The file of this import is no longer kept; upload it again.")
    return path


def inspect_upload(run: ImportRun, kind_name: str = "") -> Inspection:
    """Look at the beginning of the file. IngestError says why it is no table."""
    table = open_table(stored_path(run), run.file_name)
    first = next(iter(table.batches(HEADER_WITHIN + SHOWN_ROWS)), RawBatch())
    if not first.rows:
        raise IngestError(f"{run.file_name} has no row that could be read.")
    kind = find_kind(kind_name or run.kind or guess_kind(first.rows[0]))
    at = _header_index(first, kind)
    header = [" ".join(cell.strip("\ufeff").split())[:200] for cell in first.rows[at]]
    told: dict[str, str] = run.options.get("mapping", {}) if kind.name == run.kind else {}
    return Inspection(
        table.describes,
        header,
        [[cell[:200] for cell in row] for row in first.rows[at + 1 : at + 1 + SHOWN_ROWS]],
        kind,
        told or suggest(header, kind),
    )


def _header_index(first: RawBatch, kind: Kind) -> int:
    """The row that is the header: titles may stand above it."""
    try:
        return first.lines.index(find_layout(first, kind, {}, "").line)
    except IngestError:
        return 0


def choose_columns(run: ImportRun, kind_name: str, source: str, options: ImportOptions) -> None:
    """Keep what a person decided about the file, and check that it can work. IngestError says what is missing."""
    kind = find_kind(kind_name)
    table = open_table(stored_path(run), run.file_name, options.encoding)
    first = next(iter(table.batches(HEADER_WITHIN + SHOWN_ROWS)), RawBatch())
    find_layout(first, kind, options.mapping, run.file_name, guess=False)
    run.kind, run.record_source = kind.name, source
    run.options = asdict(options)
    run.save(update_fields=["kind", "record_source", "options", "updated_at"])


def queue_import(run_id: int, *, is_dry_run: bool) -> bool:
    """Have the run (or its preview) done in the background; False when it is under way or over already.
    The caller rings the worker; a lost ring only means that `resume_imports` takes it up later."""
    queued = ImportRun.objects.filter(pk=run_id, state__in=STARTABLE).update(
        state=ImportState.QUEUED,
        is_dry_run=is_dry_run,
        message="",
        rows_read=0,
        rows_rejected=0,
        bytes_read=0,
        finished_at=None,
        updated_at=timezone.now(),
    )
    return bool(queued)


def run_queued_import(run_id: int) -> ImportRun:
    """Do a queued run. Doing it twice at the same time or again later changes nothing."""
    run = ImportRun.objects.get(pk=run_id)
    if run.state not in {ImportState.QUEUED, ImportState.RUNNING} or _is_held(run_id):
        return run
    try:
        _count_attempt(run)
        return import_file(run, stored_path(run))
    except ImportBusy:
        return run
    except IngestError as problem:
        ImportRun.objects.filter(pk=run_id, state__in=[ImportState.QUEUED, ImportState.RUNNING]).update(
            state=ImportState.FAILED, message=str(problem), finished_at=timezone.now()
        )
        run.refresh_from_db()
        return run


def _count_attempt(run: ImportRun) -> None:
    """Remember that the run is tried once more; IngestError when its worker has died too often over it."""
    attempts = run.options.get("attempts", 0)
    if attempts >= MOST_ATTEMPTS:
        raise IngestError(f"Interrupted {attempts} times; nothing was imported. Import it in smaller parts.")
    run.options["attempts"] = attempts + 1
    run.save(update_fields=["options", "updated_at"])


def cancel_import(run_id: int) -> bool:
    """Stop a run that waits or works; nothing of it is kept. False when it had ended already."""
    waiting = ImportRun.objects.filter(pk=run_id, state__in=[ImportState.QUEUED, ImportState.RUNNING])
    return bool(
        waiting.update(
            state=ImportState.CANCELLED,
            message="Cancelled; nothing was imported.",
            finished_at=timezone.now(),
        )
    )


def find_forgotten_imports() -> list[int]:
    """Runs nobody works on although they should be: their ring was lost, or their worker was killed. Commands
    that were interrupted have no kept file; they are marked as failed."""
    since = timezone.now() - NOT_TAKEN_UP_AFTER
    open_runs = ImportRun.objects.filter(
        state__in=[ImportState.QUEUED, ImportState.RUNNING], updated_at__lt=since
    )
    forgotten = [run for run in open_runs if not _is_held(run.pk)]
    lost = [run.pk for run in forgotten if not run.stored_file]
    ImportRun.objects.filter(pk__in=lost).update(
        state=ImportState.FAILED,
        message="Interrupted; nothing was imported. Start it again.",
        finished_at=timezone.now(),
    )
    return [run.pk for run in forgotten if run.stored_file]


def _is_held(run_id: int) -> bool:
    """Whether a process works on the run at this moment."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [RUN_LOCK, run_id % 2**31])
        return not cursor.fetchone()[0]


def discard_old_uploads() -> int:
    """Throw away files older than KEPT_FOR, and those no run knows; the number of files gone."""
    before = timezone.now() - KEPT_FOR
    ImportRun.objects.filter(created_at__lt=before).exclude(stored_file="").update(stored_file="")
    kept = set(ImportRun.objects.exclude(stored_file="").values_list("stored_file", flat=True))
    gone = 0
    for path in (settings.DATA_DIR / "uploads").glob("*"):
        young = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) > timezone.now() - dt.timedelta(
            hours=1
        )
        if f"uploads/{path.name}" not in kept and not young:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def wants_new_accounts(kind: Kind, source: str) -> bool:
    """Whether a file of this kind would have nobody to belong to yet, so that accounts should come from it."""
    return "account" in kind.names and not Account.objects.filter(record_source=source).exists()
