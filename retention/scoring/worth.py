"""What an account is worth: money it brings in the next twelve months if it stays, within what range, and for how long.

Orders come by BG/NBD (Fader, Hardie and Lee 2005), their values by the gamma-gamma model (Fader and Hardie 2013).
With an own rate L, gamma distributed with shape k = r + x and rate A = alpha + T, and an own chance p of stopping
after each order, the number N of orders within t of a customer who has not stopped has

    E[N | L, p]        = (1 - exp(-L p t)) / p
    E[N (N-1) | L, p]  = 2 (1 - p) / p * ((1 - exp(-L p t)) / p - L t exp(-L p t))

(an order at s is followed, with chance 1 - p, by those expected within t - s). L is integrated out in closed form,
p by Gauss-Jacobi quadrature. Both depend on x and T alone, so they are worked out once per model on a grid of T.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from retention.scoring.bgnbd import BgNbd
from retention.scoring.money import GammaGamma

Floats = NDArray[np.float64]

YEAR = 365.0
YEARS_AHEAD = 5  # how far a lifetime is looked ahead; later years are guesses
DISCOUNT = 0.10  # a year: money of next year counts for so much less
TAIL = 0.1  # a tenth of such accounts bring less than `low`, a tenth more than `high`
LARGEST_COUNT = 500  # beyond this many repeat purchases expected orders grow in proportion
NODES = 16
GRID = 129
OLDEST = 36_525.0  # days
LEAST_SPREAD = 0.5  # keeps the spread of a mean value finite where the book says it has none


@dataclass(frozen=True)
class Worth:
    """(n,) money per account, in the unit of its orders.

    `expected`, `low` and `high` are of the twelve months after the score if the account stays a customer (eight of
    ten such accounts bring between `low` and `high`); `lifetime` is of the next five years, discounted by 10 % a
    year, if it stays now: multiplied by the chance of staying it is the customer lifetime value.
    """

    expected: Floats
    low: Floats
    high: Floats
    lifetime: Floats

    def within(self, most: float) -> "Worth":
        """The same, never below 0 nor above `most`."""
        sums = (self.expected, self.low, self.high, self.lifetime)
        return Worth(*(np.clip(one, 0.0, most) for one in sums))

    def scaled(self, factor: Floats) -> "Worth":
        """The same in another unit, or as margin instead of revenue."""
        return Worth(self.expected * factor, self.low * factor, self.high * factor, self.lifetime * factor)


def worth_of(bgnbd: BgNbd, values: GammaGamma, x: Floats, age: Floats, mean: Floats) -> Worth:
    """Worth of accounts with x repeat purchases at `age` days since the first, whose orders were `mean` on average."""
    count = np.minimum(x, LARGEST_COUNT)
    more = np.maximum(1.0, (bgnbd.r + x) / (bgnbd.r + LARGEST_COUNT))
    year, pairs, years = (_at(table, bgnbd, count, age) for table in _tables(bgnbd))
    year, pairs, years = year * more, pairs * more**2, years * more
    value = values.mean_value(x + 1, mean)
    expected = year * value
    square = values.mean_square(x + 1, mean, LEAST_SPREAD)
    variance = (year * (1.0 + 1.0 / values.p) + pairs) * square - expected**2
    low, high = _range(expected, np.maximum(variance, 1e-12 * expected**2))
    # Where more than a tenth of such accounts buy nothing all year, nothing is the lower end.
    low = np.where(bgnbd.p_silent_if_alive(x, age, YEAR) >= TAIL, 0.0, low)
    return Worth(expected, low, high, years * value)


def _range(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Ends of the range of a gamma distribution with that mean and variance; its quantiles are read off a table."""
    shape = np.clip(mean**2 / np.maximum(variance, 1e-300), 1e-3, 1e6)
    grid = np.linspace(np.log(1e-3), np.log(1e6), 1_024)
    at = np.log(shape)
    low = np.interp(at, grid, gammaincinv(np.exp(grid), TAIL) / np.exp(grid))
    high = np.interp(at, grid, gammaincinv(np.exp(grid), 1 - TAIL) / np.exp(grid))
    return mean * low, mean * high


