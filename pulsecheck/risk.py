"""What is known about the risk of an account, as `retention` hands it down; kept with the handback it opened.

This app does not know how scores are made. Whoever makes them registers a source with `set_risk_source`; without one
nothing is known, and everything here still works.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class RiskSnapshot:
    """The score of one account at the end of `as_of`: probability 0..1 of leaving within `horizon_days`, money a year.

    `reasons` are {"factor", "sentence", "points"}, strongest first. Without a score `probability` is None.
    """

    probability: float | None = None
    horizon_days: int | None = None
    tier: str = ""
    reasons: Sequence[dict[str, Any]] = field(default_factory=tuple)
    revenue_at_risk: Decimal = Decimal(0)
    currency: str = "EUR"
    as_of: dt.date | None = None
    model_version: str = ""
    days_since_last_order: int | None = None
    usual_gap_days: float | None = None

    def as_record(self) -> dict[str, Any]:
        """What `Handback.risk` keeps; the money has columns of its own."""
        return {
            "churn_probability": self.probability,
            "horizon_days": self.horizon_days,
            "tier": self.tier,
            "reasons": list(self.reasons),
            "as_of": self.as_of,
            "model_version": self.model_version,
            "days_since_last_order": self.days_since_last_order,
            "usual_gap_days": self.usual_gap_days,
        }


# Account ids -> what is known about those that have a score.
RiskSource = Callable[[Iterable[int]], dict[int, RiskSnapshot]]
# All customers: account id -> tier.
TierSource = Callable[[], dict[int, str]]
# Account ids (None = all customers) -> what twelve months are expected to bring, in the company's currency.
ValueSource = Callable[[Iterable[int] | None], dict[int, float]]
_sources: dict[str, Any] = {}


def set_risk_source(risks: RiskSource, tiers: TierSource, values: ValueSource) -> None:
    """Said once, when the application starts."""
    _sources.update(risks=risks, tiers=tiers, values=values)


def latest_risks(account_ids: Iterable[int]) -> dict[int, RiskSnapshot]:
    """The newest score of each account that has one."""
    found: dict[int, RiskSnapshot] = _sources["risks"](account_ids) if _sources else {}
    return found


def latest_tiers() -> dict[int, str]:
    """The newest tier of every account that has one."""
    found: dict[int, str] = _sources["tiers"]() if _sources else {}
    return found


def latest_values(account_ids: Iterable[int] | None = None) -> dict[int, float]:
    """What the accounts that have a score are expected to bring in twelve months, in the company's currency."""
    found: dict[int, float] = _sources["values"](account_ids) if _sources else {}
    return found
