"""What a figure from a few answers may truly be: 95 % intervals. Plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

Z = 1.959964  # standard normal: 95 % lie within


@dataclass(frozen=True)
class Interval:
    """The figure, and between what it lies in 19 of 20 such samples; same unit as the figure."""

    value: float
    low: float
    high: float
    n: int


@lru_cache(maxsize=20_000)  # a page ranks the same few thousand shares for every row
def share_interval(hits: int, n: int) -> Interval | None:
    """Share `hits`/`n`, 0..1, with the score interval of Wilson (1927), which stays honest near 0 and 1 and for small n.
    None without any."""
    if n <= 0:
        return None
    share = hits / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    # At none and at all of them the formula gives 0 and 1 but for rounding.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return Interval(share, low, high, n)


def net_promoter_interval(promoters: int, detractors: int, n: int) -> Interval | None:
    """Net promoter score in points, -100..100, from counts among `n` answers. None without any.

    Adjusted Wald interval: three answers are added before the spread is worked out, three quarters promoter, three
    quarters detractor and one and a half passive (Rocks 2016, The American Statistician 70, 365-372), because the plain
    one is far too narrow for few answers.
    """
    if n <= 0:
        return None
    up, down, size = promoters + 0.75, detractors + 0.75, n + 3
    centre = (up - down) / size
    half = Z * math.sqrt(((up + down) / size - centre * centre) / size)
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    value = (promoters - detractors) / n
    return Interval(100 * value, 100 * min(low, value), 100 * max(high, value), n)
