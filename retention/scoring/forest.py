"""Boosted trees kept as plain arrays: applied by any worker alike, explained exactly, without code or pickle.

Fitted by scikit-learn's HistGradientBoostingClassifier. What each column contributes is its Shapley value where the
columns that are not asked take the branches in proportion to the training rows that did (Lundberg et al., "Consistent
Individualized Feature Attribution for Tree Ensembles", 2018). On a small tree that is exact and cheap: a leaf
depends on at most `depth` columns, so all its cases fit in a table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from retention.scoring.threads import one_thread

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]

LEAF = -1
BLOCK = 2048


@dataclass(frozen=True)
class Forest:
    """Trees one after the other; node arrays, children as positions in them.

    Attributes
    ----------
    roots : (T,) position of each tree's root
    feature : (N,) column that a node asks about, `LEAF` for leaves
    threshold : (N,) values up to it go left
    left, right : (N,) children
    missing_left : (N,) whether unknown values go left
    value : (N,) what a leaf adds to the log odds
    cover : (N,) training rows that reached the node
    intercept : log odds before any tree
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: Bools
    value: Floats
    cover: Floats
    intercept: float

    def logit(self, matrix: Floats) -> Floats:
        """(n,) log odds."""
        return self.logits_after(matrix, [len(self.roots)])[0]

    def logits_after(self, matrix: Floats, counts: list[int]) -> list[Floats]:
        """Log odds by the first trees alone, for each of these ascending counts."""
        total = np.full(len(matrix), self.intercept)
        found = []
        for number, root in enumerate(self.roots, 1):
            total = total + self._tree(int(root), matrix)
            if number in counts:
                found.append(total)
        return found + [total] * (len(counts) - len(found))

    def _tree(self, root: int, matrix: Floats) -> Floats:
        node = np.full(len(matrix), root, dtype=np.int32)
        inner = np.flatnonzero(self.feature[node] != LEAF)
        while len(inner):
            at = node[inner]
            values = matrix[inner, self.feature[at]]
            goes_left = np.where(np.isnan(values), self.missing_left[at], values <= self.threshold[at])
            node[inner] = np.where(goes_left, self.left[at], self.right[at])
            inner = inner[self.feature[node[inner]] != LEAF]
        return self.value[node]

    def first(self, count: int) -> "Forest":
        """The forest of the first trees."""
        return replace(self, roots=self.roots[:count])

    @cached_property
    def mean(self) -> float:
        """What the trees give on average over the training rows."""
        return self.intercept + sum(leaf.mean for leaf in self._leaves)

    def contributions(self, matrix: Floats) -> Floats:
        """(n, columns) what each column adds; rows and `mean` sum to `logit`."""
        blocks = [self._block(matrix[begin : begin + BLOCK].T) for begin in range(0, len(matrix), BLOCK)]
        return np.concatenate([*blocks, np.zeros((0, matrix.shape[1]))])

    def _block(self, columns: Floats) -> Floats:
        """Contributions of a few rows, given as (columns, rows) so that all arrays in use fit in the cache."""
        columns = np.ascontiguousarray(columns)
        unknown = np.isnan(columns)
        out = np.zeros(columns.shape)
        answers: dict[int, tuple[Bools, Bools]] = {}
        for leaf in self._leaves:
            case = np.zeros(columns.shape[1], dtype=np.intp)
            for place, path in enumerate(leaf.paths):
                for node, _ in path:
                    if node not in answers:
                        answers[node] = self._answers(node, columns, unknown)
                follows = [answers[node][is_left] for node, is_left in path]
                case += np.logical_and.reduce(follows) * np.intp(1 << place)
            for place, column in enumerate(leaf.columns):
                out[column] += leaf.table[:, place].take(case)
            if leaf.ends_tree:
                answers.clear()
        return out.T

    def _answers(self, node: int, columns: Floats, unknown: Bools) -> tuple[Bools, Bools]:
        """Which rows go right and which left at a node."""
        column = self.feature[node]
        left = columns[column] <= self.threshold[node]
        if self.missing_left[node]:
            left |= unknown[column]
        return ~left, left

    @cached_property
    def _leaves(self) -> list["_Leaf"]:
        leaves = [leaf for root in self.roots.tolist() for leaf in self._leaves_of(root)]
        for count in {len(leaf.columns) for leaf in leaves}:
            alike = [leaf for leaf in leaves if len(leaf.columns) == count]
            shares = _shares(np.array([leaf.kept for leaf in alike]).reshape(len(alike), count))
            for leaf, share in zip(alike, shares, strict=True):
                leaf.table = np.asfortranarray(leaf.value * share)
        return leaves

    def _leaves_of(self, root: int) -> Iterator["_Leaf"]:
        waiting: list[tuple[int, Path]] = [(root, ())]
        while waiting:
            node, path = waiting.pop()
            if self.feature[node] == LEAF:
                yield self._leaf(node, path, ends_tree=not waiting)
            else:
                waiting.append((int(self.right[node]), (*path, (node, False))))
                waiting.append((int(self.left[node]), (*path, (node, True))))

    def _leaf(self, node: int, path: "Path", ends_tree: bool) -> "_Leaf":
        by_column: dict[int, Path] = {}
        for step in path:
            column = int(self.feature[step[0]])
            by_column[column] = (*by_column.get(column, ()), step)
        kept = [float(np.prod([self._part(*step) for step in steps])) for steps in by_column.values()]
        return _Leaf(list(by_column), list(by_column.values()), kept, float(self.value[node]), ends_tree)

    def _part(self, node: int, is_left: bool) -> float:
        """Share of the training rows at a node that took this branch."""
        child = self.left[node] if is_left else self.right[node]
        return float(self.cover[child] / self.cover[node])


