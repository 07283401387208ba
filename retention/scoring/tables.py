"""A flat table of facts about accounts, and its coding as numbers that every model of it reads.

Facts are numbers (NaN = unknown) or words ("" = unknown). Nothing is invented for what is unknown: a number keeps
its NaN, which trees send the way that fits and the linear model answers with a coefficient of its own.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.scoring.errors import ScoringError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Words = NDArray[np.object_]

LEAST_ROWS_OF_LEVEL = 20  # rarer words are all "other", the level of no column
MOST_LEVELS = 60
LEAST_UNKNOWN = 10  # so many unknown values get a column of their own
ONE, UNKNOWN = "=", "?"


@dataclass(frozen=True)
class Table:
    """Facts about n accounts.

    Attributes
    ----------
    numbers : name -> (n,) float, NaN where unknown
    words : name -> (n,) text, "" where unknown
    """

    numbers: dict[str, Floats]
    words: dict[str, Words]

    def __len__(self) -> int:
        for column in (*self.numbers.values(), *self.words.values()):
            return len(column)
        return 0

    def rows(self, chosen: NDArray[Any]) -> "Table":
        """The table of these rows."""
        return Table(
            {name: column[chosen] for name, column in self.numbers.items()},
            {name: column[chosen] for name, column in self.words.items()},
        )

    def only(self, names: Container[str]) -> "Table":
        """The same rows with these facts alone."""
        return Table(
            {name: column for name, column in self.numbers.items() if name in names},
            {name: column for name, column in self.words.items() if name in names},
        )


def stacked(tables: Sequence[Table]) -> Table:
    """Tables of equal columns below one another."""
    first = tables[0]
    return Table(
        {name: np.concatenate([t.numbers[name] for t in tables]) for name in first.numbers},
        {name: np.concatenate([t.words[name] for t in tables]) for name in first.words},
    )


@dataclass(frozen=True)
class Coding:
    """How a table becomes a matrix: the columns, in order, as (name, kind).

    Kind "" is the number itself, "?" whether it is unknown, and "=word" whether the text is that word.
    """

    columns: tuple[tuple[str, str], ...]

    @property
    def sources(self) -> list[str]:
        """For every column the fact it is made from."""
        return [name for name, _ in self.columns]

    def matrix(self, table: Table) -> Floats:
        """(n, columns); raises where the table lacks a fact."""
        missing = {name for name, _ in self.columns} - {*table.numbers, *table.words}
        if missing:
            raise ScoringError(f"The table lacks {', '.join(sorted(missing))}; start a new scoring run.")
        out = np.empty((len(table), len(self.columns)))
        for place, (name, kind) in enumerate(self.columns):
            if kind.startswith(ONE):
                out[:, place] = table.words[name] == kind[1:]
            else:
                out[:, place] = np.isnan(table.numbers[name]) if kind == UNKNOWN else table.numbers[name]
        return out


def fit_coding(table: Table) -> Coding:
    """Columns that vary: a fact that nobody has, or everybody alike, tells nothing and is left out."""
    columns: list[tuple[str, str]] = []
    for name, values in table.numbers.items():
        unknown = np.isnan(values)
        known = values[~unknown]
        if len(known) and known.min() < known.max():
            columns.append((name, ""))
        if min(unknown.sum(), len(known)) >= LEAST_UNKNOWN:
            columns.append((name, UNKNOWN))
    for name, words in table.words.items():
        columns += [(name, ONE + word) for word in _levels(words)]
    return Coding(tuple(columns))


def _levels(words: Words) -> list[str]:
    """Words that are frequent enough, most frequent first; all but one where they cover every row."""
    found, counts = np.unique(words.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [str(found[k]) for k in order if counts[k] >= LEAST_ROWS_OF_LEVEL][:MOST_LEVELS]
    return kept if len(kept) != len(found) else kept[1:]
