"""Expected orders by BG/NBD, integrated for each customer by itself: slow, and what the table of `worth` is held to."""

import numpy as np
from scipy.special import roots_jacobi

from retention.scoring.bgnbd import BgNbd


def orders_if_alive(model: BgNbd, x: np.ndarray, age: np.ndarray, horizon: float) -> np.ndarray:
    """Purchases within `horizon` of customers who have not stopped: with rate and stopping chance known it is
    (1 - exp(-rate * p * horizon)) / p; the rate is integrated out in closed form, p by Gauss-Jacobi quadrature."""
    expected = np.empty(len(x))
    for count in np.unique(x):
        same = x == count
        nodes, weights = roots_jacobi(24, model.b + count - 1.0, model.a - 1.0)
        stop = (1.0 + nodes) / 2.0
        log_ratio = np.log1p(stop[None, :] * horizon / (model.alpha + age[same, None]))
        bought = -np.expm1(-(model.r + count) * log_ratio) / np.maximum(stop, 1e-12)
        expected[same] = bought @ (weights / weights.sum())
    return expected


def orders(model: BgNbd, x: np.ndarray, t_x: np.ndarray, age: np.ndarray, horizon: float) -> np.ndarray:
    """Expected purchases within `horizon` given the history."""
    return model.p_alive(x, t_x, age) * orders_if_alive(model, x, age, horizon)
