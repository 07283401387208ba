"""How much of what a score could use is known of an account."""

import numpy as np
from numpy.typing import NDArray

from retention.scoring.adjustment import ALWAYS, TERMS
from retention.scoring.features import FACTOR_OF, Matrix
from retention.scoring.signals import FACTS, Facts

Floats = NDArray[np.float64]


def known_share(features: Matrix, facts: Facts | None) -> NDArray[np.int64]:
    """(n,) per cent of what the score could use that is known of each account.

    Every factor counts alike: those of the orders (rhythm, frequency, spend, returns, season) and those beyond them
    (delivery, service, promises, relationship, pulse, stability), each by the share of its inputs that are known. A
    customer with one order has no rhythm yet; where nobody writes down issues, service is unknown of everybody.
    Handbacks are Mainstay's own and always known, so they do not count.
    """
    inputs = list(FACTOR_OF.values())
    shares = _by_factor(inputs, [~np.isnan(column) for column in features.T])
    beyond = [term for term in TERMS if term.factor != ALWAYS]
    if facts is None:
        total = sum(shares) / (len(shares) + len({term.factor for term in beyond}))
    else:
        known = [~np.isnan(facts[term.fact]) for term in beyond]
        shares += _by_factor([FACTS[term.fact] for term in beyond], known)
        total = sum(shares) / len(shares)
    return np.rint(100.0 * total).astype(np.int64)


def _by_factor(factors: list[str], known: list[NDArray[np.bool_]]) -> list[Floats]:
    """Per factor, the share of its inputs that are known of each account."""
    return [
        np.mean([one for one, own in zip(known, factors, strict=True) if own == factor], axis=0)
        for factor in dict.fromkeys(factors)
    ]
