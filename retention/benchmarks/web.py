"""benchmark web: pages over HTTP, as ratios to the least a list can cost on the same server."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.cache import cache
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

from accounts.models import Role, User
from accounts.selectors import get_company
from pulsecheck.models import RetentionMeeting
from retention.benchmarks.book import LAST_DAY, RECORD_SOURCE, load_book, scratch_database
from retention.benchmarks.care import care_for_the_book
from retention.models import Score
from retention.services import scoring
from retention.supervisor import end_with_parent

HOST = "127.0.0.1"
FLOOR = "floor"
TEAMS = 5
# Who looks after a book: as many people in a small one as in a large one, so that lists of people are as long. The first
# few of them have as many accounts each in a small one as fill a page, more in a large one; the others a tenth of all.
PEOPLE, ACCOUNTS_EACH, FEWEST = 50, 400, 3
START_SECONDS = 60
# Pages of the care loop, as one who sees everything; as one salesperson as well where a name ends in _of_one.
PAGES = {
    "pulse": "/pulse/",
    "calendar": "/pulse/calendar/",
    "calendar_week": "/pulse/calendar/?view=week",
    "coverage": "/pulse/coverage/",
    "absences": "/absences/",
    "handbacks": "/handbacks/",
    "handbacks_closed": "/handbacks/?state=closed",
    "triggers": "/handbacks/triggers/",
    "owners": "/owners/",
    "owners_silent": "/owners/?state=silent",
    "handoffs": "/handoffs/",
    "promises": "/promises/",
    "promise_records": "/promises/people/",
    "issues": "/issues/",
    "enquiries": "/enquiries/",
    "fine_print": "/fine-print/",
    "insights": "/insights/",
    "surveys": "/surveys/",
    "audit": "/audit/",
    "meetings": "/meetings/",
    "actions": "/actions/",
    "collective": "/collective/",
    "products": "/products/",
    "references": "/references/",
    "message_mix": "/messages/",
    "message_mix_accounts": "/messages/accounts/",
    "messages_sent": "/messages/sent/",
    "team_retention": "/team-retention/",
}
PAGES_OF_ONE = {
    "pulse_of_one": "/pulse/",
    "calendar_of_one": "/pulse/calendar/",
    "handbacks_of_one": "/handbacks/",
    "owners_silent_of_one": "/owners/?state=silent",
    "promises_of_one": "/promises/",
    "issues_of_one": "/issues/",
    "products_of_one": "/products/",
    "my_retention_of_one": "/my-retention/",
}
WARM_UP = 5
# What eight people ask for at once, each by itself.
CROWDED = ("at_risk", "accounts", "account", "pulse", "calendar", "handbacks", "promises", "issues")
CLIENTS = 8
TURNS = 5


@dataclass(frozen=True)
class Question:
    """A page to ask for, as whom; the pages of a name are asked for in turn."""

    name: str
    paths: tuple[str, ...]
    cookie: str = ""
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What says who asks."""
        if self.token:
            return {"Authorization": f"Token {self.token}"}
        return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={self.cookie}"} if self.cookie else {}


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=1_000, help="accounts of the book to compare with")
    parser.add_argument("--requests", type=int, default=100, help="how often each page is asked for")
    parser.add_argument(
        "--seconds", type=int, default=10, help=f"how long {CLIENTS} clients ask for a page at once"
    )
    parser.add_argument(
        "--pages", default="", metavar="NAME,NAME", help="only these pages, by name; else all"
    )


