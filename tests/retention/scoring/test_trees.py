"""The boosted stumps on data whose answer is known."""

import numpy as np
from scipy.special import expit

from retention.scoring.metrics import log_loss
from retention.scoring.trees import fit_trees

NO_DIRECTION = np.zeros(3, dtype=np.int8)


def world(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (the second one partly unknown, the third one noise), outcomes, and their true log odds."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, 3)).astype(np.float32)
    features[random.uniform(size=rows) < 0.2, 1] = np.nan
    truth = 1.5 * np.sin(features[:, 0]) + np.where(
        np.isnan(features[:, 1]), 1.0, np.where(features[:, 1] > 0.5, -1.0, 0.0)
    )
    return features, random.uniform(size=rows) < expit(truth), truth


def test_what_was_put_in_is_found() -> None:
    features, label, _ = world(6_000)
    trees = fit_trees(features, label, np.ones(len(label)), NO_DIRECTION)
    fresh, outcome, truth = world(20_000, seed=1)
    found = log_loss(outcome.astype(float), expit(trees.logit(fresh)))
    assert found < log_loss(outcome.astype(float), expit(truth)) + 0.004
    moves = np.abs(trees.contributions(fresh)).mean(axis=0)
    assert moves[2] < 0.1 < min(moves[:2])


def test_a_known_direction_is_kept_whatever_the_rows_say() -> None:
    features, label, _ = world(4_000)
    trees = fit_trees(features, label, np.ones(len(label)), np.array([-1, 1, 1], dtype=np.int8))
    steps = np.diff(trees.tables[:, 1:], axis=1)  # column 0 is for unknown values
    assert steps[0].max() <= 1e-6
    assert steps[1:].min() >= -1e-6
    assert trees.tables[1, 0] > 0.3  # the unknown are free


def test_a_feature_nobody_has_adds_nothing() -> None:
    features, label, _ = world(1_000)
    features[:, 2] = np.nan
    trees = fit_trees(features, label, np.ones(len(label)), NO_DIRECTION)
    assert not trees.tables[2].any()
    assert np.isfinite(trees.tables).all()


def test_contributions_are_what_the_tables_say() -> None:
    features, label, _ = world(3_000)
    features[:, 2] = 1.0  # nothing to split
    trees = fit_trees(features, label, np.ones(len(label)), NO_DIRECTION)
    fresh = np.concatenate([world(500, seed=2)[0], [[np.inf, -np.inf, np.nan], [np.nan, 0.5, 1e30]]]).astype(
        np.float32
    )
    fresh[:100, 0] = trees.edges[0, 17]  # exactly on an edge
    for column, (edges, table) in enumerate(zip(trees.edges, trees.tables, strict=True)):
        wanted = [
            table[0] if np.isnan(value) else table[1 + sum(value > edge for edge in edges)]
            for value in fresh[:, column]
        ]
        assert trees.contributions(fresh)[:, column].tolist() == wanted
