"""An order log as a shop exports it, for the browser tests.

By default it is generated: a gift wholesaler with returns, own rhythms and customers who stop. ORDER_LOG names a
real one instead (a CSV file, also .gz, with customer_id, order_id, ordered_at and amount), of which 1,500 customers
are taken: `ORDER_LOG=online_retail_2.csv.gz make test`.
"""

import csv
import gzip
import os
import random
from datetime import datetime, timedelta
from pathlib import Path

HEADER = ["customer_id", "order_id", "ordered_at", "amount"]
CUSTOMERS = 1_500
Line = tuple[str, str, str, str]


def write_order_log(path: Path) -> int:
    """Write the log to `path` as CSV; how many customers are in it."""
    given = os.environ.get("ORDER_LOG")
    lines = _cut(Path(given)) if given else _generated(400, random.Random(7))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(lines)
    return len({line[0] for line in lines})


def _cut(path: Path) -> list[Line]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = set(sorted({row["customer_id"] for row in rows})[:CUSTOMERS])
    return [tuple(row[name] for name in HEADER) for row in rows if row["customer_id"] in kept]


def _generated(customers: int, chance: random.Random) -> list[Line]:
    lines: list[Line] = []
    for number in range(customers):
        lines += _history(f"{12000 + number}", chance)
    lines.sort(key=lambda line: line[2])
    return lines


def _history(customer: str, chance: random.Random) -> list[Line]:
    """Two years of one customer: an own gap between orders, a return now and then, and one in ten gaps the last."""
    gap, spend = chance.uniform(10, 60), chance.uniform(80, 900)
    moment = datetime(2024, 1, 2, 9) + timedelta(days=chance.uniform(0, 400))
    lines: list[Line] = []
    while moment < datetime(2025, 12, 20):
        amount = chance.gauss(spend, spend / 5) * (-0.2 if chance.random() < 0.04 else 1)
        lines.append((customer, f"{customer}-{len(lines)}", f"{moment:%Y-%m-%d %H:%M:%S}", f"{amount:.2f}"))
        if chance.random() < 0.1:
            break
        moment += timedelta(days=chance.gammavariate(4, gap / 4))
    return lines
