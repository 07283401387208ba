"""Records as they came, landed before anything is made of them.

A record is known again by its id, and known to be the same by the hash of its payload. What is older than what we have
changes nothing, however often and in whatever order it comes; of two equally old states the one read later stands.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection as database

from accounts.crm.protocol import Record

# Landed records are compared here and not by the caller, so that the rule holds whoever lands them.
LAND = """
WITH came AS (
    SELECT * FROM unnest(%(ids)s::text[], %(hashes)s::text[], %(payloads)s::text[], %(changed)s::timestamptz[],
                         %(deleted)s::boolean[]) AS c(source_id, hash, payload, changed_at, is_deleted)
), known AS (
    SELECT r.source_id, r.hash, r.deleted_at, r.changed_at FROM accounts_rawrecord r
    WHERE r.connection_id = %(connection)s AND r.stream = %(stream)s AND r.source_id = ANY(%(ids)s)
), landed AS (
    INSERT INTO accounts_rawrecord AS r (connection_id, stream, source_id, hash, payload, changed_at, seen_at,
                                         deleted_at, is_back, is_pending, problem)
    SELECT %(connection)s, %(stream)s, source_id, hash, payload::jsonb, changed_at, clock_timestamp(),
           CASE WHEN is_deleted THEN clock_timestamp() END, false, NOT is_deleted, ''
    FROM came ORDER BY source_id
    ON CONFLICT (connection_id, stream, source_id) DO UPDATE SET
        seen_at = excluded.seen_at,
        changed_at = GREATEST(r.changed_at, excluded.changed_at),
        hash = CASE WHEN excluded.changed_at < r.changed_at THEN r.hash
                    WHEN excluded.deleted_at IS NOT NULL THEN r.hash ELSE excluded.hash END,
        payload = CASE WHEN excluded.changed_at < r.changed_at OR excluded.deleted_at IS NOT NULL
                       OR excluded.hash = r.hash THEN r.payload ELSE excluded.payload END,
        deleted_at = CASE WHEN excluded.changed_at < r.changed_at THEN r.deleted_at
                          WHEN excluded.deleted_at IS NULL THEN NULL
                          ELSE COALESCE(r.deleted_at, excluded.deleted_at) END,
        is_back = r.is_back OR (r.deleted_at IS NOT NULL AND excluded.deleted_at IS NULL
                                AND NOT COALESCE(excluded.changed_at < r.changed_at, false)),
        is_pending = r.is_pending OR (NOT COALESCE(excluded.changed_at < r.changed_at, false)
            AND ((excluded.deleted_at IS NULL AND excluded.hash <> r.hash)
                 OR (excluded.deleted_at IS NULL) <> (r.deleted_at IS NULL)))
    RETURNING source_id
)
SELECT count(*) FILTER (WHERE k.source_id IS NULL),
       count(*) FILTER (WHERE k.source_id IS NOT NULL AND NOT COALESCE(c.changed_at < k.changed_at, false)
           AND (c.is_deleted <> (k.deleted_at IS NOT NULL) OR (NOT c.is_deleted AND c.hash <> k.hash))),
       count(*) FILTER (WHERE c.is_deleted AND k.source_id IS NOT NULL AND k.deleted_at IS NULL
           AND NOT COALESCE(c.changed_at < k.changed_at, false))
