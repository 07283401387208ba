"""Contracts as `Renewals`, and what kind of customer has them.

A contract counts from the day it was on record, at the latest from its first day; a cancellation, an explanation and an
acknowledgement count from their own day. Nothing dated after the end of `as_of` is returned.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from accounts.models import Contract
from accounts.models.account import BillingMode
from retention.datasets.orders import in_company_currency, local_day, restricted_to
from retention.datasets.wire import LAST_ID, copy_to_array, day_number
from retention.scoring.history import Ints
from retention.scoring.renewals import NEVER, Renewals, Terms, renewals_from_rows

WORDS = ("segment", "industry", "region", "source")
MOST_WORDS = 200  # of a kind; rarer ones are all "other"
OTHER = "other"

_DAYS = ("starts_on", "ends_on", "cancelled_on", "terms_disclosed_on", "terms_acknowledged_on")


def load_renewals(
    as_of: dt.date,
    grace_days: Mapping[str, int],
    first_id: int = 0,
    last_id: int = LAST_ID,
    only: Ints | None = None,
) -> Renewals:
    """Contracts on record by the end of `as_of` of the accounts in a range of ids, or of `only` these.

    Parameters
    ----------
    grace_days : segment -> days within which a renewal still counts; "" for all others
    """
    last = day_number(as_of)
    amount, join = _in_company_currency()
    known = f"LEAST(o.starts_on - DATE '1970-01-01', {local_day('o.created_at')})"
    days = ", ".join(f"COALESCE(o.{name} - DATE '1970-01-01', {NEVER})::bigint" for name in _DAYS)
    query = f"""
        SELECT o.account_id, ({known})::bigint, {days}, ({amount})::float8, o.notice_days::bigint, o.auto_renews::int::bigint
        FROM accounts_contract o {join}
        WHERE {known} <= {last} AND {restricted_to(first_id, last_id, only, "o.account_id")}
        """  # noqa: S608 - whole numbers, and words of this module
    names = ("account", "known", "starts", "ends", "cancelled", "disclosed", "acknowledged")
    columns = dict.fromkeys(names, ">i8") | {"value": ">f8", "notice": ">i8", "renews": ">i8"}
    rows = copy_to_array(query, columns)
    found = {name: rows[name].astype(np.int64) for name in (*names, "notice", "renews")}
    later = {name: np.where(found[name] > last, NEVER, found[name]) for name in names[4:]}
    terms = Terms(
        found["starts"], found["ends"], found["known"], later["cancelled"], later["disclosed"],
        later["acknowledged"], np.maximum(rows["value"].astype(np.float64), 0.0), found["notice"],
        found["renews"] > 0,
    )  # fmt: skip
    account = found["account"]
    return _of_accounts(np.unique(account), account, terms, grace_days, last)


def _of_accounts(
    ids: Ints, account: Ints, terms: Terms, grace_days: Mapping[str, int], last: int
) -> Renewals:
    """With what is known of the accounts themselves: kind of customer, since when, how they are billed."""
    names = _words_in_use() if len(ids) else {name: [] for name in WORDS}
    codes = ", ".join(
        f"COALESCE(array_position(%({name})s::text[], a.{name}::text), 0)::bigint AS {name}" for name in WORDS
    )
    since = f"COALESCE(a.became_customer_on - DATE '1970-01-01', {NEVER})::bigint"
    sql = f"""
        SELECT a.id, {since} AS since, (a.billing_mode <> '{BillingMode.CONTRACT.value}')::int::bigint AS both, {codes}
        FROM accounts_account a WHERE {restricted_to(0, LAST_ID, ids, "a.id")} ORDER BY a.id
        """  # noqa: S608 - whole numbers, and words of this module
    with connection.cursor() as cursor:
        query = cursor.mogrify(sql, names).decode()
    rows = copy_to_array(query, dict.fromkeys(("id", "since", "both", *WORDS), ">i8"))
    words = {name: _spelled(rows[name].astype(np.int64), names[name]) for name in WORDS}
    known_since = rows["since"].astype(np.int64)
    grace = np.array([grace_days.get(str(s), grace_days[""]) for s in words["segment"]], dtype=np.int64)
    return renewals_from_rows(
        ids, account, terms, grace, np.where(known_since > last, NEVER, known_since), words,
        orders_count=rows["both"] > 0,
    )  # fmt: skip


def _spelled(codes: Ints, names: list[str]) -> NDArray[np.object_]:
    """Words of codes counted from 1; 0 is a rare word."""
    return np.array([OTHER, *names], dtype=object)[codes]


def _words_in_use() -> dict[str, list[str]]:
    """The most frequent words of each kind among the accounts with contracts, whichever accounts are wanted."""
    found = {}
    with connection.cursor() as cursor:
        for name in WORDS:
            cursor.execute(
                f"SELECT a.{name} FROM accounts_account a"  # noqa: S608 - words of this module
                " WHERE EXISTS (SELECT 1 FROM accounts_contract c WHERE c.account_id = a.id)"
                f" GROUP BY a.{name} ORDER BY count(*) DESC, a.{name} LIMIT {MOST_WORDS}"
            )
            found[name] = [row[0] for row in cursor.fetchall()]
    return found


def _in_company_currency() -> tuple[str, str]:
    (amount,), join = in_company_currency("o.annual_value")
    return amount, join


def has_contracts() -> bool:
    """Whether anybody has a contract on record."""
    return Contract.objects.order_by().exists()


def contract_days() -> tuple[dt.date, dt.date] | None:
    """First day of the first contract and last day of the last, far ahead where one renews by itself; None without
    contracts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(starts_on), max(CASE WHEN auto_renews AND cancelled_on IS NULL THEN DATE '9999-12-31'"
            " ELSE ends_on END) FROM accounts_contract"
        )
        first, last = cursor.fetchone()
    return None if first is None else (first, last)
