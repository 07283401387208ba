"""Rolling backtest: put the book back to earlier days, score it as it would have been scored, see what came."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.errors import ScoringError
from retention.scoring.features import features_at, rhythm_state
from retention.scoring.history import History, Purchases, purchases_of
from retention.scoring.horizon import check_horizon
from retention.scoring.labels import churned
from retention.scoring.ladder import fit_model, fit_sample
from retention.scoring.metrics import Figures, figures

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cutoff:
    """What was said at the end of day `as_of`, against what happened in the `horizon` days after.

    `model` is the product's own score, `bgnbd` the probability of silence by BG/NBD alone, `recency` ranks by days
    since the last order (turned into probabilities by the rate among equally silent customers at the time).
    """

    as_of: int
    horizon: int
    customers: int
    churn_rate: float
    stage: str
    has_signal: bool
    model: Figures
    bgnbd: Figures
    recency: Figures

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        told = {name: value.as_dict() for name, value in self._told().items()}
        return asdict(self) | told

    def _told(self) -> dict[str, Figures]:
        return {"model": self.model, "bgnbd": self.bgnbd, "recency": self.recency}


def backtest(history: History, last_day: int, horizon: int, cutoffs: int) -> list[Cutoff]:
    """Judge the engine at `last_day` - H, - 2 H, ...: each fitted on what was known by then, judged on all customers.

    Raises
    ------
    ScoringError
        The horizon is unusable, or there is not even one horizon with customers before it.
    """
    check_horizon(horizon)
    days = [last_day - horizon * step for step in range(1, cutoffs + 1)]
    whole = purchases_of(history.until(last_day))
    usable = [day for day in days if len(whole.customers(day))]
    if not usable:
        raise ScoringError(
            f"The orders cover less than {horizon} days before the last one, so nothing can be checked yet;"
            " use a shorter horizon or import more history."
        )
    return [_cutoff(history, day, horizon) for day in usable]


def _cutoff(history: History, day: int, horizon: int) -> Cutoff:
    model = fit_model(history.only(fit_sample(history.account_ids)), day, horizon)
    everything, known = purchases_of(history), purchases_of(history.until(day))
    rows = known.customers(day)
    state = rhythm_state(known, day, rows)
    p_silent = model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, horizon)
    probability = expit(model.logit(features_at(known, day, rows, model.basis), p_silent))
    came_not = churned(everything, day, horizon, rows)
    silence = state.age - state.t_x
    return Cutoff(
        day, horizon, len(rows), float(came_not.mean()), model.stage, model.has_signal,
        figures(came_not, probability), figures(came_not, p_silent),
        figures(came_not, _by_recency(known, day, horizon, silence)),
    )  # fmt: skip


def _by_recency(known: Purchases, day: int, horizon: int, silence: Floats) -> Floats:
    """Rate among the customers who had been as silent one horizon earlier, in twenty groups."""
    before = day - horizon
    rows = known.customers(before)
    if len(rows) < 20:
        return np.clip(silence / (silence.max() + 1.0), 0.01, 0.99)
    state = rhythm_state(known, before, rows)
    then, label = state.age - state.t_x, churned(known, before, horizon, rows)
    order = np.argsort(then, kind="stable")
    groups = [g for g in np.array_split(order, 20) if len(g)]
    middles = np.array([then[g].mean() for g in groups])
    rates = np.array([(label[g].sum() + 0.5) / (len(g) + 1) for g in groups])
    middles, first = np.unique(middles, return_index=True)
    # A slope of one in a million keeps silences apart that fall outside the groups.
    return np.clip(np.interp(silence, middles, rates[first]) * 0.999 + 1e-6 * silence, 1e-4, 1 - 1e-4)
