"""How numbers become sentences that never contradict what they explain.

Every number the engine looks at has a `Telling`. A sentence states the account's own number; where that alone would
sound the wrong way, what is usual for a customer in good standing is put beside it; and where the book itself speaks
against intuition (larger orders, yet more likely to leave) the sentence says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retention.scoring.parts import Parts

Whole = NDArray[np.int64]

UNKNOWN = -(10**9)  # stands for a value nobody knows, where sentences are made from whole numbers
LARGEST = 1e9
MOST_KEPT = 50_000  # sentences; some ten megabytes


class Said(NamedTuple):
    """One fact in words, without the full stop.

    `reads` is how it sounds by itself: +1 like leaving, -1 like staying, 0 like neither; None leaves that to the
    comparison with a customer in good standing. `beside` puts that customer's number next to it.
    """

    text: str
    reads: int | None = None
    beside: str = ""


@dataclass(frozen=True)
class Book:
    """What sentences need to know beyond the account: the horizon in days, and the numbers of a customer in good
    standing by column (NaN where nobody's is known)."""

    horizon: int
    usual: Mapping[str, float]
    _whole: dict[tuple[str, float], int] = field(default_factory=dict, compare=False)

    def whole(self, name: str, scale: float = 1.0) -> int:
        """The usual number in the units that sentences use; worked out once, sentences ask for it by the thousand."""
        known = self._whole.get((name, scale))
        if known is None:
            known = int(whole(np.array([self.usual.get(name, np.nan) * scale]))[0])
            self._whole[name, scale] = known
        return known


@dataclass(frozen=True)
class Telling:
    """How one number is told.

    Attributes
    ----------
    natural : +1 where more of it should speak for leaving, -1 for staying, 0 where nobody can say beforehand
    facts : (parts, rows) -> the whole numbers the sentence is made from. They are stored with scores and told years
        later: their meaning stays, a column that needs others gets a new name
    say : (book, *facts) -> the fact in words
    more : (parts, rows, way) -> further numbers that only some sentences need; 0 for the others
    """

    natural: int
    facts: Callable[[Parts, Whole], tuple[Whole, ...]]
    say: Callable[..., Said]
    more: Callable[[Parts, Whole, Whole], tuple[Whole, ...]] | None = None


def whole(values: NDArray[np.floating]) -> Whole:
    """Rounded to whole numbers, `UNKNOWN` where unknown."""
    return np.where(np.isnan(values), UNKNOWN, np.round(np.clip(values, -LARGEST, LARGEST))).astype(np.int64)


def wholes(*names: str, scale: float = 1.0) -> Callable[[Parts, Whole], tuple[Whole, ...]]:
    """Facts that are columns as they stand, times `scale`."""

    def facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
        return tuple(whole(parts.column(name)[rows] * scale) for name in names)

    return facts


def sentence(said: Said, way: int, against_usual: int) -> str:
    """The fact as a reason for leaving (`way` +1), for staying (-1), or merely as a fact (0).

    `against_usual` is what the comparison with a customer in good standing suggests: +1 leaving, -1 staying, 0 neither.
    """
    reads = against_usual if said.reads is None else said.reads
    compared = f"{said.text}; {said.beside}" if said.beside else said.text
    if way == 0:
        return f"{said.text}."
    if reads == way:
        return f"{compared if said.reads is None else said.text}."
    if against_usual == way and said.beside:
        return f"{compared}."
    sign = "a sign of leaving" if way > 0 else "a sign of staying"
    fact = said.text[0].lower() + said.text[1:]
    if reads == -way:
        return f"Against expectation {sign} in your book: {fact}."
    return f"{sign.capitalize()} in your book: {fact}."


class Teller:
    """The sentences of one model, each distinct one made once."""

    def __init__(self, tellings: Mapping[str, Telling], book: Book) -> None:
        self.tellings, self.book = tellings, book
        self._made: dict[tuple[int | str, ...], str] = {}

    def facts(self, column: str, parts: Parts, rows: Whole, way: Whole) -> tuple[Whole, ...]:
        """What `say` needs to know of these accounts: first what the comparison with a customer in good standing
        suggests, then the facts of the column. `way`: +1 it raises the risk, -1 it lowers it."""
        telling = self.tellings[column]
        difference = parts.column(column)[rows] - self.book.usual.get(column, np.nan)
        side = np.sign(np.nan_to_num(difference, nan=0.0)).astype(np.int64) * telling.natural
        more = telling.more(parts, rows, way) if telling.more else ()
        return side, *telling.facts(parts, rows), *more

    def say(self, column: str, way: int, side: int, *facts: int) -> str:
        """The sentence of one account."""
        key: tuple[int | str, ...] = (column, way, side, *facts)
        words = self._made.get(key)
        if words is None:
            if len(self._made) >= MOST_KEPT:
                self._made.clear()
            words = self._made[key] = sentence(self.tellings[column].say(self.book, *facts), way, side)
        return words
