"""How much of the book's revenue stayed, over a year: gross, net, erosion and its split, logos.

`before` and `after` are money per year and account in the company's currency at fixed rates:
- contract: the annualised value in force at t0 and at t1;
- repeat purchase: what was bought in the 12 months before t0 and in the 12 months after it (the same season);
- an account with both counts the sum of the two.
Accounts with nothing at t0 (`before` = 0) are locked out, so new business never flatters retention. A year in which
returns exceed purchases counts as 0.
"""

from __future__ import annotations

import numpy as np

from retention.kpis.terms import Bools, Floats, Ints, Terms, share

NEVER = np.int64(2**31)  # the day of something that has not happened


def gross_revenue_retention(before: Floats, after: Floats) -> Terms:
    """sum min(after, before) / sum before: what stayed, growth not counted. Window: 12 months up to t1."""
    return share(np.minimum(after, before), before)


def net_revenue_retention(before: Floats, after: Floats) -> Terms:
    """sum after / sum before, over the accounts there were at t0: growth counted. Window: 12 months up to t1."""
    return share(after, before)


def erosion_rate(before: Floats, after: Floats) -> Terms:
    """1 - gross revenue retention = sum (before - min(after, before)) / sum before."""
    return share(before - np.minimum(after, before), before)


def full_loss_rate(before: Floats, after: Floats) -> Terms:
    """The part of erosion from accounts that stopped altogether (after = 0). With the partial decline it is erosion."""
    return share(np.where(after <= 0, before, 0.0), before)


def partial_decline_rate(before: Floats, after: Floats) -> Terms:
    """The part of erosion from accounts that stayed and bought less."""
    return share(np.where(after > 0, before - np.minimum(after, before), 0.0), before)


def logo_churn_rate(before: Floats, after: Floats) -> Terms:
    """Accounts of t0 that stopped altogether / accounts of t0."""
    return share((before > 0) & (after <= 0), before > 0)


def net_logo_rate(before: Floats, after: Floats) -> Terms:
    """(accounts active at t1 - accounts active at t0) / accounts active at t0: logos won or back, less logos lost."""
    change = (after > 0).astype(np.float64) - (before > 0)
    return Terms(change, (before > 0).astype(np.float64), (before > 0) | (after > 0))


def annualised_churn(monthly: float) -> float:
    """1 - (1 - c)^12: a monthly churn rate as a yearly one."""
    return 1.0 - (1.0 - monthly) ** 12


def contract_values(
    day: int,
    accounts: int,
    *,
    account_row: Ints,
    starts: Ints,
    ends: Ints,
    cancelled: Ints,
    annual_value: Floats,
    grace_days: Ints,
) -> tuple[Floats, Bools]:
    """Annualised contract value in force per account at the end of `day`, and who is in the grace period.

    A contract runs from its first to its last day, or until the day it was cancelled. One that ran out at most
    `grace_days` ago still counts as long as its account has no other: a late renewal is no loss. `cancelled` is
    `NEVER` for contracts that were not.

    Returns
    -------
    values : (A,) money per year
    in_grace : (A,) accounts whose value stands only because of the grace period
    """
    begun = (starts <= day) & (cancelled > day)
    running = begun & (ends >= day)
    lapsed = begun & (ends < day) & (ends + grace_days >= day)
    values = np.bincount(account_row[running], weights=annual_value[running], minlength=accounts)
    late = np.bincount(account_row[lapsed], weights=annual_value[lapsed], minlength=accounts)
    in_grace = (values == 0) & (late > 0)
    return np.where(in_grace, late, values), in_grace


def renewal_rate(
    t0: int,
    t1: int,
    accounts: int,
    *,
    account_row: Ints,
    starts: Ints,
    ends: Ints,
    cancelled: Ints,
    grace_days: Ints,
) -> tuple[Terms, int]:
    """Contracts renewed / contracts due, for those that ended in (t0, t1] and whose grace period is over at t1.

    Renewed: the same account has a contract that starts after this one did, by the end of the grace period, and that
    outlasts it. Returns the terms and how many contracts of the period still wait for their grace period.
    """
    over = (ends > t0) & (ends <= t1)
    due = over & (ends + grace_days <= t1)
    renewed = due & (cancelled > ends) & _followed(account_row, starts, ends, cancelled, grace_days)
    top = np.bincount(account_row[renewed], minlength=accounts).astype(np.float64)
    bottom = np.bincount(account_row[due], minlength=accounts).astype(np.float64)
    return share(top, bottom), int((over & ~due).sum())


def _followed(account_row: Ints, starts: Ints, ends: Ints, cancelled: Ints, grace_days: Ints) -> Bools:
    """Whether the next contract of the same account (by start) begins in time and outlasts this one."""
    order = np.lexsort((ends, starts, account_row))
    row, start, end = account_row[order], starts[order], ends[order]
    alive = cancelled[order] > start
    follows = np.zeros(len(row), dtype=bool)
    in_time = start[1:] <= end[:-1] + grace_days[order][:-1]
    follows[:-1] = (row[1:] == row[:-1]) & in_time & (end[1:] > end[:-1]) & alive[1:]
    result = np.empty_like(follows)
    result[order] = follows
    return result
