"""Applying the contract model, and putting what contracts and orders say of one account on one scale: money.

An account that has both brings contract value and order value; each is lost with its own probability. Its revenue at
risk is the sum of both, its probability the share of its money that is expected to go.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.contract_facts import Beside, Due, contract_facts
from retention.scoring.contract_sentences import tellings_for
from retention.scoring.contracts import ContractModel
from retention.scoring.errors import ScoringError
from retention.scoring.explain import LEAST_POINTS, tell, wording_of
from retention.scoring.history import Ints
from retention.scoring.renewals import CANCELLED, CURRENT, NEVER, OVER, Cover, Renewals, cover_at
from retention.scoring.tiers import CONTRACT_OVER
from retention.scoring.told import REST, SHOWN, Reason, reason
from retention.scoring.worth import DISCOUNT, YEARS_AHEAD

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST, LEAST = 0.999, 1e-4  # while a contract runs, nothing is certain
EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class ContractScores:
    """One entry per account that is or was under contract, in ascending order of account id.

    `state` as in `renewals.Cover`; `value` money a year; `lifetime` money of the next five years, discounted, if the
    customer stays now; `known` the share of facts that are known, in per cent. `reasons` in words, most telling first.
    """

    account_ids: Ints
    state: Ints
    probability: Floats
    base_probability: float
    value: Floats
    lifetime: Floats
    known: Ints
    reasons: list[list[Reason]]

    def __len__(self) -> int:
        return len(self.account_ids)


def score_contracts(
    renewals: Renewals, beside: Beside | None, as_of: int, model: ContractModel
) -> ContractScores:
    """Score every account of `renewals` that is or was under contract at the end of day `as_of`.

    The result for an account depends on its own records and the fitted model alone.
    """
    if as_of < model.as_of:
        raise ScoringError("The contract model knows what came later than that day; fit one as of that day.")
    known = renewals.until(as_of)
    cover = cover_at(known, as_of)
    current = cover.state == CURRENT
    probability = np.where(cover.state == OVER, CONTRACT_OVER, 1.0 - model.kept_after_cancelling)
    reasons: list[list[Reason]] = [[] for _ in cover.rows]
    share = np.full(len(cover.rows), 100, dtype=np.int64)
    if current.any():
        here = cover.only(current)
        facts, due = contract_facts(known, here, model.horizon, beside)
        parts = model.parts(facts, due)
        logit = parts.total(model.start)
        probability[current] = np.clip(expit(logit), LEAST, MOST)
        wording = wording_of(model, parts.factors, tellings_for(list(parts.factors), model.levels))
        told = tell(model, wording, parts, logit, probability[current])
        for at, one in zip(np.flatnonzero(current).tolist(), told, strict=True):
            reasons[at] = wording.reasons(one)
        share[current] = np.round(100 * np.mean(~np.isnan(parts.values), axis=1))
    for at in np.flatnonzero(~current).tolist():
        points = round(100 * (probability[at] - model.base_probability), 2)
        reasons[at] = [reason("renewal", _how_it_ended(known, cover, at), points)]
    return ContractScores(
        known.account_ids[cover.rows], cover.state, probability, model.base_probability, cover.value,
        cover.value * _years(model), share, reasons,
    )  # fmt: skip


def _how_it_ended(known: Renewals, cover: Cover, at: int) -> str:
    main = cover.main[at]
    cancelled = int(known.terms.cancelled[main])
    if cover.state[at] == CANCELLED:
        return f"Cancelled on {_date(cancelled)}; the contract runs until {_date(cover.end[at])}."
    if cancelled != NEVER:
        return f"The contract was cancelled on {_date(cancelled)}."
    return f"The contract ended on {_date(cover.end[at])} and was not renewed."


def _date(day: int | np.integer) -> str:
    date = dt.date.fromordinal(EPOCH + int(day))
    return f"{date.day} {date:%B %Y}"


def _years(model: ContractModel) -> float:
    """What one a year is worth over the years looked ahead, by the usual yearly rate of staying, discounted."""
    loss, cancelling = model.rates[Due.ENDS], model.rates[Due.RUNS_ON]
    stays = (1.0 - loss) * (1.0 - cancelling) ** (365.0 / model.horizon)
    return float(sum(stays**year / (1.0 + DISCOUNT) ** (year + 0.5) for year in range(YEARS_AHEAD)))


def money_weighted(
    by_contract: Floats, contract_value: Floats, by_orders: Floats, order_value: Floats
) -> tuple[Floats, Floats]:
    """(n,) the share of each account's money that is expected to go, and the contract's share of its money.

    An account whose money is unknown or nothing goes by its contract.
    """
    total = contract_value + order_value
    share = np.where(total > 0, contract_value / np.where(total > 0, total, 1.0), 1.0)
    return share * by_contract + (1.0 - share) * by_orders, share


def reasons_together(
    by_contract: list[Reason], by_orders: list[Reason], share: float, way: float
) -> list[Reason]:
    """The reasons of both clocks, each weighing as much as its money; their points sum to `way`, the distance in
    percentage points from the customer in good standing that is weighed alike."""
    found: dict[str, Reason] = {}
    sizes: dict[str, float] = {}
    largest: dict[str, float] = {}
    for reasons, weight in ((by_contract, share), (by_orders, 1.0 - share)):
        for told in reasons:
            factor, points = told["factor"], told["points"] * weight
            sizes[factor] = sizes.get(factor, 0.0) + points
            if abs(points) > largest.get(factor, -1.0):
                found[factor], largest[factor] = told, abs(points)
    return _told(found, sizes, way)


def _told(found: dict[str, Reason], sizes: dict[str, float], way: float) -> list[Reason]:
    named = [f for f in sizes if f != "other" and abs(sizes[f]) >= LEAST_POINTS]
    strongest = sorted(named, key=lambda f: -abs(sizes[f]))[:SHOWN] or list(found)[:1]
    leading = sorted(strongest, key=lambda f: -sizes[f] if way >= 0 else sizes[f])
    points = [round(sizes[f], 2) for f in leading]
    told = [reason(f, str(found[f]["sentence"]), p) for f, p in zip(leading, points, strict=True)]
    rest = round(way - sum(points), 2)
    return [*told, reason("other", REST, rest)] if rest else told
