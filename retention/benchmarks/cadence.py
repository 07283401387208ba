"""benchmark cadence: a whole book planned, written, and planned again, against merely reading and writing the rows."""

from __future__ import annotations

import io
import time
from argparse import Namespace
from collections import Counter
from typing import Any

from django.core.management.base import CommandParser
from django.db import connection
from django.utils import timezone

from accounts.models import Absence, Company, Role, User
from pulsecheck.cadence import floor_day, plan
from pulsecheck.models import Touchpoint
from pulsecheck.selectors.plan import WholePlan, get_policies, whole_plan
from pulsecheck.services import plan_touchpoints
from retention.benchmarks.book import LAST_DAY, RECORD_SOURCE, scratch_database
from retention.models import ScoreRun
from retention.models.scores import RunState

TIERS = ("at_risk", "quiet", "watch", "new", "steady", "steady", "steady", "thriving")
MODES = ("repeat", "repeat", "contract", "both")
COUNTRIES = ("Germany", "GB", "")


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=200)


def run(chosen: Namespace) -> dict[str, Any]:
    """Seconds; `whole_plan` is what a night does: read, plan, write (`..._processor`: without waiting for
    the database or for others on the machine). `floor` reads one row per account and writes one
    contact per account in one statement, and nothing else. The counts at the end have to be 0."""
    with scratch_database():
        _load(chosen.accounts, chosen.people)
        figures: dict[str, Any] = {"accounts": chosen.accounts, "people": chosen.people, "floor": _floor()}
        began, worked = time.perf_counter(), time.process_time()
        result = plan_touchpoints(LAST_DAY)
        figures["whole_plan"] = time.perf_counter() - began
        figures["whole_plan_processor"] = time.process_time() - worked
        figures["ratio"] = figures["whole_plan"] / figures["floor"]
        began = time.perf_counter()
        again = plan_touchpoints(LAST_DAY)
        figures["again"] = time.perf_counter() - began
        book = whole_plan(get_policies(), LAST_DAY)
        figures["planning_alone"] = _planning_alone(book)
        figures |= {"planned": result.planned, "not_planned": chosen.accounts - result.planned}
        figures["changed_again"] = again.planned + again.moved + again.cancelled
        return figures | _faults(book)


def _load(accounts: int, people: int) -> None:
    """Accounts of all tiers, a third with a contract, pulses and new customers among them; one in twenty of the people
    is away for three weeks and somebody stands in."""
    Company.objects.update_or_create(pk=1, defaults={"country": "DE", "time_zone": "Europe/Berlin"})
    staff = User.objects.bulk_create(
        User(
            email=f"p{n}@benchmark.example", name=f"Person {n}", role=Role.ACCOUNT_MANAGER,
            country=("", "GB")[n % 2],
        )
        for n in range(people)
    )  # fmt: skip
    for first, other in zip(staff[::20], staff[1::20], strict=False):
        Absence.objects.create(person=first, starts_on=LAST_DAY, ends_on="2026-02-20", substitute=other)
    ids = [person.pk for person in staff]
    rows = (
        f"{RECORD_SOURCE}\tB{n:08d}\tCustomer {n:08d}\tEUR\t{'AB'[n % 2]}\t{MODES[n % 4]}\t{COUNTRIES[n % 3]}"
        f"\t{ids[n % people]}\t{_days_ago(n * 7919 % 1500)}\n"
        for n in range(accounts)
    )
    ScoreRun.objects.create(
        as_of=LAST_DAY, horizon_days=90, state=RunState.PUBLISHED, published_at=timezone.now()
    )
    with connection.cursor() as cursor:
        columns = (
            "record_source, external_id, name, currency, segment, billing_mode, country, account_manager_id"
        )
        cursor.copy_expert(
            f"COPY accounts_account ({columns}, became_customer_on) FROM STDIN", io.StringIO("".join(rows))
        )
        cursor.execute(CONTRACTS)
        cursor.execute(SCORES, [list(TIERS)])
        cursor.execute(PULSES, [ids[0], ids[0], LAST_DAY])
        cursor.execute("UPDATE pulsecheck_cadencepolicy SET every_days = 60 WHERE tier = 'steady'")
        cursor.execute(POLICIES)
        cursor.execute("ANALYZE")