Path = tuple[tuple[int, bool], ...]  # nodes from the root down, and whether it goes left there


@dataclass
class _Leaf:
    """What leads to a leaf, by the m columns that are asked on the way.

    `kept` (m) is the share of training rows that each column lets through, `table` (2^m, m) what each column adds
    in every case (bit k: column k's answers lead here).
    """

    columns: list[int]
    paths: list[Path]
    kept: list[float]
    value: float
    ends_tree: bool
    table: Floats = field(default_factory=lambda: np.zeros((1, 0)))

    @property
    def mean(self) -> float:
        return self.value * float(np.prod(self.kept))


def _shares(kept: Floats) -> Floats:
    """(L, 2^m, m) Shapley values of leaves of value 1 for every case, given (L, m) shares of rows let through."""
    count = kept.shape[1]
    cases = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    shares = np.zeros((len(kept), 2**count, count))
    for column in range(count):
        others = [k for k in range(count) if k != column]
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for known in combinations(others, size):
                rest = [k for k in others if k not in known]
                leads = cases[:, list(known)].prod(axis=1)
                shares[:, :, column] += weight * leads * kept[:, rest].prod(axis=1)[:, None]
        shares[:, :, column] *= cases[:, column] - kept[:, column][:, None]
    return shares


@dataclass(frozen=True)
class Growth:
    """How trees are grown. `rounds` trees of at most `leaves` leaves and `depth` questions."""

    rounds: int
    leaves: int
    depth: int
    rate: float = 0.05
    least_in_leaf: int = 20
    ridge: float = 5.0
    additive: bool = False


def grow(matrix: Floats, outcome: Bools, growth: Growth, seed: int = 0) -> Forest:
    """Fit to labelled rows; both outcomes must occur, and no column may be unknown throughout."""
    # Loading scikit-learn takes a second; whoever only applies a fitted model does not need it.
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        learning_rate=growth.rate,
        max_iter=growth.rounds,
        max_leaf_nodes=growth.leaves,
        max_depth=growth.depth,
        min_samples_leaf=growth.least_in_leaf,
        l2_regularization=growth.ridge,
        interaction_cst="no_interactions" if growth.additive else None,
        early_stopping=False,
        random_state=seed,
    )
    with one_thread():
        trees.fit(matrix, outcome)
        forest = _as_arrays([round_[0].nodes for round_ in trees._predictors])
        first = matrix[:1]
        intercept = float(trees.decision_function(first)[0] - forest.logit(first)[0])
    return replace(forest, intercept=intercept)


def _as_arrays(trees: list[np.ndarray]) -> Forest:
    nodes = np.concatenate(trees)
    sizes = np.array([len(tree) for tree in trees])
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int32)
    shift = np.repeat(roots, sizes)
    leaf = nodes["is_leaf"].astype(bool)
    return Forest(
        roots=roots,
        feature=np.where(leaf, LEAF, nodes["feature_idx"]).astype(np.int32),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=(nodes["left"] + shift).astype(np.int32),
        right=(nodes["right"] + shift).astype(np.int32),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(leaf, nodes["value"], 0.0),
        cover=nodes["count"].astype(np.float64),
        intercept=0.0,
    )
