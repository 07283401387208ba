"""What connected systems are told of an account: a row per account and connection that holds the newest state.

Only what differs from what the system was told last is sent. A value that changes while it is being sent goes out with
the next batch; one that changes back before it was sent is not sent at all. Sending the same twice (a kill between
the answer and our note of it) leaves the same over there.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection as database
from django.utils import timezone

from accounts.crm.landing import as_json
from accounts.crm.protocol import Change, Pushed
from accounts.models import Connection, WriteBack
from accounts.models.crm import WriteBackState

# Field -> (what it is called over there, type); the values are facts that the apps above hand down.
FIELDS: dict[str, tuple[str, str]] = {
    "churn_probability": ("Mainstay churn probability", "number"),
    "tier": ("Mainstay tier", "text"),
    "reasons": ("Mainstay reasons", "text"),
    "revenue_at_risk": ("Mainstay revenue at risk a year", "number"),
    "revenue_currency": ("Mainstay currency", "text"),
    "next_touchpoint_on": ("Mainstay next touchpoint", "date"),
}
BACK_OFF_MINUTES = (1, 5, 15, 60, 240)
QUEUE = """
INSERT INTO accounts_writeback AS w (connection_id, account_id, fields, sent, version, state, attempts,
                                     next_attempt_at, last_error, created_at, updated_at)
SELECT %(connection)s, c.account_id, c.fields::jsonb, '{}', 1, 'waiting', 0, now(), '', now(), now()
FROM unnest(%(accounts)s::bigint[], %(fields)s::text[]) AS c(account_id, fields)
ON CONFLICT (connection_id, account_id) DO UPDATE SET
    fields = excluded.fields, version = w.version + 1, attempts = 0, next_attempt_at = now(), updated_at = now(),
    state = CASE WHEN w.sent = excluded.fields THEN 'sent' ELSE 'waiting' END
WHERE w.fields <> excluded.fields
"""
# The id an account has over there: its own where it came from that system, else the alias that links it.
BATCH = """
SELECT w.id, w.version, w.fields, w.sent, COALESCE(l.external_id, a.external_id)
FROM accounts_writeback w JOIN accounts_account a ON a.id = w.account_id
LEFT JOIN LATERAL (SELECT external_id FROM accounts_recordalias l
                   WHERE l.account_id = a.id AND l.record_source = %(source)s ORDER BY l.id LIMIT 1) l ON true
WHERE w.connection_id = %(connection)s AND w.state = 'waiting' AND w.next_attempt_at <= clock_timestamp()
  AND (l.external_id IS NOT NULL OR a.record_source = %(source)s)
ORDER BY w.id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One row of the outbox on its way."""

    pk: int
    version: int
    fields: Mapping[str, Any]
    change: Change


def queue_write_backs(connection: Connection, rows: Mapping[int, Mapping[str, Any]]) -> int:
    """Note what the system shall know of accounts (id -> FIELDS), in the caller's transaction; how many rows differ
    from what was noted before."""
    unknown = {name for fields in rows.values() for name in fields} - set(FIELDS)
    if unknown:
        raise ValueError(f"no fields of the outbox: {sorted(unknown)}")
    if not rows:
        return 0
    told = [as_json(fields) for fields in rows.values()]
    with database.cursor() as cursor:
        cursor.execute(QUEUE, {"connection": connection.pk, "accounts": list(rows), "fields": told})
        return int(cursor.rowcount)


def next_batch(connection: Connection, limit: int) -> list[Outgoing]:
    """What is due, oldest first; of each account only what differs from what the system was told."""
    with database.cursor() as cursor:
        cursor.execute(
            BATCH, {"connection": connection.pk, "source": connection.record_source, "limit": limit}
        )
        rows = cursor.fetchall()
    return [
        Outgoing(pk, version, _dict(fields), Change(source_id, _difference(_dict(fields), _dict(sent))))
        for pk, version, fields, sent, source_id in rows
    ]


def _dict(value: Any) -> dict[str, Any]:
    """jsonb of a raw cursor comes as text (Django switches psycopg2's own reading off)."""
    if isinstance(value, dict):
        return value

    loaded: dict[str, Any] = json.loads(value)
    return loaded


def _difference(fields: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    gone = {name: None for name in sent if name not in fields}
    return {
        name: value for name, value in fields.items() if sent.get(name) != value or name not in sent
    } | gone


def note_results(batch: Sequence[Outgoing], results: Sequence[Pushed]) -> tuple[int, int]:
    """Write down what became of a batch: (sent, refused). What changed meanwhile stays waiting."""
    by_id = {result.source_id: result for result in results}
    sent = refused = 0
    for one in batch:
        result = by_id.get(
            one.change.source_id, Pushed(one.change.source_id, "was not answered", is_final=False)
        )
        row = WriteBack.objects.select_for_update().get(pk=one.pk)
        if result.is_ok:
            row.sent, row.sent_at, row.attempts, row.last_error = dict(one.fields), timezone.now(), 0, ""
            row.state = WriteBackState.SENT if row.version == one.version else WriteBackState.WAITING
            sent += 1
        else:
            _note_refusal(row, result)
            refused += 1
        row.save()
    return sent, refused


def _note_refusal(row: WriteBack, result: Pushed) -> None:
    minutes = BACK_OFF_MINUTES[min(row.attempts, len(BACK_OFF_MINUTES) - 1)]
    row.attempts += 1
    row.last_error = result.error[:500]
    row.next_attempt_at = timezone.now() + dt.timedelta(minutes=minutes)
    if result.is_final:
        row.state = WriteBackState.FAILED
