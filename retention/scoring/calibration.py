"""Putting probabilities at the right level: shape is learned, the level drifts with season and trend."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

CAP = 1.5  # no correction of the level goes further than this, in logit
SLOPE_RANGE = (0.8, 1.25)
SLOPE_CUSTOMERS = 1_000.0  # a measured slope is believed half at this many customers


def to_logit(p: Floats) -> Floats:
    """Log odds, with probabilities kept a millionth away from 0 and 1."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def level_shift(logit: Floats, rate: float) -> float:
    """What to add to every logit so that the mean probability equals `rate`, at most 8 (Newton inside a bracket)."""
    low, high, shift = -8.0, 8.0, 0.0
    for _ in range(40):
        p = expit(logit + shift)
        miss = float(p.mean()) - rate
        low, high = (shift, high) if miss < 0 else (low, shift)
        slope = float((p * (1 - p)).mean())
        step = shift - miss / slope if slope > 0 else low
        before, shift = shift, step if low < step < high else (low + high) / 2
        if abs(shift - before) < 1e-12:
            break
    return shift


def observed_rate(churned: NDArray[np.bool_]) -> float:
    """Churn rate, kept off 0 and 1 by half a customer."""
    return (float(churned.sum()) + 0.5) / (len(churned) + 1.0)


def shrunk_slope(logit: Floats, churned: NDArray[np.bool_]) -> float:
    """Slope of the sigmoid that calibrates `logit`, measured out of time, pulled to 1 and capped.

    Two-parameter logistic regression by Newton's method; the intercept is estimated but not used.
    """
    design = np.column_stack([np.ones(len(logit)), logit])
    theta = np.array([0.0, 1.0])
    for _ in range(25):
        p = expit(design @ theta)
        spread = np.maximum(p * (1 - p), 1e-9)
        penalty = np.array([1e-6, 1.0])
        gradient = design.T @ (churned - p) - penalty * (theta - [0.0, 1.0])
        step = np.linalg.solve((design * spread[:, None]).T @ design + np.diag(penalty), gradient)
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    believed = len(logit) / (len(logit) + SLOPE_CUSTOMERS)
    return float(np.clip(1.0 + believed * (theta[1] - 1.0), *SLOPE_RANGE))
