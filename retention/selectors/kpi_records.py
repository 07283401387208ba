"""The records the KPIs are made of, read in a few set-based queries into arrays (one row per account or event)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from accounts.models.account import BillingMode
from accounts.selectors import get_company
from pulsecheck.selectors.plan import stored_policies
from retention.datasets import copy_to_array
from retention.kpis.periods import EPOCH
from retention.kpis.revenue import NEVER, contract_values
from retention.kpis.saves import Episodes
from retention.kpis.terms import Bools, Floats, Ints
from retention.models import ScoreRun, Tier
from retention.models.scores import RunState
from retention.selectors.definitions import InForce, definition_for

UNKNOWN_DAY = -NEVER
# Money of a row in the company's currency, at the fixed rates; rows in a currency without a rate are left out.
RATES = "LEFT JOIN accounts_exchangerate rate ON rate.currency = {table}.currency"
IN_COMPANY = "CASE WHEN {table}.currency = %(currency)s THEN 1 ELSE rate.rate END"
BOUGHT = "o.status NOT IN ('cancelled', 'returned')"


@dataclass(frozen=True)
class Frame:
    """Days between which money is added up, and how the company counts days."""

    days: tuple[int, ...]  # ascending day numbers; a stretch (t0, t1] begins and ends on such days
    zone: ZoneInfo
    currency: str

    def ends(self) -> list[dt.datetime]:
        """The moment each day ends."""
        return [
            dt.datetime.combine(EPOCH + dt.timedelta(days=day + 1), dt.time(), tzinfo=self.zone)
            for day in self.days
        ]

    def dates(self) -> list[dt.date]:
        """The first day after each, for columns that hold dates."""
        return [EPOCH + dt.timedelta(days=day + 1) for day in self.days]

    def position(self, day: int) -> int:
        """How many of the days are `day` or before: events up to its end have a smaller or equal stretch number."""
        return self.days.index(day) + 1


@dataclass(frozen=True)
class Book:
    """All accounts (A,), in order of their id, with the slices they belong to (number into the names, -1 = none)."""

    account_ids: Ints
    is_repeat: Bools
    is_contract: Bools
    grace_days: Ints
    customer_since: Ints
    slices: dict[str, Ints]
    names: dict[str, list[str]]

    @property
    def size(self) -> int:
        return len(self.account_ids)

    def rows_of(self, account_ids: Ints) -> Ints:
        """Positions of these accounts."""
        return np.searchsorted(self.account_ids, account_ids).astype(np.int64)


def _columns(sql: str, parameters: dict[str, Any], types: Sequence[type | str]) -> list[NDArray[Any]]:
    """The columns of a query as arrays."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    return [np.array(column, dtype=kind) for column, kind in zip(columns, types, strict=True)]


def _numbers(sql: str, parameters: dict[str, Any], columns: dict[str, str]) -> list[NDArray[Any]]:
    """The columns of a query that selects numbers only, by binary COPY: `columns` is name -> "int" or "float"."""
    with connection.cursor() as cursor:
        query = cursor.mogrify(sql, parameters)
    text = query.decode() if isinstance(query, bytes) else query
    casts = ", ".join(f"{name}::{'bigint' if kind == 'int' else 'float8'}" for name, kind in columns.items())
    wire = {name: ">i8" if kind == "int" else ">f8" for name, kind in columns.items()}
    rows = copy_to_array(f"SELECT {casts} FROM ({text}) AS found", wire)  # noqa: S608
    kinds = {"int": np.int64, "float": np.float64}
    return [rows[name].astype(kinds[kind]) for name, kind in columns.items()]


def make_frame(ends: Sequence[int]) -> Frame:
    company = get_company()
    return Frame(tuple(sorted(set(ends))), company.zone, company.currency)


