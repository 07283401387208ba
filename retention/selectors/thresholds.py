"""What other thresholds would change: the newest scores put through other tiers, definitions or cadences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from django.db.models import Count, Sum
from numpy.typing import NDArray

from accounts.models import Account, User
from accounts.models.account import BillingMode
from accounts.selectors import get_exchange_rates
from pulsecheck.cadence import Policies, Policy
from pulsecheck.selectors.plan import stored_policies
from retention.datasets import load_history
from retention.kpis.purchases import inactive_after
from retention.kpis.terms import Bools, Floats, Ints
from retention.models import Definition, Score, ScoreRun, Tier, TierPolicy
from retention.models.scores import Stage
from retention.scoring.history import purchases_of
from retention.scoring.tiers import contract_tiers, tiers_of
from retention.selectors.definitions import definition_for, definitions_in_force
from retention.selectors.frame import latest_run

WEEK = 7


@dataclass(frozen=True)
class Change:
    """One group of accounts before and after: how many, and the money at risk with them (company currency)."""

    key: str
    label: str
    before: int
    after: int
    money_before: float
    money_after: float


class ScoredBook:
    """The newest published scores as arrays (S,), with how often each account bought."""

    def __init__(self, run: ScoreRun) -> None:
        self.run = run
        rows = Score.objects.filter(as_of=run.as_of).order_by("account_id")
        fields = (
            "account_id", "churn_probability", "tier", "revenue_at_risk_company", "expected_value_12m", "currency",
            "days_since_last_order", "usual_gap_days", "account__segment", "account__billing_mode",
            "stage",
        )  # fmt: skip
        columns = list(zip(*rows.values_list(*fields), strict=True)) or [()] * len(fields)
        rates = get_exchange_rates()
        self.account_ids: Ints = np.array(columns[0], dtype=np.int64)
        self.probability: Floats = np.array(columns[1], dtype=np.float64)
        self.tier: NDArray[np.str_] = np.array(columns[2], dtype="U10")
        self.at_risk: Floats = np.array(columns[3], dtype=np.float64)
        worth = [float(rates.get(code, 1)) for code in columns[5]]
        self.value: Floats = np.array(columns[4], dtype=np.float64) * np.array(worth, dtype=np.float64)
        self.silence: Floats = np.array(columns[6], dtype=np.float64)
        self.gap: Floats = np.array(columns[7], dtype=np.float64)
        self.segment: NDArray[np.str_] = np.array(columns[8], dtype=str)
        self.mode: NDArray[np.str_] = np.array(columns[9], dtype=str)
        self.is_contract: Bools = np.array(columns[10], dtype=str) == Stage.CONTRACT.value

    @cached_property
    def purchases(self) -> Ints:
        """(S,) number of days with a purchase."""
        bought = purchases_of(load_history(self.run.as_of))
        found = np.searchsorted(bought.account_ids, self.account_ids)
        return np.diff(bought.offsets)[found].astype(np.int64)

    def tiers(self, policy: TierPolicy) -> NDArray[np.str_]:
        """(S,) tiers under `policy`; under the one the run was made with, those of the run."""
        facts = (
            self.probability,
            self.value,
            self.silence,
            self.gap,
            self.purchases.astype(np.float64),
            self.run.horizon_days,
            policy.rules(),
        )
        by_orders = tiers_of(*facts, self.run.model is None or self.run.model.has_signal)
        return np.where(self.is_contract, contract_tiers(*facts), by_orders)

    def changes(
        self, before: NDArray[np.str_], after: NDArray[np.str_], labels: Mapping[str, str]
    ) -> list[Change]:
        """Accounts and money per group under both."""
        return [
            Change(
                key,
                label,
                int((before == key).sum()),
                int((after == key).sum()),
                float(self.at_risk[before == key].sum()),
                float(self.at_risk[after == key].sum()),
            )
            for key, label in labels.items()
        ]

    def inactive(self, definition: Definition) -> Bools:
        """(S,) silent for longer than the definition allows. With two purchases or more the own gap is known."""
        after = inactive_after(
            self.gap,
            np.where(np.isfinite(self.gap), self.purchases, 0),
            floor=definition.inactive_floor_days,
            ceiling=definition.inactive_ceiling_days,
            window=definition.horizon_days or self.run.horizon_days,
        )
        return self.silence > after

    def governed_by(self, definition: Definition) -> Bools:
        """(S,) accounts for which a definition of this segment and mode would be in force."""
        modes = [definition.billing_mode, BillingMode.BOTH.value]
        alike = np.isin(self.mode, modes)
        if definition.segment:
            return alike & (self.segment == definition.segment)
        own = [
            segment for segment, mode in definitions_in_force() if segment and mode == definition.billing_mode
        ]
        return alike & ~np.isin(self.segment, own)


def scored_book() -> ScoredBook | None:
    """The newest published scores; None before the first run."""
    run = latest_run()
    return ScoredBook(ScoreRun.objects.select_related("model").get(pk=run.pk)) if run else None


def tiers_now() -> list[Change]:
    """The newest scores by tier as they stand; empty before the first run."""
    run = latest_run()
    if run is None:
        return []
    rows = Score.objects.filter(as_of=run.as_of).order_by().values_list("tier")
    found = {
        tier: (count, float(money))
        for tier, count, money in rows.annotate(count=Count("pk"), money=Sum("revenue_at_risk_company"))
    }
    changes = []
    for key, label in Tier.choices:
        count, money = found.get(key, (0, 0.0))
        changes.append(Change(key, label, count, count, money, money))
    return changes


def preview_tiers(policy: TierPolicy) -> list[Change]:
    """The newest scores by tier as they stand and under `policy`; empty before the first run."""
    book = scored_book()
    return book.changes(book.tier, book.tiers(policy), dict(Tier.choices)) if book else []


def preview_definition(definition: Definition) -> list[Change]:
    """Customers of the definition's segment and mode counted as active and inactive, now and under `definition`."""
    book = scored_book()
    if book is None or definition.billing_mode == BillingMode.CONTRACT:
        return []
    now = definition_for(definitions_in_force(), definition.segment, definition.billing_mode)
    governed = book.governed_by(definition)
    before = np.where(governed, np.where(book.inactive(now), "inactive", "active"), "")
    after = np.where(governed, np.where(book.inactive(definition), "inactive", "active"), "")
    return book.changes(before, after, {"active": "Active", "inactive": "Counted as having left"})


