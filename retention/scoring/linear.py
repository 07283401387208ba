"""Logistic regression with a prior: what is believed before anything was seen, overruled as outcomes come in.

Every coefficient has a normal prior; its mean says what is usual elsewhere (0 where nothing is), its width how much
is thought possible. With few outcomes the prior speaks, with many they do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

STEPS = 60
NOTHING = 1e-10
WIDTH_OF_INTERCEPT = 1.0


@dataclass(frozen=True)
class Linear:
    """Log odds = intercept + sum of coefficient x (value - centre) / scale; an unknown value adds nothing.

    All arrays are (columns,). Numbers are scaled by two standard deviations, which puts them level with yes and
    no (Gelman, "Scaling regression inputs by dividing by two standard deviations", 2008).
    """

    centre: Floats
    scale: Floats
    coefficient: Floats
    intercept: float

    def contributions(self, matrix: Floats) -> Floats:
        """(n, columns) what each column adds; rows and `intercept` sum to the log odds."""
        return np.nan_to_num((matrix - self.centre) / self.scale) * self.coefficient

    def logit(self, matrix: Floats) -> Floats:
        """(n,) log odds."""
        return self.intercept + self.contributions(matrix).sum(axis=1)


@dataclass(frozen=True)
class Prior:
    """What is believed of the coefficients (columns,), in log odds per two standard deviations or per yes."""

    mean: Floats
    width: float


def fit_linear(matrix: Floats, outcome: Floats, usual: Floats, prior: Prior) -> Linear:
    """The most probable coefficients on top of the `usual` log odds, by Newton's method with halved steps."""
    centre, scale = _scales(matrix)
    design = np.column_stack([np.ones(len(matrix)), np.nan_to_num((matrix - centre) / scale)])
    expected = np.concatenate(([0.0], prior.mean))
    strength = np.full(len(expected), 1.0 / prior.width**2)
    strength[0] = 1.0 / WIDTH_OF_INTERCEPT**2

    def cost(theta: Floats) -> float:
        logit = usual + design @ theta
        fit = (np.logaddexp(0.0, logit) - outcome * logit).sum()
        return float(fit + 0.5 * strength @ (theta - expected) ** 2)

    theta, now = expected, cost(expected)
    for _ in range(STEPS):
        p = expit(usual + design @ theta)
        gradient = design.T @ (outcome - p) - strength * (theta - expected)
        spread = np.maximum(p * (1 - p), 1e-9)
        step = np.linalg.solve((design * spread[:, None]).T @ design + np.diag(strength), gradient)
        while (then := cost(theta + step)) > now and np.abs(step).max() > NOTHING:
            step = step / 2
        if now - then < NOTHING * len(matrix):
            break
        theta, now = theta + step, then
    return Linear(centre, scale, theta[1:], float(theta[0]))


def _scales(matrix: Floats) -> tuple[Floats, Floats]:
    """Mean and two standard deviations of the known values; yes and no keep a scale of 1."""
    centre = np.zeros(matrix.shape[1])
    scale = np.ones(matrix.shape[1])
    for column, values in enumerate(matrix.T):
        known = values[~np.isnan(values)]
        if len(known):
            centre[column] = known.mean()
        if len(np.unique(known)) > 2:
            scale[column] = 2 * known.std()
    return centre, scale