def load_book(in_force: InForce) -> Book:
    """Everybody, prospects included: who has no revenue adds nothing."""
    ids, teams, segments, regions, modes, since = _columns(
        """
        SELECT a.id, coalesce(manager.team_id, original.team_id, -1), a.segment, a.region, a.billing_mode,
               coalesce(a.became_customer_on - DATE '1970-01-01', %(never)s)
        FROM accounts_account a
        LEFT JOIN accounts_user manager ON manager.id = a.account_manager_id
        LEFT JOIN accounts_user original ON original.id = a.original_salesperson_id
        ORDER BY a.id
        """,
        {"never": int(NEVER)},
        (int, int, str, str, str, int),
    )
    kinds = {"team": teams.astype(str), "segment": segments, "region": regions}
    kinds["team"][teams < 0] = ""
    slices, names = {}, {}
    for kind, keys in kinds.items():
        names[kind], slices[kind] = _numbered(keys)
    grace = _grace(names["segment"], slices["segment"], in_force)
    is_contract = np.isin(modes, [BillingMode.CONTRACT.value, BillingMode.BOTH.value])
    return Book(
        ids.astype(np.int64),
        modes != BillingMode.CONTRACT.value,
        is_contract,
        grace,
        since.astype(np.int64),
        slices,
        names,
    )


def _numbered(keys: NDArray[np.str_]) -> tuple[list[str], Ints]:
    """Names and the number of each row's name; an empty key is in no slice."""
    names, number = np.unique(keys, return_inverse=True)
    number = number.astype(np.int64).reshape(-1)
    if len(names) and names[0] == "":
        return [str(name) for name in names[1:]], number - 1
    return [str(name) for name in names], number


def _grace(segments: list[str], segment_of: Ints, in_force: InForce) -> Ints:
    days = [definition_for(in_force, name, "contract").grace_days for name in [*segments, ""]]
    return np.array(days, dtype=np.int64)[segment_of]


@dataclass(frozen=True)
class Purchases:
    """Revenue (returns taken off) per account and stretch between two days of the frame, and first order days."""

    frame: Frame
    row: Ints
    stretch: Ints
    revenue: Floats
    first_day: Ints
    second_day: Ints

    def between(self, t0: int, t1: int) -> Floats:
        """(A,) revenue in (t0, t1], to the cent, not below 0."""
        inside = (self.stretch > self.frame.position(t0)) & (self.stretch <= self.frame.position(t1))
        total = np.bincount(self.row[inside], weights=self.revenue[inside], minlength=len(self.first_day))
        return np.maximum(np.round(total, 2), 0.0)

    @property
    def begins(self) -> int:
        """The day of the first order of all; NEVER without orders."""
        return int(self.first_day.min()) if len(self.first_day) else int(NEVER)


def load_purchases(book: Book, frame: Frame) -> Purchases:
    """Stretch k covers the time from the end of the k-th day of the frame (1-based) back to that of the one before."""
    ids, stretch, revenue = _numbers(
        f"""
        SELECT o.account_id AS account, width_bucket(o.ordered_at, %(ends)s::timestamptz[]) + 1 AS stretch,
               sum(round(o.amount * {IN_COMPANY.format(table="o")}, 2)) AS revenue
        FROM accounts_order o {RATES.format(table="o")}
        WHERE {BOUGHT} AND o.ordered_at < %(end)s AND (o.currency = %(currency)s OR rate.rate IS NOT NULL)
        GROUP BY 1, 2
        """,  # noqa: S608 - only constants of this module are put in
        {"ends": frame.ends(), "end": frame.ends()[-1], "currency": frame.currency},
        {"account": "int", "stretch": "int", "revenue": "float"},
    )
    first, second = _first_days(book, frame)
    return Purchases(frame, book.rows_of(ids), stretch, revenue, first, second)


def _first_days(book: Book, frame: Frame) -> tuple[Ints, Ints]:
    """The first and second day on which each account ordered."""
    ids, first, second = _numbers(
        f"""
        WITH days AS (
            SELECT o.account_id, (o.ordered_at AT TIME ZONE %(zone)s)::date AS day
            FROM accounts_order o WHERE {BOUGHT} AND o.amount > 0 AND o.ordered_at < %(end)s GROUP BY 1, 2
        ), starts AS (SELECT account_id, min(day) AS day FROM days GROUP BY 1)
        SELECT s.account_id AS account, s.day - DATE '1970-01-01' AS first,
               coalesce(min(d.day) FILTER (WHERE d.day > s.day) - DATE '1970-01-01', %(never)s) AS second
        FROM starts s JOIN days d USING (account_id) GROUP BY 1, s.day
        """,  # noqa: S608
        {"zone": frame.zone.key, "end": frame.ends()[-1], "never": int(NEVER)},
        {"account": "int", "first": "int", "second": "int"},
    )
    rows = book.rows_of(ids)
    return _spread(book.size, rows, first), _spread(book.size, rows, second)


