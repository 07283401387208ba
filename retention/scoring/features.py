"""What is known about each account at the end of a day: thirty-six numbers, all vectorised.

Every feature at `as_of` is computed from rows dated on or before `as_of` and from nothing else; a value that
cannot be known (the usual gap of a customer with one purchase) is NaN: unknown, never neutral. Rhythm is read
from the last `RECENT` purchases, which keeps a customer of 10,000 orders as cheap as any other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retention.scoring.bgnbd import BgNbd
from retention.scoring.history import UNKNOWN_DAY, Ints, Purchases, spread

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

RECENT = 20
SHRINK_GAPS = 2.0  # the book's usual gap counts like this many own gaps
EWMA_DECAY = 0.6
HALF_LIFE = 90.0  # days in which what happened to a customer weighs half as much
BLOCK = 16_384  # accounts computed together; small enough to stay in cache
YEAR = 365
SPANS = (0.25, 0.5, 1, 2, 4, 8)  # horizons that orders are counted within

# feature -> factor it is explained under
FACTOR_OF = {
    "p_silent": "pattern",
    "recency": "rhythm",
    "recency_over_shrunk_gap": "rhythm",
    "recency_over_median": "rhythm",
    "recency_over_max": "rhythm",
    "recency_over_ewma": "rhythm",
    "share_gaps_longer": "rhythm",
    "gap_mean": "rhythm",
    "gap_median": "rhythm",
    "gap_sd": "rhythm",
    "gap_cv": "rhythm",
    "gap_max": "rhythm",
    "gap_last": "rhythm",
    "gap_ewma": "rhythm",
    "gap_trend": "rhythm",
    "tenure": "frequency",
    "purchases": "frequency",
    "active_share": "frequency",
    "rate": "frequency",
    "count_quarter": "frequency",
    "count_1": "frequency",
    "count_2": "frequency",
    "count_4": "frequency",
    "count_8": "frequency",
    "activity_change": "frequency",
    "activity_ewma": "frequency",
    "spend_mean": "spend",
    "spend_last": "spend",
    "spend_cv": "spend",
    "spend_sum": "spend",
    "spend_1": "spend",
    "spend_change": "spend",
    "spend_last_ratio": "spend",
    "returns_4": "returns",
    "return_share": "returns",
    "same_window_last_year": "season",
}
NAMES = tuple(FACTOR_OF)
# What may only raise the risk, and what may only lower it, whatever a few hundred rows of one book seem to say.
# The others (how long a customer, how irregular, how many returns) may do either.
RAISING = (
    "p_silent", "recency", "recency_over_shrunk_gap", "recency_over_median", "recency_over_max", "recency_over_ewma",
    "gap_mean", "gap_median", "gap_ewma",
)  # fmt: skip
LOWERING = (
    "share_gaps_longer", "purchases", "rate", "count_quarter", "count_1", "count_2", "count_4", "count_8",
    "activity_change", "activity_ewma", "spend_mean", "spend_last", "spend_sum", "spend_1", "spend_change",
    "spend_last_ratio", "same_window_last_year",
)  # fmt: skip
DIRECTIONS = np.array([(name in RAISING) - (name in LOWERING) for name in NAMES], dtype=np.int8)


@dataclass(frozen=True)
class Basis:
    """What features need to know about the book beyond the account itself."""

    bgnbd: BgNbd
    usual_gap: float  # days; median over customers of their mean gap
    horizon: int  # days


@dataclass(frozen=True)
class RhythmState:
    """BG/NBD's view of each account, in days: repeat purchases, age at the last one, age now."""

    x: Floats
    t_x: Floats
    age: Floats


def rhythm_state(purchases: Purchases, as_of: int, rows: Ints) -> RhythmState:
    """State at the end of day `as_of`; every account in `rows` must have bought by then."""
    return _state(purchases, as_of, purchases.offsets[rows], purchases.position(as_of, rows))


def _state(purchases: Purchases, as_of: int, start: Ints, end: Ints) -> RhythmState:
    first, last = purchases.day[start], purchases.day[end - 1]
    return RhythmState(
        (end - start - 1).astype(float), (last - first).astype(float), (as_of - first).astype(float)
    )


def usual_gap(state: RhythmState) -> float | None:
    """Median over repeat customers of their mean gap in days; None when nobody bought twice."""
    repeat = state.x > 0
    return float(np.median(state.t_x[repeat] / state.x[repeat])) if repeat.any() else None


