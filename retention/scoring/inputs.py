"""What a model looks at: how much each factor weighs in a book, and which inputs have moved since another day."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.scoring.features import NAMES, Basis, features_at, rhythm_state
from retention.scoring.history import Ints, Purchases
from retention.scoring.models import FittedModel
from retention.scoring.scores import facts_for
from retention.scoring.signals import Signals

Floats = NDArray[np.float64]

BINS = 10
AGEING = frozenset({"tenure"})  # grows by a day a day for everybody: that it moved says nothing
CHANCE_QUANTILE = 1.645  # of the normal distribution: what chance exceeds once in twenty


@dataclass(frozen=True)
class Shift:
    """How far the spread of one input has moved between two days.

    `index` is the population stability index: 0 = the same, from .1 moved, from .25 drifted. `by_chance` is what
    twenty draws of so many customers from one and the same book would exceed once. `was` and `now` are medians
    (None where nobody has a value), `unknown_was` and `unknown_now` shares of customers without a value.
    """

    name: str
    index: float
    by_chance: float
    was: float | None
    now: float | None
    unknown_was: float
    unknown_now: float

    def as_dict(self) -> dict[str, Any]:
        """Rounded to four places, for JSON."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


def input_shifts(purchases: Purchases, before: int, now: int, basis: Basis) -> list[Shift]:
    """How the inputs of all customers at the end of day `now` differ from those at the end of day `before`, most
    moved first; empty when there were no customers then."""
    if not len(purchases.customers(before)):
        return []
    old = features_at(purchases, before, purchases.customers(before), basis)
    new = features_at(purchases, now, purchases.customers(now), basis)
    shifts = [
        _shift(name, old[:, column], new[:, column])
        for column, name in enumerate(NAMES)
        if name not in AGEING
    ]
    return sorted(shifts, key=lambda shift: -shift.index)


def _shift(name: str, old: NDArray[np.floating], new: NDArray[np.floating]) -> Shift:
    index, bins = _stability(old, new)
    return Shift(
        name, index, _by_chance(len(old), len(new), bins), _median(old), _median(new),
        float(np.isnan(old).mean()), float(np.isnan(new).mean()),
    )  # fmt: skip


def stability_index(old: NDArray[np.floating], new: NDArray[np.floating]) -> float:
    """Population stability index: sum of (new - old) * ln(new / old) over the shares in ten groups that were of equal
    count in `old`, and one of unknown values. Half a customer is added to each group, so none is empty."""
    return _stability(old, new)[0]


def _stability(old: NDArray[np.floating], new: NDArray[np.floating]) -> tuple[float, int]:
    """The index, and in how many groups."""
    known = old[~np.isnan(old)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
    bins = len(edges) + 2
    shares = [_shares(values, edges, bins) for values in (old, new)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0]))), bins


def _shares(values: NDArray[np.floating], edges: NDArray[np.floating], bins: int) -> Floats:
    group = np.where(np.isnan(values), bins - 1, np.searchsorted(edges, values, side="left"))
    counts = np.bincount(group, minlength=bins) + 0.5
    return counts / counts.sum()


def _by_chance(old: int, new: int, bins: int) -> float:
    """Without drift the index is chi-squared with bins - 1 degrees of freedom, times (1/old + 1/new); its 95 %
    quantile by Wilson and Hilferty (1931)."""
    degrees = bins - 1
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + CHANCE_QUANTILE * spread**0.5) ** 3 * (1 / old + 1 / new)


def _median(values: NDArray[np.floating]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None


@dataclass(frozen=True)
class Weights:
    """How much each factor, and each input, matters in a book: its share of all movement of the log odds away from a
    customer in good standing, averaged over accounts; most first. Empty where every customer gets the same."""

    factors: dict[str, float]
    inputs: dict[str, float]


def weights_of(
    model: FittedModel, purchases: Purchases, as_of: int, rows: Ints, signals: Signals | None = None
) -> Weights:
    """What moves the scores of the accounts in `rows` at the end of day `as_of`."""
    state = rhythm_state(purchases, as_of, rows)
    facts = facts_for(model, signals, purchases, as_of, rows)
    parts = model.parts(features_at(purchases, as_of, rows, model.basis), state, facts)
    off = replace(parts, added=parts.added - model.standing.added)
    factors = tuple(dict.fromkeys(parts.factors.values()))
    # What BG/NBD adds rests on the one input that says what BG/NBD says.
    inputs = {name: "p_silent" if name in ("pace", "waiting") else name for name in parts.factors}
    by_input = replace(off, factors=inputs)
    names = tuple(dict.fromkeys(inputs.values()))
    return Weights(_shared(factors, off.by_factor(factors)), _shared(names, by_input.by_factor(names)))


def _shared(names: tuple[str, ...], added: Floats) -> dict[str, float]:
    moved = np.abs(added).mean(axis=0)
    if not moved.sum() > 0:
        return {}
    shares = moved / moved.sum()
    return {names[i]: round(float(shares[i]), 4) for i in np.argsort(-shares) if shares[i] > 0}