@dataclass(frozen=True)
class Load:
    """Pulse checks a week that one cadence asks for, now and with other days."""

    label: str
    accounts: int
    before: float
    after: float


def cadence_load(policies: Sequence[Policy]) -> list[Load]:
    """Pulse checks a week per policy, for the accounts of the newest scores each governs: as stored, and with `policies`."""
    run = latest_run()
    if run is None:
        return []
    now = stored_policies()
    before, after = _weekly(run, now), _weekly(run, policies)
    order = list(Tier.values)
    words = {policy.words: policy for policy in (*now, *policies)}
    named = sorted(words, key=lambda name: (order.index(words[name].tier), -words[name].rank[0], name))
    return [
        Load(
            name,
            after.get(name, before.get(name, (0, 0.0)))[0],
            before.get(name, (0, 0.0))[1],
            after.get(name, (0, 0.0))[1],
        )
        for name in named
    ]


def _weekly(run: ScoreRun, policies: Sequence[Policy]) -> dict[str, tuple[int, float]]:
    """(accounts, checks a week) by the words of the policy that governs them."""
    result = {policy.words: (0, 0.0) for policy in policies}
    governs = Policies(policies)
    rates = {code: float(rate) for code, rate in get_exchange_rates().items()}
    columns = ("tier", "account__segment", "account__billing_mode", "expected_value_12m", "currency")
    for tier, segment, mode, value, currency in Score.objects.filter(as_of=run.as_of).values_list(*columns):
        policy = governs.policy_for(tier, segment, mode, float(value) * rates.get(currency, 0.0))
        if policy.words in result:
            accounts, checks = result[policy.words]
            result[policy.words] = (accounts + 1, checks + WEEK / policy.every_days)
    return result


def pulse_takers() -> int:
    """How many people look after accounts and may sign in."""
    carers = Account.objects.exclude(account_manager=None).order_by().values("account_manager").distinct()
    return User.objects.filter(pk__in=carers, is_active=True).count()