CONTRACTS = """
INSERT INTO accounts_contract (record_source, external_id, account_id, starts_on, ends_on, annual_value, currency, notice_days)
SELECT 'benchmark', 'K' || id, id, date '2025-01-01', date '2026-02-01' + (id % 400)::int, 1000, 'EUR', id % 3 * 30
FROM accounts_account WHERE billing_mode <> 'repeat'
"""
SCORES = """
INSERT INTO retention_score (run_id, account_id, as_of, churn_probability, horizon_days, base_probability, tier, stage, model_version,
    revenue_at_risk, currency, revenue_at_risk_company, expected_value_12m)
SELECT d.id, a.id, d.as_of, 0.2, 90, 0.2, (%s::text[])[1 + a.id %% 8], 'rhythm', 'benchmark', 100, 'EUR', 100, a.id %% 50000
FROM accounts_account a, retention_scorerun d
"""
PULSES = """
INSERT INTO pulsecheck_pulsecheck (account_id, taken_by_id, taken_at, score, note, insight_shared, opportunity, next_step,
    next_step_owner_id, next_step_due_on)
SELECT id, %s, timestamptz '2026-01-30 12:00+00' - id / 200 * 7919 %% 360 * interval '1 day', 4, '', '', '', 'Go on', %s, %s
FROM accounts_account WHERE id %% 4 < 3
"""
POLICIES = """
INSERT INTO pulsecheck_cadencepolicy (tier, segment, billing_mode, value_from, every_days, is_active)
VALUES ('steady', 'A', '', 0, 45, true), ('watch', '', 'contract', 0, 21, true), ('steady', '', '', 40000, 40, true)
"""


def _days_ago(days: int) -> str:
    return LAST_DAY.fromordinal(LAST_DAY.toordinal() - days).isoformat()


def _floor() -> float:
    """Read a row of every account, and write one contact each as the plan does."""
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, segment, account_manager_id, became_customer_on FROM accounts_account")
        ids = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "INSERT INTO pulsecheck_touchpoint (account_id, due_on, reason, state, note)"
            " SELECT c.id, %s, 'floor', 'planned', '' FROM unnest(%s::bigint[]) AS c(id)",
            [LAST_DAY, ids],
        )
        seconds = time.perf_counter() - began
        # Not TRUNCATE, which would take the pulse checks along. The rows are gone from the pages before anything is measured.
        cursor.execute("DELETE FROM pulsecheck_touchpoint")
        cursor.execute("VACUUM ANALYZE pulsecheck_touchpoint")
    return seconds


def _planning_alone(book: WholePlan) -> float:
    """The pure planner on an empty calendar of the same customers."""
    empty = [customer._replace(planned=None) for customer in book.customers]
    policies = get_policies()
    began = time.perf_counter()
    plan(empty, policies, book.place, LAST_DAY)
    return time.perf_counter() - began


def _faults(book: WholePlan) -> dict[str, int]:
    """What must not be: contacts on a day off, on a day of absence, beyond the year, or more a day than somebody can make.
    `unavoidable` of these say that no arrangement of all contacts would do before a year is over."""
    country = {customer.id: customer.country for customer in book.customers}
    load: Counter[tuple[int, Any]] = Counter()
    floors = {customer.id: floor_day(customer, LAST_DAY) for customer in book.customers}
    off = away = late = 0
    rows = Touchpoint.objects.values_list("account_id", "assignee_id", "due_on")
    for account, person, day in rows:
        late += day > floors[account]
        off += not book.place.is_open(day, person, country[account])
        away += book.place.away(person, day) is not None
        load[person, day] += 1
    most = {pk: worker.calls_per_day or 0 for pk, worker in book.place.people.items()}
    return {
        "on_a_day_off": off,
        "while_away": away,
        "beyond_a_year": late,
        "beyond_capacity": sum(max(count - most[person], 0) for (person, _), count in load.items() if person),
        "unavoidable": Touchpoint.objects.filter(moved_because__startswith="Every day up to").count(),
    }