def features_at(purchases: Purchases, as_of: int, rows: Ints, basis: Basis) -> Matrix:
    """Feature matrix (len(rows), len(NAMES)) at the end of day `as_of`; columns in the order of `NAMES`."""
    out = np.empty((len(rows), len(NAMES)), dtype=np.float32, order="F")  # read and written by columns
    for begin in range(0, len(rows), BLOCK):
        block = rows[begin : begin + BLOCK]
        columns = _block(purchases, as_of, block, basis)
        for position, name in enumerate(NAMES):
            out[begin : begin + BLOCK, position] = columns[name]
    return out


def _block(purchases: Purchases, as_of: int, rows: Ints, basis: Basis) -> dict[str, NDArray]:
    start, end = purchases.offsets[rows], purchases.position(as_of, rows)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        state = _state(purchases, as_of, start, end)
        recency = state.age - state.t_x
        columns: dict[str, NDArray] = {
            "recency": recency,
            "tenure": state.age,
            "purchases": state.x + 1,
            "active_share": state.t_x / np.maximum(state.age, 1),
            "rate": (state.x + 1) / (state.age + basis.usual_gap),
            "p_silent": _logit(basis.bgnbd.p_silent(state.x, state.t_x, state.age, basis.horizon)),
        }
        position, known = _recent(start, end, RECENT + 1)
        columns |= _rhythm(_gaps(purchases, position, known), recency, state, basis)
        columns |= _activity(purchases, as_of, rows, start, end, basis.horizon)
        columns |= _spend(purchases, start, end, position[:-1], known[:-1])
        columns |= _returns(purchases, as_of, rows, basis.horizon, columns["purchases"])
    return columns


def _logit(p: Floats) -> Floats:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def recent_gaps(purchases: Purchases, start: Ints, end: Ints, depth: int = RECENT) -> NDArray[np.float32]:
    """(accounts, depth) gaps in days between purchases, newest first, NaN where there are fewer."""
    position, known = _recent(start, end, depth + 1)
    return _gaps(purchases, position, known).T


def _recent(start: Ints, end: Ints, depth: int) -> tuple[Ints, NDArray[np.bool_]]:
    """(depth, accounts) positions of the newest purchases, newest first, and which of them there are."""
    position = end - 1 - np.arange(depth)[:, None]
    return np.maximum(position, 0), position >= start


