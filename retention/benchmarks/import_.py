"""benchmark import: files of accounts and orders through the one door, validated, matched, saved and loaded again."""

from __future__ import annotations

import datetime as dt
import resource
import sys
import tempfile
import time
from argparse import Namespace
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import connection, transaction

from accounts.ingest.load import ImportOptions, import_file, start_import
from accounts.models import ImportRun
from retention.benchmarks.book import LAST_DAY, generate_orders, scratch_database


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=1_000_000)


def run(chosen: Namespace) -> dict[str, Any]:
    """Seconds and rows per second of each import; `floor` is a bare COPY of the same orders file into a table
    without index, check or matching. `memory_growth_mb` is what importing the orders added to the process."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        accounts, orders = Path(folder, "accounts.csv"), Path(folder, "orders.csv")
        # In a process of its own, so that its memory is not taken for the import's.
        writer = get_context("fork").Process(target=_write_files, args=(accounts, orders, chosen))
        writer.start()
        writer.join()
        with orders.open("rb") as file:
            count = sum(1 for _ in file) - 1
        stack.enter_context(scratch_database())
        figures: dict[str, Any] = {"accounts": chosen.accounts, "orders": count, "floor": _floor(orders)}
        figures |= _import("accounts", accounts, chosen.accounts)
        before = _peak_memory()
        figures |= _import("orders", orders, count)
        figures["memory_growth_mb"] = _peak_memory() - before
        figures |= _import("orders", orders, count, again=True)
    figures["ratio"] = figures["orders_seconds"] / figures["floor"]
    figures["peak_memory_mb"] = _peak_memory()
    return figures


def _write_files(accounts: Path, orders: Path, chosen: Namespace) -> None:
    """The generated book as two CSV files."""
    with accounts.open("w") as out:
        out.write("external_id,name,segment,region,country,currency\n")
        for number in range(chosen.accounts):
            segment, region = "ABC"[number % 3], ("North", "South")[number % 2]
            out.write(f"C{number:06d},Customer {number} Ltd,{segment},{region},GB,EUR\n")
    book = generate_orders(chosen.accounts, chosen.orders)
    days = [(LAST_DAY - dt.timedelta(days=day)).isoformat() for day in range(int(book.days_ago.max()) + 1)]
    columns = (book.account.tolist(), book.days_ago.tolist(), book.amount.tolist())
    with orders.open("w") as out:
        out.write("external_id,account,ordered_at,amount,currency\n")
        for number, (account, ago, amount) in enumerate(zip(*columns, strict=True)):
            clock = f"{8 + number % 10:02d}:{number % 60:02d}:{number // 60 % 60:02d}"
            out.write(f"O{number},C{account:06d},{days[ago]} {clock},{amount:.2f},EUR\n")


def _floor(path: Path) -> float:
    began = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor, path.open() as file:
        cursor.execute(
            "CREATE TEMP TABLE bare (external_id text, account text, ordered_at timestamptz, amount numeric(18,2),"
            " currency text) ON COMMIT DROP"
        )
        cursor.copy_expert("COPY bare FROM STDIN WITH (FORMAT csv, HEADER)", file)
        return time.perf_counter() - began


def _import(kind: str, path: Path, count: int, *, again: bool = False) -> dict[str, Any]:
    """One import, with what it must have done checked: a benchmark of the wrong result is worth nothing."""
    began = time.perf_counter()
    run: ImportRun = import_file(start_import(kind, file_name=path.name, options=ImportOptions()), path)
    seconds = time.perf_counter() - began
    done = (run.rows_created, run.rows_changed, run.rows_unchanged, run.rows_rejected)
    if done != ((0, 0, count, 0) if again else (count, 0, 0, 0)):
        raise RuntimeError(f"{kind}: created, changed, unchanged, rejected are {done} of {count}.")
    name = f"{kind}_again" if again else kind
    return {f"{name}_seconds": seconds, f"{name}_per_second": round(count / seconds)}


def _peak_memory() -> float:
    unit = 1024 if sys.platform != "darwin" else 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
