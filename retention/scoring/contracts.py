"""The chance that a customer under contract is lost within the horizon: fitted, kept as arrays, applied, explained.

Learned from the past of the own book: at many earlier days every account then under contract is a row, with what was
known on that day and whether it was lost (contract over and not renewed within the grace period, or cancelled) within
the horizon that followed. Before there are enough such outcomes, usual rates speak.
"""

import hashlib
import io
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.scoring import learner
from retention.scoring.contract_facts import FACTOR_OF, LEARNED, PRIOR, STATES, Beside, Due, contract_facts
from retention.scoring.errors import ScoringError
from retention.scoring.history import Ints
from retention.scoring.learner import Lesson, TableModel, fit_table
from retention.scoring.parts import Parts, Standing, good_standing
from retention.scoring.renewals import CURRENT, NEVER, Renewals, Spells, cover_at, lost_within, spells
from retention.scoring.tables import Table, stacked

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FORMAT = 1
MOST_CUTOFFS = 36
LEAST_STEP = 7  # days between cutoffs
MOST_ROWS = 40_000
PRIOR_RETURN, PRIOR_RETURNS = 0.05, 10.0  # of customers who have cancelled, one in twenty stays after all
CLEAR_LOSS = 2.0  # standard errors by which a model must lose on later days to be given up


@dataclass(frozen=True)
class ContractModel:
    """Everything a worker needs to score any account under contract: the same numbers on every machine.

    Attributes
    ----------
    rates : (STATES,) usual probability of loss by how near the decision is, see `contract_facts.Due`
    kept_after_cancelling : share of cancelled contracts whose customer stayed
    table : the model of the facts on top of these rates
    levels : text fact -> its words, by which they are numbered in explanations
    standing : a customer in good standing, whom every account is compared with
    since : kind of signal -> day of the book's first record; None where nothing beside contracts was looked at
    """

    as_of: int
    horizon: int
    rates: Floats
    kept_after_cancelling: float
    table: TableModel
    levels: dict[str, list[str]]
    standing: Standing
    start: float
    since: dict[str, int] | None
    summary: dict[str, Any]

    has_signal = True

    @property
    def days_ahead(self) -> int:
        """The horizon in days."""
        return self.horizon

    @property
    def full_intercept(self) -> float:
        """Log odds of the customer in good standing that reasons start from."""
        return self.start + float(self.standing.added.sum())

    @property
    def base_probability(self) -> float:
        """Probability of a customer in good standing."""
        return float(1 / (1 + np.exp(-self.full_intercept)))

    def parts(self, facts: Table, due: Ints) -> Parts:
        """What the usual rate and each fact add to the log odds; rows and `start` sum to the log odds."""
        _, of_usual, by_column = self.table.contributions(facts, self._usual(due))
        sources = self.table.coding.sources
        factors = {"due": "renewal"} | {name: FACTOR_OF.get(name, name) for name in facts_of(facts)}
        added = np.zeros((len(due), len(factors)), order="F")
        values = np.full(added.shape, np.nan, order="F")
        added[:, 0], values[:, 0] = of_usual, due
        for place, name in enumerate(factors):
            for column in [k for k, source in enumerate(sources) if source == name]:
                added[:, place] += by_column[:, column]
            if place:
                values[:, place] = self._numbers(facts, name)
        return Parts(factors, values, added)

    def logit(self, facts: Table, due: Ints) -> Floats:
        """(n,) log odds of being lost within the horizon."""
        return self.parts(facts, due).total(self.start)

    def _usual(self, due: Ints) -> Floats:
        return np.log(self.rates / (1 - self.rates))[due]

    def _numbers(self, facts: Table, name: str) -> Floats:
        if name in facts.numbers:
            return facts.numbers[name]
        known = {word: float(k) for k, word in enumerate(self.levels.get(name, []))}
        return np.array([known.get(word, np.nan) for word in facts.words[name]])

    @property
    def version(self) -> str:
        """Names this fit: equal versions give equal scores."""
        return f"contract-{hashlib.sha256(self.to_bytes()).hexdigest()[:12]}"

    def to_bytes(self) -> bytes:
        """The model as an npz archive of arrays and JSON texts; no code, no pickle."""
        facts = {
            "format": FORMAT, "as_of": self.as_of, "horizon": self.horizon, "start": self.start,
            "kept_after_cancelling": self.kept_after_cancelling, "levels": self.levels, "since": self.since, "summary": self.summary,
        }  # fmt: skip
        buffer = io.BytesIO()
        np.savez(
            buffer, allow_pickle=False, facts=np.array(json.dumps(facts, sort_keys=True)), rates=self.rates,
            added=self.standing.added, values=self.standing.values, **self.table.to_arrays(),
        )  # fmt: skip
        return buffer.getvalue()


