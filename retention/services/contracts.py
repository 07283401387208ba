"""Contracts in a scoring run: fitting their model, scoring who is under contract, one money for contracts and orders."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounts.models.account import BillingMode
from retention.datasets import Records, day_number
from retention.datasets.contracts import load_renewals
from retention.models import FittedModel, ScoreChunk, ScoreRun
from retention.models.scores import Clock, Stage
from retention.scoring import models as engine
from retention.scoring.contract_facts import Beside
from retention.scoring.contract_scores import (
    ContractScores,
    money_weighted,
    reasons_together,
    score_contracts,
)
from retention.scoring.contracts import contract_model_from_bytes, fit_contract_model
from retention.scoring.history import Ints, Purchases, purchases_of
from retention.scoring.renewals import OVER, Renewals
from retention.scoring.scores import LARGEST_MONEY, Scores
from retention.scoring.tiers import TierRules, contract_tiers
from retention.scoring.told import Reason
from retention.selectors.definitions import definitions_in_force

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def grace_by_segment() -> dict[str, int]:
    """Days within which a contract still counts as renewed, by segment; "" for all others."""
    in_force = definitions_in_force()
    return {
        segment: row.grace_days
        for (segment, mode), row in in_force.items()
        if mode == BillingMode.CONTRACT.value
    }


def fit_contracts(as_of: dt.date, horizon: int, known: Records) -> FittedModel | None:
    """Fit and store the contract model on the accounts of `known`; None where none of them had a contract by then."""
    renewals = load_renewals(as_of, grace_by_segment(), only=known.history.account_ids)
    fitted = fit_contract_model(
        renewals, _beside(known, renewals.account_ids, as_of), day_number(as_of), horizon
    )
    if fitted is None:
        return None
    model, _ = FittedModel.objects.get_or_create(
        version=fitted.version,
        defaults={
            "clock": Clock.CONTRACT,
            "as_of": as_of,
            "horizon_days": horizon,
            "stage": Stage.CONTRACT,
            "has_signal": True,
            "summary": fitted.summary,
            "payload": fitted.to_bytes(),
        },
    )
    return model


def _beside(known: Records, ids: Ints, as_of: dt.date, since: dict[str, int] | None = None) -> Beside:
    """Orders and signals of these accounts; `since` of the whole book, by default of `known`."""
    first = known.signals.since() if since is None else since
    purchases = purchases_of(known.history.only(ids).until(day_number(as_of)))
    return Beside(purchases, known.signals.only(ids), first)


@dataclass(frozen=True)
class ContractRows:
    """What a chunk's contracts say: (n,) one entry per account that is told by its contract, alone or with its orders.

    `silence` and `gap` as in `Scores`, NaN for those without orders that count.
    """

    account_ids: Ints
    probability: Floats
    base_probability: Floats
    tier: NDArray[np.str_]
    revenue_at_risk: Floats
    expected: Floats
    low: Floats
    high: Floats
    lifetime: Floats
    silence: Floats
    gap: Floats
    known_share: Ints
    reasons: list[list[Reason]]
    versions: list[str]

    def __len__(self) -> int:
        return len(self.account_ids)


def score_contract_accounts(
    run: ScoreRun, chunk: ScoreChunk, known: Records, scores: Scores | None, rules: TierRules
) -> ContractRows | None:
    """Score the accounts of a chunk that are or were under contract; None where there are none.

    An account whose contract is over and that buys is told by its orders alone.
    """
    if run.contract_model is None:
        return None
    renewals = load_renewals(run.as_of, grace_by_segment(), chunk.first_id, chunk.last_id)
    renewals = renewals.only(np.intersect1d(renewals.account_ids, known.history.account_ids))
    if not len(renewals.row):
        return None
    model = contract_model_from_bytes(bytes(run.contract_model.payload))
    beside = _beside(known, renewals.account_ids, run.as_of, model.since or {})
    found = score_contracts(renewals, beside, day_number(run.as_of), model)
    scale = _margins(run, known, found.account_ids)
    return _together(run, renewals, beside.purchases, found, scale, scores, rules)


def _margins(run: ScoreRun, known: Records, account_ids: Ints) -> Floats:
    """(n,) by which contract values become the kind of money the orders are told in: what is left after cost."""
    if run.model is None:
        return np.ones(len(account_ids))
    orders = engine.model_from_bytes(bytes(run.model.payload))
    if orders.margin is None:
        return np.ones(len(account_ids))
    return known.margins.of(account_ids, orders.margin, orders.money.usual_value)


def _together(
    run: ScoreRun,
    renewals: Renewals,
    purchases: Purchases,
    found: ContractScores,
    scale: Floats,
    scores: Scores | None,
    rules: TierRules,
) -> ContractRows:
    counted = renewals.orders_count[np.searchsorted(renewals.account_ids, found.account_ids)]
    order_row = _places(scores, found.account_ids)
    own = np.flatnonzero((found.state != OVER) | (order_row < 0))
    order_row = np.where(counted, order_row, -1)[own]
    value = np.clip(found.value * scale, 0.0, LARGEST_MONEY / 2)[own]
    orders = _orders_of(scores, order_row)
    by_contract = found.probability[own]
    probability, share = money_weighted(by_contract, value, orders.probability, orders.expected)
    base = share * found.base_probability + (1.0 - share) * orders.base
    rows = np.searchsorted(purchases.account_ids, found.account_ids[own])
    bought = np.diff(purchases.offsets)[rows].astype(float)
    expected = value + orders.expected
    way = (100 * (probability - base)).tolist()
    reasons = [
        reasons_together(found.reasons[at], orders.reasons[n], share[n], way[n])
        if order_row[n] >= 0
        else found.reasons[at]
        for n, at in enumerate(own.tolist())
    ]
    return ContractRows(
        account_ids=found.account_ids[own],
        probability=probability,
        base_probability=base,
        tier=contract_tiers(
            probability, expected, orders.silence, orders.gap, bought, run.horizon_days, rules
        ),
        revenue_at_risk=probability * expected,
        expected=expected,
        low=value + orders.low,
        high=value + orders.high,
        lifetime=(1.0 - by_contract) * (found.lifetime * scale)[own] + orders.lifetime,
        silence=orders.silence,
        gap=orders.gap,
        known_share=np.where(order_row >= 0, orders.known_share, found.known[own]),
        reasons=reasons,
        versions=_versions(run, order_row),
    )


def _places(scores: Scores | None, account_ids: Ints) -> Ints:
    """(n,) where each account stands among the scores by orders, -1 where it does not."""
    if scores is None or not len(scores):
        return np.full(len(account_ids), -1)
    place = np.minimum(np.searchsorted(scores.account_ids, account_ids), len(scores) - 1)
    return np.where(scores.account_ids[place] == account_ids, place, -1)


def _versions(run: ScoreRun, order_row: Ints) -> list[str]:
    """The contract model alone, or a name for the pair of models that made a score together."""
    assert run.contract_model is not None, "asked for after it was fitted"
    alone = pair = run.contract_model.version
    if run.model is not None:
        both = f"{run.model.version} {alone}"
        pair = f"{run.model.stage}+contract-{hashlib.sha256(both.encode()).hexdigest()[:12]}"
    return [alone if row < 0 else pair for row in order_row.tolist()]


@dataclass(frozen=True)
class _Orders:
    """What the scores by orders say of chosen accounts (n,): no money and no silence where there is nothing."""

    probability: Floats
    expected: Floats
    low: Floats
    high: Floats
    lifetime: Floats
    silence: Floats
    gap: Floats
    known_share: Floats
    base: float
    reasons: list[list[Reason]]


def _orders_of(scores: Scores | None, row: Ints) -> _Orders:
    """The accounts at these positions among the scores; -1 for none."""

    def taken(column: NDArray[Any] | None, missing: float) -> Floats:
        out = np.full(len(row), missing)
        if column is not None:
            out[row >= 0] = column[row[row >= 0]]
        return out

    if scores is None:
        none, unknown = taken(None, 0.0), taken(None, np.nan)
        return _Orders(none, none, none, none, none, unknown, unknown, none, 0.0, [[]] * len(row))
    worth = scores.worth
    return _Orders(
        taken(scores.probability, 0.0), taken(worth.expected, 0.0), taken(worth.low, 0.0), taken(worth.high, 0.0),
        taken(scores.lifetime_value, 0.0), taken(scores.silence, np.nan), taken(scores.gap, np.nan),
        taken(scores.known_share, 0.0), scores.base_probability,
        [scores.wording.reasons(scores.told[at]) if at >= 0 else [] for at in row.tolist()],
    )  # fmt: skip
