"""What the score of an account is made of: one column for every number that is looked at, adding up exactly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """Numbers about some accounts, and what each of them adds to the log odds of leaving.

    Attributes
    ----------
    factors : name of a column -> factor it is explained under, in the order of the columns
    values : (n, columns) the numbers, in units of their own; NaN where unknown
    added : (n, columns) log odds that each adds; with the model's `start` a row sums to the account's log odds
    """

    factors: dict[str, str]
    values: NDArray[np.floating]
    added: Floats

    def __len__(self) -> int:
        return len(self.added)

    def column(self, name: str) -> NDArray[np.floating]:
        """(n,) one of the numbers."""
        return self.values[:, list(self.factors).index(name)]

    def beside(self, other: "Parts") -> "Parts":
        """The same accounts with what else is known of them; no two columns may have one name."""
        assert not self.factors.keys() & other.factors.keys(), "a column is named once"
        return Parts(
            self.factors | other.factors,
            np.hstack([self.values, other.values]),
            np.hstack([self.added, other.added]),
        )

    def total(self, start: float) -> Floats:
        """(n,) `start` and all columns added up; column by column, because numpy adds up one row alone in another
        order than many, and parts of a book must change no digit."""
        out = np.full(len(self), start)
        for column in self.added.T:
            out += column
        return out

    def by_factor(self, names: tuple[str, ...]) -> Floats:
        """(n, factors) the sums of the columns of each factor, column by column: parts of a book change no digit."""
        out = np.zeros((len(self), len(names)), order="F")
        for position, factor in enumerate(self.factors.values()):
            out[:, names.index(factor)] += self.added[:, position]
        return out


@dataclass(frozen=True)
class Standing:
    """A customer in good standing, whom every account is compared with: (columns,) as in `Parts`.

    `added` are log odds, `values` medians of the numbers (NaN where nobody's is known).
    """

    added: Floats
    values: Floats


def good_standing(parts: Parts, start: float) -> Standing:
    """The average of those of these accounts that are more likely to stay than to leave; of all where none is.

    Against the average of all, a book with many customers long gone would call a worrying silence good news.
    The starting point has the mean probability of those in good standing; what that differs from their mean log
    odds is laid on the columns in proportion to how much each varies.
    """
    logit = parts.total(start)
    stays = logit < 0
    stays = stays if stays.any() else np.ones(len(stays), dtype=bool)
    added = parts.added[stays]
    centre = added.mean(axis=0)
    p = float((1 / (1 + np.exp(-logit[stays]))).mean())
    wanted = float(np.log(np.clip(p, 1e-6, 1 - 1e-6)) - np.log1p(-np.clip(p, 1e-6, 1 - 1e-6)))
    spread = np.abs(added - centre).mean(axis=0)
    if spread.sum() > 0:
        centre = centre + (wanted - start - centre.sum()) * spread / spread.sum()
    return Standing(centre, medians(parts.values[stays]))


def medians(values: NDArray[np.floating]) -> Floats:
    """Median of the known values of each column; NaN where none is known."""
    out = np.full(values.shape[1], np.nan)
    for position, column in enumerate(values.T):
        known = column[~np.isnan(column)]
        if len(known):
            out[position] = np.median(known)
    return out
