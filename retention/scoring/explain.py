"""Why an account has the probability it has: factors that add up, in sentences with numbers people know.

A further source of knowledge plugs in by giving its columns in the `Parts` of the model and a `Telling` for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retention.scoring.parts import Parts, Standing
from retention.scoring.sentences import TELLINGS
from retention.scoring.telling import Telling, Whole
from retention.scoring.told import NO_SIGNAL, NOTHING, REASON, SHOWN, TOLD, Wording

Floats = NDArray[np.float64]

LEAST_POINTS = 0.05  # percentage points below which a factor is not worth a sentence


def factors_of(parts: Parts) -> tuple[str, ...]:
    """Names of the factors, each once."""
    return tuple(dict.fromkeys(parts.factors.values()))


class Explained(Protocol):
    """A model whose accounts are compared with a customer in good standing."""

    @property
    def days_ahead(self) -> int: ...

    @property
    def has_signal(self) -> bool: ...

    @property
    def standing(self) -> Standing: ...

    @property
    def full_intercept(self) -> float: ...

    @property
    def base_probability(self) -> float: ...


def moved(parts: Parts, model: Explained) -> Parts:
    """What each number adds compared with a customer in good standing; rows and `full_intercept` sum to the logit."""
    return Parts(parts.factors, parts.values, parts.added - model.standing.added)


def points_of(shares: Floats, logit: Floats, probability: Floats, model: Explained) -> Floats:
    """(n, factors) percentage points by which each factor moves an account away from a customer in good standing.

    `shares` are log odds by factor. Each factor's share of the way in log odds is given the same share of the way in
    probability, so the row sums to 100 * (probability - base probability).
    """
    way = logit - model.full_intercept
    flat = np.abs(way) < 1e-9
    slope = np.where(
        flat,
        probability * (1 - probability),
        (probability - model.base_probability) / np.where(flat, 1.0, way),
    )
    return 100.0 * shares * slope[:, None]


def wording_of(
    model: Explained, factors: Mapping[str, str], tellings: Mapping[str, Telling] = TELLINGS
) -> Wording:
    """How the numbers of a model are told; `factors` of its `Parts`."""
    usual = dict(zip(factors, model.standing.values.tolist(), strict=True))
    return Wording(factors, usual, model.days_ahead, tellings)


def tell(
    model: Explained, wording: Wording, parts: Parts, logit: Floats, probability: Floats
) -> NDArray[np.void]:
    """(n,) `TOLD`: for every account its reasons as numbers, which `wording.reasons` puts into words.

    First come those that lead to where the account stands, strongest first; the points of an account sum to its
    distance from a customer in good standing.
    """
    told = np.zeros(len(parts), dtype=TOLD)
    reasons = np.zeros(
        len(parts) * SHOWN, dtype=REASON
    )  # of one account after the other: filled faster than in `told`
    reasons["column"] = NOTHING
    if not model.has_signal:
        everyone = np.arange(len(parts))
        reasons["column"][everyone * SHOWN] = NO_SIGNAL
        neither = np.zeros(len(parts), dtype=np.int64)
        reasons[everyone * SHOWN + 1] = _told_of("waiting", wording, parts, everyone, neither)
        _put(reasons, told)
        return told
    compared = moved(parts, model)
    names = factors_of(parts)
    points = points_of(compared.by_factor(names), logit, probability, model)
    chosen = _choose(points, 100.0 * (probability - model.base_probability))
    _fill(reasons, wording, compared, names, points, chosen)
    reasons["points"] = np.rint(100 * chosen.size).ravel()
    _put(reasons, told)
    told["rest"] = np.rint(100 * chosen.left)
    return told


# The same arrays for numpy to copy as they are, which is quicker than field by field.
_WHOLE_REASON = np.dtype((np.void, REASON.itemsize))
_WHOLE_ACCOUNT = np.dtype([("reasons", np.void, SHOWN * REASON.itemsize), ("rest", "<i4")])


def _put(reasons: NDArray[np.void], told: NDArray[np.void]) -> None:
    told.view(_WHOLE_ACCOUNT)["reasons"] = reasons.view(_WHOLE_ACCOUNT["reasons"])


@dataclass(frozen=True)
class _Chosen:
    """Factors to be told, (n, SHOWN) in the order of telling, with their points; and the points of all others."""

    factor: Whole
    shown: NDArray[np.bool_]
    size: Floats
    left: Floats


def _choose(points: Floats, totals: Floats) -> _Chosen:
    strongest = np.argsort(-np.abs(points), axis=1, kind="stable")[:, :SHOWN]
    size = np.round(np.take_along_axis(points, strongest, axis=1), 2)
    worth = np.abs(size) >= LEAST_POINTS
    worth[:, 0] = True
    leading = np.where(worth, size * np.where(totals >= 0, 1.0, -1.0)[:, None], -np.inf)
    order = np.argsort(-leading, axis=1, kind="stable")
    shown = np.take_along_axis(worth, order, axis=1)
    size = np.where(shown, np.take_along_axis(size, order, axis=1), 0.0)
    left = np.round(totals - size.sum(axis=1), 2)
    return _Chosen(np.take_along_axis(strongest, order, axis=1), shown, size, left)


def _fill(
    reasons: NDArray[np.void],
    wording: Wording,
    parts: Parts,
    names: tuple[str, ...],
    points: Floats,
    chosen: _Chosen,
) -> None:
    columns, whole = list(parts.factors), reasons.view(_WHOLE_REASON)
    shown = np.flatnonzero(chosen.shown)
    factors = chosen.factor.ravel()[shown].astype(np.uint8)
    by_factor, ends = (
        np.argsort(factors, kind="stable"),
        np.cumsum(np.bincount(factors, minlength=len(names))),
    )
    for number, (factor, places) in enumerate(zip(names, np.split(shown[by_factor], ends[:-1]), strict=True)):
        rows = places // SHOWN
        way = np.sign(np.round(points[rows, number] / LEAST_POINTS)).astype(np.int64)
        own = [
            at
            for at, name in enumerate(columns)
            if parts.factors[name] == factor and name in wording.tellings
        ]
        # Told is the number that moved the factor most, in the direction the factor went.
        sign = np.where(way < 0, -1.0, 1.0)
        main = np.argmax(np.stack([parts.added[:, at][rows] * sign for at in own], axis=1), axis=1)
        for position, at in enumerate(own):
            here = np.flatnonzero(main == position)
            whole[places[here]] = _told_of(columns[at], wording, parts, rows[here], way[here]).view(
                whole.dtype
            )


def _told_of(column: str, wording: Wording, parts: Parts, rows: Whole, way: Whole) -> NDArray[np.void]:
    """(rows,) what the sentence of a column is made from, for these accounts; the points are filled in later."""
    told = np.zeros(len(rows), dtype=REASON)
    side, *facts = wording.teller.facts(column, parts, rows, way)
    told["column"], told["way"], told["side"] = wording.columns.index(column), way, side
    told["count"] = len(facts)
    for place, fact in enumerate(facts):
        told["facts"][:, place] = fact
    return told