def contract_model_from_bytes(payload: bytes) -> ContractModel:
    """Read back what `ContractModel.to_bytes` wrote; refuses a model of another version of the engine."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        facts = json.loads(str(arrays["facts"]))
        if facts["format"] != FORMAT or len(arrays["rates"]) != STATES:
            raise ScoringError(
                "The stored contract model was made by another version of Mainstay; start a new scoring run."
            )
        return ContractModel(
            facts["as_of"], facts["horizon"], arrays["rates"], facts["kept_after_cancelling"],
            learner.model_of_arrays(arrays), facts["levels"], Standing(arrays["added"], arrays["values"]),
            facts["start"], facts["since"], facts["summary"],
        )  # fmt: skip


def facts_of(table: Table) -> list[str]:
    """Names of a table's facts."""
    return [*table.numbers, *table.words]


# ── learning ───────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Past:
    """Rows (n,) of accounts under contract at earlier days: the day, facts, how near the decision was, what came.

    `term` tells apart the contract terms they belong to: the rows of one term are one piece of evidence.
    """

    day: Ints
    account: Ints
    grace: Ints
    facts: Table
    due: Ints
    term: Ints
    lost: Bools

    def rows(self, chosen: Bools) -> "Past":
        """Some of the rows."""
        return Past(
            self.day[chosen], self.account[chosen], self.grace[chosen], self.facts.rows(chosen),
            self.due[chosen], self.term[chosen], self.lost[chosen],
        )  # fmt: skip


def fit_contract_model(
    renewals: Renewals, beside: Beside | None, as_of: int, horizon: int, seed: int = 0
) -> ContractModel | None:
    """Fit on what was known by the end of day `as_of`; None where nobody had a contract by then.

    Parameters
    ----------
    renewals : contracts of the whole book, or of a sample of its accounts
    beside : orders and signals of these accounts; None to look at contracts alone
    """
    known = renewals.until(as_of)
    now = cover_at(known, as_of)
    if not len(now.rows):
        return None
    past = past_of(known, beside, as_of, horizon, seed)
    rates = usual_rates(past, horizon)
    table = fit_table(_lesson(past, rates), seed)
    verdict = _later_days(past, horizon, table, seed)
    if verdict.get("given_up"):
        table = fit_table(_lesson(past, rates), seed, highest="base")
    current = now.only(now.state == CURRENT) if (now.state == CURRENT).any() else now
    facts, due = contract_facts(known, current, horizon, beside)
    summary = table.summary | {"rates": dict(zip(RATE_NAMES, rates.round(4).tolist(), strict=True))}
    model = ContractModel(
        as_of, horizon, rates, _kept_after_cancelling(known, as_of), table, _levels(facts),
        Standing(np.zeros(0), np.zeros(0)), 0.0, None if beside is None else beside.since,
        summary | {"later_days": verdict},
    )  # fmt: skip
    constant = table.contributions(facts, model._usual(due))[0]
    standing = good_standing(model.parts(facts, due), constant)
    return replace(model, standing=standing, start=constant)


RATE_NAMES = ("runs on", "ends within the horizon", "renews by itself within the horizon", "over, in grace")


