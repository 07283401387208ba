"""Additive boosted trees kept as one lookup table per feature.

No tree looks at more than one feature, so the fitted model is a sum of one-dimensional step functions. Those
are read off once on a grid; scoring is then a table lookup and every contribution is exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retention.scoring.features import Matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

BINS = 64
ROUNDS = 120
LEARNING_RATE = 0.1
LEAVES = 2
LEAST_IN_LEAF = 40
RIDGE = 10.0


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
        out = np.empty(features.shape, dtype=np.float32)
        for column, table in enumerate(self.tables):
            out[:, column] = table[_codes_of(features[:, column], self.edges[column])]
        return out

    def logit(self, features: Matrix) -> Floats:
        """(n,) log odds of churn."""
        total = np.full(len(features), self.intercept)
        for column, table in enumerate(self.tables):
            if table.any():
                total += table[_codes_of(features[:, column], self.edges[column])]
        return total


def fit_trees(
    features: Matrix, churned: NDArray[np.bool_], weight: Floats, seed: int = 0, rounds: int = ROUNDS
) -> AdditiveTrees:
    """Fit to labelled rows; `churned` must contain both outcomes."""
    # Loading scikit-learn takes a second; whoever only applies a fitted model does not need it.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    edges = np.stack([_edges_of(column) for column in features.T])
    codes = np.column_stack([_codes_of(features[:, j], edges[j]) for j in range(len(edges))])
    trees = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=rounds,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAST_IN_LEAF,
        l2_regularization=RIDGE,
        interaction_cst="no_interactions",
        early_stopping=False,
        random_state=seed,
    )
    # Threads that spin beside other busy processes make the fit many times slower, never much faster.
    with threadpool_limits(limits=1):
        trees.fit(codes, churned, sample_weight=weight)
    grid = np.zeros((len(edges) * (BINS + 1) + 1, len(edges)), dtype=np.uint8)
    for j in range(len(edges)):
        grid[1 + j * (BINS + 1) : 1 + (j + 1) * (BINS + 1), j] = np.arange(BINS + 1)
    values = trees.decision_function(grid)
    tables = (values[1:] - values[0]).reshape(len(edges), BINS + 1)
    return AdditiveTrees(edges, tables.astype(np.float32), float(values[0]))


def _edges_of(column: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quantiles of the known values; equal ones once."""
    known = column[~np.isnan(column)]
    edges = np.full(BINS - 1, np.inf, dtype=np.float32)
    if len(known):
        inner = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
        edges[: len(inner)] = inner
    return edges


def _codes_of(column: NDArray[np.float32], edges: NDArray[np.float32]) -> Codes:
    codes = (np.searchsorted(edges, column, side="left") + 1).astype(np.uint8)
    codes[np.isnan(column)] = 0
    return codes
