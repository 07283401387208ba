"""benchmark sync: a first sync of companies and won deals from a local server that answers as HubSpot's lists do."""

from __future__ import annotations

import json
import os
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import httpx
from django.conf import settings
from django.core.management.base import CommandParser

from accounts.crm.engine import work_on_run
from accounts.crm.hubspot import connector as hubspot
from accounts.crm.runs import OPEN, start_sync
from accounts.models import Account, Connection, Order, SyncRun, SyncStep, User
from accounts.models.crm import StepAction, SyncState
from accounts.models.staff import Role
from accounts.services.connecting import create_connection
from retention.benchmarks.book import scratch_database

PAGE = 100  # as HubSpot has it
OWNERS = 50
SLICE = 2.0  # seconds between two looks at the memory
FLOOR_PAGES = 300


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--companies", type=int, default=100_000)
    parser.add_argument("--deals", type=int, default=1_000_000)


def run(chosen: Namespace) -> dict[str, Any]:
    """Records per second from the first call to the last account, order and salesperson, and of the part that reads;
    `floor` is how many a second come when pages of deals are asked for by a bare client, read as JSON and thrown away.
    `memory_growth_mb` is what the process gained between a tenth of the records read and the end."""
    _limit_nothing()
    with _serve(chosen.companies, chosen.deals) as address, scratch_database():
        for number in range(OWNERS):
            User.objects.create(email=f"rep{number}@example.com", role=Role.SALES_REP)
        connection = create_connection(
            "benchmark", "hubspot", options={"address": address}, credentials={"access_token": "none"}
        )
        floor = _floor(address, min(FLOOR_PAGES, max(chosen.deals // PAGE, 1)))
        began = time.perf_counter()
        memory, done = _sync(connection, chosen.companies + chosen.deals)
        seconds = time.perf_counter() - began
        _check(done, chosen)
        reading = _seconds_of(done, StepAction.PULL)
        taking = _seconds_of(done, StepAction.APPLY)
        again = time.perf_counter()
        _sync(connection, 0)
        again = time.perf_counter() - again
    count = chosen.companies + chosen.deals
    return {
        "companies": chosen.companies,
        "deals": chosen.deals,
        "seconds": seconds,
        "records_per_second": round(count / seconds),
        "read_per_second": round(count / reading),
        "taken_in_per_second": round(count / taking),
        "floor": round(floor),
        "ratio": floor / (count / seconds),
        "second_sync_seconds": again,
        **memory,
    }


def _limit_nothing() -> None:
    """Nobody has to be spared, and the server is on this machine."""
    settings.CRM_PRIVATE_HOSTS = ["127.0.0.1"]
    hubspot.Connector.calls_per_second = 1e6
    hubspot.Connector.burst = 10**6


def _sync(connection: Connection, count: int) -> tuple[dict[str, float], SyncRun]:
    """A sync to its end, in this process, and how its memory fared."""
    found = start_sync(connection)
    early = peak = 0.0
    while found.state in OPEN:
        work_on_run(found.pk, SLICE)
        found.refresh_from_db()
        peak = max(peak, _memory())
        if not early and sum(found.steps.values_list("rows_read", flat=True)) >= count / 10:
            early = peak
    return {"memory_growth_mb": peak - early, "peak_memory_mb": peak}, found


def _memory() -> float:
    """What this process holds now, in MB (Linux: /proc/self/statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1024**2


def _check(done: SyncRun, chosen: Namespace) -> None:
    """A benchmark of the wrong result is worth nothing."""
    named = Account.objects.exclude(original_salesperson=None).count()
    found = (done.state, Account.objects.count(), Order.objects.count())
    if found != (SyncState.DONE, chosen.companies, chosen.deals) or not named:
        raise RuntimeError(
            f"state, accounts, orders are {found}; {named} accounts have a salesperson. {done.message}"
        )


def _seconds_of(done: SyncRun, action: StepAction) -> float:
    steps = SyncStep.objects.filter(run=done, action=action)
    return sum((step.updated_at - step.began_at).total_seconds() for step in steps if step.began_at)


def _floor(address: str, pages: int) -> float:
    """Deals a second, asked for as the connector asks for them: a page, then the companies they belong to."""
    began, count, after = time.perf_counter(), 0, "0"
    with httpx.Client(base_url=address) as client:
        for _ in range(pages):
            page = client.get("/crm/v3/objects/deals", params={"limit": PAGE, "after": after}).json()
            ids = [{"id": one["id"]} for one in page["results"]]
            client.post("/crm/v4/associations/deals/companies/batch/read", json={"inputs": ids}).json()
            count += len(ids)
            after = page.get("paging", {}).get("next", {}).get("after", "0")
    return count / (time.perf_counter() - began)


# The server --------------------------------------------------------------------------------------------------------


@contextmanager
def _serve(companies: int, deals: int) -> Iterator[str]:
    """The address of a server in a process of its own, for the length of the block; begun before the database is
    connected, so that the two share nothing."""
    context = get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_server, args=(theirs, companies, deals), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _run_server(pipe: Pipe, companies: int, deals: int) -> None:
    Handler.companies, Handler.deals = companies, deals
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()


class Handler(BaseHTTPRequestHandler):
    """Lists of HubSpot's shape, made up from the number of each record: nothing is kept."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    companies: ClassVar[int] = 0
    deals: ClassVar[int] = 0

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        kind = address.path.rpartition("/")[2]
        counts = {"owners": OWNERS, "companies": self.companies, "deals": self.deals}
        after = int(parse_qs(address.query).get("after", ["0"])[0])
        count = counts.get(kind, 0)  # contacts, tickets and conversations are not measured
        last = min(after + PAGE, count)
        answer: dict[str, Any] = {"results": [MAKERS[kind](number) for number in range(after + 1, last + 1)]}
        if last < count:
            answer["paging"] = {"next": {"after": str(last)}}
        self._send(answer)

    def do_POST(self) -> None:
        """Which company each deal belongs to; a search finds nothing, because nothing changed."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        results = [
            {"from": {"id": one["id"]}, "to": [{"toObjectId": int(one["id"]) % self.companies + 1}]}
            for one in asked.get("inputs", ())
        ]
        self._send({"results": results})

    def _send(self, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _owner(number: int) -> dict[str, Any]:
    return {"id": str(number), "email": f"rep{number - 1}@example.com", "updatedAt": "2025-01-01T00:00:00Z"}


def _company(number: int) -> dict[str, Any]:
    properties = {
        "name": f"Company {number:07d} Ltd",
        "industry": "Food",
        "country": "GB",
        "state": "North",
        "hubspot_owner_id": str(number % OWNERS + 1),
        "hs_lastmodifieddate": "2026-01-05T08:00:00Z",
    }
    return {"id": str(number), "properties": properties}


def _deal(number: int) -> dict[str, Any]:
    properties = {
        "closedate": f"{2021 + number % 5}-{number % 12 + 1:02d}-{number % 28 + 1:02d}T10:00:00Z",
        "amount": f"{100 + number % 900}.50",
        "deal_currency_code": "EUR",
        "hs_is_closed_won": "true",
        "hubspot_owner_id": str(number % OWNERS + 1),
        "hs_lastmodifieddate": "2026-01-05T08:00:00Z",
    }
    return {"id": str(number), "properties": properties}


MAKERS = {"owners": _owner, "companies": _company, "deals": _deal}