def _spread(size: int, rows: Ints, days: Ints) -> Ints:
    result = np.full(size, NEVER, dtype=np.int64)
    result[rows] = days
    return result


@dataclass(frozen=True)
class Contracts:
    """All contracts (N,); days are whole numbers, `cancelled` NEVER where it was not; reason "" where none is known."""

    account_row: Ints
    starts: Ints
    ends: Ints
    cancelled: Ints
    annual_value: Floats
    reason: NDArray[np.str_]


def load_contracts(book: Book, frame: Frame) -> Contracts:
    ids, starts, ends, cancelled, value, reason = _columns(
        f"""
        SELECT c.account_id, c.starts_on - DATE '1970-01-01', c.ends_on - DATE '1970-01-01',
               coalesce(c.cancelled_on - DATE '1970-01-01', %(never)s),
               round(c.annual_value * {IN_COMPANY.format(table="c")}, 2)::float8, coalesce(reason.code, '')
        FROM accounts_contract c {RATES.format(table="c")}
        LEFT JOIN accounts_churnreason reason ON reason.id = c.churn_reason_id
        WHERE c.currency = %(currency)s OR rate.rate IS NOT NULL
        """,  # noqa: S608
        {"never": int(NEVER), "currency": frame.currency},
        (int, int, int, int, float, str),
    )
    return Contracts(book.rows_of(ids), starts, ends, cancelled, value, reason)


@dataclass(frozen=True)
class Counts:
    """Deliveries per account and stretch: on time, and all that count."""

    frame: Frame
    row: Ints
    stretch: Ints
    on_time: Floats
    deliveries: Floats

    def between(self, t0: int, t1: int) -> Bools:
        """Which rows lie in (t0, t1]."""
        return (self.stretch > self.frame.position(t0)) & (self.stretch <= self.frame.position(t1))


def load_deliveries(book: Book, frame: Frame) -> Counts:
    """Orders with a promised day, delivered or overdue."""
    ids, stretch, on_time, deliveries = _numbers(
        """
        SELECT account_id AS account, width_bucket(promised_on, %(dates)s::date[]) + 1 AS stretch,
               count(*) FILTER (WHERE delivered_on <= promised_on) AS on_time, count(*) AS deliveries
        FROM accounts_order
        WHERE promised_on < %(end)s AND status <> 'cancelled' AND amount > 0
              AND (delivered_on IS NOT NULL OR status = 'placed')
        GROUP BY 1, 2
        """,
        {"dates": frame.dates(), "end": frame.dates()[-1]},
        {"account": "int", "stretch": "int", "on_time": "float", "deliveries": "float"},
    )
    return Counts(frame, book.rows_of(ids), stretch, on_time, deliveries)


@dataclass(frozen=True)
class Promised:
    """Promises (N,): whose, when due, when kept (NEVER = not)."""

    account_row: Ints
    due: Ints
    kept: Ints


def load_promises(book: Book) -> Promised:
    """A promise marked as kept without a day counts as kept on its due day."""
    ids, due, kept = _columns(
        """
        SELECT account_id, due_on - DATE '1970-01-01',
               coalesce(kept_on, CASE WHEN status = 'kept' THEN due_on END) - DATE '1970-01-01'
        FROM accounts_promise
        """,
        {},
        (int, int, float),
    )
    days = np.where(np.isnan(kept), NEVER, np.nan_to_num(kept)).astype(np.int64)
    return Promised(book.rows_of(ids), due.astype(np.int64), days)


