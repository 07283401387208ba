"""Figures that compare predicted probabilities with what happened."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """One line of a backtest; `lift` is at the tenth of customers rated most at risk."""

    auc: float
    ap: float
    log_loss: float
    brier: float
    ece: float
    lift: float

    def as_dict(self) -> dict[str, float]:
        """Rounded to four places, for JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def figures(churned: NDArray[np.bool_], p: Floats) -> Figures:
    """All figures for one set of customers."""
    p = np.clip(np.asarray(p, dtype=np.float64), 1e-6, 1 - 1e-6)
    y = np.asarray(churned, dtype=np.float64)
    return Figures(
        auc(y, p), average_precision(y, p), log_loss(y, p), float(np.mean((y - p) ** 2)),
        calibration_error(y, p), lift(y, p),
    )  # fmt: skip


def auc(y: Floats, score: Floats) -> float:
    """Area under the ROC curve; 0.5 when only one outcome occurred."""
    positives = float(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return 0.5
    ranks = _mean_ranks(score)
    return float((ranks[y > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _mean_ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs; scipy.stats has it too, at a second per process start."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def average_precision(y: Floats, score: Floats) -> float:
    """Step-wise area under precision and recall, ties taken together."""
    if not y.sum():
        return 0.0
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    hits = np.cumsum(y[order])[ends]
    recall = hits / y.sum()
    return float(np.sum(np.diff(np.concatenate(([0.0], recall))) * hits / (ends + 1)))


def log_loss(y: Floats, p: Floats) -> float:
    """Mean negative log likelihood in nats."""
    return -float(np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def calibration_error(y: Floats, p: Floats, bins: int = 10) -> float:
    """Mean distance between predicted and observed rate over ten bins of equal count."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) / len(y) * abs(y[part].mean() - p[part].mean()) for part in parts))


def lift(y: Floats, score: Floats, share: float = 0.1) -> float:
    """Churn rate among the `share` rated most at risk, over the overall rate; 1.0 when nobody churned."""
    if not y.sum():
        return 1.0
    most = np.argsort(-score, kind="stable")[: max(1, round(share * len(y)))]
    return float(y[most].mean() / y.mean())
