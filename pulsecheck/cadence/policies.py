"""How often a customer is looked in on: policies, the most particular one first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

YEAR = 365
TIER_WORDS = {
    "at_risk": "At risk",
    "quiet": "Quiet",
    "watch": "Watch",
    "new": "New",
    "steady": "Steady",
    "thriving": "Thriving",
    "lost": "Lost",
}
MODE_WORDS = {"repeat": "repeat purchase", "contract": "contract", "both": "contract and repeat purchase"}


@dataclass(frozen=True)
class Policy:
    """A contact at least every `every_days` for a tier. `segment`, `billing_mode` (empty = all) and `value_from` (expected
    value of twelve months in the company's currency, 0 = all) narrow it."""

    tier: str
    segment: str
    every_days: int
    billing_mode: str = ""
    value_from: float = 0.0

    def fits(self, segment: str, billing_mode: str, value: float) -> bool:
        """Whether it governs such a customer of its tier; who buys both ways is governed by policies of either."""
        return (
            self.segment in ("", segment)
            and (self.billing_mode in ("", billing_mode) or billing_mode == "both")
            and value >= self.value_from
        )

    @property
    def rank(self) -> tuple[int, bool, bool, float, int, str, str]:
        """How particular it is: more conditions first, then segment before billing mode before value, the higher value
        first, then the more frequent contact."""
        conditions = bool(self.segment) + bool(self.billing_mode) + bool(self.value_from)
        return (
            -conditions,
            not self.segment,
            not self.billing_mode,
            -self.value_from,
            self.every_days,
            self.segment,
            self.billing_mode,
        )

    @cached_property
    def words(self) -> str:
        """At risk, Hotels, contract, worth 50,000 or more."""
        parts = [TIER_WORDS.get(self.tier, "Every customer"), self.segment]
        parts.append(MODE_WORDS.get(self.billing_mode, ""))
        parts.append(f"worth {self.value_from:,.0f} or more" if self.value_from else "")
        return ", ".join(filter(None, parts))


@dataclass(frozen=True)
class Occasions:
    """Days on which a contact is due whatever the rhythm: after somebody became a customer, and before a contract
    ends or can last be cancelled."""

    onboarding: tuple[int, ...] = ()
    renewal: tuple[int, ...] = ()


class Policies:
    """The policies in force; the most particular one wins, and without any it is once a year."""

    def __init__(self, policies: Iterable[Policy], occasions: Occasions | None = None) -> None:
        self.occasions = occasions or Occasions()
        self._of_tier: dict[str, list[Policy]] = {}
        for policy in sorted(policies, key=lambda policy: policy.rank):
            self._of_tier.setdefault(policy.tier, []).append(policy)
        self._yearly = {tier: Policy(tier, "", YEAR) for tier in ("", *TIER_WORDS)}

    @property
    def ask_value(self) -> bool:
        """Whether any policy depends on what an account is worth."""
        return any(policy.value_from for found in self._of_tier.values() for policy in found)

    def policy_for(self, tier: str, segment: str, billing_mode: str = "", value: float = 0.0) -> Policy:
        """The policy that governs such a customer."""
        for policy in self._of_tier.get(tier, ()):
            if policy.fits(segment, billing_mode, value):
                return policy
        return self._yearly.get(tier) or self._yearly[""]

    def every_days(self, tier: str, segment: str, billing_mode: str = "", value: float = 0.0) -> int:
        """Days between two contacts, never more than a year."""
        return min(self.policy_for(tier, segment, billing_mode, value).every_days, YEAR)