def run(chosen: Namespace) -> dict[str, Any]:
    """Milliseconds, queries and kilobytes of each page, on a small book and on the chosen one, and their ratios."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # or its absence is complained about
    only = {FLOOR, *chosen.pages.split(",")} if chosen.pages else set()
    orders = chosen.small * chosen.orders // chosen.accounts
    small, _ = _measure(chosen.small, orders, chosen.requests, only)
    large, crowded = _measure(chosen.accounts, chosen.orders, chosen.requests, only, chosen.seconds)
    figures: dict[str, Any] = {"accounts": chosen.accounts, "orders": chosen.orders, "small": chosen.small}
    floor = large[FLOOR]["p50_ms"]
    for name, found in large.items():
        figures |= {f"{name}.{figure}": value for figure, value in found.items()}
        if name == FLOOR:
            continue
        figures[f"{name}.p50_floors"] = found["p50_ms"] / floor
        figures[f"{name}.p95_floors"] = found["p95_ms"] / floor
        # Both in floors of their own run: the machine need not be equally quick in both.
        of_small = small[name]["p50_ms"] / small[FLOOR]["p50_ms"]
        figures[f"{name}.growth"] = found["p50_ms"] / floor / of_small
        figures |= {f"{name}.{figure}_small": small[name][figure] for figure in ("queries", "kilobytes")}
    for name, told in crowded.items():
        figures |= {f"{name}.eight_clients.{figure}": value for figure, value in told.items()}
    return figures


def _measure(
    accounts: int, orders: int, requests: int, only: set[str], seconds: int = 0
) -> tuple[dict[str, dict[str, float | int]], dict[str, dict[str, float]]]:
    """The figures of each page asked for by itself, and of those that eight clients ask for at once, for `seconds` each."""
    with scratch_database():
        cache.clear()  # of the book before
        get_company()
        load_book(accounts, orders)
        staff_the_book(min(max(accounts // ACCOUNTS_EACH, FEWEST), PEOPLE))
        care_for_the_book(accounts)
        scoring.score_book(LAST_DAY, 90, takes_action=False)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        questions = [question for question in _questions() if not only or question.name in only]
        queries = {question.name: _count_queries(question) for question in questions}
        with server() as port:
            found = ask_in_turn(port, questions, requests)
            crowded = {
                question.name: eight_clients(port, questions[0], question, seconds)
                for question in questions
                if seconds and question.name in CROWDED
            }
    return {name: found[name] | {"queries": queries[name]} for name in found}, crowded


def staff_the_book(busy: int = PEOPLE) -> None:
    """Teams of salespeople, of whom the first `busy` won nine accounts in ten, and all the rest; two contacts each account."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_team (name, created_at, updated_at) "
            "SELECT 'Team ' || n, now(), now() FROM generate_series(1, %s) n",
            [TEAMS],
        )
        cursor.execute("SELECT array_agg(id ORDER BY id) FROM accounts_team")
        teams = cursor.fetchone()[0]
        people = [
            User(email=f"rep{n}@example.com", name=f"Rep {n}", role=Role.SALES_REP, team_id=teams[n % TEAMS])
            for n in range(PEOPLE)
        ]
        ids = [user.pk for user in User.objects.bulk_create(people)]
        User.objects.create(email="manager@example.com", name="Manager", role=Role.ADMINISTRATOR)
        cursor.execute(
            "UPDATE accounts_account SET "
            "original_salesperson_id = (%(ids)s::bigint[])[1 + id %% CASE WHEN id / 3 %% 10 = 0 THEN %(all)s ELSE %(busy)s END], "
            "account_manager_id = (%(ids)s::bigint[])[1 + id / 7 %% CASE WHEN id / 5 %% 10 = 0 THEN %(all)s ELSE %(busy)s END] "
            "WHERE record_source = %(source)s",
            {"ids": ids, "all": PEOPLE, "busy": busy, "source": RECORD_SOURCE},
        )
        cursor.execute(
            "INSERT INTO accounts_contact (account_id, external_id, record_source, name, email, created_at, updated_at) "
            "SELECT id, 'C' || id || '-' || n, record_source, 'Contact ' || n || ' of ' || name, "
            "'c' || n || '-' || id || '@example.com', now(), now() "
            "FROM accounts_account, generate_series(1, 2) n WHERE record_source = %s",
            [RECORD_SOURCE],
        )


def _questions() -> list[Question]:
    """The floor, the pages people live in, and those of the care loop, as one who sees everything and as one salesperson."""
    riskiest = Score.objects.filter(as_of=LAST_DAY).order_by("-revenue_at_risk_company", "account_id")
    paths = tuple(f"/accounts/{pk}/" for pk in riskiest.values_list("account_id", flat=True)[:50])
    everything = cookie("manager@example.com")
    own = cookie("rep1@example.com")
    return [
        Question(FLOOR, ("/floor/",)),
        Question("at_risk", ("/at-risk/",), everything),
        Question("at_risk_of_one", ("/at-risk/",), own),
        Question("accounts", ("/accounts/",), everything),
        Question("account", paths, everything),
        Question("today_of_one", ("/",), own),
        *(Question(name, (path,), everything) for name, path in PAGES.items()),
        Question("meeting", _meetings(), everything),
        *(Question(name, (path,), own) for name, path in PAGES_OF_ONE.items()),
    ]


def _meetings() -> tuple[str, ...]:
    """Agendas of teams, which look at all their accounts, and of accounts."""
    meetings = RetentionMeeting.objects.planned().order_by("account", "pk")
    chosen = [*meetings.filter(account=None)[:5], *meetings.exclude(account=None)[:5]]
    return tuple(f"/meetings/{meeting.pk}/" for meeting in chosen)


