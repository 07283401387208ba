"""What happened besides orders as `Signals`: issues, promises, contacts, pulses, people who changed, handbacks.

As with orders, nothing dated after the end of `as_of` in the company's time zone is returned, and what was settled,
kept or closed later is still open. A person at a customer counts from the day we wrote them down: no record says when
they came. Whoever looks after an account on a past day follows from the changes of owner since.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from retention.datasets.orders import end_of_day, load_account_ids, local_day, restricted_to
from retention.datasets.wire import LAST_ID, copy_to_array, day_number
from retention.scoring.history import UNKNOWN_DAY, Ints
from retention.scoring.signals import Events, Signals, records_of


def load_signals(
    as_of: dt.date, first_id: int = 0, last_id: int = LAST_ID, only: Ints | None = None
) -> Signals:
    """Records up to the end of `as_of` of the accounts in a range of ids, or of `only` these."""
    ids = load_account_ids(first_id, last_id) if only is None else only
    reader = _Reader(ids, as_of, restricted_to(first_id, last_id, only))
    return Signals(
        ids,
        issues=reader.read(_ISSUES, "until", "weight"),
        promises=reader.read(_PROMISES, "due", "kept"),
        touches=reader.read(_TOUCHES),
        pulses=reader.read(_PULSES, "score"),
        people=reader.read(_PEOPLE, "until"),
        departures=reader.read(_DEPARTURES, "weight"),
        owners=reader.read(_OWNERS, "weight"),
        vacancies=reader.read(_VACANCIES, "until"),
        handbacks=reader.read(_HANDBACKS, "until", "lost"),
    )


# {mine}: the accounts wanted; {after}: the end of the day; {last}: its number; {unknown}: a day nobody knows;
# {day_of[...]}: the day number of a moment or a date. Every query gives account, day, and the columns named above.
# An issue that came back is open from its opening to when it was first said to be solved, and again from each reopening
# on: as many issues as there were times the customer had to complain.
_ISSUES = """
    SELECT account_id, {day_of[begins]}, CASE WHEN ends < {after} THEN {day_of[ends]} ELSE {unknown} END,
        CASE severity WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END
    FROM (
        SELECT account_id, severity, opened_at AS begins, resolved_at AS ends
        FROM accounts_issue WHERE times_reopened = 0 AND {mine}
        UNION ALL
        SELECT account_id, severity, begins,
            CASE WHEN next_begins IS NOT NULL THEN next_solved
                WHEN resolved_at IS NOT NULL THEN GREATEST(resolved_at, begins) END
        FROM (
            SELECT i.account_id, i.severity, i.resolved_at, t.begins,
                lead(t.solved) OVER later AS next_solved, lead(t.begins) OVER later AS next_begins
            FROM accounts_issue i, LATERAL (
                SELECT i.opened_at AS begins, NULL AS solved
                UNION ALL SELECT reopened_at, resolved_at FROM accounts_issuereopening WHERE issue_id = i.id
            ) t WHERE i.times_reopened > 0 AND {mine} WINDOW later AS (PARTITION BY i.id ORDER BY t.begins)
        ) told
    ) spell WHERE begins < {after}"""
_PROMISES = """
    SELECT account_id, {date_of[made_on]}, {date_of[due_on]},
        CASE WHEN {date_of[kept_on]} <= {last} THEN {date_of[kept_on]} ELSE {unknown} END
    FROM accounts_promise WHERE {date_of[made_on]} <= {last} AND {mine}"""
_TOUCHES = """
    SELECT account_id, {day_of[happened_at]} FROM accounts_interaction WHERE happened_at < {after} AND {mine}
    UNION ALL SELECT account_id, {day_of[taken_at]} FROM pulsecheck_pulsecheck WHERE taken_at < {after} AND {mine}
    UNION ALL SELECT account_id, {day_of[happened_at]} FROM pulsecheck_handbackattempt t
        JOIN pulsecheck_handback h ON h.id = t.handback_id
        WHERE t.kind IN ('call', 'email', 'meeting') AND happened_at < {after} AND {mine}"""
_PULSES = """
    SELECT account_id, {day_of[taken_at]}, score::integer FROM pulsecheck_pulsecheck
    WHERE taken_at < {after} AND {mine} ORDER BY taken_at, id"""
_PEOPLE = """
    SELECT account_id, {day_of[created_at]},
        CASE WHEN {date_of[left_on]} <= {last} THEN {date_of[left_on]} ELSE {unknown} END
    FROM accounts_contact WHERE (is_active OR left_on IS NOT NULL) AND created_at < {after} AND {mine}"""
_DEPARTURES = """
    SELECT account_id, {date_of[left_on]},
        CASE WHEN role IN ('decision_maker', 'champion') THEN 2 ELSE 1 END
    FROM accounts_contact WHERE {date_of[left_on]} <= {last} AND {mine}"""
_OWNERS = """
    SELECT account_id, {day_of[changed_at]}, 1 FROM accounts_ownerchange
    WHERE changed_at < {after} AND to_user_id IS NOT NULL AND {mine}"""
# Who looked after an account from when to when, whether or not that changed by `as_of`; a vacancy begins when the owner
# left the company or was taken away. Where an account never had an owner nothing is known.
_VACANCIES = """
    WITH spell AS (
        SELECT account_id, role, to_user_id AS owner, changed_at AS begins, lead(changed_at) OVER later AS ends
        FROM accounts_ownerchange WHERE {mine} WINDOW later AS (PARTITION BY account_id, role ORDER BY changed_at, id)
        UNION ALL
        (SELECT DISTINCT ON (account_id, role) account_id, role, from_user_id, NULL, changed_at
        FROM accounts_ownerchange WHERE {mine} ORDER BY account_id, role, changed_at, id)
        UNION ALL
        SELECT account_id, role, owner, NULL, NULL FROM (
            SELECT id AS account_id, 'sales' AS role, original_salesperson_id AS owner FROM accounts_account
            UNION ALL SELECT id, 'operations', account_manager_id FROM accounts_account
        ) now WHERE owner IN (SELECT id FROM accounts_user WHERE left_on IS NOT NULL) AND {mine}
            AND NOT EXISTS (SELECT FROM accounts_ownerchange c WHERE c.account_id = now.account_id AND c.role = now.role)
    ), gap AS (
        SELECT account_id, GREATEST({day_of[begins]}, {date_of[left_on]}) AS began, {day_of[ends]} AS ended
        FROM spell LEFT JOIN accounts_user ON accounts_user.id = owner
        WHERE left_on IS NOT NULL OR (owner IS NULL AND begins IS NOT NULL)
    )
    SELECT account_id, began, CASE WHEN ended <= {last} THEN ended ELSE {unknown} END FROM gap
    WHERE began <= {last} AND (ended IS NULL OR ended > began)"""
_HANDBACKS = """
    SELECT account_id, {day_of[opened_at]},
        CASE WHEN closed_at < {after} THEN {day_of[closed_at]} ELSE {unknown} END,
        (outcome = 'lost' AND closed_at < {after})::integer
    FROM pulsecheck_handback WHERE opened_at < {after} AND {mine}"""


class _LocalDays:
    """Words for a query: the day number of a moment in the company's time zone."""

    def __getitem__(self, column: str) -> str:
        return f"({local_day(column)})"


class _Dates:
    """Words for a query: the day number of a date."""

    def __getitem__(self, column: str) -> str:
        return f"({column} - DATE '1970-01-01')"


@dataclass(frozen=True)
class _Reader:
    ids: Ints
    as_of: dt.date
    mine: str

    def read(self, query: str, *columns: str) -> Events | None:
        """One kind of record; None where there is none."""
        text = query.format(
            mine=self.mine,
            after=end_of_day(self.as_of),
            last=day_number(self.as_of),
            unknown=UNKNOWN_DAY,
            day_of=_LocalDays(),
            date_of=_Dates(),
        )
        kinds = dict.fromkeys(columns, ">i4")
        rows = copy_to_array(text, {"account": ">i8", "day": ">i4", **kinds})
        values = {name: rows[name].astype(kind[1:]) for name, kind in kinds.items()}
        return records_of(
            self.ids, rows["account"].astype(np.int64), day=rows["day"].astype(np.int32), **values
        )