@dataclass(frozen=True)
class Touches:
    """The last day of a kind of contact per account and stretch."""

    frame: Frame
    row: Ints
    stretch: Ints
    day: Ints
    size: int

    def days_since(self, day: int) -> Floats:
        """(A,) days since the last one by the end of `day`; NaN = never."""
        known = self.stretch <= self.frame.position(day)
        last = np.full(self.size, UNKNOWN_DAY, dtype=np.int64)
        np.maximum.at(last, self.row[known], self.day[known])
        return np.where(last == UNKNOWN_DAY, np.nan, day - last)


PULSES = "SELECT account_id, taken_at AS moment FROM pulsecheck_pulsecheck"
CONTACTS = (
    "SELECT account_id, taken_at AS moment FROM pulsecheck_pulsecheck "
    "UNION ALL SELECT account_id, happened_at FROM accounts_interaction"
)


def load_touches(book: Book, frame: Frame, events: str) -> Touches:
    """`events` is PULSES or CONTACTS."""
    ids, stretch, day = _numbers(
        f"""
        SELECT account_id AS account, width_bucket(moment, %(ends)s::timestamptz[]) + 1 AS stretch,
               max((moment AT TIME ZONE %(zone)s)::date) - DATE '1970-01-01' AS day
        FROM ({events}) AS event WHERE moment < %(end)s GROUP BY 1, 2
        """,  # noqa: S608
        {"ends": frame.ends(), "zone": frame.zone.key, "end": frame.ends()[-1]},
        {"account": "int", "stretch": "int", "day": "int"},
    )
    return Touches(frame, book.rows_of(ids), stretch, day, book.size)


@dataclass(frozen=True)
class Handbacks:
    """Episodes, and beside them how each ended and what a year of its account was worth before it was opened."""

    episodes: Episodes
    outcome: NDArray[np.str_]
    reason: NDArray[np.str_]
    year_before: Floats


def _day(moment: str) -> str:
    return f"(({moment} AT TIME ZONE %(zone)s)::date - DATE '1970-01-01')"


def _bought(start: str, end: str) -> str:
    """Revenue of the account of handback `h` between two moments."""
    return f"""(
        SELECT coalesce(sum(round(o.amount * {IN_COMPANY.format(table="o")}, 2)), 0)::float8
        FROM accounts_order o {RATES.format(table="o")}
        WHERE o.account_id = h.account_id AND {BOUGHT} AND o.ordered_at >= {start} AND o.ordered_at < {end}
              AND (o.currency = %(currency)s OR rate.rate IS NOT NULL))"""  # noqa: S608


def load_handbacks(book: Book, frame: Frame, contracts: Contracts, horizon_days: int) -> Handbacks:
    """The horizon is the one stored with the risk the episode was opened for, else `horizon_days`."""
    ids, opened, accepted, closed, tried, horizon, outcome, reason, year, later = _columns(
        f"""
        SELECT h.account_id, {_day("h.opened_at")}, coalesce({_day("h.accepted_at")}, %(never)s),
               coalesce({_day("h.closed_at")}, %(never)s),
               EXISTS (SELECT FROM pulsecheck_handbackattempt t WHERE t.handback_id = h.id
                       AND t.kind IN ('call', 'email', 'meeting')),
               h.horizon, h.outcome, coalesce(reason.code, ''),
               {_bought("h.opened_at - interval '365 days'", "h.opened_at")},
               {_bought("h.opened_at", "h.opened_at + h.horizon * interval '1 day'")}
        FROM (SELECT *, coalesce((risk ->> 'horizon_days')::int, %(horizon)s) AS horizon
              FROM pulsecheck_handback) h
        LEFT JOIN accounts_churnreason reason ON reason.id = h.churn_reason_id
        WHERE h.opened_at < %(end)s
        """,  # noqa: S608 - only constants of this module are put in
        {
            "zone": frame.zone.key,
            "never": int(NEVER),
            "horizon": horizon_days,
            "currency": frame.currency,
            "end": frame.ends()[-1],
        },
        (int, int, int, int, bool, int, str, str, float, float),
    )
    row, share_of_year = book.rows_of(ids), horizon / 365
    opening = _contract_value_on(book, contracts, row, opened)
    reached = _contract_value_on(book, contracts, row, opened + horizon)
    repeat = book.is_repeat[row]
    year_before = np.where(repeat, np.maximum(year, 0), 0) + opening
    later_revenue = np.where(repeat, np.maximum(later, 0), 0) + reached * share_of_year
    episodes = Episodes(
        row, opened, accepted, closed, tried, horizon, year_before * share_of_year, later_revenue
    )
    return Handbacks(episodes, outcome, reason, year_before)


