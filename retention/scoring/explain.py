"""Why an account has the probability it has: factors that add up, in sentences with numbers people know."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.features import NAMES, RECENT, Matrix
from retention.scoring.models import FACTORS, FittedModel

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

SHOWN = 4  # named factors per account; the rest is summed up as "other"
LEAST_POINTS = 0.05  # percentage points below which a factor is not worth a sentence
UNKNOWN = -(10**9)  # stands for a value nobody knows, where sentences are made from whole numbers

OTHER = "Everything else together."
NO_SIGNAL = "No usable signal: past orders do not tell who buys again, so everyone has the same probability."


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


def reasons_of(features: Matrix, points: Floats, has_signal: bool, book: Book) -> list[str]:
    """For every account its reasons as JSON: a list of {"factor", "sentence", "points"}.

    First come those that lead to where the account stands, strongest first; the points of a list sum to
    the account's distance from the average one. Made as text at once: a million accounts are a million lists.
    """
    facts = _Facts(features, book)
    if not has_signal:
        head = f"[{_opening('no_signal', NO_SIGNAL)}0.0}},"
        return [f"{head}{pattern}0.0}}]" for pattern in facts.openings("pattern", np.arange(len(features)))]
    rounded = np.round(points, 2)
    totals = points.sum(axis=1)
    strongest = np.argsort(-np.abs(points), axis=1, kind="stable")[:, :SHOWN]
    size = np.take_along_axis(rounded, strongest, axis=1)
    worth = np.abs(size) >= LEAST_POINTS
    worth[:, 0] = True
    leading = np.where(worth, size * np.where(totals >= 0, 1.0, -1.0)[:, None], -np.inf)
    order = np.argsort(-leading, axis=1, kind="stable")
    chosen = np.take_along_axis(strongest, order, axis=1)
    shown = np.take_along_axis(worth, order, axis=1)
    size = np.where(shown, np.take_along_axis(size, order, axis=1), 0.0)
    left = np.round(totals - size.sum(axis=1), 2)
    return _joined(_texts(facts, chosen, shown), size, left)


def _texts(facts: "_Facts", chosen: Whole, shown: NDArray[np.bool_]) -> list[list[str]]:
    """Per rank, the beginning of each account's JSON object; empty where nothing is shown."""
    texts = np.full(chosen.shape, "", dtype=object)
    for number, name in enumerate(FACTORS):
        rows, ranks = np.nonzero((chosen == number) & shown)
        texts[rows, ranks] = facts.openings(name, rows)
    return [column.tolist() for column in texts.T]


def _joined(texts: list[list[str]], size: Floats, left: Floats) -> list[str]:
    other = _opening("other", OTHER)
    rest = [f",{other}{value!r}}}]" if value else "]" for value in left.tolist()]
    first, *more = zip(texts, size.T.tolist(), strict=True)
    out = [f"[{text}{value!r}}}" for text, value in zip(*first, strict=True)]
    for column, values in more:
        out = [
            f"{done},{text}{value!r}}}" if text else done
            for done, text, value in zip(out, column, values, strict=True)
        ]
    return [done + end for done, end in zip(out, rest, strict=True)]


def _opening(factor: str, sentence: str) -> str:
    return f'{{"factor":"{factor}","sentence":{json.dumps(sentence)},"points":'


class _Facts:
    """Whole numbers about each account, and the sentences made from them, each distinct one once."""

    def __init__(self, features: Matrix, book: Book) -> None:
        self.features, self.book = features, book

    def openings(self, factor: str, rows: Iterable[int] | Whole) -> list[str]:
        """JSON up to the points, for these accounts."""
        sentence, columns = SENTENCES[factor]
        made: dict[tuple[int, ...], str] = {}
        out = []
        for key in zip(*(column.tolist() for column in columns(self, np.asarray(rows))), strict=True):
            text = made.get(key)
            if text is None:
                text = made[key] = _opening(factor, sentence(self.book.horizon, *key))
            out.append(text)
        return out

    def whole(self, name: str, rows: Whole, scale: float = 1.0) -> Whole:
        return _whole(self.features[rows, NAMES.index(name)] * scale)

    def raw(self, name: str, rows: Whole) -> NDArray[np.float32]:
        return self.features[rows, NAMES.index(name)]


def _whole(values: NDArray[np.floating]) -> Whole:
    return np.where(np.isnan(values), UNKNOWN, np.round(np.clip(values, -1e9, 1e9))).astype(np.int64)


def _pattern_facts(facts: _Facts, rows: Whole) -> tuple[Whole, ...]:
    return facts.whole("recency", rows), facts.whole("gap_median", rows)


def _pattern(horizon: int, silence: int, gap: int) -> str:
    ago = "today" if silence == 0 else "1 day ago" if silence == 1 else f"{silence:,} days ago"
    if gap == UNKNOWN:
        return f"First and only order {ago}."
    return f"Last order {ago}; usually every {'day' if gap <= 1 else f'{gap:,} days'}."


