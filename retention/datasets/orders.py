"""Orders as a `History`: what the engine learns rhythm from.

Every reader takes `as_of` and returns nothing dated after the end of that day in the company's time zone.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
from django.db import connection

from accounts.models import ExchangeRate, Order
from accounts.selectors import get_company
from retention.datasets.days import local_days
from retention.datasets.wire import LAST_ID, copy_groups, copy_to_array, packed
from retention.scoring.history import UNKNOWN_DAY, History, Ints, history_from_rows


def load_account_ids(first_id: int = 0, last_id: int = LAST_ID) -> Ints:
    """Ids of all accounts in a range, ascending."""
    within = f"id BETWEEN {int(first_id)} AND {int(last_id)}"
    query = f"SELECT id FROM accounts_account WHERE {within} ORDER BY id"  # noqa: S608 - whole numbers
    return copy_to_array(query, {"id": ">i8"})["id"].astype(np.int64)


def load_history(
    as_of: dt.date, first_id: int = 0, last_id: int = LAST_ID, only: Ints | None = None
) -> History:
    """Orders up to the end of `as_of` of the accounts in a range of ids, or of `only` these.

    Cancelled orders are left out; amounts are in the company's currency at its fixed rates.
    """
    ids = load_account_ids(first_id, last_id) if only is None else only
    (amount,), join = in_company_currency("o.amount")
    columns = {"moment": ">i8", "amount": ">f8"}
    sent = ["timestamptz_send(o.ordered_at)", f"float8send(({amount})::float8)"]
    deliveries = _has_deliveries()
    if deliveries:
        columns |= {"promised": ">i4", "delivered": ">i4"}
        sent += [_day_sent("o.promised_on"), _day_sent("o.delivered_on")]
    query = f"""
        SELECT o.account_id, {packed(*sent)}
        FROM accounts_order o {join}
        WHERE o.status <> 'cancelled' AND o.ordered_at < {end_of_day(as_of)}
            AND {restricted_to(first_id, last_id, only, "o.account_id")}
        GROUP BY o.account_id
        """  # noqa: S608 - whole numbers, and words of this module
    groups = copy_groups(query, columns)
    return history_from_rows(
        groups.key_of_rows(),
        local_days(groups.rows["moment"], get_company().zone),
        groups.rows["amount"].astype(np.float64),
        account_ids=ids,
        promised=groups.rows["promised"].astype(np.int32) if deliveries else None,
        delivered=groups.rows["delivered"].astype(np.int32) if deliveries else None,
    )


def _day_sent(column: str) -> str:
    return f"int4send(COALESCE({column} - DATE '1970-01-01', {UNKNOWN_DAY}))"


def _has_deliveries() -> bool:
    """Whether any order says when it was promised; answered by an index of those orders alone."""
    return Order.objects.filter(promised_on__isnull=False).order_by().exists()


def restricted_to(first_id: int, last_id: int, only: Ints | None, column: str = "account_id") -> str:
    """SQL condition for the accounts of a range of ids, or `only` these."""
    if only is not None:
        return f"{column} = ANY('{{{','.join(map(str, only.tolist()))}}}'::bigint[])"
    if first_id == 0 and last_id == LAST_ID:
        return "TRUE"
    return f"{column} BETWEEN {int(first_id)} AND {int(last_id)}"


def end_of_day(day: dt.date) -> str:
    """SQL for the first moment after a day in the company's time zone."""
    after = dt.datetime.combine(day, dt.time(), get_company().zone) + dt.timedelta(days=1)
    return f"to_timestamp({int(after.timestamp())})"


def local_day(column: str) -> str:
    """SQL for the day number of a moment in the company's time zone."""
    zone = get_company().time_zone.replace("'", "")
    return f"({column} AT TIME ZONE '{zone}')::date - DATE '1970-01-01'"


def in_company_currency(*columns: str) -> tuple[tuple[str, ...], str]:
    """SQL for money of an order `o` in the company's currency, and the join it needs, if any."""
    if not ExchangeRate.objects.exists():
        return columns, ""
    return (
        tuple(f"{column} * COALESCE(rate.rate, 1)" for column in columns),
        "LEFT JOIN accounts_exchangerate rate ON rate.currency = o.currency",
    )


def order_days() -> tuple[dt.date, dt.date] | None:
    """Local days of the first and the last order that is not cancelled; None without orders."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(ordered_at), max(ordered_at) FROM accounts_order WHERE status <> 'cancelled'"
        )
        first, last = cursor.fetchone()
    if first is None:
        return None
    company = get_company()
    return company.local_date(first), company.local_date(last)
