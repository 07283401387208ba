"""Records that came in late: dated before a day whose scores were already out when they were written."""

from __future__ import annotations

import datetime as dt

from django.db import connection

from retention.datasets.orders import end_of_day

# kind -> table, the moment or day a record is dated. Cancelled orders count: they were orders when they came.
_KINDS = {
    "orders": ("accounts_order", "ordered_at"),
    "issues": ("accounts_issue", "opened_at"),
    "promises": ("accounts_promise", "made_on"),
    "interactions": ("accounts_interaction", "happened_at"),
    "pulses": ("pulsecheck_pulsecheck", "taken_at"),
}


def late_records(as_of: dt.date, known_at: dt.datetime) -> dict[str, int]:
    """How many records of each kind are dated by the end of `as_of` but were written after `known_at`; kinds with none
    are left out. A run as of that day would say something else today."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        for kind, (table, dated) in _KINDS.items():
            query = f"SELECT count(*) FROM {table} WHERE created_at > %s AND {dated} < {end_of_day(as_of)}"  # noqa: S608
            cursor.execute(query, [known_at])
            found[kind] = cursor.fetchone()[0]
    return {kind: count for kind, count in found.items() if count}