def cookie(email: str) -> str:
    client = Client()
    client.force_login(User.objects.get(email=email))
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


@override_settings(
    ROOT_URLCONF="retention.benchmarks.urls",
    ALLOWED_HOSTS=[HOST],
    STORAGES=settings.STORAGES
    | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}},
)
def _count_queries(question: Question) -> int:
    """Queries of the page with nothing cached."""
    client = Client(headers={"host": HOST})
    client.cookies[settings.SESSION_COOKIE_NAME] = question.cookie
    cache.clear()
    with CaptureQueriesContext(connection) as asked:
        response = client.get(question.paths[0])
    if response.status_code != 200:
        raise CommandError(f"{question.paths[0]} answered {response.status_code} instead of 200.")
    return len(asked)


@contextlib.contextmanager
def server(**environment: str) -> Iterator[int]:
    """A web server of the scratch database on a free port; yields the port."""
    with socket.socket() as claimed:
        claimed.bind((HOST, 0))
        port = claimed.getsockname()[1]
        url = urlunsplit(
            urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
        )
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gunicorn",
                "retention.wsgi",
                "-c",
                "gunicorn.conf.py",
                "-b",
                f"fd://{claimed.fileno()}",
            ],
            cwd=settings.BASE_DIR,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "retention.benchmarks.settings",
                "DATABASE_URL": url,
                "MAINSTAY_TRIAL": "true",
                "MAINSTAY_ALLOWED_HOSTS": HOST,
            }
            | environment,
            pass_fds=[claimed.fileno()],
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        try:
            _wait_for(port, child)
            yield port
        finally:
            child.terminate()
            child.wait()


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        if child.poll() is not None or time.monotonic() > deadline:
            raise CommandError("The web server to be measured did not start.")
        time.sleep(0.05)


def ask_in_turn(port: int, questions: list[Question], requests: int) -> dict[str, dict[str, float | int]]:
    """One after the other, round and round, so that a busy moment of the machine hits all alike."""
    line = http.client.HTTPConnection(HOST, port, timeout=60)
    seconds: dict[str, list[float]] = {question.name: [] for question in questions}
    sizes: dict[str, int] = {}
    for turn in range(requests + WARM_UP):
        for question in questions:
            began = time.perf_counter()
            sizes[question.name] = get_page(line, question, turn)
            if turn >= WARM_UP:
                seconds[question.name].append(time.perf_counter() - began)
    line.close()
    return {
        name: {
            "p50_ms": statistics.median(taken) * 1000,
            "p95_ms": statistics.quantiles(taken, n=20)[-1] * 1000,
            "kilobytes": sizes[name] // 1024,
        }
        for name, taken in seconds.items()
    }


def eight_clients(port: int, floor: Question, asked: Question, seconds: int) -> dict[str, float]:
    """Answers a second of a page and of the floor, in turns, as a shared machine is not equally quick all the time."""
    turn = seconds / TURNS
    for question in (floor, asked):
        _together(port, question, turn)  # every thread has begun and has its connection to the database
    answers = [[_together(port, question, turn) for question in (floor, asked)] for _ in range(TURNS)]
    of_floor, of_page = (statistics.mean(each) for each in zip(*answers, strict=True))
    return {
        "floor_per_second": of_floor,
        "requests_per_second": of_page,
        "floors": of_floor / of_page,
    }


def _together(port: int, question: Question, seconds: float) -> float:
    """Answers a second while eight clients ask one after the other without a pause; any answer but 200 ends the benchmark."""
    counts, faults = [0] * CLIENTS, list[str]()
    until = time.perf_counter() + seconds

    def ask(number: int) -> None:
        line = http.client.HTTPConnection(HOST, port, timeout=60)
        try:
            while time.perf_counter() < until:
                get_page(line, question, counts[number])
                counts[number] += 1
        except CommandError as fault:
            faults.append(str(fault))
        finally:
            line.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise CommandError(faults[0])
    return sum(counts) / (time.perf_counter() - began)


def get_page(line: http.client.HTTPConnection, question: Question, turn: int) -> int:
    path = question.paths[turn % len(question.paths)]
    line.request("GET", path, headers=question.headers)
    answer = line.getresponse()
    size = len(answer.read())
    if answer.status != 200:
        raise CommandError(f"{path} answered {answer.status} instead of 200.")
    return size
