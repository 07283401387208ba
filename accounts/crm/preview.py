"""What taking in everything that is landed would do: it is done, counted, and taken back in one transaction.

So the counts are those of the real thing, refusals and doubtful records among them. Nobody else can save an import
meanwhile; reading, which takes longest, happens before, outside of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import transaction

from accounts.crm.intake import Taken, mapper_of, note_taken, retry_refused, take_batch
from accounts.crm.linking import aliases_of
from accounts.crm.mapping import Mapper, as_text
from accounts.models import Connection, ImportRun, Quarantine
from accounts.models.crm import Decision, Linkable

EXAMPLES = 5
REASONS = 12
DOUBTFUL = 10
COUNTS = ("read", "created", "changed", "same", "quarantined")


def find_out(connection: Connection) -> dict[str, Any]:
    """Per stream: how many records are new, changed, the same, refused, in doubt, or not wanted; with examples. Why
    records would be refused, which would wait for a person, and how many accounts and contacts are known from
    elsewhere. JSON."""
    with transaction.atomic():
        told = _take_everything(connection)
        transaction.set_rollback(True)
    return told


def _take_everything(connection: Connection) -> dict[str, Any]:
    known_before = _count_linked(connection)
    retry_refused(connection)
    streams, reasons, doubtful = [], Counter[tuple[str, str, str]](), []
    for cursor in connection.streams.filter(is_wanted=True):
        mapper = mapper_of(connection, cursor.stream)
        if mapper is None:
            continue
        streams.append(_take_stream(connection, cursor.stream, mapper, reasons))
        if mapper.kind.name in Linkable:
            doubtful += _doubtful(connection, cursor.stream, mapper)
    return {
        "streams": streams,
        "refused": [
            {"stream": stream, "column": column, "reason": reason, "n": n}
            for (stream, column, reason), n in reasons.most_common(REASONS)
        ],
        "doubtful": doubtful[:DOUBTFUL],
        **{name: n - known_before[name] for name, n in _count_linked(connection).items()},
    }


def _count_linked(connection: Connection) -> dict[str, int]:
    names = {"linked": Linkable.ACCOUNTS, "linked_contacts": Linkable.CONTACTS}
    return {name: aliases_of(kind, connection.record_source).count() for name, kind in names.items()}


def _take_stream(
    connection: Connection,
    stream: str,
    mapper: Mapper,
    reasons: Counter[tuple[str, str, str]],
) -> dict[str, Any]:
    told: dict[str, Any] = dict.fromkeys((*COUNTS, "refused"), 0)
    told |= {"stream": stream, "kind": mapper.kind.name, "examples": {}}
    after = 0
    while True:
        taken = take_batch(connection, stream, mapper, after)
        if taken.last_id is None:
            break
        after = taken.last_id
        note_taken(taken)
        _add(told, taken)
        if taken.run is not None:
            reasons.update(_reasons(stream, taken.run))
    told["left_out"] = told["read"] - sum(
        told[name] for name in ("created", "changed", "same", "quarantined", "refused")
    )
    return told


def _add(told: dict[str, Any], taken: Taken) -> None:
    for name in COUNTS:
        told[name] += getattr(taken, name)
    told["refused"] += len(taken.refused)
    for name in ("created", "changed"):
        found = (taken.run.examples if taken.run else {}).get(name, [])
        told["examples"][name] = [*told["examples"].get(name, []), *found][:EXAMPLES]


def _reasons(stream: str, run: ImportRun) -> Counter[tuple[str, str, str]]:
    rows = run.rejected.values_list("column", "reason")
    return Counter((stream, column, reason[:200]) for column, reason in rows)


def _doubtful(connection: Connection, stream: str, mapper: Mapper) -> list[dict[str, str]]:
    """Records that could be several of ours, by name."""
    waiting = Quarantine.objects.filter(
        raw__connection=connection, raw__stream=stream, decision=Decision.WAITING
    ).select_related("raw")
    return [
        {
            "id": one.raw.source_id,
            "name": as_text(mapper.row(one.raw.source_id, one.raw.payload).row.get("name")),
            "reason": one.reason,
        }
        for one in waiting.order_by("pk")[:DOUBTFUL]
    ]