def cutoffs(first_day: int, as_of: int, horizon: int, grace: int) -> list[int]:
    """Days to learn from, newest first; the horizon and grace of each are over by `as_of`."""
    newest = as_of - horizon - grace
    step = max(horizon // 2, LEAST_STEP, -(-(newest - first_day) // MOST_CUTOFFS))
    return list(range(newest, first_day - 1, -step))[:MOST_CUTOFFS]


def past_of(known: Renewals, beside: Beside | None, as_of: int, horizon: int, seed: int) -> Past:
    """All rows to learn from; of a large book a draw of its accounts."""
    grace = int(known.grace.min())
    days = cutoffs(int(known.terms.starts.min()), as_of, horizon, grace)
    owners = np.unique(known.row)
    most = MOST_ROWS // max(1, len(days))
    if len(owners) > most:
        drawn = np.random.default_rng(seed).choice(owners, most, replace=False)
        known = known.only(known.account_ids[np.sort(drawn)])
    outcome = spells(known)
    found = [_past_at(known, beside, day, as_of, horizon, outcome) for day in [*days, as_of]]
    return Past(
        np.concatenate([p.day for p in found]), np.concatenate([p.account for p in found]),
        np.concatenate([p.grace for p in found]), stacked([p.facts for p in found]),
        np.concatenate([p.due for p in found]), np.concatenate([p.term for p in found]),
        np.concatenate([p.lost for p in found]),
    )  # fmt: skip


def _past_at(
    renewals: Renewals, beside: Beside | None, day: int, as_of: int, horizon: int, outcome: Spells
) -> Past:
    known = renewals.until(day)
    cover = cover_at(known, day)
    over_by_then = day + horizon + renewals.grace[cover.rows] <= as_of
    cover = cover.only((cover.state == CURRENT) & over_by_then)
    facts, due = contract_facts(known, cover, horizon, beside)
    ids = known.account_ids[cover.rows]
    return Past(
        np.full(len(ids), day), ids, known.grace[cover.rows], facts, due, cover.end,
        lost_within(outcome, renewals.grace, cover.rows, day, horizon),
    )  # fmt: skip


def usual_rates(past: Past, horizon: int) -> Floats:
    """(STATES,) share of losses by how near the decision was, drawn toward what is usual elsewhere.

    The rows of one term count as one: it has one outcome, however often it was looked at.
    """
    rates = np.empty(STATES)
    for due in Due:
        here = past.due == due
        _, term = np.unique(
            np.column_stack([past.account[here], past.term[here]]), axis=0, return_inverse=True
        )
        term = term.reshape(-1)
        seen = np.bincount(term, weights=past.lost[here]) / np.maximum(np.bincount(term), 1)
        usual, pull = due.usual(horizon)
        rates[due] = (seen.sum() + pull * usual) / (len(seen) + pull)
    return rates


def _lesson(past: Past, rates: Floats) -> Lesson:
    usual = np.log(rates / (1 - rates))[past.due]
    return Lesson(past.facts.only(LEARNED), past.lost, usual, past.account, PRIOR)


def _later_days(past: Past, horizon: int, table: TableModel, seed: int) -> dict[str, Any]:
    """Whether a model fitted on the earlier days beats the usual rates on the last quarter of the days."""
    days = np.unique(past.day)
    if table.rung == "base" or len(days) < 4:
        return {}
    begins = days[-max(1, len(days) // 4)]
    then = past.rows(past.day + horizon + past.grace <= begins)
    later = past.rows(past.day >= begins)
    if not then.lost.any() or then.lost.all():
        return {}
    rates = usual_rates(then, horizon)
    usual = _lesson(later, rates).usual
    fitted = fit_table(_lesson(then, rates), seed, highest=table.rung)
    by_model = learner.losses(fitted.logit(later.facts, usual), later.lost)
    by_rate = learner.losses(usual, later.lost)
    gain, noise = learner.gain_and_noise(by_rate - by_model, later.account)
    return {
        "rows": len(later.lost), "lost": int(later.lost.sum()), "model": round(float(by_model.mean()), 5),
        "usual_rates": round(float(by_rate.mean()), 5), "given_up": bool(gain < -CLEAR_LOSS * noise),
    }  # fmt: skip


def _kept_after_cancelling(known: Renewals, as_of: int) -> float:
    """Share of the accounts that cancelled and were under contract again by the end of the grace period."""
    terms, row = known.terms, known.row
    gone = np.flatnonzero(terms.cancelled + known.grace[row] <= as_of)
    lift = row * (2 * NEVER)
    following = np.searchsorted(lift + terms.starts, lift[gone] + terms.cancelled[gone], side="right")
    following = np.minimum(following, len(row) - 1)
    in_time = terms.starts[following] <= terms.cancelled[gone] + known.grace[row[gone]]
    kept = in_time & (row[following] == row[gone]) & (terms.starts[following] > terms.cancelled[gone])
    return float((kept.sum() + PRIOR_RETURN * PRIOR_RETURNS) / (len(gone) + PRIOR_RETURNS))


def _levels(facts: Table) -> dict[str, list[str]]:
    return {name: sorted({str(word) for word in words} - {""}) for name, words in facts.words.items()}