def _rhythm_facts(facts: _Facts, rows: Whole) -> tuple[Whole, ...]:
    gaps = np.minimum(facts.whole("purchases", rows) - 1, RECENT)
    return gaps, _whole(facts.raw("share_gaps_longer", rows) * gaps)


def _rhythm(horizon: int, gaps: int, longer: int) -> str:
    if gaps == 0:
        return "No second order yet, so no rhythm of its own."
    if gaps == 1:
        return f"Its only gap so far was {'longer' if longer else 'shorter'} than the present silence."
    if longer == 0:
        return f"None of its last {gaps} gaps was longer than the present silence."
    only = "Only " if longer * 2 < gaps else ""
    was = "was" if longer == 1 else "were"
    return f"{only}{longer} of its last {gaps} gaps {was} longer than the present silence."


def _frequency_facts(facts: _Facts, rows: Whole) -> tuple[Whole, ...]:
    now, both = facts.whole("count_1", rows), facts.whole("count_2", rows)
    silent = both == 0
    # Only a silent customer's sentence tells orders and tenure; leaving them out keeps sentences few.
    orders = np.where(silent, facts.whole("purchases", rows), 0)
    return now, both - now, orders, np.where(silent, facts.whole("tenure", rows), 0)


def _frequency(horizon: int, now: int, before: int, orders: int, tenure: int) -> str:
    if now or before:
        said = "1 order" if now == 1 else f"{now:,} orders"
        return f"{said} in the last {horizon} days, {before:,} in the {horizon} days before."
    if orders == 1:
        return f"1 order in {max(1, tenure):,} days."
    return f"{orders:,} orders in {max(1, tenure):,} days, none in the last {2 * horizon}."


def _spend_facts(facts: _Facts, rows: Whole) -> tuple[Whole, ...]:
    active = facts.raw("count_2", rows) > facts.raw("count_1", rows)
    active &= facts.raw("count_1", rows) > 0
    with np.errstate(over="ignore"):
        change = 100.0 * np.expm1(facts.raw("spend_change", rows).astype(float))
        times = 100.0 * facts.raw("spend_mean", rows).astype(float) / max(facts.book.usual_value, 1e-9)
    change = np.where(active & (np.abs(change) >= 10) & (change < 1000), change, np.nan)
    # Sizes to two figures: nobody needs "3.17 times", and there are fewer sentences to make.
    times = np.where(np.isnan(change), np.where(times >= 115, np.round(times, -1), times), 0.0)
    return _whole(change), _whole(times)


def _spend(horizon: int, change: int, times: int) -> str:
    if change != UNKNOWN:
        way = "above" if change > 0 else "below"
        return f"Spend of the last {horizon} days is {abs(change)} % {way} the {horizon} days before."
    if times >= 115:
        return f"Its orders are {times / 100:,.1f} times the usual size."
    if times <= 85:
        return f"Its orders are {max(1, times)} % of the usual size."
    return "Its orders are of the usual size."


def _returns_facts(facts: _Facts, rows: Whole) -> tuple[Whole, ...]:
    return (facts.whole("returns_4", rows),)


def _returns(horizon: int, count: int) -> str:
    if count < 1:
        return f"Nothing returned in the last {4 * horizon} days."
    return f"{count:,} {'return' if count == 1 else 'returns'} in the last {4 * horizon} days."


def _season_facts(facts: _Facts, rows: Whole) -> tuple[Whole, ...]:
    return (facts.whole("same_window_last_year", rows),)


def _season(horizon: int, count: int) -> str:
    if count == UNKNOWN:
        return "Was not yet a customer at this time last year."
    if not count:
        return f"Bought nothing in the same {horizon} days last year."
    return f"Ordered {'once' if count == 1 else f'{count:,} times'} in the same {horizon} days last year."


def _delivery_facts(facts: _Facts, rows: Whole) -> tuple[Whole, ...]:
    return (facts.whole("late_share", rows, 100.0),)


def _delivery(horizon: int, late: int) -> str:
    if late == UNKNOWN:
        return "No deliveries with a promised day lately."
    if not late:
        return "All its recent deliveries came on time."
    return f"{late} % of its recent deliveries came late."


SENTENCES: dict[str, tuple[Callable[..., str], Callable[[_Facts, Whole], tuple[Whole, ...]]]] = {
    "pattern": (_pattern, _pattern_facts),
    "rhythm": (_rhythm, _rhythm_facts),
    "frequency": (_frequency, _frequency_facts),
    "spend": (_spend, _spend_facts),
    "returns": (_returns, _returns_facts),
    "season": (_season, _season_facts),
    "delivery": (_delivery, _delivery_facts),
}
