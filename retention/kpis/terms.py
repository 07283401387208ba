"""What every account adds to a KPI, and what that comes to.

A KPI is the sum of a top over the sum of a bottom (or the sum of a top alone, for money). Keeping what each account
adds to both makes slices a selection of rows, and the list of accounts behind a number is the number itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Figure:
    """`value` is None when there is nothing to measure: the bottom is 0, or (for a sum) no account counts."""

    value: float | None
    numerator: float
    denominator: float | None
    accounts: int


@dataclass(frozen=True)
class Terms:
    """Per account: its part of the top and of the bottom.

    Attributes
    ----------
    numerator : (A,) what each account adds to the top
    denominator : (A,) what it adds to the bottom; None for a KPI that is a plain sum
    is_counted : (A,) which accounts the KPI is about; an account outside adds nothing
    """

    numerator: Floats
    denominator: Floats | None
    is_counted: Bools

    def figure(self, rows: Ints | None = None) -> Figure:
        """The KPI of all accounts, or of those at `rows`."""
        counted = self.is_counted if rows is None else self.is_counted[rows]
        accounts = int(counted.sum())
        top = _total(self.numerator, rows)
        if self.denominator is None:
            return Figure(top if accounts else None, top, None, accounts)
        bottom = _total(self.denominator, rows)
        return Figure(top / bottom if bottom > 0 else None, top, bottom, accounts)


def share(numerator: Floats | Bools, denominator: Floats | Bools) -> Terms:
    """A top over a bottom; accounts with an empty bottom are outside."""
    bottom = np.asarray(denominator, dtype=np.float64)
    counted = bottom > 0
    return Terms(np.where(counted, np.asarray(numerator, dtype=np.float64), 0.0), bottom, counted)


def amount(values: Floats, is_counted: Bools | None = None) -> Terms:
    """A sum over the accounts that are counted (default: those whose amount is not 0)."""
    counted = values != 0 if is_counted is None else is_counted
    return Terms(np.where(counted, values, 0.0), None, counted)


def per_account(account_row: Ints, values: Floats | Bools, accounts: int) -> Floats:
    """Sum events (orders, promises, episodes) to their accounts.

    Parameters
    ----------
    account_row : (N,) position of each event's account, 0..accounts-1
    values : (N,) what each event adds
    """
    weights = np.asarray(values, dtype=np.float64)
    return np.bincount(account_row, weights=weights, minlength=accounts).astype(np.float64, copy=False)


def _total(values: Floats, rows: Ints | None) -> float:
    return float(values.sum() if rows is None else values[rows].sum())
