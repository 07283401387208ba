"""Applying a fitted model: from orders to probability, money, tier and reasons of each account."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.errors import ScoringError
from retention.scoring.explain import Book, points_of, reasons_of
from retention.scoring.features import NAMES, Matrix, RhythmState, features_at, rhythm_state
from retention.scoring.history import History, Ints, Purchases, purchases_of
from retention.scoring.models import FittedModel
from retention.scoring.money import revenue_at_risk
from retention.scoring.tiers import TierRules, tiers_of

Floats = NDArray[np.float64]

YEAR = 365
LEAST_PROBABILITY = 1e-4  # nobody is certain to stay or to leave
LARGEST_MONEY = 9_999_999_999_999_999.0  # what the records can hold


@dataclass(frozen=True)
class Scores:
    """One entry per account that had bought by `as_of`, in ascending order of account id.

    `expected_value` and `revenue_at_risk` are money per year; `silence` days since the last order; `gap` the
    account's usual gap in days, NaN with fewer than two purchases. `reasons` are JSON, see `explain.reasons_of`.
    """

    account_ids: Ints
    probability: Floats
    base_probability: float
    expected_value: Floats
    revenue_at_risk: Floats
    tier: NDArray[np.str_]
    silence: Floats
    gap: Floats
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.account_ids)


def score_accounts(
    history: History, as_of: int, model: FittedModel, rules: TierRules | None = None
) -> Scores:
    """Score every account in `history` that had bought by the end of day `as_of`.

    The result for an account depends on its own orders and the fitted model alone, so a book may be
    scored in any number of parts.
    """
    if as_of < model.as_of:
        raise ScoringError("The model was fitted on orders later than that day; fit one as of that day.")
    purchases = purchases_of(history.until(as_of))
    rows = purchases.customers(as_of)
    state = rhythm_state(purchases, as_of, rows)
    features = features_at(purchases, as_of, rows, model.basis)
    p_silent = model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, model.basis.horizon)
    logit = model.logit(features, p_silent)
    probability = np.clip(expit(logit), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    value = expected_value(purchases, as_of, rows, state, model)
    gap = features[:, NAMES.index("gap_median")].astype(float)
    silence = state.age - state.t_x
    tier = tiers_of(
        probability,
        value,
        silence,
        gap,
        state.x + 1,
        model.basis.horizon,
        rules or TierRules(),
        model.has_signal,
    )
    return Scores(
        purchases.account_ids[rows], probability, model.base_probability, value,
        revenue_at_risk(probability, value), tier, silence, gap, _reasons(features, state, logit, model),
    )  # fmt: skip


def expected_value(
    purchases: Purchases, as_of: int, rows: Ints, state: RhythmState, model: FittedModel
) -> Floats:
    """Money an account brings in the 12 months after `as_of` if it stays a customer: the orders that BG/NBD expects
    of an active one, times the shrunk mean order value. This is what is lost when it goes (docs/decisions/0005)."""
    start, end = purchases.offsets[rows], purchases.position(as_of, rows)
    count = (end - start).astype(float)
    mean = (purchases.cents_sum[end] - purchases.cents_sum[start]) / 100 / count
    orders = model.basis.bgnbd.orders_if_alive(state.x, state.age, YEAR)
    return np.clip(orders * model.money.mean_value(count, mean), 0.0, LARGEST_MONEY)


def _reasons(features: Matrix, state: RhythmState, logit: Floats, model: FittedModel) -> list[str]:
    points = points_of(model.factor_parts(features, state), logit, model)
    usual = float(model.money.mean_value(np.zeros(1), np.zeros(1))[0])
    return reasons_of(features, points, model.has_signal, Book(model.basis.horizon, usual))
