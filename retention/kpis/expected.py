"""Accounts kept against accounts expected to be kept: each account's own predicted risk is its case mix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Z = 1.959964  # standard normal: 95 % lie within
PRECISION = (
    0.1  # how narrow the interval has to be on either side before anything is said: ten percentage points
)


@dataclass(frozen=True)
class Kept:
    """Predictions whose horizon has passed: how many, how many of these accounts stayed, how many were expected to
    (sum of 1 - p), and the variance of that number if the predictions are right (sum of p (1 - p)). The same account
    may be among them once for each of several horizons that do not overlap."""

    n: int
    stayed: int
    expected: float
    variance: float

    @property
    def share(self) -> float | None:
        """Of those predicted, the share that stayed, 0..1."""
        return self.stayed / self.n if self.n else None

    @property
    def expected_share(self) -> float | None:
        return self.expected / self.n if self.n else None

    @property
    def half_width(self) -> float:
        """How far chance alone moves the share from what is expected, in 19 of 20 cases; inf without any."""
        return Z * math.sqrt(self.variance) / self.n if self.n else math.inf

    @property
    def low(self) -> float | None:
        """The share that chance alone may bring, lower end; the upper one is `high`."""
        return None if self.expected_share is None else max(0.0, self.expected_share - self.half_width)

    @property
    def high(self) -> float | None:
        return None if self.expected_share is None else min(1.0, self.expected_share + self.half_width)

    @property
    def more_needed(self) -> int | None:
        """Further predictions of this kind until the interval is PRECISION to either side; 0 where it is; None where
        nothing is known of the kind."""
        if not self.n or not self.variance:
            return None
        needed = math.ceil(Z * Z * (self.variance / self.n) / (PRECISION * PRECISION))
        return max(0, needed - self.n)

    @property
    def verdict(self) -> str:
        """unknown (too few), better, worse, or as_expected."""
        if self.more_needed is None or self.more_needed > 0:
            return "unknown"
        share, low, high = self.share or 0.0, self.low or 0.0, self.high or 0.0
        return "better" if share > high else "worse" if share < low else "as_expected"


def kept_of(predictions: Iterable[tuple[float, bool]]) -> Kept:
    """From (probability of leaving, whether it stayed)."""
    said = list(predictions)
    return Kept(
        n=len(said),
        stayed=sum(stayed for _, stayed in said),
        expected=sum(1 - p for p, _ in said),
        variance=sum(p * (1 - p) for p, _ in said),
    )
