"""Additive boosted stumps kept as one lookup table per feature.

No stump looks at more than one feature, so the fitted model is a sum of one-dimensional step functions: scoring is
a table lookup and every contribution is exact. Gradient boosting of the logistic loss (Friedman 2001), each step
the best split of one feature by second-order gain (Chen and Guestrin 2016). Written here because splits of one
feature need nothing but sums per bin, because a feature whose direction is known can be held to it (more silence
never lowers the risk, more orders never raise it), and because it takes half the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.features import Matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
Ints = NDArray[np.intp]

BINS = 64
CODES = BINS + 1  # code 0 is an unknown value
ROUNDS = 250
LEARNING_RATE = 0.1
LEAST_IN_LEAF = 40
RIDGE = 10.0
HESSIAN_EVERY = 8  # rounds for which second derivatives, which hardly move, are kept
EDGE_ROWS = 20_000  # quantiles are taken from about so many rows


@dataclass(frozen=True)
class AdditiveTrees:
    """Step functions in logit units.

    Attributes
    ----------
    edges : (F, BINS - 1) ascending upper edges of each feature's bins, padded with infinity
    tables : (F, BINS + 1) value added per bin; column 0 is for an unknown (NaN) value
    intercept : value where all tables give 0
    """

    edges: NDArray[np.float32]
    tables: NDArray[np.float32]
    intercept: float

    def contributions(self, features: Matrix) -> NDArray[np.float32]:
        """(n, F) what each feature adds to the logit."""
        out = np.empty(features.shape, dtype=np.float32, order="F")
        for column, step in enumerate(self._steps):
            out[:, column] = step.at(features[:, column])
        return out

    def logit(self, features: Matrix) -> Floats:
        """(n,) log odds of churn."""
        total = np.full(len(features), self.intercept)
        for column, step in enumerate(self._steps):
            if self.tables[column].any():
                total += step.at(features[:, column])
        return total

    @cached_property
    def _steps(self) -> list[_Step]:
        return [_step_of(edges, table) for edges, table in zip(self.edges, self.tables, strict=True)]


@dataclass(frozen=True)
class _Step:
    """A table without the edges at which nothing changes: there are few others, and they are found sooner."""

    edges: NDArray[np.float32]
    values: NDArray[np.float32]
    unknown: np.float32

    def at(self, column: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) what these values add."""
        if len(self.edges):
            out = self.values[np.searchsorted(self.edges, column, side="left")]
        else:
            out = np.full(len(column), self.values[0])
        if self.unknown != self.values[-1]:
            out[np.isnan(column)] = self.unknown  # which the search puts behind everything
        return out


def _step_of(edges: NDArray[np.float32], table: NDArray[np.float32]) -> _Step:
    known = table[1:]
    changes = np.flatnonzero(known[1:] != known[:-1])
    return _Step(edges[changes], known[np.append(changes, -1)], table[0])


def fit_trees(
    features: Matrix,
    churned: NDArray[np.bool_],
    weight: Floats,
    directions: NDArray[np.int8],
    rounds: int = ROUNDS,
) -> AdditiveTrees:
    """Fit to labelled rows; `churned` must contain both outcomes.

    `directions` says for each feature whether more of it may only raise (1) or only lower (-1) the log odds, or
    either (0); what an unknown value adds is never restricted.
    """
    edges = np.stack([_edges_of(column) for column in features.T])
    codes = np.stack([_codes_of(features[:, j], edges[j]) for j in range(len(edges))])
    splits = _Splits(codes, directions)
    label = churned.astype(float)
    start = float(np.log((weight * label).sum() / (weight * (1 - label)).sum()))
    logit, tables = np.full(len(label), start), np.zeros((len(edges), CODES))
    pairs = _Pairs(codes)
    for number in range(rounds):
        p = expit(logit)
        if number % HESSIAN_EVERY == 0:
            curvature = pairs.sums(weight * p * (1 - p))
        step = splits.best(pairs.sums(weight * (p - label)), curvature)
        if step is None:
            break
        feature, table = step
        tables[feature] += table
        logit += table[codes[feature]]
    return AdditiveTrees(edges, tables.astype(np.float32), start)


class _Pairs:
    """Bins of two features in one number: sums are taken for both at once, then for each alone."""

    def __init__(self, codes: Codes) -> None:
        self.features = len(codes)
        if len(codes) % 2:
            codes = np.concatenate([codes, np.zeros_like(codes[:1])])
        self.pairs: list[Ints] = [
            one.astype(np.intp) * CODES + other for one, other in zip(codes[::2], codes[1::2], strict=True)
        ]

    def sums(self, values: Floats) -> Floats:
        """(F, CODES) sum of the values of the rows in each bin."""
        both = np.stack([np.bincount(pair, values, CODES * CODES) for pair in self.pairs])
        both = both.reshape(-1, CODES, CODES)
        return np.stack([both.sum(axis=2), both.sum(axis=1)], axis=1).reshape(-1, CODES)[: self.features]


class _Splits:
    """Every split there is: known values up to a bin against the rest, unknown ones with either side."""

    def __init__(self, codes: Codes, directions: NDArray[np.int8]) -> None:
        counts = np.stack([np.bincount(row, minlength=CODES) for row in codes]).astype(float)
        left = _left_of(counts)
        self.allowed = (left >= LEAST_IN_LEAF) & (codes.shape[1] - left >= LEAST_IN_LEAF)
        self.sign = directions[:, None, None] * np.ones((1, 2, BINS))
        self.sign[:, :, 0] = 0  # unknown against known

    def best(self, gradient: Floats, curvature: Floats) -> tuple[int, Floats] | None:
        """Feature and table of the step that lowers the loss most; None when none does."""
        low, low_curve = _left_of(gradient), _left_of(curvature)
        all_, all_curve = gradient[0].sum(), curvature[0].sum()
        left = -low / (low_curve + RIDGE)
        right = (low - all_) / (all_curve - low_curve + RIDGE)
        gain = -(low * left + (all_ - low) * right)
        gain[~self.allowed | ((right - left) * self.sign < 0)] = -np.inf
        feature, side, bins = np.unravel_index(int(gain.argmax()), gain.shape)
        if not gain[feature, side, bins] > 1e-9:
            return None
        table = np.full(CODES, right[feature, side, bins])
        table[1 : bins + 1] = left[feature, side, bins]
        if side == 0 or bins == 0:
            table[0] = left[feature, side, bins]
        return int(feature), LEARNING_RATE * table


def _left_of(bins: Floats) -> Floats:
    """(F, 2, BINS) sums left of each split; with the unknown ones (first) and without them (second)."""
    known = np.cumsum(bins[:, 1:], axis=1)[:, :-1]
    unknown = bins[:, :1]
    alone = np.concatenate([unknown, known], axis=1)
    return np.stack([np.concatenate([unknown, known + unknown], axis=1), alone], axis=1)


def _edges_of(column: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quantiles of the known values; equal ones once."""
    known = column[~np.isnan(column)]
    known = known[:: max(1, len(known) // EDGE_ROWS)]
    edges = np.full(BINS - 1, np.inf, dtype=np.float32)
    if len(known):
        inner = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
        edges[: len(inner)] = inner
    return edges


def _codes_of(column: NDArray[np.float32], edges: NDArray[np.float32]) -> Codes:
    codes = (np.searchsorted(edges, column, side="left") + 1).astype(np.uint8)
    codes[np.isnan(column)] = 0
    return codes
