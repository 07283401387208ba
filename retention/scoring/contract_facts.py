"""What is known of a customer under contract at the end of a day, as a table with one row per account."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from retention.scoring.history import Ints, Purchases
from retention.scoring.renewals import Cover, Renewals, spells
from retention.scoring.signals import FACTS, Signals, signal_facts
from retention.scoring.tables import Table

Floats = NDArray[np.float64]

LONGEST = 1_095.0  # days: an end further away says no more than this
YEAR = 365.0
USUAL_LOSS, USUAL_LOSS_ITSELF, USUAL_LOSS_LATE, USUAL_CANCELLING = 0.15, 0.08, 0.4, 0.03

# fact -> factor it is explained under
FACTOR_OF = {
    "days_to_end": "renewal",
    "days_to_notice": "renewal",
    "renewals": "loyalty",
    "tenure": "loyalty",
    "returned": "loyalty",
    "annual_value": "spend",
    "value_change": "spend",
    "term": "contract",
    "renews": "contract",
    "notice": "contract",
    "contracts": "contract",
    "disclosed": "contract",
    "acknowledged": "contract",
    "order_silence": "pattern",
    "silence_to_gap": "rhythm",
    "order_change": "frequency",
    "segment": "kind",
    "industry": "kind",
    "region": "kind",
    "source": "kind",
}

# Beyond contracts and orders. Treatment is left out: who is under handback was found at risk.
BESIDE = {name: factor for name, factor in FACTS.items() if factor != "treatment"}
LEARNED_BESIDE = (
    "late_share", "issue_days", "broken_fresh", "silence", "active_contacts", "pulse", "left_fresh", "changes_fresh",
    "vacant",
)  # fmt: skip
# What is not learned from is still told.
LEARNED = (*FACTOR_OF, *LEARNED_BESIDE)
FACTOR_OF |= BESIDE

# What is usual elsewhere, in log odds of loss per two standard deviations (numbers) or per yes.
PRIOR = {
    "renewals": -0.5,
    "tenure": -0.3,
    "returned": 0.2,
    "acknowledged": -0.2,
    "silence_to_gap": 0.8,
    "order_change": -0.6,
}


class Due(IntEnum):
    """How near the decision is: the end of the contract, or where it renews by itself the last day to cancel it."""

    RUNS_ON = 0
    ENDS = 1
    RENEWS = 2
    GRACE = 3

    def usual(self, horizon: int) -> tuple[float, float]:
        """Probability of loss that is usual elsewhere, and how many terms of the own book it counts like."""
        if self is Due.RUNS_ON:
            return 1.0 - (1.0 - USUAL_CANCELLING) ** (horizon / YEAR), 30.0
        return {Due.ENDS: USUAL_LOSS, Due.RENEWS: USUAL_LOSS_ITSELF, Due.GRACE: USUAL_LOSS_LATE}[self], 10.0


STATES = len(Due)


@dataclass(frozen=True)
class Beside:
    """What is known beside contracts; the accounts must include those that are asked for.

    Attributes
    ----------
    purchases : orders; later ones are not looked at
    signals : issues, promises, contacts, pulses, people
    since : kind of signal -> day of the whole book's first record, see `signals.signal_facts`
    """

    purchases: Purchases
    signals: Signals
    since: dict[str, int]


def contract_facts(known: Renewals, cover: Cover, horizon: int, beside: Beside | None) -> tuple[Table, Ints]:
    """Facts of the accounts of `cover`, and how near each decision is; `known` holds nothing later than its day."""
    day, main, terms = cover.as_of, cover.main, known.terms
    to_end = (cover.end - day).astype(float)
    renews = terms.renews[main]
    to_notice = to_end - terms.notice[main].astype(float)
    numbers = {
        "days_to_end": np.clip(to_end, -LONGEST, LONGEST),
        "days_to_notice": np.where(renews, np.clip(to_notice, -LONGEST, LONGEST), np.nan),
        "annual_value": np.log1p(cover.value),
        "value_change": _value_change(known, main),
        "term": np.minimum((terms.ends - terms.starts + 1)[main], LONGEST).astype(float),
        "renews": renews.astype(float),
        "notice": terms.notice[main].astype(float),
        "contracts": cover.count.astype(float),
        "disclosed": (terms.disclosed[main] <= day).astype(float),
        "acknowledged": (terms.acknowledged[main] <= day).astype(float),
    }
    numbers |= _loyalty(known, cover)
    if beside is not None:
        ids = known.account_ids[cover.rows]
        rows = np.searchsorted(beside.purchases.account_ids, ids).astype(np.int64)
        numbers |= _orders(beside.purchases, rows, day, horizon) | _signals(beside, rows, day, horizon)
    words = {name: column[cover.rows] for name, column in known.words.items()}
    return Table(numbers, words), _due(to_end, to_notice, renews, horizon)


def _due(to_end: Floats, to_notice: Floats, renews: NDArray[np.bool_], horizon: int) -> Ints:
    decision = np.where(renews, to_notice, to_end)
    near = (decision > 0) & (decision <= horizon)
    states = [to_end <= 0, near & renews, near]
    return np.select(states, [Due.GRACE, Due.RENEWS, Due.ENDS], Due.RUNS_ON).astype(np.int64)


def _value_change(known: Renewals, main: Ints) -> Floats:
    """Log of the contract's yearly value over that of the account's contract before; NaN for a first contract."""
    before = np.maximum(main - 1, 0)
    has_before = (main > 0) & (known.row[before] == known.row[main])
    value = known.terms.value
    return np.where(has_before, np.log1p(value[main]) - np.log1p(value[before]), np.nan)


def _loyalty(known: Renewals, cover: Cover) -> dict[str, Floats]:
    """How often the account renewed in this spell, since when it is a customer (days), how often it had been lost."""
    terms, row = known.terms, known.row
    past = spells(known)
    newest = np.full(len(known.account_ids), -1)
    newest[past.row] = np.arange(len(past.row))
    spell = newest[cover.rows]
    begun = terms.starts <= cover.as_of
    in_spell = begun & (terms.starts >= past.first[newest[row]])
    contracts = np.bincount(row[in_spell], minlength=len(newest))[cover.rows]
    length = (terms.ends - terms.starts + 1)[cover.main]
    rolled_on = np.round(np.maximum(cover.end - terms.ends[cover.main], 0) / length)
    since = np.minimum(past.first[np.searchsorted(past.row, cover.rows)], known.since[cover.rows])
    return {
        "renewals": np.maximum(contracts - 1, 0) + rolled_on,
        "tenure": (cover.as_of - since).astype(float),
        "returned": past.number[spell].astype(float),
    }


def _orders(purchases: Purchases, rows: Ints, day: int, horizon: int) -> dict[str, Floats]:
    """Silence in days, against the account's own mean gap (log), and orders of the last horizon against the one
    before (log); NaN for accounts that never ordered."""
    names = ("order_silence", "silence_to_gap", "order_change")
    found = {name: np.full(len(rows), np.nan) for name in names}
    here = np.flatnonzero(purchases.position(day, rows) > purchases.offsets[rows])
    rows = rows[here]
    begin, now = purchases.offsets[rows], purchases.position(day, rows)
    last, first = purchases.day[now - 1].astype(float), purchases.day[begin].astype(float)
    found["order_silence"][here] = np.minimum(day - last, LONGEST)
    gaps = (now - begin - 1).astype(float)
    own = (last - first) / np.where(gaps > 0, gaps, np.nan)
    found["silence_to_gap"][here] = np.log1p(day - last) - np.log1p(own)
    lately = now - purchases.position(day - horizon, rows)
    before = now - lately - purchases.position(day - 2 * horizon, rows)
    change = np.log((lately + 0.5) / (before + 0.5))
    found["order_change"][here] = np.where(day - first >= 2 * horizon, change, np.nan)
    return found


def _signals(beside: Beside, rows: Ints, day: int, horizon: int) -> dict[str, Floats]:
    facts = signal_facts(beside.signals, beside.purchases, day, rows, horizon, beside.since)
    return {name: facts[name] for name in BESIDE}
