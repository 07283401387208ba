"""Contracts as flat arrays: who is under contract until when, at what value, and when customers were lost.

A contract runs from its first to its last day, or until the day it was cancelled. One that renews by itself and was
not cancelled runs on for another term of equal length, again and again, until the account's next contract replaces it.
An account is lost when its last cover has ended and nothing followed within its grace period.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.scoring.errors import ScoringError
from retention.scoring.history import Ints, row_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Words = NDArray[np.object_]

NEVER = np.int64(
    2**31
)  # the day of something that has not happened, and of an end that never comes by itself


@dataclass(frozen=True)
class Terms:
    """Contracts (N,), one entry each; days are day numbers, `NEVER` where something has not happened.

    Attributes
    ----------
    starts, ends : first and last day as agreed
    known : day from which the contract was on record, at the latest the first one
    cancelled, disclosed, acknowledged : when it was cancelled, its terms explained, and acknowledged
    value : money a year
    notice : days before the end by which it has to be cancelled
    renews : whether it runs on by itself
    """

    starts: Ints
    ends: Ints
    known: Ints
    cancelled: Ints
    disclosed: Ints
    acknowledged: Ints
    value: Floats
    notice: Ints
    renews: Bools

    def __len__(self) -> int:
        return len(self.starts)

    def rows(self, chosen: NDArray[np.integer] | Bools) -> "Terms":
        """The terms of these contracts."""
        return Terms(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Renewals:
    """Contracts of many accounts, sorted by account and first day, and what else is known of the accounts.

    Attributes
    ----------
    account_ids : (A,) ascending ids of the accounts covered
    row : (N,) position of each contract's account
    terms : (N,) see `Terms`
    grace : (A,) days after an end within which a renewal still counts
    since : (A,) day on which the account became a customer, `NEVER` where unknown
    words : name -> (A,) such as the segment; "" where unknown
    orders_count : (A,) whether orders beside the contract are money of their own
    """

    account_ids: Ints
    row: Ints
    terms: Terms
    grace: Ints
    since: Ints
    words: dict[str, Words]
    orders_count: Bools

    def until(self, as_of: int) -> "Renewals":
        """The same accounts with only what was known by the end of day `as_of`."""
        terms = self.terms
        later = {
            name: np.where(getattr(terms, name) > as_of, NEVER, getattr(terms, name))
            for name in ("cancelled", "disclosed", "acknowledged")
        }
        known = terms.known <= as_of
        since = np.where(self.since > as_of, NEVER, self.since)
        return replace(self, row=self.row[known], terms=replace(terms, **later).rows(known), since=since)

    def between(self, first_id: int, last_id: int) -> "Renewals":
        """The accounts with ids from `first_id` to `last_id`, both included."""
        ids = self.account_ids
        return self.only(ids[(ids >= first_id) & (ids <= last_id)])

    def only(self, account_ids: Ints) -> "Renewals":
        """These of the covered accounts; the ids must be ascending."""
        rows = np.searchsorted(self.account_ids, account_ids)
        place = np.full(len(self.account_ids), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        kept = place[self.row] >= 0
        return Renewals(
            account_ids,
            place[self.row[kept]],
            self.terms.rows(kept),
            self.grace[rows],
            self.since[rows],
            {name: words[rows] for name, words in self.words.items()},
            self.orders_count[rows],
        )


def renewals_from_rows(
    account_ids: Ints,
    account: Ints,
    terms: Terms,
    grace: Ints,
    since: Ints,
    words: dict[str, Words],
    orders_count: Bools | None = None,
) -> Renewals:
    """Group contracts that come in any order. One cancelled on or before its first day never ran and is left out.

    Raises
    ------
    ScoringError
        A contract belongs to an account that is not among `account_ids`, ends before it starts, or its value is
        no number.
    """
    if (terms.ends < terms.starts).any():
        raise ScoringError("A contract ends before it starts; correct its days and score again.")
    if not np.isfinite(terms.value).all():
        raise ScoringError("The yearly value of a contract is not a number; correct it and score again.")
    row = row_of(account_ids, account).astype(np.int64)
    ran = np.flatnonzero(terms.cancelled > terms.starts)
    order = ran[np.lexsort((terms.value[ran], terms.ends[ran], terms.starts[ran], row[ran]))]
    both = np.ones(len(account_ids), dtype=bool) if orders_count is None else orders_count
    return Renewals(account_ids, row[order], terms.rows(order), grace, since, words, both)


def rolled(starts: Ints, ends: Ints, after: Ints) -> Ints:
    """(n,) the first end later than `after` of contracts that are followed by terms of equal length.

    Terms of whole months end on the same day of the month, others after the same number of days.
    """
    first = starts.astype("datetime64[D]")
    over = (ends + 1).astype("datetime64[D]")
    months, day = _month_and_day(over)
    begun, begun_day = _month_and_day(first)
    length = np.where(day == begun_day, months - begun, 0)
    by_month = length > 0
    wanted, _ = _month_and_day((np.maximum(after, ends) + 1).astype("datetime64[D]"))
    turns = np.maximum(0, -(-(wanted - months) // np.maximum(length, 1)))
    monthly = _day_in(months + turns * length, day) - 1
    late = monthly <= after
    monthly = np.where(late, _day_in(months + (turns + 1) * length, day) - 1, monthly)
    days = ends - starts + 1
    daily = ends + np.maximum(0, (after - ends) // days + 1) * days
    return np.where(after < ends, ends, np.where(by_month, monthly, daily))


def _month_and_day(dates: NDArray[np.datetime64]) -> tuple[Ints, Ints]:
    """Months since 1970-01 and days since the first of the month."""
    month = dates.astype("datetime64[M]")
    return month.astype(np.int64), (dates - month.astype("datetime64[D]")).astype(np.int64)


def _day_in(month: Ints, day: Ints) -> Ints:
    """Day number of that day of a month, or of its last."""
    first = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (month + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return np.minimum(first + day, following - 1)


def final_ends(renewals: Renewals) -> Ints:
    """(N,) the last day of each contract, cancellations aside; `NEVER` where it runs on until somebody ends it."""
    terms, row = renewals.terms, renewals.row
    ends = terms.ends.copy()
    has_next = np.zeros(len(row), dtype=bool)
    has_next[:-1] = row[1:] == row[:-1]
    ends[terms.renews & ~has_next] = NEVER
    replaced = np.flatnonzero(terms.renews & has_next)
    # One that renews by itself ends with the term that was running when the next contract took over.
    follows = terms.starts[replaced + 1] - renewals.grace[row[replaced]]
    ends[replaced] = rolled(terms.starts[replaced], terms.ends[replaced], follows - 1)
    return ends


@dataclass(frozen=True)
class Spells:
    """Times (S,) in which an account was under contract without a gap longer than its grace period.

    `last` is the last covered day as far as is known, `number` counts the account's spells from 0.
    """

    row: Ints
    first: Ints
    last: Ints
    number: Ints


def spells(renewals: Renewals) -> Spells:
    """Contracts that follow one another within the grace period, joined."""
    row, terms = renewals.row, renewals.terms
    last = np.minimum(final_ends(renewals), terms.cancelled - 1)
    covered = _running_maximum(row, last)
    new = np.ones(len(row), dtype=bool)
    gap_allowed = renewals.grace[row[1:]]
    new[1:] = (row[1:] != row[:-1]) | (terms.starts[1:] > covered[:-1] + gap_allowed)
    begins = np.flatnonzero(new)
    ends = np.append(begins[1:], len(row)) - 1 if len(begins) else begins
    owner = row[begins]
    number = np.arange(len(owner)) - np.searchsorted(owner, owner)
    return Spells(owner, terms.starts[begins], covered[ends], number)


def _running_maximum(row: Ints, values: Ints) -> Ints:
    """Largest value so far within each account; rows are ascending, values between -`NEVER` and `NEVER`."""
    lift = row * (2 * NEVER)
    return np.maximum.accumulate(values + lift) - lift if len(row) else values


CURRENT, CANCELLED, OVER = 1, 2, 3


@dataclass(frozen=True)
class Cover:
    """Accounts (n,) that are or were under contract at the end of day `as_of`.

    Attributes
    ----------
    rows : positions of the accounts
    state : `CURRENT` (running, or ended within the grace period), `CANCELLED` (cancelled, its last day yet to come), `OVER`
    end : last day covered as things stand
    value : money a year of the contracts that run (of the newest ones where none does)
    main : the contract that ends last, by its position
    count : contracts running
    """

    as_of: int
    rows: Ints
    state: Ints
    end: Ints
    value: Floats
    main: Ints
    count: Ints

    def only(self, chosen: Bools) -> "Cover":
        """Some of the accounts."""
        return Cover(
            self.as_of, self.rows[chosen], self.state[chosen], self.end[chosen], self.value[chosen],
            self.main[chosen], self.count[chosen],
        )  # fmt: skip


def cover_at(known: Renewals, as_of: int) -> Cover:
    """Who is under contract at the end of day `as_of`; `known` must hold nothing later (`Renewals.until`)."""
    terms, row = known.terms, known.row
    ends = _ends_at(known, as_of)
    begun = terms.starts <= as_of
    stands = terms.cancelled == NEVER
    counts = stands & (ends + known.grace[row] >= as_of)
    leaving = begun & ~stands & (terms.ends > as_of)
    running = begun & counts & (ends > as_of)
    state = np.zeros(len(known.account_ids), dtype=np.int64)
    for flags, name in ((begun, OVER), (leaving, CANCELLED), (begun & counts, CURRENT)):
        state[row[flags]] = name
    main = _last_of(row, len(state), terms.starts, ends, np.where(begun & counts, 2, leaving), begun)
    rows = np.flatnonzero(state)
    state, main = state[rows], main[rows]
    latest = np.full(len(known.account_ids), -NEVER)
    np.maximum.at(latest, row[counts], ends[counts])
    value = np.bincount(row[running], weights=terms.value[running], minlength=len(latest))[rows]
    count = np.bincount(row[running], minlength=len(latest))[rows]
    return Cover(
        as_of, rows, state, np.where(state == CURRENT, latest[rows], ends[main]),
        np.where(count > 0, value, terms.value[main]), main, count,
    )  # fmt: skip


def _ends_at(known: Renewals, as_of: int) -> Ints:
    """(N,) the last day of each contract as things stand: of the running term where it renews by itself."""
    terms = known.terms
    ends = final_ends(known)
    turning = np.flatnonzero(ends == NEVER)
    ends[turning] = rolled(terms.starts[turning], terms.ends[turning], np.full(len(turning), as_of))
    cancelled = np.flatnonzero(terms.cancelled <= as_of)
    over = terms.ends[cancelled] <= as_of
    ends[cancelled] = np.where(
        over, np.minimum(ends[cancelled], terms.cancelled[cancelled] - 1), terms.ends[cancelled]
    )
    return ends


def _last_of(row: Ints, accounts: int, *keys: NDArray[Any]) -> Ints:
    """(accounts,) position of the greatest entry of each account, by the last key first; -1 where it has none."""
    order = np.lexsort((*keys, row))
    found = np.full(accounts, -1)
    found[row[order]] = order  # the last one written is the greatest
    return found


def lost_within(spells_: Spells, grace: Ints, rows: Ints, as_of: int, horizon: int) -> Bools:
    """Whether accounts that were under contract (or in grace) at `as_of` were lost by `horizon` days later.

    `spells_` must come from what is known at least a horizon and the grace period later.
    """
    begun = spells_.first <= as_of
    owner, last = spells_.row[begun], spells_.last[begun]
    ends = np.full(len(grace), NEVER)
    ends[owner] = last  # ascending by first day, so the newest of the account stays
    return ends[rows] <= as_of + horizon
