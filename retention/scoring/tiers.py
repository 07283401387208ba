"""Tiers: what to call an account, from its probability, its money and its own rhythm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONTRACT_OVER = 1.0 - 1e-4  # probability that a customer whose contract is over stays away: nobody is certain
TIERS = ("lost", "at_risk", "quiet", "watch", "new", "steady", "thriving")


@dataclass(frozen=True)
class TierRules:
    """Thresholds of a company; probabilities are of churn within the horizon.

    `lost_after_gaps` usual gaps of silence are needed beside `lost_from`; `minimum_value` is yearly money below
    which an account is at most watched.
    """

    at_risk_from: float = 0.5
    watch_from: float = 0.3
    thriving_below: float = 0.1
    lost_from: float = 0.9
    quiet_after_gaps: float = 2.0
    minimum_value: float = 0.0
    lost_after_gaps: float = 4.0


def tiers_of(
    probability: Floats, value: Floats, silence: Floats, gap: Floats, purchases: Floats, horizon: int,
    rules: TierRules, has_signal: bool = True,
) -> NDArray[np.str_]:  # fmt: skip
    """Tier of each account. Without a usable signal the probability says nothing about an account: rhythm decides.

    Parameters
    ----------
    probability, value : churn within the horizon; money expected over the next 12 months
    silence, gap : days since the last order and the account's usual gap (NaN with fewer than two purchases)
    purchases : number of days with a purchase
    """
    gap_known = ~np.isnan(gap)
    own_gap = np.where(gap_known, np.maximum(gap, 1.0), float(horizon))
    quiet = (purchases >= 3) & (silence > rules.quiet_after_gaps * own_gap)
    long_gone = silence > np.maximum(rules.lost_after_gaps * own_gap, horizon)
    at_risk = (probability >= rules.at_risk_from) & has_signal
    watch = (probability >= rules.watch_from) & has_signal
    worth_it = value >= rules.minimum_value
    cases = [
        long_gone & ((probability >= rules.lost_from) | (not has_signal)),
        (purchases < 2) & (silence <= horizon),
        at_risk & worth_it,
        quiet & worth_it,
        at_risk | quiet | watch,
        (probability < rules.thriving_below) & has_signal,
    ]
    return np.select(cases, ["lost", "new", "at_risk", "quiet", "watch", "thriving"], default="steady")


def contract_tiers(
    probability: Floats, value: Floats, silence: Floats, gap: Floats, purchases: Floats, horizon: int, rules: TierRules
) -> NDArray[np.str_]:  # fmt: skip
    """Tiers of accounts under contract, arguments as `tiers_of`: a first order makes nobody new, and a contract that
    is over is lost."""
    found = tiers_of(probability, value, silence, gap, np.maximum(purchases, 2.0), horizon, rules)
    return np.where(probability >= CONTRACT_OVER, "lost", found)
