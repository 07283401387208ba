"""Weights of the health scorecard that outcomes suggest: which factors told stayers from leavers on past days."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from retention.scoring.health import FACTORS, SHIPPED, Scorecard, weight_array
from retention.scoring.history import Ints
from retention.scoring.metrics import auc

Floats = NDArray[np.float64]

SHIPPED_LEAVERS = 100.0  # the shipped weights count like what so many leavers would say
LEAST_LEAVERS = 10  # with fewer nothing is suggested
RIDGE = 1e-4  # keeps a weight that outcomes say nothing of where it was
WHOLE, MIDDLE = 100, 0.5


@dataclass(frozen=True)
class PastDay:
    """The scorecards of some accounts at the end of a past day whose horizon is over, and who had left by then."""

    as_of: int
    account_ids: Ints
    card: Scorecard
    left: NDArray[np.bool_]


@dataclass(frozen=True)
class Suggested:
    """Whole weights that sum to 100; `leavers` are the distinct accounts they rest on, `believed` the share 0 to 1 of
    the way from the shipped weights to what outcomes alone say, for the factor known best."""

    weights: dict[str, int]
    leavers: int
    believed: float


def suggest_weights(days: Sequence[PastDay]) -> Suggested | None:
    """Weights that would have ranked stayers above leavers, drawn toward the shipped ones; None with too few leavers.

    Weights of 0 or more under which a logistic regression of staying on the health fits best. Each factor goes n / (n + 100) of
    the way from its shipped weight, n being the leavers of whom it was known: one nobody knows keeps what it had.
    """
    account = np.concatenate([day.account_ids for day in days]) if days else np.empty(0, dtype=np.int64)
    left = np.concatenate([day.left for day in days]) if days else np.empty(0, dtype=bool)
    leavers = len(np.unique(account[left]))
    if leavers < LEAST_LEAVERS or left.all():
        return None
    known = np.concatenate([day.card.known for day in days])
    value = np.concatenate([np.nan_to_num(day.card.value) for day in days])
    counts = np.array([len(np.unique(account[left & (column > 0)])) for column in known.T], dtype=float)
    found = _fitted(value, known, ~left)
    shipped = weight_array(SHIPPED)
    speaks = (counts > 0) & (known[~left].sum(axis=0) > 0)
    believed = np.where(speaks, counts / (counts + SHIPPED_LEAVERS), 0.0)
    if not found[speaks].sum():
        return Suggested(dict(SHIPPED), leavers, 0.0)
    scaled = found * shipped[speaks].sum() / found[speaks].sum()
    weights = np.where(speaks, believed * scaled + (1 - believed) * shipped, shipped)
    return Suggested(_whole(weights), leavers, float(believed.max()))


def _fitted(value: Floats, known: Floats, stayed: NDArray[np.bool_]) -> Floats:
    """(F,) weights >= 0 of which the health, as it is worked out, tells best who stayed: a logistic regression on it."""
    shipped = weight_array(SHIPPED)
    y, points = stayed.astype(np.float64), known * value / WHOLE

    def loss(at: Floats) -> tuple[float, Floats]:
        weights, slope, base = at[:-2], at[-2], at[-1]
        total = known @ weights
        some = total > 0
        total = np.where(some, total, 1.0)
        health = np.where(some, points @ weights / total, MIDDLE)
        logit = base + slope * (health - MIDDLE)
        off = (expit(logit) - y) / len(y)
        pull = weights / shipped - 1.0
        by_weight = (points - health[:, None] * known).T @ (off * slope * some / total)
        gradient = np.concatenate(
            (by_weight + 2 * RIDGE * pull / shipped, [off @ (health - MIDDLE), off.sum()])
        )
        likelihood = np.logaddexp(0, logit) - y * logit
        return float(likelihood.mean() + RIDGE * (pull**2).sum()), gradient

    bounds = [(0.0, None)] * (len(FACTORS) + 1) + [(None, None)]
    start = np.append(shipped, [1.0, 0.0])
    result: Floats = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return result[:-2]


def _whole(weights: Floats) -> dict[str, int]:
    """Whole numbers that sum to 100, the largest remainders rounded up."""
    exact = weights / weights.sum() * WHOLE
    floor = np.floor(exact)
    missing = round(WHOLE - floor.sum())
    floor[np.argsort(floor - exact, kind="stable")[:missing]] += 1
    return {name: int(weight) for name, weight in zip(FACTORS, floor, strict=True)}


def ranking(day: PastDay, weights: Floats) -> float:
    """AUC of the health under these weights as a ranking of who stayed; an account of which nothing is known counts as
    the middle."""
    health = np.nan_to_num(day.card.health(weights), nan=WHOLE * MIDDLE)
    return auc((~day.left).astype(np.float64), health)
