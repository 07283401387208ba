"""Whether customers come back: the repeat purchase rate, inactivity, and retention by cohort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retention.kpis.terms import Bools, Floats, Ints, Terms, share


def repeat_purchase_rate(first_day: Ints, second_day: Ints, as_of: int, within_days: int) -> Terms:
    """Customers whose second order day came within W of the first / customers whose first order is at least W old.

    Two orders on one day are one order day. `first_day` and `second_day` are `NEVER` where there is none, so a
    customer too young to have had W days is not counted against us.
    """
    old_enough = first_day <= as_of - within_days
    return share(old_enough & (second_day - first_day <= within_days), old_enough)


def inactive_after(usual_gap: Floats, orders: Ints, *, floor: int, ceiling: int, window: float) -> Floats:
    """Days of silence after which a customer counts as inactive.

    clamp(2 x own median gap, floor, ceiling) with at least 3 orders, else the segment's `window` (clamped alike).
    `usual_gap` is NaN where it is not known.
    """
    own = (orders >= 3) & np.isfinite(usual_gap)
    return np.clip(np.where(own, 2 * np.nan_to_num(usual_gap), window), floor, ceiling)


@dataclass(frozen=True)
class Cohorts:
    """Retention of customers grouped by the period of their first purchase.

    Attributes
    ----------
    sizes : (C,) customers per cohort
    active : (C, K) share of the cohort that bought in its k-th period, R_c(k); NaN where that lies ahead
    revenue : (C, K) revenue of the k-th period over that of the first; NaN likewise, or where the first had none
    """

    sizes: Ints
    active: Floats
    revenue: Floats


def cohort_retention(cohort: Ints, account_row: Ints, period: Ints, revenue: Floats, periods: int) -> Cohorts:
    """R_c(k) = customers of cohort c active in their k-th period / customers of c, and its twin in revenue.

    Parameters
    ----------
    cohort : (A,) period of each account's first purchase, 0..periods-1; below 0 = in no cohort shown
    account_row, period, revenue : (N,) what was bought by whom in which period; one row per account and period
    periods : number of periods, the last one running
    """
    k = period - cohort[account_row]
    shown = (cohort[account_row] >= 0) & (k >= 0) & (period >= 0) & (period < periods) & (revenue > 0)
    cell = cohort[account_row[shown]] * periods + k[shown]
    sizes = np.bincount(cohort[cohort >= 0], minlength=periods).astype(np.int64)
    customers = np.bincount(cell, minlength=periods**2).reshape(periods, periods)
    money = np.bincount(cell, weights=revenue[shown], minlength=periods**2).reshape(periods, periods)
    ahead = np.arange(periods)[:, None] + np.arange(periods)[None, :] >= periods
    return Cohorts(sizes, _over(customers, sizes, ahead), _over(money, money[:, 0], ahead))


def _over(table: Floats | Ints, base: Floats | Ints, ahead: Bools) -> Floats:
    bottom = base.astype(np.float64)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ahead | (bottom <= 0), np.nan, table / bottom)
