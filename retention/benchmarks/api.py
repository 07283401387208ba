"""benchmark api: lists and bulk upserts of the API over HTTP, as ratios to the least a list can cost on the same server."""

from __future__ import annotations

import http.client
import json
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.management.base import CommandError, CommandParser
from django.db import connection

from accounts.models import ApiToken, User
from accounts.selectors import get_company
from retention.benchmarks.book import LAST_DAY, load_book, scratch_database
from retention.benchmarks.web import (
    CLIENTS,
    FLOOR,
    HOST,
    Question,
    ask_in_turn,
    eight_clients,
    server,
    staff_the_book,
)
from retention.services import scoring

LISTS = {
    "accounts": "/api/v1/accounts/",
    "accounts_by_name": "/api/v1/accounts/?sort=name",
    "accounts_sparse": "/api/v1/accounts/?fields=name,segment",
    "contacts": "/api/v1/contacts/",
    "orders": "/api/v1/orders/",
    "orders_by_change": "/api/v1/orders/?updated_since=2020-01-01T00:00:00Z&sort=updated_at",
    "orders_by_amount": "/api/v1/orders/?sort=-amount",
    "scores": "/api/v1/scores/",
    "scores_by_probability": "/api/v1/scores/?sort=-churn_probability",
    "scores_by_money": "/api/v1/scores/?sort=-revenue_at_risk_company",
}
LISTS_OF_ONE = {"accounts_of_one": "/api/v1/accounts/", "orders_of_one": "/api/v1/orders/"}


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=100, help="how often each list is asked for")
    parser.add_argument(
        "--seconds", type=int, default=20, help=f"how long {CLIENTS} clients ask for a list at once"
    )
    parser.add_argument("--rows", type=int, default=5_000, help="rows in a bulk call")
    parser.add_argument("--calls", type=int, default=6, help="bulk calls of each kind")


def run(chosen: Namespace) -> dict[str, Any]:
    """Milliseconds of each list and its ratio to the floor; requests a second of eight clients; rows a second of bulk calls."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"accounts": chosen.accounts, "orders": chosen.orders}
    with scratch_database():
        cache.clear()
        get_company()
        load_book(chosen.accounts, chosen.orders)
        staff_the_book()
        scoring.score_book(LAST_DAY, 90, takes_action=False)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        everything, own = _token("manager@example.com"), _token("rep1@example.com")
        questions = [
            Question(FLOOR, ("/floor/",)),
            *(Question(name, (path,), token=everything) for name, path in LISTS.items()),
            *(Question(name, (path,), token=own) for name, path in LISTS_OF_ONE.items()),
        ]
        with server(MAINSTAY_API_CALLS_PER_MINUTE="10000000") as port:
            found = ask_in_turn(port, questions, chosen.requests)
            figures |= _lists(found)
            told = eight_clients(port, questions[0], questions[1], chosen.seconds)
            figures |= {f"eight_clients.{name}": value for name, value in told.items()}
            figures |= _bulk(port, everything, chosen.rows, chosen.calls)
    return figures


def _token(email: str) -> str:
    return ApiToken.objects.issue(User.objects.get(email=email), "benchmark")[1]


def _lists(found: dict[str, dict[str, float | int]]) -> dict[str, Any]:
    floor = found[FLOOR]["p50_ms"]
    figures: dict[str, Any] = {f"{FLOOR}.p50_ms": floor}
    for name, measured in found.items():
        if name != FLOOR:
            figures |= {f"{name}.{figure}": value for figure, value in measured.items()}
            figures[f"{name}.p50_floors"] = measured["p50_ms"] / floor
            figures[f"{name}.p95_floors"] = measured["p95_ms"] / floor
    return figures


def _bulk(port: int, token: str, rows: int, calls: int) -> dict[str, Any]:
    """New accounts and their orders, then the same orders again, over HTTP with a result per row."""
    accounts = [
        [{"external_id": f"B{call}-{n}", "name": f"Bulk {call}-{n}", "segment": "Bulk"} for n in range(rows)]
        for call in range(calls)
    ]
    orders = [
        [
            {"external_id": f"O{row['external_id']}", "account": row["external_id"], "ordered_at": f"{LAST_DAY}T10:00:00Z", "amount": "99.50"}
            for row in part
        ]
        for part in accounts
    ]  # fmt: skip
    return {
        "bulk.accounts_per_second": _sent(port, token, "accounts", accounts, "created"),
        "bulk.orders_per_second": _sent(port, token, "orders", orders, "created"),
        "bulk.orders_again_per_second": _sent(port, token, "orders", orders, "unchanged"),
    }


def _sent(port: int, token: str, kind: str, parts: Sequence[list[dict[str, str]]], outcome: str) -> float:
    """Rows a second; every row has to end as `outcome`."""
    line = http.client.HTTPConnection(HOST, port, timeout=300)
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    bodies = [json.dumps({"source": "benchmark-api", "rows": part}) for part in parts]
    began = time.perf_counter()
    for part, body in zip(parts, bodies, strict=True):
        line.request("POST", f"/api/v1/{kind}/bulk/", body, headers)
        answer = line.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200 or told[outcome] != len(part):
            raise CommandError(f"{kind}: {answer.status} {str(told)[:300]}")
    taken = time.perf_counter() - began
    line.close()
    return sum(map(len, parts)) / taken
