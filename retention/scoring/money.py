"""What an account is worth: expected orders of the next twelve months times what an order is worth.

The mean value of an account's orders is pulled toward the book's by the gamma-gamma model (Fader and Hardie,
"The Gamma-Gamma Model of Monetary Value", 2013): order values vary around an own mean, own means vary over accounts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_REPEAT_BUYERS = 10
LOG_BOUND = 8.0
MARGIN_ORDERS = 5.0


@dataclass(frozen=True)
class GammaGamma:
    """Fitted shape p of order values, shape q and scale v of the means, in the unit of the values."""

    p: float
    q: float
    v: float

    def mean_value(self, orders: Floats, mean: Floats) -> Floats:
        """Expected value of an order, given how many there were and what they were worth on average."""
        # q is kept above 1 by the fit, so the book's mean p v / (q - 1) exists.
        own = self.p * orders
        return (own * mean + self.p * self.v) / (own + self.q - 1.0)

    @property
    def usual_value(self) -> float:
        """Mean value of an order in the book."""
        return self.p * self.v / (self.q - 1.0)

    def mean_square(self, orders: Floats, mean: Floats, least: float) -> Floats:
        """Expected square of an account's own mean value: the mean of orders is inverse gamma with shape
        s = p orders + q, so its square is its mean squared times (s - 1) / (s - 2); s - 2 is kept from `least`."""
        shape = self.p * orders + self.q
        return self.mean_value(orders, mean) ** 2 * (shape - 1.0) / np.maximum(shape - 2.0, least)


def fit_gamma_gamma(orders: Floats, mean: Floats) -> GammaGamma:
    """Maximum likelihood over customers with a positive mean; few customers give a weak pull to their mean.

    Parameters
    ----------
    orders, mean : (n,) number of purchases and their mean value
    """
    usable = (orders > 0) & (mean > 0)
    orders, mean = orders[usable], mean[usable]
    if not len(mean):
        return GammaGamma(1.0, 2.0, 1.0)
    middle = float(np.median(mean))
    scaled = mean / middle
    if (orders > 1).sum() < LEAST_REPEAT_BUYERS:
        return GammaGamma(2.0, 3.0, float(np.exp(np.log(scaled).mean())) * middle)

    def objective(theta: Floats) -> tuple[float, Floats]:
        return _loss(theta, orders, scaled)

    bounds = [(-3.0, LOG_BOUND)] * 3
    from scipy.optimize import minimize  # dear to load, and only a fit needs it

    found = minimize(objective, np.log([2.0, 2.0, 1.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    p, q_above_one, v = np.exp(found.x)
    return GammaGamma(float(p), float(1.0 + q_above_one), float(v * middle))


def _loss(theta: Floats, x: Floats, m: Floats) -> tuple[float, Floats]:
    """Mean negative log likelihood in the logs of p, q - 1 and v, with its gradient."""
    p, q1, v = np.exp(theta)
    q = 1.0 + q1
    likelihood = (
        gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
        + (p * x - 1) * np.log(m) + p * x * np.log(x) - (p * x + q) * np.log(x * m + v)
    )  # fmt: skip
    shared = digamma(p * x + q) - np.log(x * m + v)
    d_p = x * (shared - digamma(p * x) + np.log(m) + np.log(x))
    d_q = shared - digamma(q) + np.log(v)
    d_v = q / v - (p * x + q) / (x * m + v)
    gradient = np.array([d_p.mean() * p, d_q.mean() * q1, d_v.mean() * v])
    return -float(likelihood.mean()), -gradient


@dataclass(frozen=True)
class Margins:
    """What orders of known cost sold for and cost, summed per account; `account_ids` ascending, no others have any."""

    account_ids: Ints
    sold: Floats
    cost: Floats

    def between(self, first_id: int, last_id: int) -> "Margins":
        """The accounts with ids from `first_id` to `last_id`, both included."""
        begin, stop = np.searchsorted(self.account_ids, [first_id, last_id + 1])
        return Margins(self.account_ids[begin:stop], self.sold[begin:stop], self.cost[begin:stop])

    def only(self, account_ids: Ints) -> "Margins":
        """Those of these accounts."""
        mine = np.isin(self.account_ids, account_ids, assume_unique=True)
        return Margins(self.account_ids[mine], self.sold[mine], self.cost[mine])

    def of_book(self) -> float | None:
        """Share of sales left after cost, over all of them; None where no cost is known."""
        sold = float(self.sold.sum())
        return 1.0 - float(self.cost.sum()) / sold if sold > 0 else None

    def of(self, account_ids: Ints, book: float, usual_value: float) -> Floats:
        """(n,) share left after cost of each account, drawn toward the book's as by five orders of usual value."""
        sold, profit = np.zeros(len(account_ids)), np.zeros(len(account_ids))
        if len(self.account_ids):
            at = np.minimum(np.searchsorted(self.account_ids, account_ids), len(self.account_ids) - 1)
            known = self.account_ids[at] == account_ids
            sold = np.where(known, self.sold[at], 0.0)
            profit = np.where(known, self.sold[at] - self.cost[at], 0.0)
        pull = MARGIN_ORDERS * usual_value
        return (profit + pull * book) / (sold + pull)


NO_MARGINS = Margins(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))


def revenue_at_risk(churn_probability: Floats, value: Floats) -> Floats:
    """Money per year that is expected to go: probability times what the account would be worth."""
    return churn_probability * value
