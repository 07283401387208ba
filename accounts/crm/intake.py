"""Landed records through the import door, a batch at a time.

The door's own transaction writes the records, ours then notes that they were taken. Killed in between, the batch goes
through the door once more, which finds that it changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connection as database
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.crm.errors import CrmError, TryLater
from accounts.crm.linking import link_records, still_known
from accounts.crm.mapping import GONE, Mapped, Mapper
from accounts.ingest.errors import ImportBusy, IngestError
from accounts.ingest.load import import_rows
from accounts.models import Connection, FieldMap, ImportRun, Quarantine, RawRecord, User
from accounts.models.crm import Decision, Linkable
from accounts.models.imports import ImportState

BATCH = 5_000
MOST_REMEMBERED = 50_000


@dataclass(slots=True)
class Taken:
    """What became of one batch. `refused` is raw id -> reason; `done` are those that need no further look."""

    last_id: int | None = None
    read: int = 0
    created: int = 0
    changed: int = 0
    same: int = 0
    quarantined: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)
    entered: list[int] = field(default_factory=list)
    run: ImportRun | None = None


class Lookups:
    """Records of other streams by id. A stream may hold a million of them: a bounded number is remembered, and those
    that a batch refers to are fetched together."""

    def __init__(self, connection_id: int) -> None:
        self.connection_id = connection_id
        self.known: dict[tuple[str, str], Mapping[str, Any] | None] = {}

    def __call__(self, stream: str, source_id: str) -> Mapping[str, Any] | None:
        if (stream, source_id) not in self.known:
            self.prepare([(stream, source_id)])
        return self.known[stream, source_id]

    def prepare(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Fetch what will be asked for."""
        if len(self.known) > MOST_REMEMBERED:
            self.known.clear()
        by_stream: dict[str, list[str]] = {}
        for stream, source_id in {*wanted} - self.known.keys():
            by_stream.setdefault(stream, []).append(source_id)
        for stream, ids in by_stream.items():
            rows = RawRecord.objects.filter(
                connection_id=self.connection_id, stream=stream, source_id__in=ids
            )
            found = dict(rows.values_list("source_id", "payload"))
            self.known |= {(stream, one): found.get(one) for one in ids}


def map_version(connection: Connection, stream: str, *, locks: bool = False) -> dt.datetime | None:
    """When the map of a stream was last changed; with `locks`, nobody changes it before the transaction ends."""
    rows = FieldMap.objects.filter(connection=connection, stream=stream)
    if locks:
        rows = rows.select_for_update()
    return rows.values_list("updated_at", flat=True).first()


def mapper_of(connection: Connection, stream: str) -> Mapper | None:
    """How a stream is read; None for one that others only refer to."""
    saved = FieldMap.objects.filter(connection=connection, stream=stream).first()
    if saved is None:
        return None
    emails = User.objects.exclude(email="").values_list("email", flat=True)
    people = frozenset(email.lower() for email in emails)
    return Mapper(saved.kind, saved.columns, saved.only_if, Lookups(connection.pk), people)


class Raw(NamedTuple):
    """What is asked of a landed record that is taken in."""

    pk: int
    source_id: str
    hash: str
    payload: dict[str, Any]
    deleted_at: dt.datetime | None
    is_back: bool
    applied_at: dt.datetime | None


def take_batch(connection: Connection, stream: str, mapper: Mapper, after: int) -> Taken:
    """Take the next landed records of a stream; `last_id` is None when there are none left."""
    raws = _next_raws(connection, stream, after)
    taken = Taken(last_id=raws[-1].pk if raws else None, read=len(raws))
    taken.hashes = {raw.pk: raw.hash for raw in raws}
    if isinstance(mapper.lookup, Lookups):
        mapper.lookup.prepare(one for raw in raws for one in mapper.refers(raw.payload))
    gone = {raw.source_id for raw in raws if raw.deleted_at is not None or not mapper.takes(raw.payload)}
    rows = {
        raw.source_id: mapper.row(
            raw.source_id, raw.payload, is_gone=raw.source_id in gone, is_back=raw.is_back
        )
        for raw in raws
        if raw.source_id not in gone or _was_ours(mapper, raw)
    }
    ids = {raw.source_id: raw.pk for raw in raws}
    if mapper.kind.name in Linkable:
        kind = Linkable(mapper.kind.name)
        with transaction.atomic():
            waiting = link_records(connection, kind, rows, ids)
        taken.quarantined = len(waiting)
        for key in waiting:
            del rows[key], taken.hashes[ids[key]]
        for key in still_known(connection, kind, [key for key in rows if key in gone]):
            del rows[key]
    _enter(connection, mapper, rows, ids, taken)
    return taken


