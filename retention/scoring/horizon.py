"""How far ahead to look, from the book's own buying rhythm."""

import numpy as np

from retention.scoring.errors import ScoringError
from retention.scoring.history import Purchases

ROUND_HORIZONS = (14, 30, 60, 90, 120, 180, 270, 365)
DEFAULT_HORIZON = 90
LONGEST_HORIZON = 730
SHARE_BACK = 0.9
LEAST_GAPS = 30


def default_horizon(purchases: Purchases, as_of: int) -> int:
    """Smallest round number of days within which nine of ten repeat purchases come, and at most a year.

    With fewer than 30 gaps there is no rhythm to read, and 90 days are used.
    """
    inside = np.ones(len(purchases.day), dtype=bool)
    inside[purchases.offsets[:-1][np.diff(purchases.offsets) > 0]] = False
    gaps = np.diff(purchases.day, prepend=purchases.day[:1])[inside & (purchases.day <= as_of)]
    if len(gaps) < LEAST_GAPS:
        return DEFAULT_HORIZON
    needed = float(np.quantile(gaps, SHARE_BACK))
    return next((days for days in ROUND_HORIZONS if days >= needed), ROUND_HORIZONS[-1])


def check_horizon(horizon: int) -> None:
    """Refuse a horizon that means nothing."""
    if not 1 <= horizon <= LONGEST_HORIZON:
        raise ScoringError(
            f"A horizon of {horizon} days cannot be used; give between 1 and {LONGEST_HORIZON} days."
        )
