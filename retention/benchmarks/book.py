"""A generated book of any size, in a database of its own that is gone afterwards."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, connections
from django.db.backends.utils import CursorWrapper
from django.test.utils import setup_databases, teardown_databases
from numpy.typing import NDArray

YEARS = 3
AT_ONCE = 500_000  # rows of text in memory
LAST_DAY = dt.date(2026, 1, 31)
RECORD_SOURCE = "benchmark"


@dataclass(frozen=True)
class Orders:
    """Generated orders: number of the account (0-based), days before `LAST_DAY`, amount; in order of time."""

    account: NDArray[np.int64]
    days_ago: NDArray[np.int64]
    amount: NDArray[np.float64]


def generate_orders(accounts: int, orders: int, seed: int = 7) -> Orders:
    """Customers who come at their own pace over three years, buy by their own rate, and stop one day.

    Every account has at least one order; about `orders` in all, always the same for the same arguments.
    """
    random = np.random.default_rng(seed)
    span = YEARS * 365
    came = random.uniform(0, span - 1, accounts)
    stays = np.minimum(random.exponential(400.0, accounts), span - came)
    share = stays * random.gamma(0.8, 1.0, accounts)
    count = 1 + random.poisson(share * (orders - accounts) / share.sum())
    account = np.repeat(np.arange(accounts), count)
    day = came[account] + random.uniform(0, 1, len(account)) * stays[account]
    first = np.concatenate(([0], np.cumsum(count)[:-1]))
    day[first] = came
    size = np.exp(random.normal(5.0, 0.8, accounts))
    amount = np.round(size[account] * np.exp(random.normal(0, 0.4, len(account))) + 1, 2)
    order = np.argsort(day, kind="stable")
    days_ago = np.minimum(span - np.floor(day[order]), span).astype(np.int64)
    return Orders(account[order], days_ago, amount[order])


@contextlib.contextmanager
def scratch_database() -> Iterator[None]:
    """The default connection on an empty migrated database, dropped at the end; the real one is not touched."""
    made = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0)


def load_book(accounts: int, orders: int, seed: int = 7) -> int:
    """COPY a generated book into the current database; returns the number of orders."""
    made = generate_orders(accounts, orders, seed)
    with connection.cursor() as cursor, _bare(cursor, "accounts_order"):
        rows = "".join(f"{RECORD_SOURCE}\tB{n:08d}\tCustomer {n:08d}\tEUR\n" for n in range(accounts))
        columns = "record_source, external_id, name, currency"
        cursor.copy_expert(f"COPY accounts_account ({columns}) FROM STDIN", io.StringIO(rows))
        cursor.execute("SELECT min(id) FROM accounts_account WHERE record_source = %s", [RECORD_SOURCE])
        first = cursor.fetchone()[0]
        columns = "record_source, external_id, account_id, ordered_at, amount, currency"
        for begin in range(0, len(made.account), AT_ONCE):
            text = io.StringIO(_order_lines(made, begin, first))
            cursor.copy_expert(f"COPY accounts_order ({columns}) FROM STDIN", text)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE accounts_account")
        cursor.execute("VACUUM ANALYZE accounts_order")
    return len(made.account)


def _order_lines(made: Orders, begin: int, first_account: int) -> str:
    days = [(LAST_DAY - dt.timedelta(days=n)).isoformat() for n in range(YEARS * 365 + 1)]
    part = slice(begin, begin + AT_ONCE)
    listed = zip(
        made.account[part].tolist(), made.days_ago[part].tolist(), made.amount[part].tolist(), strict=True
    )
    return "".join(
        f"{RECORD_SOURCE}\tO{number:09d}\t{first_account + account}\t{days[ago]} 12:00:00+00\t{amount:.2f}\tEUR\n"
        for number, (account, ago, amount) in enumerate(listed, begin)
    )


@contextlib.contextmanager
def _bare(cursor: CursorWrapper, table: str) -> Iterator[None]:
    """The table without foreign keys and plain indexes meanwhile: they are made faster for all rows at once."""
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass",
        [table],
    )
    keys = cursor.fetchall()
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = %s::regclass AND NOT indisunique",
        [table],
    )
    indexes = cursor.fetchall()
    for name, _ in keys:
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        cursor.execute(definition)
    for name, definition in keys:
        cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


def in_a_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `work`, done by another process with a connection of its own: its memory is not ours."""
    connections.close_all()  # a child that closed ours would end it for both
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(work, *arguments).result()
