"""Every KPI at a day, per account: the records of a book put through the formulas of retention/kpis."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pulsecheck.models.handbacks import HandbackOutcome
from retention.kpis import care, purchases, revenue, risk, saves
from retention.kpis.periods import EPOCH, day_number, months_before, period_ends, quarter_ends
from retention.kpis.reasons import UNKNOWN, Loss, pareto
from retention.kpis.revenue import NEVER
from retention.kpis.terms import Bools, Floats, Ints, Terms, amount, per_account, share
from retention.models import ScoreRun, Tier
from retention.models.scores import RunState
from retention.selectors import kpi_records as records
from retention.selectors.definitions import definition_for, definitions_in_force, tier_policy_in_force

OUT_OF_TOUCH_DAYS = 180
USUAL_HORIZON_DAYS = 90
QUARTERS_SHOWN = 12
GRACE = "still within the grace period"

Detail = Callable[[Ints | None], dict[str, Any]]


def _nothing_to_add(_rows: Ints | None) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Measured:
    """A KPI at one day: what every account adds, since when, why it is provisional ("" = it is not).

    `part` (A,) numbers what splits the accounts (their names in `parts`, -1 = none); `detail` says what stands beside
    the figure for the accounts at some rows (None = all).
    """

    name: str
    start: dt.date
    terms: Terms
    provisional: str = ""
    detail: Detail = _nothing_to_add
    part: Ints | None = None
    parts: tuple[str, ...] = ()


class Reader:
    """The records of one book as of a day, read once and measured at several days before it."""

    def __init__(self, as_of: dt.date) -> None:
        self.as_of = as_of
        self.in_force = definitions_in_force()
        self.quarters = quarter_ends(as_of, QUARTERS_SHOWN)
        ends = {months_before(day, back) for day in period_ends(as_of) for back in (0, 12, 24)}
        self.frame = records.make_frame([day_number(day) for day in ends | set(self.quarters)])
        self.book = records.load_book(self.in_force)
        self.purchases = records.load_purchases(self.book, self.frame)
        self.contracts = records.load_contracts(self.book, self.frame)
        self.deliveries = records.load_deliveries(self.book, self.frame)
        self.promises = records.load_promises(self.book)
        self.pulses = records.load_touches(self.book, self.frame, records.PULSES)
        self.contacts = records.load_touches(self.book, self.frame, records.CONTACTS)
        self.handbacks = records.load_handbacks(self.book, self.frame, self.contracts, self.horizon_days)
        self._worth: dict[dt.date, Floats] = {}

    @cached_property
    def horizon_days(self) -> int:
        """As the definition in force says, else as the newest run found, else 90."""
        fixed = definition_for(self.in_force, "", "repeat").horizon_days
        published = ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__lte=self.as_of)
        run = published.order_by("-as_of").first()
        return fixed or (run.horizon_days if run else USUAL_HORIZON_DAYS)

    @cached_property
    def customer_since(self) -> Ints:
        """(A,) the earliest sign of custom: as recorded, the first order, the first contract."""
        since = np.minimum(self.book.customer_since, self.purchases.first_day)
        np.minimum.at(since, self.contracts.account_row, self.contracts.starts)
        return since

    def measure(self, day: dt.date) -> Iterator[Measured]:
        """All KPIs at the end of `day`."""
        yield from self._retention(day)
        yield self._repeat_purchase(day)
        yield self._renewals(day)
        yield from self._risk(day)
        yield from self._care(day)
        yield from self._handbacks(day)
        yield self._reasons(day)
        if day == self.as_of:
            yield self._cohorts()

    # -- revenue kept ---------------------------------------------------
    def worth(self, day: dt.date) -> Floats:
        """(A,) money a year at the end of `day`: contracts in force, and what was bought in the 12 months up to it."""
        if day not in self._worth:
            self._worth[day] = self._worth_at(day)
        return self._worth[day]

    def _worth_at(self, day: dt.date) -> Floats:
        values, _ = records.contract_values_at(self.book, self.contracts, day_number(day))
        bought = self.purchases.between(day_number(months_before(day, 12)), day_number(day))
        return values + np.where(self.book.is_repeat, bought, 0.0)

    def _retention(self, day: dt.date) -> Iterator[Measured]:
        t0 = months_before(day, 12)
        before, after = self.worth(t0), self.worth(day)
        start, why = t0 + dt.timedelta(days=1), self._why_provisional(day)
        how = np.where(after <= 0, 0, np.where(after < before, 1, -1))
        for kpi in (
            revenue.gross_revenue_retention,
            revenue.net_revenue_retention,
            revenue.full_loss_rate,
            revenue.partial_decline_rate,
            revenue.logo_churn_rate,
            revenue.net_logo_rate,
        ):
            yield Measured(kpi.__name__, start, kpi(before, after), why)
        erosion = revenue.erosion_rate(before, after)
        yield Measured("erosion_rate", start, erosion, why, part=how, parts=("Full loss", "Partial decline"))

    def _why_provisional(self, day: dt.date) -> str:
        _, in_grace = records.contract_values_at(self.book, self.contracts, day_number(day))
        if waiting := int(in_grace.sum()):
            return _waits(waiting, "contract that ran out is", "contracts that ran out are", GRACE)
        needed = day_number(months_before(day, 24))
        begins = self.purchases.begins
        if self.book.is_repeat.any() and needed + 1 < begins < NEVER:
            first = EPOCH + dt.timedelta(days=begins)
            return (
                f"Orders only reach back to {first.day} {first:%b %Y}, less than the two years compared here."
            )
        return ""

    def _repeat_purchase(self, day: dt.date) -> Measured:
        within = self.horizon_days
        terms = purchases.repeat_purchase_rate(
            self.purchases.first_day, self.purchases.second_day, day_number(day), within
        )
        return Measured("repeat_purchase_rate", day, terms, detail=lambda _rows: {"within_days": within})

    def _renewals(self, day: dt.date) -> Measured:
        t0 = months_before(day, 12)
        terms, waiting = revenue.renewal_rate(
            day_number(t0),
            day_number(day),
            self.book.size,
            account_row=self.contracts.account_row,
            starts=self.contracts.starts,
            ends=self.contracts.ends,
            cancelled=self.contracts.cancelled,
            grace_days=self.book.grace_days[self.contracts.account_row],
        )
        why = _waits(waiting, "contract that ran out is", "contracts that ran out are", GRACE)
        return Measured("renewal_rate", t0 + dt.timedelta(days=1), terms, why)

    # -- money ahead, rhythm, pulse -------------------------------------
    def _risk(self, day: dt.date) -> Iterator[Measured]:
        """What the scores of the day say; nothing where no run was published for the month up to it."""
        scores = records.load_risk(self.book, self.frame, day)
        if scores is None:
            return
        p, value, customer = scores.probability, scores.expected_value, scores.is_customer
        lost, threshold = scores.tier == Tier.LOST.value, tier_policy_in_force().at_risk_from
        about = _constant({"run": scores.run.as_of.isoformat(), "at_risk_from": threshold})
        yield Measured("expected_loss", day, risk.expected_loss(p, value, lost), detail=about)
        at_risk = risk.revenue_at_risk(p, value, lost, threshold)
        yield Measured("revenue_at_risk", day, at_risk, detail=about)
        quiet = risk.quiet_share(scores.tier == Tier.QUIET.value, customer)
        yield Measured("quiet_share", day, quiet, detail=about)
        since = self.contacts.days_since(day_number(day))
        if np.isfinite(since).any():
            start = day - dt.timedelta(days=OUT_OF_TOUCH_DAYS - 1)
            silent = risk.out_of_touch_share(since, customer, OUT_OF_TOUCH_DAYS)
            yield Measured("out_of_touch_share", start, silent, detail=about)
        every = records.load_cadence(self.book, scores)
        pulse = self.pulses.days_since(day_number(day))
        known_for = (day_number(day) - self.customer_since).astype(np.float64)
        yield Measured("pulse_coverage", day, care.pulse_coverage(pulse, known_for, every), detail=about)

    # -- what we did ----------------------------------------------------
    def _care(self, day: dt.date) -> Iterator[Measured]:
        t0 = months_before(day, 12)
        first, last, start = day_number(t0), day_number(day), t0 + dt.timedelta(days=1)
        told = self.promises
        kept = care.promise_kept_rate(told.account_row, told.due, told.kept, first, last, self.book.size)
        yield Measured("promise_kept_rate", start, kept)
        inside = self.deliveries.between(first, last)
        delivered = care.on_time_delivery_rate(
            self.deliveries.row[inside],
            self.deliveries.on_time[inside],
            self.deliveries.deliveries[inside],
            self.book.size,
        )
        yield Measured("on_time_delivery_rate", start, delivered)

    def _handbacks(self, day: dt.date) -> Iterator[Measured]:
        t0 = months_before(day, 12)
        span = (day_number(t0), day_number(day))
        episodes, start, size = self.handbacks.episodes, t0 + dt.timedelta(days=1), self.book.size
        saved = saves.save_rate(episodes, *span, size)
        waiting = saves.save_counts(episodes, span[1], np.ones(len(episodes.opened), dtype=bool)).waiting
        why = _waits(
            waiting, "closed episode still has", "closed episodes still have", "to reach the horizon"
        )
        yield Measured("save_rate", start, saved, why, detail=self._save_detail(span))
        completed = saves.handback_completion_rate(episodes, *span, size)
        yield Measured("handback_completion_rate", start, completed, detail=self._outcomes(span))
        accepted = saves.handback_acceptance_days(episodes, *span, size)
        yield Measured("handback_acceptance_days", start, accepted, detail=self._median_wait(span))

    def _of(self, rows: Ints | None) -> Bools:
        """Which episodes belong to accounts at `rows`."""
        account_row = self.handbacks.episodes.account_row
        return np.ones(len(account_row), dtype=bool) if rows is None else np.isin(account_row, rows)

    def _save_detail(self, span: tuple[int, int]) -> Detail:
        money = saves.revenue_save_rate(self.handbacks.episodes, *span, self.book.size)

        def detail(rows: Ints | None) -> dict[str, Any]:
            counts = saves.save_counts(self.handbacks.episodes, span[1], self._of(rows))
            figure = money.figure(rows)
            return asdict(counts) | {"money_value": figure.value, "money_saved": figure.numerator}

        return detail

    def _outcomes(self, span: tuple[int, int]) -> Detail:
        episodes = self.handbacks.episodes
        opened = (episodes.opened > span[0]) & (episodes.opened <= span[1])
        closed = opened & (episodes.closed <= span[1])

        def detail(rows: Ints | None) -> dict[str, Any]:
            outcomes = self.handbacks.outcome[closed & self._of(rows)]
            return {value: int((outcomes == value).sum()) for value in HandbackOutcome.values}

        return detail

    def _median_wait(self, span: tuple[int, int]) -> Detail:
        episodes = self.handbacks.episodes
        counted = (episodes.accepted > span[0]) & (episodes.accepted <= span[1])

        def detail(rows: Ints | None) -> dict[str, Any]:
            chosen = counted & self._of(rows)
            waits = (episodes.accepted - episodes.opened)[chosen]
            return {"median": float(np.median(waits)) if len(waits) else None}

        return detail

    # -- why they left --------------------------------------------------
    def _reasons(self, day: dt.date) -> Measured:
        """Losses recorded in the year, and all who stopped in it: with the reason recorded last, a year before included."""
        t0 = months_before(day, 12)
        before, after = self.worth(t0), self.worth(day)
        stopped = (before > 0) & (after <= 0)
        money = np.where(stopped, before, 0.0)
        losses = self._recorded_losses(day_number(months_before(t0, 12)), day_number(day))
        parts = sorted({UNKNOWN} | {reason for _, _, reason, _ in losses})
        part = np.where(stopped, parts.index(UNKNOWN), -1)
        for lost_on, row, reason, worth in losses:
            if lost_on > day_number(t0):
                part[row], money[row] = parts.index(reason), worth
            elif stopped[row]:
                part[row] = parts.index(reason)
        left = part >= 0

        def detail(rows: Ints | None) -> dict[str, Any]:
            chosen = np.flatnonzero(left) if rows is None else rows[left[rows]]
            lines = pareto(Loss(parts[part[row]], float(money[row])) for row in chosen)
            return {"lines": [asdict(line) for line in lines]}

        start = t0 + dt.timedelta(days=1)
        return Measured("churn_reasons", start, amount(money, left), "", detail, part, tuple(parts))

    def _recorded_losses(self, t0: int, t1: int) -> list[tuple[int, int, str, float]]:
        """(day, account, reason, a year's worth) of contracts ended and handbacks lost in (t0, t1], oldest first."""
        contracts, handbacks = self.contracts, self.handbacks
        ended = np.minimum(contracts.ends, contracts.cancelled)
        gone = (contracts.reason != "") & (ended > t0) & (ended <= t1)
        lost = handbacks.outcome == HandbackOutcome.LOST.value
        lost &= (handbacks.episodes.closed > t0) & (handbacks.episodes.closed <= t1)
        found = [
            *zip(
                ended[gone],
                contracts.account_row[gone],
                contracts.reason[gone],
                contracts.annual_value[gone],
                strict=True,
            ),
            *zip(
                handbacks.episodes.closed[lost],
                handbacks.episodes.account_row[lost],
                handbacks.reason[lost],
                handbacks.year_before[lost],
                strict=True,
            ),
        ]
        return [(int(day), int(row), str(reason), float(worth)) for day, row, reason, worth in sorted(found)]

    # -- cohorts --------------------------------------------------------
    def _cohorts(self) -> Measured:
        """Customers by the quarter of their first order; the figure is who of them bought in the last full quarter."""
        ends = np.array([day_number(day) for day in self.quarters])
        cohort = np.searchsorted(ends[1:], self.purchases.first_day)
        shown = (self.purchases.first_day > ends[0]) & (self.purchases.first_day <= ends[-1])
        cohort = np.where(shown, cohort, -1)
        row, quarter, money = self._by_quarter(ends)
        last_full = QUARTERS_SHOWN - 2
        bought = per_account(row, (quarter == last_full) & (money > 0), self.book.size) > 0
        judged = shown & (cohort <= last_full)
        labels = tuple(f"Q{(day.month - 1) // 3 + 1} {day.year}" for day in self.quarters[1:])

        def detail(rows: Ints | None) -> dict[str, Any]:
            chosen = cohort if rows is None else np.where(_among(rows, len(cohort)), cohort, -1)
            table = purchases.cohort_retention(chosen, row, quarter, money, QUARTERS_SHOWN)
            return {
                "labels": labels,
                "sizes": table.sizes.tolist(),
                "active": _rounded(table.active),
                "revenue": _rounded(table.revenue),
            }

        start = self.quarters[0] + dt.timedelta(days=1)
        terms = share(bought & judged, judged)
        return Measured("cohort_retention", start, terms, "", detail, cohort, labels)

    def _by_quarter(self, ends: Ints) -> tuple[Ints, Ints, Floats]:
        """Purchases as (account, quarter, revenue), one row per account and quarter."""
        position = np.array([self.frame.position(int(end)) for end in ends])
        stretch = self.purchases.stretch
        inside = (stretch > position[0]) & (stretch <= position[-1])
        quarter = np.searchsorted(position[1:], stretch[inside])
        key = self.purchases.row[inside] * QUARTERS_SHOWN + quarter
        cells, number = np.unique(key, return_inverse=True)
        money = np.bincount(number.reshape(-1), weights=self.purchases.revenue[inside], minlength=len(cells))
        return cells // QUARTERS_SHOWN, cells % QUARTERS_SHOWN, np.round(money, 2)


def _waits(count: int, one: str, many: str, rest: str) -> str:
    """Why a figure is provisional; "" when nothing is waited for."""
    return f"{count:,} {one if count == 1 else many} {rest}." if count else ""


def _constant(detail: dict[str, Any]) -> Detail:
    return lambda _rows: detail


def _among(rows: Ints, size: int) -> Bools:
    chosen = np.zeros(size, dtype=bool)
    chosen[rows] = True
    return chosen


def _rounded(table: Floats) -> list[list[float | None]]:
    """Shares with four decimals for storing; None where there is nothing yet."""
    return [[None if np.isnan(cell) else round(float(cell), 4) for cell in row] for row in table]
