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
from retention.scoring.telling import Book, Teller, Telling, Whole, opening

Floats = NDArray[np.float64]

SHOWN = 4  # named factors per account; the rest is summed up as "other"
LEAST_POINTS = 0.05  # percentage points below which a factor is not worth a sentence

MOST_HUNDREDTHS = 15_000  # points are written ahead, in hundredths; the few larger ones when they come
POINTS = np.array([repr(at / 100) for at in range(-MOST_HUNDREDTHS, MOST_HUNDREDTHS + 1)], dtype=object)

OTHER = "Everything else together."
NO_SIGNAL = "No usable signal: past orders do not tell who buys again, so everyone has the same probability."


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


class Explainer:
    """The reasons of one model; one and the same for all parts of a book, since it keeps the sentences it made.

    `tellings` are the model's columns in words.
    """

    def __init__(self, model: Explained, tellings: Mapping[str, Telling] = TELLINGS) -> None:
        self.model, self.tellings = model, tellings
        self._teller: Teller | None = None

    def reasons(self, parts: Parts, logit: Floats, probability: Floats) -> list[str]:
        """For every account its reasons as JSON: a list of {"factor", "sentence", "points"}.

        First come those that lead to where the account stands, strongest first; the points of a list sum to the
        account's distance from a customer in good standing. Made as text at once: a million accounts are a million
        lists.
        """
        teller = self._teller_of(parts)
        everyone = np.arange(len(parts))
        if not self.model.has_signal:
            head = f"[{opening('no_signal', NO_SIGNAL)}0.0}},"
            way = np.zeros(len(parts), dtype=np.int64)
            return [
                f"{head}{fact}0.0}}]" for fact in teller.openings("waiting", "pattern", parts, everyone, way)
            ]
        compared = moved(parts, self.model)
        names = factors_of(parts)
        points = points_of(compared.by_factor(names), logit, probability, self.model)
        chosen = _choose(points, 100.0 * (probability - self.model.base_probability))
        return _joined(_texts(teller, compared, names, points, chosen), chosen.size, chosen.left)

    def _teller_of(self, parts: Parts) -> Teller:
        if self._teller is None:
            usual = dict(zip(parts.factors, self.model.standing.values.tolist(), strict=True))
            self._teller = Teller(self.tellings, Book(self.model.days_ahead, usual))
        return self._teller


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


def _texts(
    teller: Teller, parts: Parts, names: tuple[str, ...], points: Floats, chosen: _Chosen
) -> NDArray[np.object_]:
    """(n, SHOWN) the beginning of each reason's JSON object; empty where nothing is shown."""
    texts = np.full(chosen.factor.shape, "", dtype=object)
    columns = list(parts.factors)
    for number, factor in enumerate(names):
        rows, ranks = np.nonzero((chosen.factor == number) & chosen.shown)
        way = np.sign(np.round(points[rows, number] / LEAST_POINTS)).astype(np.int64)
        own = [
            at for at, name in enumerate(columns) if parts.factors[name] == factor and name in teller.tellings
        ]
        # Told is the number that moved the factor most, in the direction the factor went.
        main = np.argmax(
            np.column_stack([parts.added[rows, at] for at in own]) * np.where(way < 0, -1, 1)[:, None], axis=1
        )
        for position, at in enumerate(own):
            here = np.flatnonzero(main == position)
            told = teller.openings(columns[at], factor, parts, rows[here], way[here])
            texts[rows[here], ranks[here]] = told
    return texts


def _joined(texts: NDArray[np.object_], size: Floats, left: Floats) -> list[str]:
    """One JSON list per account. Nearly all tell as many factors as may be told, and are put together in one go."""
    other = opening("other", OTHER)
    rest = [f",{other}{value!r}}}]" if value else "]" for value in left.tolist()]
    rows = zip(texts.tolist(), _written(size).tolist(), rest, strict=True)
    return [_list_of(openings, points) + end for openings, points, end in rows]


def _written(size: Floats) -> NDArray[np.object_]:
    """Points of two places as text."""
    hundredths = np.rint(100 * size).astype(np.int64)
    text = POINTS[np.clip(hundredths + MOST_HUNDREDTHS, 0, 2 * MOST_HUNDREDTHS)]
    large = np.abs(hundredths) > MOST_HUNDREDTHS
    text[large] = [repr(value) for value in size[large].tolist()]
    return text


def _list_of(told: list[str], points: list[str]) -> str:
    """[{...},{...} without its end; empty texts are left out."""
    if len(told) == 4 and told[1] and told[2] and told[3]:
        (a, b, c, d), (p, q, r, s) = told, points
        return f"[{a}{p}}},{b}{q}}},{c}{r}}},{d}{s}}}"
    return "[" + ",".join([f"{text}{size}}}" for text, size in zip(told, points, strict=True) if text])
