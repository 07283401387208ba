"""Applying a fitted model: from orders to probability, money, tier and reasons of each account."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.errors import ScoringError
from retention.scoring.explain import tell, wording_of
from retention.scoring.features import BLOCK, NAMES, Matrix, RhythmState, features_at, rhythm_state
from retention.scoring.health import Scorecard, scorecard
from retention.scoring.history import History, Ints, Purchases, purchases_of
from retention.scoring.known import known_share
from retention.scoring.models import FittedModel
from retention.scoring.money import NO_MARGINS, Margins, revenue_at_risk
from retention.scoring.signals import Facts, Signals, signal_facts
from retention.scoring.tiers import TierRules, tiers_of
from retention.scoring.told import TOLD, Reason, Wording
from retention.scoring.worth import Worth, worth_of

Floats = NDArray[np.float64]

LEAST_PROBABILITY = 1e-4  # nobody is certain to stay or to leave
LARGEST_MONEY = 9_999_999_999_999_999.0  # what the records can hold


@dataclass(frozen=True)
class Scores:
    """One entry per account that had bought by `as_of`, in ascending order of account id.

    `worth` is money (see `worth.Worth`), `revenue_at_risk` money per year; `silence` days since the last order; `gap` the
    account's usual gap in days, NaN with fewer than two purchases. `told` are reasons as numbers, `wording` has the words.
    `known_share` is per cent, see `known.known_share`; `card` the factors of the health scorecard.
    """

    account_ids: Ints
    probability: Floats
    base_probability: float
    worth: Worth
    revenue_at_risk: Floats
    tier: NDArray[np.str_]
    silence: Floats
    gap: Floats
    told: NDArray[np.void]
    wording: Wording
    known_share: Ints
    card: Scorecard

    def __len__(self) -> int:
        return len(self.account_ids)

    @property
    def reasons(self) -> list[list[Reason]]:
        """The reasons of every account in words, most telling first."""
        return [self.wording.reasons(told) for told in self.told]

    @property
    def lifetime_value(self) -> Floats:
        """What an account will still bring in five years, discounted, if it does not leave within the horizon, times
        the chance that it does not."""
        return (1.0 - self.probability) * self.worth.lifetime


def score_accounts(
    history: History,
    as_of: int,
    model: FittedModel,
    rules: TierRules | None = None,
    signals: Signals | None = None,
    margins: Margins | None = None,
) -> Scores:
    """Score every account in `history` that had bought by the end of day `as_of`; `signals` must cover the same ones.
    Money is what is left after cost where the model knows a margin, else sales.

    The result for an account depends on its own records and the fitted model alone, so a book may be
    scored in any number of parts.
    """
    if as_of < model.as_of:
        raise ScoringError("The model was fitted on orders later than that day; fit one as of that day.")
    purchases = purchases_of(history.until(as_of))
    rows = purchases.customers(as_of)
    state = rhythm_state(purchases, as_of, rows)
    features = features_at(purchases, as_of, rows, model.basis)
    facts = facts_for(model, signals, purchases, as_of, rows)
    wording = wording_of(model, model.factors)
    probability, told = _explained(model, wording, features, state, facts)
    worth = _worth(purchases, as_of, rows, state, model, margins)
    gap = features[:, NAMES.index("gap_median")].astype(float)
    silence = state.age - state.t_x
    tier = tiers_of(
        probability,
        worth.expected,
        silence,
        gap,
        state.x + 1,
        model.basis.horizon,
        rules or TierRules(),
        model.has_signal,
    )
    return Scores(
        purchases.account_ids[rows], probability, model.base_probability, worth,
        revenue_at_risk(probability, worth.expected), tier, silence, gap,
        told, wording, known_share(features, facts),
        scorecard(purchases, as_of, rows, model.basis.horizon, model.basis.usual_gap, facts, gap),
    )  # fmt: skip


def _explained(
    model: FittedModel, wording: Wording, features: Matrix, state: RhythmState, facts: Facts | None
) -> tuple[Floats, NDArray[np.void]]:
    """Probability and reasons, from the same parts; worked out in blocks that stay in cache."""
    probability, told = np.empty(len(features)), np.zeros(len(features), dtype=TOLD)
    for begin in range(0, len(features), BLOCK):
        at = slice(begin, begin + BLOCK)
        known = None if facts is None else Facts(facts.values[at])
        parts = model.parts(features[at], RhythmState(state.x[at], state.t_x[at], state.age[at]), known)
        logit = parts.total(model.start)
        probability[at] = np.clip(expit(logit), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        told[at] = tell(model, wording, parts, logit, probability[at])
    return probability, told


def facts_for(
    model: FittedModel, signals: Signals | None, purchases: Purchases, as_of: int, rows: Ints
) -> Facts | None:
    """What is known beyond orders of these accounts; None where the model never looked."""
    if model.since is None:
        return None
    known = Signals(purchases.account_ids) if signals is None else signals
    return signal_facts(known, purchases, as_of, rows, model.basis.horizon, model.since)


def _worth(
    purchases: Purchases,
    as_of: int,
    rows: Ints,
    state: RhythmState,
    model: FittedModel,
    margins: Margins | None,
) -> Worth:
    """What is lost when an account goes (docs/decisions/0005), kept within what the records can hold. What was returned
    is not counted as bought."""
    mean = purchases.kept(as_of, rows) / (state.x + 1)
    worth = worth_of(model.basis.bgnbd, model.money, state.x, state.age, mean)
    if model.margin is not None:
        known = margins or NO_MARGINS
        worth = worth.scaled(known.of(purchases.account_ids[rows], model.margin, model.money.usual_value))
    return worth.within(LARGEST_MONEY)
