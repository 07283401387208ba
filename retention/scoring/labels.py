"""What happened next: past cutoffs whose horizon has fully elapsed, and who bought within it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retention.scoring.history import Ints, Purchases

MOST_CUTOFFS = 8


def training_cutoffs(as_of: int, horizon: int, first_day: int, most: int = MOST_CUTOFFS) -> list[int]:
    """Days from which to learn, newest first: `as_of` - H, - 1.5 H, - 2 H ...

    Each label window ends by `as_of`; each cutoff has at least one horizon of history before it.
    """
    earliest = first_day + horizon
    candidates: Sequence[int] = [as_of - round(horizon * (1 + step / 2)) for step in range(most)]
    return [day for day in candidates if day >= earliest]


def churned(purchases: Purchases, cutoff: int, horizon: int, rows: Ints) -> NDArray[np.bool_]:
    """True for accounts in `rows` without a purchase in the `horizon` days after `cutoff`."""
    return purchases.position(cutoff, rows) == purchases.position(cutoff + horizon, rows)
