"""Reasons as numbers: what is stored with a score. The words are made when somebody reads them.

A book of a million accounts has half a million different sentences, which nearly nobody ever looks at. What a
sentence is made from fits into a hundred bytes; together with what the model knew of the whole book (`Wording`) it
gives the same words whenever they are asked for (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.scoring.telling import Book, Teller, Telling

SHOWN = 4  # named factors per account; the rest is summed up as "other"
MOST_FACTS = 4  # numbers a sentence is made from
NOTHING, NO_SIGNAL = 255, 254  # in place of a column

# Points are hundredths of a percentage point; `side` and facts as `Teller.facts` gives them.
REASON = np.dtype(
    [
        ("column", "u1"),
        ("way", "i1"),
        ("side", "i1"),
        ("count", "u1"),
        ("points", "<i4"),
        ("facts", "<i4", MOST_FACTS),
    ]
)
TOLD = np.dtype([("reasons", REASON, SHOWN), ("rest", "<i4")])

NO_SIGNAL_WORDS = (
    "No usable signal: past orders do not tell who buys again, so everyone has the same probability."
)
REST = "Everything else together."
FORGOTTEN = "Told by an earlier version of Mainstay, whose words are gone."

Reason = dict[str, Any]


def reason(factor: str, sentence: str, points: float) -> Reason:
    """One reason as pages, files and the API know it; points are percentage points of probability."""
    return {"factor": factor, "sentence": sentence, "points": points}


@dataclass(frozen=True)
class Wording:
    """What turns the numbers of one model into sentences.

    Attributes
    ----------
    factors : name of each column -> the factor it is told under, in the order the numbers count them
    usual : the numbers of a customer in good standing by column, NaN where nobody's is known
    horizon : days
    tellings : the words of each column
    """

    factors: Mapping[str, str]
    usual: Mapping[str, float]
    horizon: int
    tellings: Mapping[str, Telling]

    @cached_property
    def teller(self) -> Teller:
        """Keeps the sentences it made."""
        return Teller(self.tellings, Book(self.horizon, self.usual))

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns, by number."""
        return list(self.factors)

    def reasons(self, told: np.void) -> list[Reason]:
        """The reasons of one account, from one element of a `TOLD` array."""
        found = [self._reason(one) for one in told["reasons"] if one["column"] != NOTHING]
        rest = int(told["rest"])
        return [*found, reason("other", REST, rest / 100)] if rest else found

    def _reason(self, one: np.void) -> Reason:
        column, points = int(one["column"]), int(one["points"]) / 100
        if column == NO_SIGNAL:
            return reason("no_signal", NO_SIGNAL_WORDS, points)
        name = self.columns[column]
        if name not in self.tellings:
            return reason(self.factors[name], FORGOTTEN, points)
        facts = one["facts"].tolist()[: one["count"]]
        return reason(
            self.factors[name], self.teller.say(name, int(one["way"]), int(one["side"]), *facts), points
        )

    @cached_property
    def factor_names(self) -> list[str]:
        """Names of the factors, by number."""
        return [*dict.fromkeys(self.factors.values()), "no_signal"]

    def main_factors(self, told: NDArray[np.void]) -> NDArray[np.int16]:
        """(n,) number of the factor of the first reason of each account."""
        numbers = np.zeros(256, dtype=np.int16)
        numbers[: len(self.factors)] = [self.factor_names.index(factor) for factor in self.factors.values()]
        numbers[NO_SIGNAL] = self.factor_names.index("no_signal")
        return numbers[told["reasons"]["column"][:, 0]]

    def to_json(self) -> dict[str, Any]:
        """What has to be kept to say the same words years later; NaN is None."""
        usual = [None if np.isnan(value) else value for value in (self.usual[name] for name in self.factors)]
        return {
            "columns": self.columns,
            "factors": list(self.factors.values()),
            "usual": usual,
            "horizon": self.horizon,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], tellings: Mapping[str, Telling]) -> Wording:
        """Read back what `to_json` gave; the words themselves are those of today."""
        usual = [np.nan if value is None else float(value) for value in kept["usual"]]
        names = kept["columns"]
        return cls(
            dict(zip(names, kept["factors"], strict=True)),
            dict(zip(names, usual, strict=True)),
            kept["horizon"],
            tellings,
        )
