"""Figures, money, tiers, calibration: small pieces with known answers."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from retention.scoring import calibration, metrics
from retention.scoring.bgnbd import BgNbd
from retention.scoring.features import NAMES, Basis, delivery, features_at
from retention.scoring.history import history_from_rows, purchases_of
from retention.scoring.money import fit_gamma_gamma
from retention.scoring.tiers import TierRules, tiers_of
from tests.retention.scoring.books import START, of_account


def test_figures_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    p = np.round(random.uniform(0.01, 0.99, 800), 2)  # with ties
    y = random.uniform(size=800) < p
    found = metrics.figures(y, p)
    assert found.auc == pytest.approx(roc_auc_score(y, p))
    assert found.ap == pytest.approx(average_precision_score(y, p))
    assert found.log_loss == pytest.approx(log_loss(y, p))
    assert found.brier == pytest.approx(brier_score_loss(y, p))
    assert found.ece < 0.08
    assert found.lift > 1.5


def test_figures_of_a_single_outcome_are_defined() -> None:
    found = metrics.figures(np.zeros(10, dtype=bool), np.full(10, 0.2))
    assert (found.auc, found.ap, found.lift) == (0.5, 0.0, 1.0)


def test_level_shift_moves_the_mean_to_the_rate() -> None:
    logit = np.random.default_rng(1).normal(0, 2, 500)
    assert expit(logit + calibration.level_shift(logit, 0.3)).mean() == pytest.approx(0.3, abs=1e-6)


def test_slope_is_found_and_capped() -> None:
    random = np.random.default_rng(2)
    logit = random.normal(0, 1.5, 20_000)
    y = random.uniform(size=20_000) < expit(logit)
    assert calibration.shrunk_slope(logit, y) == pytest.approx(1.0, abs=0.05)
    assert calibration.shrunk_slope(logit / 1.15, y) == pytest.approx(1.15, abs=0.05)
    assert calibration.shrunk_slope(logit / 10, y) == calibration.SLOPE_RANGE[1]


def test_gamma_gamma_finds_the_parameters_of_a_simulation() -> None:
    random = np.random.default_rng(3)
    p, q, v = 6.0, 4.0, 15.0
    scale = random.gamma(q, 1 / v, 20_000)
    orders = random.integers(1, 20, 20_000).astype(float)
    mean = random.gamma(p * orders, 1 / (scale * orders))
    found = fit_gamma_gamma(orders, mean)
    assert found.p == pytest.approx(p, rel=0.1)
    assert found.q == pytest.approx(q, rel=0.1)
    assert found.p * found.v / (found.q - 1) == pytest.approx(p * v / (q - 1), rel=0.05)


def test_mean_value_lies_between_own_and_book() -> None:
    model = fit_gamma_gamma(np.full(50, 4.0), np.linspace(50, 150, 50))
    book = model.mean_value(np.zeros(1), np.zeros(1))[0]
    few, many = (model.mean_value(np.array([n]), np.array([300.0]))[0] for n in (1.0, 50.0))
    assert book < few < many < 300


@pytest.mark.parametrize(
    ("probability", "value", "silence", "gap", "purchases", "tier"),
    [
        (0.95, 100, 400, 20, 9, "lost"),
        (0.95, 100, 50, 20, 9, "at_risk"),
        (0.6, 100, 10, 20, 9, "at_risk"),
        (0.6, 5, 10, 20, 9, "watch"),
        (0.2, 100, 50, 20, 9, "quiet"),
        (0.35, 100, 10, 20, 9, "watch"),
        (0.2, 100, 10, 20, 9, "steady"),
        (0.05, 100, 10, 20, 9, "thriving"),
        (0.7, 100, 10, float("nan"), 1, "new"),
        (0.95, 100, 900, float("nan"), 1, "lost"),
    ],
)
def test_tiers(
    probability: float, value: float, silence: float, gap: float, purchases: float, tier: str
) -> None:
    columns = [np.array([float(v)]) for v in (probability, value, silence, gap, purchases)]
    assert tiers_of(*columns, 90, TierRules(minimum_value=10.0)).tolist() == [tier]


BASIS = Basis(BgNbd(0.5, 30.0, 0.8, 2.5), 30.0, 90)


def feature(history_rows: list[tuple[int, float]], as_of: int, name: str) -> float:
    purchases = purchases_of(of_account(*history_rows))
    return float(features_at(purchases, START + as_of, np.array([0]), BASIS)[0, NAMES.index(name)])


def test_features_of_a_known_history() -> None:
    rows = [(0, 10.0), (10, 20.0), (30, 30.0), (60, 40.0), (61, -5.0), (200, 99.0)]
    expected = {
        "recency": 15, "tenure": 75, "purchases": 4, "gap_mean": 20, "gap_median": 20, "gap_max": 30,
        "gap_last": 30, "gap_sd": 10, "recency_over_max": 0.5, "share_gaps_longer": 2 / 3, "count_quarter": 1,
        "count_1": 4, "spend_mean": 25, "spend_last": 40, "spend_sum": 100, "returns_4": 1,
        "recency_over_shrunk_gap": 15 / ((60 + 2 * 30) / 5),
    }  # fmt: skip
    for name, value in expected.items():
        assert feature(rows, 75, name) == pytest.approx(value, rel=1e-5), name


def test_one_purchase_leaves_rhythm_unknown() -> None:
    for name in ("gap_mean", "gap_median", "gap_sd", "recency_over_max"):
        assert np.isnan(feature([(0, 10.0)], 5, name)), name


def test_late_deliveries_count_once_their_day_has_passed() -> None:
    history = history_from_rows(
        np.ones(4, dtype=int), np.array([10, 20, 30, 40]), np.ones(4),
        promised=np.array([15, 25, 35, 90]), delivered=np.array([15, 28, -(2**31), -(2**31)]),
    )  # fmt: skip
    found = delivery(purchases_of(history.until(50)), 50, np.array([0]), 360)
    assert found["late_share"][0] == pytest.approx(2 / 3)  # on time, late, not come; one not yet due
    assert found["late_last"][0] == 1