@lru_cache(maxsize=4)
def _tables(bgnbd: BgNbd) -> tuple[Floats, Floats, Floats]:
    """(counts, grid of ages) expected orders of a year, pairs of orders of a year, discounted orders of five years."""
    shape = bgnbd.r + np.arange(LARGEST_COUNT + 1.0)[:, None, None]
    rate = bgnbd.alpha * np.exp(_step(bgnbd) * np.arange(GRID))[None, :, None]
    stop, weight = _stopping_chances(bgnbd)
    stop, weight = stop[:, None, :], weight[:, None, :]
    ends = [_orders(shape, rate, stop, YEAR * k) for k in range(1, YEARS_AHEAD + 1)]
    left = np.exp(-(shape + 1) * np.log1p(stop * YEAR / rate))
    pairs = 2 * (1 - stop) / stop * (ends[0] - YEAR * shape / rate * left)
    each = np.diff(np.stack([np.zeros_like(ends[0]), *ends]), axis=0)
    discounted = sum(one / (1 + DISCOUNT) ** (k + 0.5) for k, one in enumerate(each))
    year, two, years = ((one * weight).sum(axis=2) for one in (ends[0], np.maximum(pairs, 0), discounted))
    return year, two, years


def _orders(shape: Floats, rate: Floats, stop: Floats, days: float) -> Floats:
    return -np.expm1(-shape * np.log1p(stop * days / rate)) / stop


def _stopping_chances(bgnbd: BgNbd) -> tuple[Floats, Floats]:
    """(counts, nodes) values and weights of the chance of stopping, Beta(a, b + x) for one who has not stopped.

    Gauss-Jacobi nodes are the eigenvalues of the symmetric tridiagonal matrix of the recurrence, weights the squared
    first components of its eigenvectors (Golub and Welsch 1969, Mathematics of Computation 23).
    """
    one = bgnbd.b + np.arange(LARGEST_COUNT + 1.0)[:, None] - 1.0
    two = bgnbd.a - 1.0
    n = np.arange(NODES, dtype=float)[None, :]
    both = 2 * n + one + two
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (two**2 - one**2) / (both * (both + 2))
        beside = 4 * n * (n + one) * (n + two) * (n + one + two) / (both**2 * (both + 1) * (both - 1))
    middle[:, :1] = (two - one) / (one + two + 2)
    beside[:, 1:2] = 4 * (1 + one) * (1 + two) / ((2 + one + two) ** 2 * (3 + one + two))
    matrix = np.zeros((len(one), NODES, NODES))
    at = np.arange(NODES)
    matrix[:, at, at] = middle
    matrix[:, at[1:], at[:-1]] = np.sqrt(np.maximum(beside[:, 1:], 0.0))
    nodes, vectors = np.linalg.eigh(matrix)
    return np.clip((1 + nodes) / 2, 1e-9, 1.0), vectors[:, 0, :] ** 2


def _step(bgnbd: BgNbd) -> float:
    """Distance of two ages of the grid, in log(1 + age / alpha)."""
    return float(np.log1p(OLDEST / bgnbd.alpha)) / (GRID - 1)


def _at(table: Floats, bgnbd: BgNbd, count: Floats, age: Floats) -> Floats:
    """Table read at whole counts and any age, by a cubic through the four grid points around it."""
    place = np.log1p(np.clip(age, 0.0, OLDEST) / bgnbd.alpha) / _step(bgnbd)
    left = np.clip(place.astype(np.int64), 1, GRID - 3)
    t = place - left
    row = count.astype(np.int64)
    before, here, after, beyond = (table[row, left + k] for k in (-1, 0, 1, 2))
    # Lagrange's cubic; unlike a spline it needs nothing but these four.
    return (
        -t * (t - 1) * (t - 2) / 6 * before
        + (t + 1) * (t - 1) * (t - 2) / 2 * here
        - (t + 1) * t * (t - 2) / 2 * after
        + (t + 1) * t * (t - 1) / 6 * beyond
    )
