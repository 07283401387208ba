"""Whether we did what we meant to: pulse checks, promises, deliveries."""

from __future__ import annotations

import numpy as np

from retention.kpis.terms import Floats, Ints, Terms, per_account, share


def pulse_coverage(days_since_pulse: Floats, customer_days: Floats, every_days: Floats) -> Terms:
    """Accounts with a pulse inside their cadence / accounts due.

    Parameters
    ----------
    days_since_pulse : (A,) days since the last pulse check, NaN = never
    customer_days : (A,) how long the account has been a customer; younger than its cadence = not due yet,
        unless it had a pulse already
    every_days : (A,) the cadence that applies, NaN = none
    """
    age = np.nan_to_num(days_since_pulse, nan=np.inf)
    inside = age <= np.nan_to_num(every_days, nan=-1.0)
    due = np.isfinite(every_days) & (inside | (customer_days >= every_days))
    return share(inside & due, due)


def promise_kept_rate(account_row: Ints, due: Ints, kept: Ints, t0: int, t1: int, accounts: int) -> Terms:
    """Promises kept by the day they were due / promises due in (t0, t1]. `kept` is `NEVER` for those not kept."""
    counted = (due > t0) & (due <= t1)
    return share(
        per_account(account_row, counted & (kept <= due), accounts),
        per_account(account_row, counted, accounts),
    )


def on_time_delivery_rate(account_row: Ints, on_time: Floats, deliveries: Floats, accounts: int) -> Terms:
    """Orders delivered by the day promised / orders promised for the period that were delivered or are overdue.

    Takes counts per account and stretch of time (several rows per account), as the database adds them up.
    """
    return share(per_account(account_row, on_time, accounts), per_account(account_row, deliveries, accounts))
