"""BG/NBD: buying rhythm with a silent end (Fader, Hardie and Lee 2005, Marketing Science 24(2)).

While active a customer buys at random at an own rate (gamma distributed over customers with shape r and rate
alpha); after each purchase the customer stops for good with an own chance (beta distributed with a and b).
The state of a customer is x repeat purchases, t_x the age at the last of them and T the age now.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln

Floats = NDArray[np.float64]

# Typical of repeat buyers, in units of the book's usual gap: where small books are pulled to.
PRIOR_LOG = np.log([0.6, 0.7, 0.8, 2.5])
LOG_BOUND = 12.0


@dataclass(frozen=True)
class BgNbd:
    """Fitted parameters; alpha is in the time unit of t_x and T (days in this project)."""

    r: float
    alpha: float
    a: float
    b: float

    def p_alive(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        """Probability that the customer has not stopped. A customer without repeat purchase is alive by definition."""
        log_odds_gone = (
            np.log(self.a)
            - np.log(self.b + np.maximum(x, 1) - 1)
            + (self.r + x) * (np.log(self.alpha + age) - np.log(self.alpha + t_x))
        )
        return np.where(x > 0, expit(-log_odds_gone), 1.0)

    def p_silent_if_alive(self, x: Floats, age: Floats, horizon: float) -> Floats:
        """Probability that a customer who has not stopped buys nothing in the next `horizon` days."""
        return np.exp((self.r + x) * (np.log(self.alpha + age) - np.log(self.alpha + age + horizon)))

    def p_silent(self, x: Floats, t_x: Floats, age: Floats, horizon: float) -> Floats:
        """P0: probability of no purchase within `horizon`, whether stopped or merely slow."""
        alive = self.p_alive(x, t_x, age)
        return 1.0 - alive + alive * self.p_silent_if_alive(x, age, horizon)


def log_likelihood(model: BgNbd, x: Floats, t_x: Floats, age: Floats) -> float:
    """Sum over customers of the log likelihood of their histories."""
    theta = np.log([model.r, model.alpha, model.a, model.b])
    return -_loss(theta, _patterns(x, t_x, age))[0] * len(x)


def fit_bgnbd(
    x: Floats,
    t_x: Floats,
    age: Floats,
    *,
    unit: float,
    pull: float = 1.0,
    start: BgNbd | None = None,
) -> BgNbd:
    """Maximum likelihood with a weak pull to what is typical, so that any book has an answer.

    Parameters
    ----------
    x, t_x, age : (n,) repeat purchases, age at the last one, age now
    unit : the book's usual gap in the same time unit; makes the pull independent of the unit
    pull : how many customers the prior is worth
    start : earlier fit to start from
    """
    x, t_x, age = (np.asarray(v, dtype=np.float64) / s for v, s in ((x, 1.0), (t_x, unit), (age, unit)))
    patterns = _patterns(x, t_x, age)
    first = PRIOR_LOG if start is None else np.log([start.r, start.alpha / unit, start.a, start.b])

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = _loss(theta, patterns)
        away = theta - PRIOR_LOG
        strength = pull / patterns.total
        return value + 0.5 * strength * float(away @ away), gradient + strength * away

    from scipy.optimize import minimize  # dear to load, and only a fit needs it

    found = minimize(
        objective, first, jac=True, method="L-BFGS-B", bounds=[(-LOG_BOUND, LOG_BOUND)] * 4,
        options={"maxiter": 300, "ftol": 1e-11},
    )  # fmt: skip
    r, alpha, a, b = np.exp(found.x)
    return BgNbd(float(r), float(alpha * unit), float(a), float(b))


@dataclass(frozen=True)
class _Patterns:
    """Distinct histories with how many customers have each; `count` are the distinct values of x."""

    x: Floats
    t_x: Floats
    age: Floats
    weight: Floats
    count: Floats
    where: NDArray[np.intp]
    total: float


def _patterns(repeats: Floats, last: Floats, now: Floats) -> _Patterns:
    order = np.lexsort((now, last, repeats))
    x, t_x, age = repeats[order], last[order], now[order]
    differs = np.ones(len(x), dtype=bool)
    differs[1:] = (np.diff(x) != 0) | (np.diff(t_x) != 0) | (np.diff(age) != 0)
    first = np.flatnonzero(differs)
    weight = np.diff(first, append=len(x)).astype(float)
    count, where = np.unique(x[first], return_inverse=True)
    return _Patterns(x[first], t_x[first], age[first], weight, count, where, float(len(x)))


def _loss(theta: Floats, p: _Patterns) -> tuple[float, Floats]:
    """Mean negative log likelihood and its gradient in the logs of r, alpha, a, b."""
    r, alpha, a, b = np.exp(theta)
    later = np.maximum(p.x - 1, 0)
    log_age, log_last = np.log(alpha + p.age), np.log(alpha + p.t_x)
    going = -(r + p.x) * log_age
    gone = np.where(p.x > 0, np.log(a) - np.log(b + later) - (r + p.x) * log_last, -np.inf)
    mixed = np.logaddexp(going, gone)
    constant = gammaln(r + p.count) - gammaln(r) + r * np.log(alpha)
    constant += gammaln(a + b) + gammaln(b + p.count) - gammaln(b) - gammaln(a + b + p.count)

    share = np.exp(gone - mixed)  # chance that the customer has stopped
    d_r = (digamma(r + p.count) - digamma(r) + np.log(alpha))[p.where]
    d_r -= (1 - share) * log_age + share * log_last
    d_alpha = r / alpha - (r + p.x) * ((1 - share) / (alpha + p.age) + share / (alpha + p.t_x))
    both = digamma(a + b) - digamma(a + b + p.count)
    d_a = both[p.where] + share / a
    d_b = (both + digamma(b + p.count) - digamma(b))[p.where] - share / (b + later)
    # Sums, not dot products: BLAS would spread these short vectors over threads and wait for them.
    gradient = np.array([(p.weight * d).sum() for d in (d_r * r, d_alpha * alpha, d_a * a, d_b * b)])
    return -float((p.weight * (constant[p.where] + mixed)).sum()) / p.total, -gradient / p.total
