"""What handbacks achieved. An episode is one handback from opening to outcome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retention.kpis.terms import Bools, Floats, Ints, Terms, per_account, share

SAVED_FROM = (
    0.8  # share of its prior revenue that an account must have kept for its episode to count as saved
)


@dataclass(frozen=True)
class Episodes:
    """Handbacks as arrays (N,). Days are whole numbers; `NEVER` = has not happened.

    `prior_revenue` is what the account brought in a stretch as long as the horizon before opening (its year, scaled),
    `later_revenue` what it brought in the horizon after; for a contract the values in force at both ends, scaled alike.
    """

    account_row: Ints
    opened: Ints
    accepted: Ints
    closed: Ints
    has_attempt: Bools
    horizon_days: Ints
    prior_revenue: Floats
    later_revenue: Floats

    def is_saved(self) -> Bools:
        """Active at the horizon after opening, with at least 80 % of its prior revenue."""
        return (self.later_revenue > 0) & (self.later_revenue >= SAVED_FROM * self.prior_revenue)

    def is_ripe(self, t0: int, t1: int) -> Bools:
        """Closed, with an attempt, and the horizon after opening reached in (t0, t1]: the bottom of the save rate."""
        reached = self.opened + self.horizon_days
        return (self.closed <= t1) & self.has_attempt & (reached > t0) & (reached <= t1)


@dataclass(frozen=True)
class SaveCounts:
    """What stands beside the save rate: episodes still open, and closed ones whose horizon has not been reached."""

    open: int
    waiting: int


def save_rate(episodes: Episodes, t0: int, t1: int, accounts: int) -> Terms:
    """Saved / closed episodes with an attempt whose horizon after opening fell in (t0, t1]."""
    ripe = episodes.is_ripe(t0, t1)
    return share(
        per_account(episodes.account_row, ripe & episodes.is_saved(), accounts),
        per_account(episodes.account_row, ripe, accounts),
    )


def revenue_save_rate(episodes: Episodes, t0: int, t1: int, accounts: int) -> Terms:
    """Prior revenue of the saved / prior revenue of all episodes of the save rate."""
    prior = np.where(episodes.is_ripe(t0, t1), episodes.prior_revenue, 0.0)
    return share(
        per_account(episodes.account_row, np.where(episodes.is_saved(), prior, 0.0), accounts),
        per_account(episodes.account_row, prior, accounts),
    )


def save_counts(episodes: Episodes, t1: int, rows: Bools) -> SaveCounts:
    """Episodes apart from the rate at t1, among those in `rows` (N,)."""
    known = rows & (episodes.opened <= t1)
    closed = episodes.closed <= t1
    waiting = closed & episodes.has_attempt & (episodes.opened + episodes.horizon_days > t1)
    return SaveCounts(open=int((known & ~closed).sum()), waiting=int((known & waiting).sum()))


def handback_acceptance_days(episodes: Episodes, t0: int, t1: int, accounts: int) -> Terms:
    """Days from opening to acceptance, on average over the episodes accepted in (t0, t1]."""
    counted = (episodes.accepted > t0) & (episodes.accepted <= t1)
    days = np.where(counted, episodes.accepted - episodes.opened, 0)
    return share(
        per_account(episodes.account_row, days.astype(np.float64), accounts),
        per_account(episodes.account_row, counted, accounts),
    )


def handback_completion_rate(episodes: Episodes, t0: int, t1: int, accounts: int) -> Terms:
    """Closed by t1 / opened in (t0, t1]."""
    opened = (episodes.opened > t0) & (episodes.opened <= t1)
    return share(
        per_account(episodes.account_row, opened & (episodes.closed <= t1), accounts),
        per_account(episodes.account_row, opened, accounts),
    )