def _next_raws(connection: Connection, stream: str, after: int) -> list[Raw]:
    waits = Q(quarantine__decision__in=[Decision.LEFT_OUT, Decision.WAITING])
    raws = RawRecord.objects.filter(
        Q(quarantine__isnull=True) | ~waits,
        connection=connection,
        stream=stream,
        is_pending=True,
        pk__gt=after,
    )
    return [Raw(*values) for values in raws.order_by("pk").values_list(*Raw._fields)[:BATCH]]


def _was_ours(mapper: Mapper, raw: Raw) -> bool:
    """Whether a record that is gone matters: not if it went before it came in."""
    return raw.applied_at is not None and mapper.kind.name in GONE


def _enter(
    connection: Connection,
    mapper: Mapper,
    rows: Mapping[str, Mapped],
    ids: Mapping[str, int],
    taken: Taken,
) -> None:
    keys = list(rows)
    if not keys:
        return
    run = through_the_door(connection, mapper.kind.name, [rows[key].row for key in keys])
    for refusal in run.rejected.all():
        where = f"{refusal.column} '{refusal.value[:80]}' " if refusal.column else ""
        taken.refused[ids[keys[refusal.line_number - 1]]] = f"{where}{refusal.reason}"[:500]
    taken.entered = [pk for key in keys if (pk := ids[key]) not in taken.refused]
    taken.created, taken.changed, taken.same = run.rows_created, run.rows_changed, run.rows_unchanged
    taken.run = run


def through_the_door(connection: Connection, kind: str, rows: list[dict[str, Any]]) -> ImportRun:
    """One import of a connection. TryLater while another one is saving."""
    try:
        # Whose e-mail it is was asked by accounts.crm.linking, and maybe answered by a person.
        run = import_rows(kind, rows, source=connection.record_source, by_email=False, name=connection.name)
    except ImportBusy as busy:
        raise TryLater(str(busy), 20) from busy
    except IngestError as problem:
        raise CrmError(str(problem)) from problem
    if run.state != ImportState.DONE:
        raise TryLater(run.message or "The import did not finish.", 20)
    return run


def note_taken(taken: Taken) -> None:
    """Write down what became of a batch; records that changed meanwhile stay pending. In the caller's transaction."""
    now = timezone.now()
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_rawrecord r SET is_pending = false, problem = t.problem, is_back = false,"
            " applied_at = CASE WHEN t.entered THEN %s ELSE r.applied_at END"
            " FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::boolean[]) AS t(id, hash, problem, entered)"
            " WHERE r.id = t.id AND r.hash = t.hash",
            [
                now,
                list(taken.hashes),
                list(taken.hashes.values()),
                [taken.refused.get(pk, "") for pk in taken.hashes],
                _flags(taken),
            ],
        )


def _flags(taken: Taken) -> list[bool]:
    entered = set(taken.entered)
    return [pk in entered for pk in taken.hashes]


def retry_refused(connection: Connection) -> int:
    """Have records that were refused looked at again: what they refer to may have come meanwhile."""
    refused = RawRecord.objects.filter(connection=connection).exclude(problem="")
    return refused.update(is_pending=True)


def count_waiting(connection: Connection) -> int:
    """Records that wait for a person's decision."""
    return Quarantine.objects.filter(raw__connection=connection, decision=Decision.WAITING).count()