def _gaps(purchases: Purchases, position: Ints, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    days = purchases.day[position].astype(np.float32)
    return np.where(known[1:], days[:-1] - days[1:], np.float32(np.nan))


def _down(values: NDArray) -> NDArray:
    """(accounts,) sums of the columns, row by row: numpy adds up a single column in another order than many, and parts
    of a book must change no digit."""
    total = values[0].copy()
    for row in values[1:]:
        total += row
    return total


def _rhythm(
    gaps: NDArray[np.float32], recency: Floats, state: RhythmState, basis: Basis
) -> dict[str, NDArray]:
    known = ~np.isnan(gaps)
    count = known.sum(axis=0)
    filled = np.where(known, gaps, np.float32(0))
    some = np.where(count > 0, count, np.nan)
    mean = _down(filled) / some
    sd = np.sqrt(np.maximum(_down(filled**2) / some - mean**2, 0) * some / np.maximum(some - 1, 1))
    sd = np.where(count > 1, sd, np.nan)
    longest = np.where(count > 0, filled.max(axis=0), np.nan)
    weight = EWMA_DECAY ** np.arange(len(gaps))
    ewma = _down(filled * weight[:, None]) / np.where(count > 0, weight.cumsum()[count - 1], np.nan)
    ordered = np.sort(gaps.T, axis=1)  # NaN last
    last = np.maximum(count - 1, 0)
    pick = np.arange(len(count))
    median = (ordered[pick, last // 2] + ordered[pick, (last + 1) // 2]) / 2
    shrunk = (state.t_x + SHRINK_GAPS * basis.usual_gap) / (state.x + SHRINK_GAPS)
    longer = (filled > recency).sum(axis=0) / some
    return {
        "gap_mean": mean,
        "gap_median": median,
        "gap_sd": sd,
        "gap_cv": sd / mean,
        "gap_max": longest,
        "gap_last": gaps[0],
        "gap_ewma": ewma,
        "gap_trend": np.where(count > 1, gaps[0] / mean, np.nan),
        "recency_over_shrunk_gap": recency / shrunk,
        "recency_over_median": recency / median,
        "recency_over_max": recency / longest,
        "recency_over_ewma": recency / ewma,
        "share_gaps_longer": longer,
    }


def _activity(
    purchases: Purchases, as_of: int, rows: Ints, start: Ints, end: Ints, horizon: int
) -> dict[str, NDArray]:
    days = [as_of - horizon * span for span in SPANS]
    *within, year_start, year_stop = purchases.positions([*days, as_of - YEAR, as_of - YEAR + horizon], rows)
    first_within = dict(zip(SPANS, within, strict=True))
    recent, before = end - first_within[1], first_within[1] - first_within[2]
    total = purchases.cents_sum
    spend, spend_before = total[end] - total[first_within[1]], total[first_within[1]] - total[first_within[2]]
    was_customer = purchases.day[start] <= as_of - YEAR
    ewma = np.sum([(end - at) / 2.0**k for k, at in enumerate(first_within.values())], axis=0)
    return {
        "count_quarter": end - first_within[0.25],
        "count_1": recent,
        "count_2": end - first_within[2],
        "count_4": end - first_within[4],
        "count_8": end - first_within[8],
        "activity_change": np.log((recent + 0.5) / (before + 0.5)),
        "activity_ewma": ewma,
        "spend_1": spend / 100,
        "spend_change": np.log((spend + 100) / (spend_before + 100)),
        "same_window_last_year": np.where(was_customer, year_stop - year_start, np.nan),
    }


def _spend(
    purchases: Purchases, start: Ints, end: Ints, position: Ints, known: NDArray[np.bool_]
) -> dict[str, NDArray]:
    """`position` and `known` as `_recent` gives them."""
    total = (purchases.cents_sum[end] - purchases.cents_sum[start]) / 100
    mean = total / (end - start)
    last = purchases.cents[end - 1] / 100
    recent = np.where(known, purchases.cents[position], 0) / 100
    count = known.sum(axis=0)
    recent_mean = _down(recent) / count
    apart = np.where(known, recent - recent_mean, 0)
    spread = np.sqrt(_down(np.square(apart, out=apart)) / np.maximum(count - 1, 1))
    return {
        "spend_mean": mean,
        "spend_last": last,
        "spend_cv": np.where(count > 1, spread / recent_mean, np.nan),
        "spend_sum": total,
        "spend_last_ratio": np.where(count > 1, last / mean, np.nan),
    }


def _returns(
    purchases: Purchases, as_of: int, rows: Ints, horizon: int, bought: Floats
) -> dict[str, NDArray]:
    # Also where nothing was ever returned: a part of a book must not differ from the whole.
    end = purchases.return_position(as_of, rows)
    since = purchases.return_position(as_of - 4 * horizon, rows)
    return {
        "returns_4": end - since,
        "return_share": (end - purchases.return_offsets[rows]) / bought,
    }


def delivery(purchases: Purchases, as_of: int, rows: Ints, window: float) -> dict[str, NDArray]:
    """Late deliveries among the orders of the last `window` days whose promised day has passed.

    An order is late when it arrived after the promised day, or has not arrived although that day has passed.
    Not one of `NAMES`: it is evidence beside the orders, see `signals`.
    """
    history = purchases.history
    if history.promised is None:
        nothing = np.full(len(rows), np.nan)
        return {"late_share": nothing, "late_last": nothing, "late_days": nothing, "deliveries": nothing}
    first, stop = history.offsets[rows], history.offsets[rows + 1]
    positions, owner = spread(first, stop)
    due = (
        (history.promised[positions] != UNKNOWN_DAY)
        & (history.promised[positions] < as_of)
        & (history.day[positions] <= as_of)
        & (history.day[positions] > as_of - window)
    )
    positions, owner = positions[due], owner[due]
    promised = history.promised[positions].astype(np.int64)
    arrived = _arrived(purchases, positions, as_of)
    late = arrived > promised
    late_days = (arrived - promised) * late * np.exp2(-(as_of - promised) / HALF_LIFE)
    counted = np.bincount(owner, minlength=len(rows))
    lates = np.bincount(owner, weights=late, minlength=len(rows))
    last_late = np.full(len(rows), np.nan)
    last_late[owner] = late  # orders are sorted by day: the newest is written last
    some = np.where(counted > 0, counted, np.nan)
    days = np.where(counted > 0, np.bincount(owner, weights=late_days, minlength=len(rows)), np.nan)
    return {"late_share": lates / some, "late_last": last_late, "late_days": days, "deliveries": some}


def _arrived(purchases: Purchases, positions: Ints, as_of: int) -> Ints:
    """Day on which orders arrived; of those on the way, the day after `as_of`."""
    delivered = purchases.history.delivered
    if delivered is None:
        return np.full(len(positions), as_of + 1)
    known = (delivered[positions] != UNKNOWN_DAY) & (delivered[positions] <= as_of)
    return np.where(known, delivered[positions], as_of + 1).astype(np.int64)
