"""Why an account has the probability it has: factors that add up, in sentences with numbers people know."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, isnan

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.features import NAMES, RECENT, Matrix
from retention.scoring.models import FACTORS, FittedModel

Floats = NDArray[np.float64]
Reason = dict[str, str | float]

SHOWN = 4  # named factors per account; the rest is summed up as "other"
LEAST_POINTS = 0.05  # percentage points below which a factor is not worth a sentence

_WANTED = (
    "recency", "tenure", "purchases", "gap_median", "share_gaps_longer", "count_1", "count_2",
    "spend_change", "spend_mean", "returns_4", "same_window_last_year", "late_share",
)  # fmt: skip


@dataclass(frozen=True)
class Book:
    """What a sentence compares an account with."""

    horizon: int
    usual_value: float  # mean value of an order in the book


def points_of(parts: Floats, logit: Floats, model: FittedModel) -> Floats:
    """(n, factors) percentage points by which each factor moves an account away from the average one.

    Each factor's share of the way in logit is given the same share of the way in probability, so the row sums
    to 100 * (probability - base probability).
    """
    way = logit - model.full_intercept
    p, base = expit(logit), model.base_probability
    flat = np.abs(way) < 1e-9
    slope = np.where(flat, p * (1 - p), (p - base) / np.where(flat, 1.0, way))
    return 100.0 * (parts - model.centre) * slope[:, None]


def reasons_of(features: Matrix, points: Floats, has_signal: bool, book: Book) -> list[list[Reason]]:
    """For every account its reasons: first those that lead to where it stands, strongest first."""
    columns = [features[:, NAMES.index(name)].tolist() for name in _WANTED]
    if not has_signal:
        return [_without_signal(Facts(*values), book) for values in zip(*columns, strict=True)]
    totals = points.sum(axis=1)
    direction = np.where(totals >= 0, 1.0, -1.0)
    order = np.argsort(-points * direction[:, None], axis=1, kind="stable")
    strongest = np.argsort(-np.abs(points), axis=1, kind="stable")[:, :SHOWN]
    shown = np.zeros(points.shape, dtype=bool)
    np.put_along_axis(shown, strongest, True, axis=1)
    shown &= np.abs(points) >= LEAST_POINTS
    rows = zip(points.tolist(), order.tolist(), shown.tolist(), totals.tolist(), *columns, strict=True)
    return [_reasons(row[0], row[1], row[2], row[3], Facts(*row[4:]), book) for row in rows]


@dataclass(frozen=True, slots=True)
class Facts:
    """Plain numbers of one account, NaN where unknown; see `features.NAMES`."""

    recency: float
    tenure: float
    purchases: float
    gap_median: float
    share_gaps_longer: float
    count_1: float
    count_2: float
    spend_change: float
    spend_mean: float
    returns_4: float
    same_window_last_year: float
    late_share: float


def _reasons(
    points: Sequence[float],
    order: Sequence[int],
    shown: Sequence[bool],
    total: float,
    facts: Facts,
    book: Book,
) -> list[Reason]:
    reasons: list[Reason] = []
    left = total
    for factor in order:
        if shown[factor]:
            rounded = round(points[factor], 2)
            left -= rounded
            name = FACTORS[factor]
            reasons.append({"factor": name, "sentence": SENTENCES[name](facts, book), "points": rounded})
    if not reasons:
        reasons.append({"factor": "pattern", "sentence": _pattern(facts, book), "points": 0.0})
    left = round(left, 2)
    if left:
        reasons.append({"factor": "other", "sentence": "Everything else together.", "points": left})
    return reasons


def _without_signal(facts: Facts, book: Book) -> list[Reason]:
    return [
        {
            "factor": "no_signal",
            "sentence": "No usable signal: past orders do not tell who buys again, so everyone has the same probability.",
            "points": 0.0,
        },
        {"factor": "pattern", "sentence": _pattern(facts, book), "points": 0.0},
    ]


def _days_ago(days: float) -> str:
    whole = round(days)
    return "today" if whole == 0 else "1 day ago" if whole == 1 else f"{whole:,} days ago"


def _pattern(facts: Facts, book: Book) -> str:
    if facts.purchases < 2:
        return f"First and only order {_days_ago(facts.recency)}."
    gap = max(1, round(facts.gap_median))
    return f"Last order {_days_ago(facts.recency)}; usually every {'day' if gap == 1 else f'{gap:,} days'}."


def _rhythm(facts: Facts, book: Book) -> str:
    if facts.purchases < 2:
        return "No second order yet, so no rhythm of its own."
    gaps = min(round(facts.purchases) - 1, RECENT)
    longer = round(facts.share_gaps_longer * gaps)
    if gaps == 1:
        return f"Its only gap so far was {'longer' if longer else 'shorter'} than the present silence."
    if longer == 0:
        return f"None of its last {gaps} gaps was longer than the present silence."
    share = "Only " if longer * 2 < gaps else ""
    return f"{share}{longer} of its last {gaps} gaps {'was' if longer == 1 else 'were'} longer than the present silence."


def _frequency(facts: Facts, book: Book) -> str:
    if facts.purchases < 2:
        return f"1 order in {max(1, round(facts.tenure)):,} days."
    now, before = round(facts.count_1), round(facts.count_2 - facts.count_1)
    orders = "order" if now == 1 else "orders"
    if now or before:
        return f"{now} {orders} in the last {book.horizon} days, {before} in the {book.horizon} days before."
    return f"{round(facts.purchases)} orders in {max(1, round(facts.tenure)):,} days, none in the last {2 * book.horizon}."


def _spend(facts: Facts, book: Book) -> str:
    if facts.count_2 > facts.count_1 > 0 and abs(facts.spend_change) > 0.1:
        percent = abs(round(100 * expm1(facts.spend_change)))
        way = "above" if facts.spend_change > 0 else "below"
        if percent < 1000:
            return (
                f"Spend of the last {book.horizon} days is {percent} % {way} the {book.horizon} days before."
            )
    times = facts.spend_mean / book.usual_value if book.usual_value > 0 else 1.0
    if times >= 1.15:
        return f"Its orders are {times:,.1f} times the usual size."
    if times <= 0.85:
        return f"Its orders are {max(1, round(100 * times))} % of the usual size."
    return "Its orders are of the usual size."


def _returns(facts: Facts, book: Book) -> str:
    window = 4 * book.horizon
    if isnan(facts.returns_4) or facts.returns_4 < 1:
        return f"Nothing returned in the last {window} days."
    count = round(facts.returns_4)
    return f"{count} {'return' if count == 1 else 'returns'} in the last {window} days."


def _season(facts: Facts, book: Book) -> str:
    if isnan(facts.same_window_last_year):
        return "Was not yet a customer at this time last year."
    count = round(facts.same_window_last_year)
    if not count:
        return f"Bought nothing in the same {book.horizon} days last year."
    return f"Ordered {'once' if count == 1 else f'{count} times'} in the same {book.horizon} days last year."


def _delivery(facts: Facts, book: Book) -> str:
    if isnan(facts.late_share):
        return "No deliveries with a promised day lately."
    if not facts.late_share:
        return "All its recent deliveries came on time."
    return f"{max(1, round(100 * facts.late_share))} % of its recent deliveries came late."


SENTENCES = {
    "pattern": _pattern,
    "rhythm": _rhythm,
    "frequency": _frequency,
    "spend": _spend,
    "returns": _returns,
    "season": _season,
    "delivery": _delivery,
}
