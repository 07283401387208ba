"""Order histories as flat arrays: what every other scoring module reads.

Days are whole numbers since 1970-01-01 in the company's time zone; the end of day `as_of` is the moment
a score is made for. Money is kept in whole cents (as float64, exact up to 90 thousand billion) so that
sums do not depend on the order in which rows arrive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from retention.scoring.errors import ScoringError

Ints = NDArray[np.int64]
Days = NDArray[np.int32]
Floats = NDArray[np.float64]

UNKNOWN_DAY = np.int32(-(2**31))  # a promised or delivered day that no record states
EARLIEST_DAY, LATEST_DAY = -719_162, 2_932_896  # years 1 and 9999
DAY_RANGE = 2**22  # more days than there are between them


@dataclass(frozen=True)
class History:
    """Orders of many accounts, grouped by account and sorted by day.

    Attributes
    ----------
    account_ids : (A,) ascending ids of the accounts covered, with or without orders
    offsets : (A + 1,) where each account's orders begin in the arrays below
    day : (N,) day of the order
    cents : (N,) order amount in cents; above 0 a purchase, below 0 a return, 0 neither
    promised, delivered : (N,) days, `UNKNOWN_DAY` where no record says; None when no order has them
    """

    account_ids: Ints
    offsets: Ints
    day: Days
    cents: Floats
    promised: Days | None = None
    delivered: Days | None = None

    @property
    def accounts(self) -> int:
        """Number of accounts covered."""
        return len(self.account_ids)

    @property
    def orders(self) -> int:
        """Number of order rows."""
        return len(self.day)

    def until(self, as_of: int) -> "History":
        """The same accounts with only what had happened by the end of day `as_of`.

        A delivery made later is not yet known, so its day is forgotten as well.
        """
        kept = self.day <= as_of
        delivered = self.delivered
        if delivered is not None:
            delivered = np.where(delivered > as_of, UNKNOWN_DAY, delivered)
        if kept.all():
            return History(self.account_ids, self.offsets, self.day, self.cents, self.promised, delivered)
        running = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
        return History(
            self.account_ids,
            running[self.offsets],
            self.day[kept],
            self.cents[kept],
            None if self.promised is None else self.promised[kept],
            None if delivered is None else delivered[kept],
        )

    def between(self, first_id: int, last_id: int) -> "History":
        """The accounts with ids from `first_id` to `last_id`, both included."""
        begin, stop = np.searchsorted(self.account_ids, [first_id, last_id + 1])
        low, high = int(self.offsets[begin]), int(self.offsets[stop])
        return History(
            self.account_ids[begin:stop],
            self.offsets[begin : stop + 1] - low,
            self.day[low:high],
            self.cents[low:high],
            None if self.promised is None else self.promised[low:high],
            None if self.delivered is None else self.delivered[low:high],
        )

    def only(self, account_ids: Ints) -> "History":
        """These of the covered accounts; the ids must be ascending."""
        rows = np.searchsorted(self.account_ids, account_ids)
        if len(rows) == self.accounts:
            return self
        length = np.diff(self.offsets)[rows]
        offsets = np.concatenate(([0], np.cumsum(length)))
        at = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[rows], length)
        return History(
            account_ids,
            offsets,
            self.day[at],
            self.cents[at],
            None if self.promised is None else self.promised[at],
            None if self.delivered is None else self.delivered[at],
        )


def history_from_rows(
    account: NDArray[np.integer],
    day: NDArray[np.integer],
    amount: NDArray[np.floating],
    *,
    account_ids: NDArray[np.integer] | None = None,
    promised: NDArray[np.integer] | None = None,
    delivered: NDArray[np.integer] | None = None,
) -> History:
    """Group order rows that come in any order.

    Parameters
    ----------
    account, day, amount : (N,) id of the account, day number and amount of every order row
    account_ids : accounts to cover; by default those that have orders
    promised, delivered : (N,) day numbers, `UNKNOWN_DAY` where unknown

    Raises
    ------
    ScoringError
        The columns differ in length, an amount is not a finite number, or a day lies outside years 1 to 9999.
    """
    _refuse_unusable(account, day, amount)
    ids = np.unique(account) if account_ids is None else np.unique(account_ids)
    ids = ids.astype(np.int64)
    row = row_of(ids, account)
    offsets, order = grouping(row, len(ids), day)
    cents = np.rint(np.asarray(amount, dtype=np.float64) * 100.0)
    if promised is not None and delivered is not None:
        order = _one_day_in_order(row, day, (cents, delivered, promised), order)

    def grouped(column: NDArray[np.integer] | None) -> Days | None:
        if column is None or not (column != UNKNOWN_DAY).any():
            return None
        return column.astype(np.int32)[order]

    return History(
        ids, offsets, day.astype(np.int32)[order], cents[order], grouped(promised), grouped(delivered)
    )


def _one_day_in_order(
    row: NDArray[np.int32], day: NDArray[np.integer], columns: tuple[NDArray, ...], order: Ints
) -> Ints:
    """Orders of one account and day in an order of their own (the last column counts first), so that sums over
    deliveries come out the same to the last digit in whatever order the rows came."""
    same = (np.diff(row[order]) == 0) & (np.diff(day[order]) == 0)
    shared = np.flatnonzero(np.append(same, False) | np.concatenate(([False], same))) if len(order) else order
    rows = order[shared]
    order[shared] = rows[np.lexsort((*(column[rows] for column in columns), day[rows], row[rows]))]
    return order


def _refuse_unusable(account: NDArray, day: NDArray, amount: NDArray) -> None:
    if not len(account) == len(day) == len(amount):
        raise ScoringError(
            "The order columns differ in length; every order needs an account, a day and an amount."
        )
    if not np.isfinite(amount).all():
        raise ScoringError("An order amount is not a number; correct or remove that order and score again.")
    if len(day) and (day.min() < EARLIEST_DAY or day.max() > LATEST_DAY):
        raise ScoringError("An order is dated outside the years 1 to 9999; correct its date and score again.")


def row_of(ids: Ints, account: NDArray[np.integer]) -> NDArray[np.int32]:
    """Position of each record's account in `ids`; a lookup table when ids are dense, else binary search.

    Raises
    ------
    ScoringError
        A record belongs to an account that is not among `ids`.
    """
    if not len(account):
        return np.empty(0, dtype=np.int32)
    if not len(ids) or account.min() < ids[0] or account.max() > ids[-1]:
        raise ScoringError("A record belongs to an account outside the range that is being scored.")
    span = int(ids[-1] - ids[0]) + 1
    if span <= 8 * len(ids) + 1024:
        table = np.full(span, -1, dtype=np.int32)
        table[ids - ids[0]] = np.arange(len(ids), dtype=np.int32)
        row = table[account - ids[0]]
    else:
        row = np.searchsorted(ids, account).astype(np.int32)
        row[ids[row] != account] = -1
    if (row < 0).any():
        raise ScoringError("A record belongs to an account that is not in the list of accounts to score.")
    return row


def grouping(row: NDArray[np.int32], accounts: int, day: NDArray[np.integer]) -> tuple[Ints, Ints]:
    """Offsets per account and the permutation that sorts rows by account, then day.

    Rows that come account by account, newest or oldest first, are sorted but for the odd one. Of others, one stable
    counting sort by account suffices when they come by day; else the days are sorted first.
    """
    if (row[1:] >= row[:-1]).all():
        return _grouped_already(row, accounts, day)
    offsets, order = _counting_sort(row, accounts)
    sorted_day = day[order]
    falls = sorted_day[1:] < sorted_day[:-1]
    falls &= row[order][1:] == row[order][:-1]
    if not falls.any():
        return offsets, order
    by_day = np.argsort(day, kind="stable")
    offsets, order = _counting_sort(row[by_day], accounts)
    return offsets, by_day[order]


def _grouped_already(row: NDArray[np.int32], accounts: int, day: NDArray[np.integer]) -> tuple[Ints, Ints]:
    offsets = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=accounts), dtype=np.int64)))
    order = np.arange(len(row))
    keys = row * np.int64(DAY_RANGE) + (day - np.int64(EARLIEST_DAY))
    if np.count_nonzero(keys[1:] < keys[:-1]) > len(row) // 4:  # newest first
        order = np.repeat(offsets[:-1] + offsets[1:] - 1, np.diff(offsets)) - order
        keys = keys[order]
    if (keys[1:] < keys[:-1]).any():
        order = order[np.argsort(keys, kind="stable")]  # quick where little is out of place
    return offsets, order


def _counting_sort(row: NDArray[np.int32], groups: int) -> tuple[Ints, Ints]:
    """Stable order of rows by small integer key; converting a sparse matrix from COO to CSR is exactly that."""
    count = len(row)
    columns = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    matrix = sparse.coo_array((np.ones(count, dtype=np.int8), (row, columns)), shape=(groups, max(count, 1)))
    grouped = matrix.tocsr()
    return grouped.indptr.astype(np.int64), grouped.indices.astype(np.int64)


@dataclass(frozen=True)
class Purchases:
    """Days on which an account bought, one entry per account and day, with the day's purchases summed.

    Two orders on one day are one purchase: rhythm is about days. `cents_sum` are running totals with a leading
    zero, so the spend between two positions is one subtraction. Returns are kept likewise.
    """

    account_ids: Ints
    offsets: Ints
    day: Days
    cents: Floats
    cents_sum: Floats
    return_offsets: Ints
    return_day: Days
    return_cents_sum: Floats
    history: History

    @property
    def accounts(self) -> int:
        """Number of accounts covered."""
        return len(self.account_ids)

    def position(self, as_of: float, rows: Ints) -> Ints:
        """Where the purchases after day `as_of` begin, for each account in `rows`."""
        if as_of >= self._last_day:
            return self.offsets[rows + 1]
        return _position(self._keys, as_of, rows)

    def positions(self, days: Sequence[float], rows: Ints) -> list[Ints]:
        """`position` for each of several days; `rows` ascending. One pass over the purchases counts them all."""
        return _positions(self.offsets, self.day, self._row, days, rows)

    def kept(self, as_of: float, rows: Ints) -> Floats:
        """Money of the purchases up to the end of day `as_of` less what was returned by then, at least 0."""
        bought = self.cents_sum[self.position(as_of, rows)] - self.cents_sum[self.offsets[rows]]
        returned = self.return_cents_sum[self.return_position(as_of, rows)]
        return np.maximum(bought + returned - self.return_cents_sum[self.return_offsets[rows]], 0) / 100

    def return_position(self, as_of: float, rows: Ints) -> Ints:
        """Where the returns after day `as_of` begin, for each account in `rows`."""
        if not len(self.return_day):
            return self.return_offsets[rows]
        return _position(self._return_keys, as_of, rows)

    @cached_property
    def _last_day(self) -> int:
        return int(self.day.max()) if len(self.day) else EARLIEST_DAY

    @cached_property
    def _row(self) -> NDArray[np.intp]:
        """The account of each purchase."""
        return np.repeat(np.arange(self.accounts), np.diff(self.offsets))

    @cached_property
    def _keys(self) -> Ints:
        return _keys_of(self.offsets, self.day)

    @cached_property
    def _return_keys(self) -> Ints:
        return _keys_of(self.return_offsets, self.return_day)

    def customers(self, as_of: int) -> Ints:
        """Rows of the accounts that had bought by the end of day `as_of`."""
        has_any = np.flatnonzero(np.diff(self.offsets))
        return has_any[self.day[self.offsets[has_any]] <= as_of]


def spread(first: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """All positions of the ranges [first, stop), and the number of the range each belongs to."""
    length = stop - first
    owner = np.repeat(np.arange(len(first)), length)
    ahead = np.concatenate(([0], np.cumsum(length)))[:-1]
    return np.arange(length.sum()) - np.repeat(ahead - first, length), owner


def _keys_of(offsets: Ints, day: Days) -> Ints:
    """Account and day in one number, ascending: one binary search finds a day of any account."""
    row = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))
    return row * DAY_RANGE + (day - np.int64(EARLIEST_DAY))


def _position(keys: Ints, as_of: float, rows: Ints) -> Ints:
    """First entry later than `as_of`, for each account."""
    day = min(max(math.floor(as_of), EARLIEST_DAY - 1), LATEST_DAY) - EARLIEST_DAY
    return np.searchsorted(keys, rows * np.int64(DAY_RANGE) + day, side="right")


def _positions(
    offsets: Ints, day: Days, row: NDArray[np.intp], days: Sequence[float], rows: Ints
) -> list[Ints]:
    if not len(rows) or not len(day):
        return [offsets[rows] for _ in days]
    first, last = int(rows[0]), int(rows[-1])
    chosen: Ints | slice
    if 2 * len(rows) < last - first:  # a few here and there: theirs alone are looked at
        chosen, owner = spread(offsets[rows], offsets[rows + 1])
        accounts, shift, column = len(rows), 0, np.arange(len(rows))
    else:
        chosen = slice(offsets[first], offsets[last + 1])
        owner, accounts, shift, column = row[chosen], last - first + 1, first, rows - first
    bought = day[chosen]
    wanted, place = np.unique(np.array([math.floor(one) for one in days]), return_inverse=True)
    earliest = int(bought.min(initial=LATEST_DAY))
    latest = int(bought.max(initial=earliest))
    # One number for how many of the days a purchase is later than, and its account: counted, all days are counted at once.
    later_than = np.searchsorted(wanted, np.arange(earliest, latest + 1)) * accounts - shift
    counts = np.bincount(later_than[bought - earliest] + owner, minlength=accounts * (len(wanted) + 1))
    until = counts.reshape(-1, accounts).cumsum(axis=0)
    return [offsets[rows] + until[at][column] for at in place]


def purchases_of(history: History) -> Purchases:
    """Merge the purchases of each account and day; see `Purchases`."""
    row = np.repeat(np.arange(history.accounts, dtype=np.int32), np.diff(history.offsets))
    offsets, day, cents = _merged(history, row, history.cents > 0)
    return_offsets, return_day, return_cents = _merged(history, row, history.cents < 0)
    return Purchases(
        history.account_ids,
        offsets,
        day,
        cents,
        np.concatenate(([0.0], np.cumsum(cents))),
        return_offsets,
        return_day,
        np.concatenate(([0.0], np.cumsum(return_cents))),
        history,
    )


def _merged(history: History, row: NDArray[np.int32], chosen: NDArray[np.bool_]) -> tuple[Ints, Days, Floats]:
    """Chosen order rows summed per account and day."""
    row, day, cents = row[chosen], history.day[chosen], history.cents[chosen]
    starts_new = np.ones(len(day), dtype=bool)
    starts_new[1:] = (day[1:] != day[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(starts_new)
    counts = np.bincount(row[first], minlength=history.accounts)
    offsets = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    summed = np.add.reduceat(cents, first) if len(first) else cents
    return offsets, day[first], summed