FROM came c JOIN landed USING (source_id) LEFT JOIN known k USING (source_id)
"""
SEEN = """
UPDATE accounts_rawrecord SET seen_at = clock_timestamp()
WHERE connection_id = %s AND stream = %s AND source_id = ANY(%s)
"""
UNSEEN = "connection_id = %(connection)s AND stream = %(stream)s AND deleted_at IS NULL"
COUNT_UNSEEN = (
    f"SELECT count(*) FILTER (WHERE seen_at < %(since)s), count(*) FROM accounts_rawrecord WHERE {UNSEEN}"  # noqa: S608
)
MARK_UNSEEN = (
    "UPDATE accounts_rawrecord SET deleted_at = clock_timestamp(), is_pending = true"  # noqa: S608
    f" WHERE {UNSEEN} AND seen_at < %(since)s"
)
MARK_GONE = (
    "UPDATE accounts_rawrecord SET deleted_at = clock_timestamp(), is_pending = true"  # noqa: S608
    f" WHERE {UNSEEN} AND source_id = ANY(%(ids)s)"
)


@dataclass(frozen=True, slots=True)
class Landed:
    """How many records were new, changed, the same (or older), and gone."""

    created: int = 0
    changed: int = 0
    same: int = 0
    deleted: int = 0


# In one order of fields, so that the same record gives the same text; made once, not for each of a million records.
_encode = DjangoJSONEncoder(sort_keys=True, separators=(",", ":")).encode


def as_json(payload: Mapping[str, Any]) -> str:
    """The payload as jsonb takes it (it knows no NUL), whatever the order of its fields."""
    text = _encode(payload)
    return text.replace("\\u0000", "\\u2400") if "\\u0000" in text else text


def hash_of(record: Record, text: str) -> str:
    """A fingerprint of a record, whose payload is `text`, without what is volatile."""
    if not record.volatile.isdisjoint(record.payload):
        told = {name: value for name, value in record.payload.items() if name not in record.volatile}
        text = as_json(told)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def newest_of_each(records: Iterable[Record]) -> list[Record]:
    """One state of each record: the newest, of equally old ones the last."""
    newest: dict[str, Record] = {}
    for record in records:
        known = newest.get(record.source_id)
        if known is None or not _is_older(record, known):
            newest[record.source_id] = record
    return list(newest.values())


def _is_older(record: Record, known: Record) -> bool:
    if record.changed_at is None or known.changed_at is None:
        return False
    return record.changed_at < known.changed_at


def land(connection_id: int, stream: str, records: Sequence[Record]) -> Landed:
    """Write records down, in the transaction of the caller."""
    latest = newest_of_each(records)
    if not latest:
        return Landed()
    texts = [as_json(record.payload) for record in latest]
    with database.cursor() as cursor:
        cursor.execute(
            LAND,
            {
                "connection": connection_id,
                "stream": stream,
                "ids": [record.source_id for record in latest],
                "hashes": list(map(hash_of, latest, texts)),
                "payloads": texts,
                "changed": [record.changed_at for record in latest],
                "deleted": [record.is_deleted for record in latest],
            },
        )
        created, changed, deleted = cursor.fetchone()
    return Landed(created, changed - deleted, len(records) - created - changed, deleted)


def let_commit_not_wait() -> None:
    """The transaction under way is written to disk within a second of its commit, after those before it."""
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO off")


def mark_seen(connection_id: int, stream: str, ids: Sequence[str]) -> None:
    """Note that these records exist."""
    with database.cursor() as cursor:
        cursor.execute(SEEN, [connection_id, stream, list(ids)])


def count_unseen(connection_id: int, stream: str, since: dt.datetime) -> tuple[int, int]:
    """How many records were not seen since, and how many there are at all."""
    with database.cursor() as cursor:
        cursor.execute(COUNT_UNSEEN, {"connection": connection_id, "stream": stream, "since": since})
        unseen, total = cursor.fetchone()
    return unseen, total


def mark_unseen(connection_id: int, stream: str, since: dt.datetime) -> int:
    """Records that were not seen since are gone; how many."""
    with database.cursor() as cursor:
        cursor.execute(MARK_UNSEEN, {"connection": connection_id, "stream": stream, "since": since})
        return int(cursor.rowcount)


def mark_gone(connection_id: int, stream: str, ids: Sequence[str]) -> int:
    """These records are gone; how many were not known to be."""
    with database.cursor() as cursor:
        cursor.execute(MARK_GONE, {"connection": connection_id, "stream": stream, "ids": list(ids)})
        return int(cursor.rowcount)