def _contract_value_on(book: Book, contracts: Contracts, row: Ints, days: Ints) -> Floats:
    """(N,) yearly contract value of the account at `row` on the day beside it."""
    values = np.zeros(len(row))
    for day in np.unique(days):
        on_day = days == day
        values[on_day] = contract_values_at(book, contracts, int(day))[0][row[on_day]]
    return values


def contract_values_at(book: Book, contracts: Contracts, day: int) -> tuple[Floats, Bools]:
    """(A,) yearly contract value in force at the end of `day`, and who is in the grace period."""
    values, in_grace = contract_values(
        day,
        book.size,
        account_row=contracts.account_row,
        starts=contracts.starts,
        ends=contracts.ends,
        cancelled=contracts.cancelled,
        annual_value=contracts.annual_value,
        grace_days=book.grace_days[contracts.account_row],
    )
    return np.where(book.is_contract, values, 0.0), in_grace & book.is_contract


@dataclass(frozen=True)
class Risk:
    """What the scores said at a day, per account (A,): NaN and "" where an account was not scored."""

    run: ScoreRun
    probability: Floats
    expected_value: Floats
    tier: NDArray[np.str_]

    @property
    def is_customer(self) -> Bools:
        """Scored and not lost."""
        return (self.tier != "") & (self.tier != Tier.LOST.value)


def load_risk(book: Book, frame: Frame, day: dt.date) -> Risk | None:
    """Scores of the newest run published for `day` or up to a month before; None where there is none."""
    run = (
        ScoreRun.objects.filter(
            state=RunState.PUBLISHED, as_of__lte=day, as_of__gt=day - dt.timedelta(days=31)
        )
        .order_by("-as_of")
        .first()
    )
    if run is None:
        return None
    ids, probability, value, tier = _columns(
        f"""
        SELECT s.account_id, s.churn_probability, (s.expected_value_12m * {IN_COMPANY.format(table="s")})::float8, s.tier
        FROM retention_score s {RATES.format(table="s")} WHERE s.as_of = %(as_of)s
        """,  # noqa: S608
        {"as_of": run.as_of, "currency": frame.currency},
        (int, float, float, "U10"),
    )
    rows = book.rows_of(ids)
    unknown = np.full(book.size, np.nan)
    risk = Risk(run, unknown, unknown.copy(), np.full(book.size, "", dtype="U10"))
    risk.probability[rows], risk.expected_value[rows], risk.tier[rows] = probability, value, tier
    return risk


def load_cadence(book: Book, risk: Risk) -> Floats:
    """(A,) days between pulse checks by the policy that governs each account; NaN where none does, and for the lost."""
    days = np.full(book.size, np.nan)
    policies = [policy for policy in stored_policies() if policy.tier != Tier.LOST]
    # The most particular one wins, so it is written last.
    for policy in sorted(policies, key=lambda policy: policy.rank, reverse=True):
        match = (risk.tier == policy.tier) & _in_segment(book, policy.segment)
        if policy.billing_mode:
            modes = {"repeat": book.is_repeat, "contract": book.is_contract}
            match &= modes.get(policy.billing_mode, book.is_repeat & book.is_contract)
        if policy.value_from:
            match &= np.nan_to_num(risk.expected_value) >= policy.value_from
        days[match] = policy.every_days
    return days


def _in_segment(book: Book, segment: str) -> Bools:
    if not segment:
        return np.ones(book.size, dtype=bool)
    if segment not in book.names["segment"]:
        return np.zeros(book.size, dtype=bool)
    return np.asarray(book.slices["segment"] == book.names["segment"].index(segment))
