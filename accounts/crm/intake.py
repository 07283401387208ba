"""Landed records through the import door, a batch at a time.

The door's own transaction writes the records, ours then notes that they were taken. Killed in between, the batch goes
through the door once more, which finds that it changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.crm.errors import CrmError, TryLater
from accounts.crm.linking import aliases_of, link_records, still_known
from accounts.crm.mapping import GONE, Mapped, Mapper
from accounts.ingest.errors import ImportBusy, IngestError
from accounts.ingest.load import import_rows
from accounts.models import (
    Account,
    Connection,
    FieldMap,
    ImportRun,
    Quarantine,
    RawRecord,
    User,
)
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


def take_batch(connection: Connection, stream: str, mapper: Mapper, after: int) -> Taken:
    """Take the next landed records of a stream; `last_id` is None when there are none left."""
    raws = list(
        RawRecord.objects.filter(
            Q(quarantine__isnull=True) | ~Q(quarantine__decision__in=[Decision.LEFT_OUT, Decision.WAITING]),
            connection=connection,
            stream=stream,
            is_pending=True,
            pk__gt=after,
        ).order_by("pk")[:BATCH]
    )
    taken = Taken(last_id=raws[-1].pk if raws else None, read=len(raws))
    taken.hashes = {raw.pk: raw.hash for raw in raws}
    if isinstance(mapper.lookup, Lookups):
        mapper.lookup.prepare(one for raw in raws for one in mapper.refers(raw.payload))
    rows = {raw.source_id: mapped for raw in raws if (mapped := _mapped(mapper, raw)) is not None}
    by_id = {raw.source_id: raw for raw in raws}
    if mapper.kind.name in Linkable:
        kind = Linkable(mapper.kind.name)
        with transaction.atomic():
            waiting = link_records(connection, kind, rows, by_id)
        taken.quarantined = len(waiting)
        for key in waiting:
            del rows[key], taken.hashes[by_id[key].pk]
        for key in still_known(connection, kind, [key for key in rows if _is_gone(mapper, by_id[key])]):
            del rows[key]
    _enter(connection, mapper, rows, by_id, taken)
    return taken


def _mapped(mapper: Mapper, raw: RawRecord) -> Mapped | None:
    """The row of a record, or None when it is nothing to us: gone before it came in, or not of the wanted ones."""
    is_gone = _is_gone(mapper, raw)
    if is_gone and (raw.applied_at is None or mapper.kind.name not in GONE):
        return None
    return mapper.row(raw.source_id, raw.payload, is_gone=is_gone, is_back=raw.is_back)


def _is_gone(mapper: Mapper, raw: RawRecord) -> bool:
    return raw.deleted_at is not None or not mapper.takes(raw.payload)


def _enter(
    connection: Connection,
    mapper: Mapper,
    rows: Mapping[str, Mapped],
    by_id: Mapping[str, RawRecord],
    taken: Taken,
) -> None:
    keys = list(rows)
    if not keys:
        return
    run = through_the_door(connection, mapper.kind.name, [rows[key].row for key in keys])
    for refusal in run.rejected.all():
        where = f"{refusal.column} '{refusal.value[:80]}' " if refusal.column else ""
        taken.refused[by_id[keys[refusal.line_number - 1]].pk] = f"{where}{refusal.reason}"[:500]
    taken.entered = [by_id[key].pk for key in keys if by_id[key].pk not in taken.refused]
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


def name_salespeople(
    connection: Connection,
    stream: str,
    mapper: Mapper,
    since: dt.datetime | None = None,
    still_here: Callable[[], None] = lambda: None,
) -> int:
    """Name the original salesperson of accounts that have none: whoever won their first order, of those taken in from
    `since` on; how many. `still_here` is called after each few thousand.

    Only for accounts of this connection, and never over somebody who stands there.
    """
    lacking = _without_salesperson(connection)
    if not lacking:
        return 0
    first: dict[str, tuple[str, str]] = {}
    mapper = mapper.only("account", "ordered_at", "salesperson")
    raws = RawRecord.objects.filter(connection=connection, stream=stream, deleted_at=None, problem="")
    if since is not None:
        raws = raws.filter(applied_at__gte=since)
    told = raws.values_list("source_id", "payload").iterator(chunk_size=2_000)
    for number, (source_id, payload) in enumerate(told):
        if number % 2_000 == 0:
            still_here()
        if not mapper.takes(payload):
            continue
        mapped = mapper.row(source_id, payload)
        account, when = str(mapped.row.get("account") or ""), str(mapped.row.get("ordered_at") or "")
        person = mapped.aside.get("salesperson", "")
        if account in lacking and person and when and (when, person) < first.get(account, ("\uffff", "")):
            first[account] = (when, person)
    winners = sorted((account, person) for account, (_, person) in first.items())
    changed = 0
    for begin in range(0, len(winners), BATCH):
        still_here()
        rows = [
            {"external_id": account, "name": lacking[account], "original_salesperson": person}
            for account, person in winners[begin : begin + BATCH]
        ]
        changed += through_the_door(connection, "accounts", rows).rows_changed
    return changed


def _without_salesperson(connection: Connection) -> dict[str, str]:
    """Source id -> name of the accounts of a connection nobody is named for."""
    source = connection.record_source
    own = Account.objects.filter(record_source=source, original_salesperson=None)
    linked = aliases_of(Linkable.ACCOUNTS, source).filter(account__original_salesperson=None)
    return {
        **dict(own.values_list("external_id", "name")),
        **dict(linked.values_list("external_id", "account__name")),
    }


def count_waiting(connection: Connection) -> int:
    """Records that wait for a person's decision."""
    return Quarantine.objects.filter(raw__connection=connection, decision=Decision.WAITING).count()
