"""The health scorecard: nine factors of 0 to 100, each by one stated rule, and their weighted mean.

Beside the fitted probability it is the judgement a person can follow with a pencil. High is good. A factor nobody
knows anything about is NaN and left out of the mean: that lowers the share of the weight that is known, never the
health. Everything is worked out from what was known at the end of day `as_of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retention.scoring.features import recent_gaps
from retention.scoring.history import Ints, Purchases
from retention.scoring.signals import Facts

Floats = NDArray[np.float64]

# What each factor weighs until a company says otherwise; only the proportions count. Buying weighs most because
# every book has it, what people say to our face next, what we know least often least.
SHIPPED: dict[str, int] = {
    "rhythm": 20,
    "frequency": 10,
    "spend": 15,
    "delivery": 10,
    "service": 10,
    "relationship": 10,
    "pulse": 15,
    "promises": 5,
    "stability": 5,
}
FACTORS = tuple(SHIPPED)

OWN_GAP_FROM = 3  # purchases; with fewer, the book's usual gap is the yardstick
GAPS_TO_NOTHING = 4.0  # silent for so many usual gaps = 0
BEFORE = 4  # horizons that what is usual is taken from
SEVERITY_COST = 10.0  # points per open issue and step of severity (low 1, medium 2, high 3)
ISSUE_DOUBLES = 60.0  # days after which an open issue costs twice as much
ISSUE_COST = 5.0  # points per issue opened in the last half year, settled or not
CONTACT_FINE, CONTACT_NOTHING = 90.0, 365.0  # days since the last contact: still 100, and 0
ONE_CONTACT_COST, NO_CONTACT_COST = 25.0, 50.0
PULSE_FRESH, PULSE_STALE = 90.0, 365.0  # days a pulse counts in full, and from which it says nothing
OWNER_CHANGE_COST, CONTACT_LEFT_COST, VACANT_COST = 25.0, 20.0, 40.0


@dataclass(frozen=True)
class Scorecard:
    """(n, len(FACTORS)) factors and how far each is known, 0 to 1; `facts` are what they were worked out from.

    `value` is NaN exactly where `known` is 0.
    """

    value: Floats
    known: Floats
    facts: Mapping[str, Floats]
    horizon: int

    def __len__(self) -> int:
        return len(self.value)

    def health(self, weights: Floats) -> Floats:
        """(n,) weighted mean of what is known, 0 to 100; NaN where nothing is. `weights` is (F,) or (n, F)."""
        counted = weights * self.known
        total = counted.sum(axis=1)
        with np.errstate(invalid="ignore"):
            points = np.where(self.known > 0, self.value, 0.0)
            return np.einsum("ij,ij->i", counted, points) / np.where(total > 0, total, np.nan)

    def known_share(self, weights: Floats) -> Floats:
        """(n,) share 0 to 1 of the weight that rests on something known."""
        whole = np.broadcast_to(weights, self.known.shape).sum(axis=1)
        return (weights * self.known).sum(axis=1) / np.where(whole > 0, whole, np.nan)

    def only(self, rows: NDArray) -> "Scorecard":
        """The scorecards of some of the accounts: positions, or a mask."""
        facts = {name: values[rows] for name, values in self.facts.items()}
        return Scorecard(self.value[rows], self.known[rows], facts, self.horizon)


def weight_array(weights: Mapping[str, int]) -> Floats:
    """(F,) weights in the order of `FACTORS`."""
    return np.array([weights[name] for name in FACTORS], dtype=np.float64)


def scorecard(
    purchases: Purchases,
    as_of: int,
    rows: Ints,
    horizon: int,
    usual_gap: float,
    signals: Facts | None = None,
    own_gap: Floats | None = None,
) -> Scorecard:
    """Factors of the accounts in `rows` at the end of day `as_of`.

    Parameters
    ----------
    horizon : days; buying in the last horizon is held against the `BEFORE` horizons before it
    usual_gap : days; the book's usual gap, for accounts too new to have their own
    signals : `signals.signal_facts` of the same rows and day; None where only orders are known
    own_gap : median of each account's own recent gaps in days, where it has been worked out already
    """
    start, end = purchases.offsets[rows], purchases.position(as_of, rows)
    gap = _median_gap(purchases, start, end) if own_gap is None else own_gap
    gap = np.maximum(np.where(end - start >= OWN_GAP_FROM, gap, usual_gap), 1.0)
    facts = _buying_facts(purchases, as_of, rows, horizon, end) | {"gap": np.where(end > start, gap, np.nan)}
    columns = {
        "rhythm": _rhythm(facts["quiet"], facts["gap"]),
        "frequency": _against_usual(facts["orders"], facts["usual_orders"]),
        "spend": _against_usual(facts["spent"], facts["usual_spent"]),
    }
    if signals is not None:
        columns |= _care(signals)
        facts |= {name: signals[name] for name in _SAID_OF}
    nothing = np.full(len(rows), np.nan)
    value = np.column_stack([columns.get(name, nothing) for name in FACTORS]).reshape(len(rows), len(FACTORS))
    known = (~np.isnan(value)).astype(np.float64)
    if signals is not None:
        known[:, FACTORS.index("pulse")] *= _freshness(signals["pulse_age"])
    value[known == 0] = np.nan
    return Scorecard(value, known, facts, horizon)


# ── buying ─────────────────────────────────────────────────────────────
def _buying_facts(purchases: Purchases, as_of: int, rows: Ints, horizon: int, end: Ints) -> dict[str, Floats]:
    """Silence in days; orders and money of the last horizon, and what is usual in one."""
    start = purchases.offsets[rows]
    bought = np.where(end > start, 1.0, np.nan)
    first, last = _day(purchases, start) * bought, _day(purchases, end - 1) * bought
    begin, before = purchases.positions((as_of - horizon, as_of - horizon * (1 + BEFORE)), rows)
    # The first purchase opens the account: counting it would make a new customer look as if it had slowed down.
    counted = np.minimum(np.maximum(before, start + 1), end)
    begin = np.maximum(begin, counted)
    span = np.minimum(as_of - horizon - first, BEFORE * horizon)
    per_horizon = np.where(span >= horizon, horizon / np.maximum(span, 1), np.nan)
    net = _net(purchases, as_of, rows, horizon)
    total = purchases.cents_sum
    recent, usual = net["recent"], net["before"]
    spent = total[end] - total[begin] + recent
    spent_before = total[begin] - total[counted] + usual
    return {
        "quiet": as_of - last,
        "purchases": (end - start).astype(float),
        "orders": np.where(np.isnan(per_horizon), np.nan, end - begin),
        "usual_orders": (begin - counted) * per_horizon,
        "spent": np.where(np.isnan(per_horizon), np.nan, np.maximum(spent, 0) / 100),
        "usual_spent": np.maximum(spent_before, 0) / 100 * per_horizon,
    }


def _day(purchases: Purchases, position: Ints) -> Floats:
    """Day of a purchase; of accounts without any, some day that is not looked at."""
    if not len(purchases.day):
        return np.full(len(position), np.nan)
    return purchases.day[np.clip(position, 0, len(purchases.day) - 1)].astype(float)


def _net(purchases: Purchases, as_of: int, rows: Ints, horizon: int) -> dict[str, Floats]:
    """Returned cents (below 0) of the last horizon and of the `BEFORE` before it."""
    if not len(purchases.return_day):
        return {"recent": np.zeros(len(rows)), "before": np.zeros(len(rows))}
    total = purchases.return_cents_sum
    ends = (as_of, as_of - horizon, as_of - horizon * (1 + BEFORE))
    end, middle, begin = (purchases.return_position(day, rows) for day in ends)
    return {"recent": total[end] - total[middle], "before": total[middle] - total[begin]}


def _median_gap(purchases: Purchases, start: Ints, end: Ints) -> Floats:
    """Median of the account's own recent gaps in days; NaN with fewer than two purchases."""
    if not len(purchases.day):
        return np.full(len(start), np.nan)
    gaps = np.sort(recent_gaps(purchases, start, end), axis=1)  # NaN last
    count = (~np.isnan(gaps)).sum(axis=1)
    last, pick = np.maximum(count - 1, 0), np.arange(len(gaps))
    return ((gaps[pick, last // 2] + gaps[pick, (last + 1) // 2]) / 2).astype(np.float64)


def _rhythm(quiet: Floats, gap: Floats) -> Floats:
    """100 while the silence is within the usual gap, 0 from four of them, falling evenly with each doubling."""
    gaps = np.maximum(quiet / gap, 1.0)
    return 100 * np.clip(1 - np.log(gaps) / np.log(GAPS_TO_NOTHING), 0, 1)


def _against_usual(now: Floats, usual: Floats) -> Floats:
    """The share of the usual that came, at most all of it. Nothing where something never was usual is 0."""
    share = np.where(usual > 0, now / np.where(usual > 0, usual, 1), np.where(now > 0, 1.0, 0.0))
    return np.where(np.isnan(usual) | np.isnan(now), np.nan, 100 * np.minimum(share, 1))


# ── everything else ────────────────────────────────────────────────────
_SAID_OF = (
    "late_share", "deliveries", "open_issues", "oldest_open", "recent_issues", "silence", "active_contacts",
    "pulse", "pulse_age", "promises", "broken", "owner_changes", "contacts_left", "vacant",
)  # fmt: skip


def _care(known: Facts) -> dict[str, Floats]:
    """The factors beyond buying."""
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(known["promises"] > 0, 1 - known["broken"] / known["promises"], np.nan)
    return {
        "delivery": 100 * (1 - known["late_share"]),
        "service": _service(known),
        "relationship": _relationship(known),
        "pulse": (known["pulse"] - 1) * 20,
        "promises": 100 * kept,
        "stability": _stability(known),
    }


def _service(known: Facts) -> Floats:
    """100 less 10, 20 or 30 for each open issue by severity, up to twice that as the oldest grows two months old, and
    5 for each issue of the last half year."""
    age = np.minimum(known["oldest_open"], ISSUE_DOUBLES) / ISSUE_DOUBLES
    cost = SEVERITY_COST * known["issue_weight"] * (1 + age) + ISSUE_COST * known["recent_issues"]
    return np.clip(100 - cost, 0, 100)


def _relationship(known: Facts) -> Floats:
    """100 up to 90 days after the last contact, falling evenly to 0 after a year; less 25 where we know one person
    only, 50 where nobody we knew is left."""
    quiet = (known["silence"] - CONTACT_FINE) / (CONTACT_NOTHING - CONTACT_FINE)
    people = known["active_contacts"]
    cost = np.select([people == 0, people == 1], [NO_CONTACT_COST, ONE_CONTACT_COST], 0.0)
    return np.clip(100 * (1 - np.clip(quiet, 0, 1)) - cost, 0, 100)


def _stability(known: Facts) -> Floats:
    """100 less 25 for each change of owner within a year, 20 for each person there who left, 40 while an owner is
    missing. Parts that are unknown cost nothing; with none known the factor is unknown."""
    parts = np.column_stack([known["owner_changes"], known["contacts_left"], known["vacant"] > 0])
    unknown = np.isnan(known["owner_changes"]) & np.isnan(known["contacts_left"]) & np.isnan(known["vacant"])
    cost = np.nan_to_num(parts) @ np.array([OWNER_CHANGE_COST, CONTACT_LEFT_COST, VACANT_COST])
    return np.where(unknown, np.nan, np.clip(100 - cost, 0, 100))


def _freshness(age: Floats) -> Floats:
    """How far a pulse still counts: 1 up to 90 days, 0 from a year."""
    left = (PULSE_STALE - age) / (PULSE_STALE - PULSE_FRESH)
    return np.nan_to_num(np.clip(left, 0, 1))
