"""What the scores say about the money ahead."""

from __future__ import annotations

import numpy as np

from retention.kpis.terms import Bools, Floats, Terms, amount, share


def expected_loss(probability: Floats, expected_value: Floats, is_lost: Bools) -> Terms:
    """sum p_i x expected revenue of the next 12 months, company currency, over accounts that are not lost already.
    `probability` NaN = not scored."""
    counted = np.isfinite(probability) & ~is_lost
    return amount(np.nan_to_num(probability) * np.nan_to_num(expected_value), counted)


def revenue_at_risk(probability: Floats, expected_value: Floats, is_lost: Bools, threshold: float) -> Terms:
    """The same sum over the accounts whose probability is at or above the at-risk threshold and that are not lost."""
    risky = (np.nan_to_num(probability, nan=-1.0) >= threshold) & ~is_lost
    return amount(np.nan_to_num(probability) * np.nan_to_num(expected_value), risky)


def quiet_share(is_quiet: Bools, is_customer: Bools) -> Terms:
    """Customers silent beyond their own rhythm / customers that are not lost."""
    return share(is_quiet & is_customer, is_customer)


def out_of_touch_share(days_since_contact: Floats, is_customer: Bools, within_days: int) -> Terms:
    """Customers nobody was in contact with for more than `within_days` (NaN = never) / customers that are not lost."""
    silent = ~(np.nan_to_num(days_since_contact, nan=np.inf) <= within_days)
    return share(silent & is_customer, is_customer)
