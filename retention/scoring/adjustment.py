"""What is known beyond orders, as one more stage on top of the model of orders.

log odds = those of the orders + one contribution per factor. Contributions are linear in a few terms whose sign is
given (an open grievance can only add risk; being under treatment may do either), drawn toward 0 by a ridge, and
fitted on past days with the log odds of the orders as a fixed start. Terms are centred on what is usual where they are
known, so an unknown one contributes exactly 0. A factor stays only if it helped out of time, and all of them only if
together they beat the orders alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.calibration import level_shift, observed_rate
from retention.scoring.history import Ints, Purchases
from retention.scoring.parts import Parts
from retention.scoring.signals import FACTS, SIGNAL_FACTORS, Facts, Signals, signal_facts
from retention.scoring.threads import one_thread

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MARGIN = 0.0015  # nats that all factors together must gain over orders alone
SURE = 1.25  # standard errors that gain must be above 0
RIDGE = 12.0  # on coefficients per standard deviation: as many customers' worth of doubt
NEWER_WEIGHT = 0.9  # weight of a past day, per step back
MOST_TRIALS, ENOUGH_JUDGED = 4, 5_000  # past days to judge on; fewer where these have so many customers
TRIAL_ROWS = 20_000
MOST_STEPS = 50
PULSE_FADES = 90.0  # days in which a pulse counts half


@dataclass(frozen=True)
class Term:
    """One input of the stage, made from `fact` (and others beside it): `sign` 1 where more of it can only mean more
    risk, 0 where it may mean either."""

    fact: str
    value: Callable[[Facts], Floats]
    sign: int = 1

    @property
    def factor(self) -> str:
        return FACTS[self.fact]


def _single_threaded(facts: Facts) -> Floats:
    return np.where(np.isnan(facts["active_contacts"]), np.nan, facts["active_contacts"] <= 1)


def _displeasure(facts: Facts) -> Floats:
    return (4.0 - facts["pulse"]) * np.exp2(-facts["pulse_age"] / PULSE_FADES)


TERMS = (
    Term("late_share", lambda facts: facts["late_share"]),
    Term("late_last", lambda facts: facts["late_last"]),
    Term("late_days", lambda facts: np.log1p(facts["late_days"])),
    Term("issue_weight", lambda facts: np.log1p(facts["issue_weight"])),
    Term("issue_days", lambda facts: np.log1p(facts["issue_days"] / 7.0)),
    Term("recent_issues", lambda facts: np.log1p(facts["recent_issues"])),
    Term("broken_fresh", lambda facts: np.log1p(facts["broken_fresh"])),
    Term("silence", lambda facts: np.log1p(facts["silence"] / 30.0)),
    Term("active_contacts", _single_threaded),
    Term("pulse", _displeasure),
    Term("left_fresh", lambda facts: np.log1p(facts["left_fresh"])),
    Term("changes_fresh", lambda facts: np.log1p(facts["changes_fresh"])),
    Term("vacant", lambda facts: np.log1p(facts["vacant"] / 30.0)),
    Term("treated", lambda facts: facts["treated"], sign=0),
    Term("lost_fresh", lambda facts: np.log1p(facts["lost_fresh"])),
)
TREATED = [term.fact for term in TERMS].index("treated")
ALWAYS = "treatment"  # who is being saved is never left out, or the saving would be taken for luck


def terms_of(facts: Facts) -> Floats:
    """(n, len(TERMS)) the inputs of the stage, NaN = unknown."""
    return np.column_stack([term.value(facts) for term in TERMS])


@dataclass(frozen=True)
class Adjustment:
    """The fitted stage.

    Attributes
    ----------
    coefficients : (len(TERMS),) log odds per unit of a term; 0 for those that were not kept
    centre, low, high : (len(TERMS),) usual value where known, and the range that was seen: beyond it nothing is added
    """

    coefficients: Floats
    centre: Floats
    low: Floats
    high: Floats

    def parts(self, facts: Facts) -> Parts:
        """What each fact adds to the log odds; 0 where it is unknown."""
        terms, added = terms_of(facts), np.zeros(facts.values.shape, order="F")
        for column, term in enumerate(TERMS):
            if self.coefficients[column]:
                # Column by column, not as one matrix product: that sums in an order that depends on the rows.
                off = np.clip(terms[:, column], self.low[column], self.high[column]) - self.centre[column]
                added[:, list(FACTS).index(term.fact)] = np.where(
                    np.isnan(off), 0.0, self.coefficients[column] * off
                )
        return Parts(FACTS, facts.values, added)

    def logit(self, facts: Facts) -> Floats:
        """(n,) what all of them add together."""
        total = np.zeros(len(facts.values))
        for column in self.parts(facts).added.T:
            total += column
        return total

    def as_array(self) -> Floats:
        """(4, len(TERMS)) the numbers, to be stored."""
        return np.stack([self.coefficients, self.centre, self.low, self.high])

    @property
    def factors(self) -> tuple[str, ...]:
        """The factors that count."""
        return tuple(f for f in SIGNAL_FACTORS if self.coefficients[_columns_of(f)].any())


def _columns_of(factor: str) -> list[int]:
    return [column for column, term in enumerate(TERMS) if term.factor == factor]


class PastMoment(Protocol):
    """What the orders said at the end of an earlier day, and what happened: see `ladder.PastMoment`."""

    @property
    def as_of(self) -> int: ...
    @property
    def account_ids(self) -> Ints: ...
    @property
    def logit(self) -> Floats: ...
    @property
    def churned(self) -> Flags: ...


@one_thread()
def fit_adjustment(
    signals: Signals, purchases: Purchases, moments: Sequence[PastMoment], horizon: int
) -> tuple[Adjustment | None, dict[str, Any]]:
    """The stage, or None where it did not earn its place; and what was found out, as plain JSON.

    `moments` are elapsed past days, newest first, with log odds that knew nothing of what followed.
    """
    days = [_day(signals, purchases, moment, horizon) for moment in moments]
    tried = [f for f in SIGNAL_FACTORS if any(day.has(_columns_of(f)) for day in days)]
    trials = _trials(days, horizon)
    if not tried or not trials:
        return None, _summary(days, False, {}, {}, None)
    kept, gains = _kept(trials, tried)
    verdict = _judge(trials, kept)
    taken = bool(kept) and verdict.gain >= MARGIN and verdict.gain >= SURE * verdict.error
    adjustment = _fit(days, kept) if taken else None
    return adjustment, _summary(days, taken, gains, dict.fromkeys(kept, True), verdict)


@dataclass(frozen=True)
class _Day:
    """A past day: its terms, the log odds of the orders, what happened."""

    as_of: int
    ids: Ints
    terms: Floats
    offset: Floats
    churned: Flags

    def has(self, columns: list[int]) -> bool:
        """Whether any of these terms is known of anybody and not the same for all."""
        known = self.terms[:, columns]
        known = np.where(np.isnan(known), 0.0, known)
        return bool((known != known[:1]).any())

    def share_known(self, columns: list[int]) -> float:
        return float((~np.isnan(self.terms[:, columns])).mean()) if len(self.terms) else 0.0


def _day(signals: Signals, purchases: Purchases, moment: PastMoment, horizon: int) -> _Day:
    rows = np.searchsorted(purchases.account_ids, moment.account_ids)
    facts = signal_facts(signals, purchases, moment.as_of, rows, horizon)
    return _Day(moment.as_of, moment.account_ids, terms_of(facts), moment.logit, moment.churned)


@dataclass(frozen=True)
class _Trial:
    """A past day to be judged, and the days that had fully elapsed by then."""

    judged: _Day
    known: list[_Day]


def _trials(days: list[_Day], horizon: int) -> list[_Trial]:
    trials: list[_Trial] = []
    for judged in days:
        known = [day for day in days if day.as_of + horizon <= judged.as_of]
        seen = sum(len(trial.judged.ids) for trial in trials)
        if not known or len(trials) == MOST_TRIALS or seen >= ENOUGH_JUDGED:
            break
        trials.append(_Trial(judged, _newest(known)))
    return trials


def _newest(days: list[_Day]) -> list[_Day]:
    """As many of the newest days as are enough for a trial."""
    ahead = np.cumsum([len(day.ids) for day in days])
    return [day for day, before in zip(days, ahead - ahead[0], strict=True) if before < TRIAL_ROWS]


@dataclass(frozen=True)
class _Verdict:
    """Mean nats per customer gained over orders alone, and its standard error (accounts, not rows, are independent)."""

    gain: float
    error: float


def _judge(trials: list[_Trial], factors: Sequence[str]) -> _Verdict:
    gains = [_gains(trial, factors) for trial in trials]
    ids = np.concatenate([trial.judged.ids for trial in trials])
    gain = np.concatenate(gains)
    _, account = np.unique(ids, return_inverse=True)
    off = np.bincount(account, weights=gain - gain.mean())
    return _Verdict(float(gain.mean()), float(np.sqrt((off**2).sum()) / len(gain)))


def _gains(trial: _Trial, factors: Sequence[str]) -> Floats:
    """Nats gained per customer of the judged day by a stage of these factors, the level put right for both."""
    if not factors:
        return np.zeros(len(trial.judged.ids))
    judged = trial.judged
    stage = _fit(trial.known, factors)
    with_them = judged.offset + _apply(stage, judged.terms)
    return _level_free_loss(judged.offset, judged.churned) - _level_free_loss(with_them, judged.churned)


def _level_free_loss(logit: Floats, churned: Flags) -> Floats:
    p = np.clip(expit(logit + level_shift(logit, observed_rate(churned))), 1e-6, 1 - 1e-6)
    return np.where(churned, -np.log(p), -np.log1p(-p))


def _kept(trials: list[_Trial], tried: list[str]) -> tuple[list[str], dict[str, float]]:
    """Factors that help beside the others, the least helpful one dropped at a time; and what each one gained."""
    kept = list(tried)
    gains: dict[str, float] = {}
    while True:
        whole = _judge(trials, kept).gain
        own = {f: whole - _judge(trials, [g for g in kept if g != f]).gain for f in kept}
        gains |= own
        useless = {f: gain for f, gain in own.items() if gain <= 0 and f != ALWAYS}
        if not useless:
            return kept, gains
        kept.remove(min(useless, key=useless.__getitem__))


def _summary(
    days: list[_Day],
    taken: bool,
    gains: dict[str, float],
    kept: dict[str, bool],
    verdict: _Verdict | None,
) -> dict[str, Any]:
    newest = days[:1]
    return {
        "taken": taken,
        "gain": round(verdict.gain, 5) if verdict else 0.0,
        "error": round(verdict.error, 5) if verdict else 0.0,
        "treated": int(sum((day.terms[:, TREATED] > 0).sum() for day in days)),
        "factors": {
            factor: {
                "gain": round(gains.get(factor, 0.0), 5),
                "known": round(
                    float(np.mean([d.share_known(_columns_of(factor)) for d in newest] or [0])), 4
                ),
                "kept": taken and factor in kept,
            }
            for factor in SIGNAL_FACTORS
        },
    }


def _fit(days: list[_Day], factors: Sequence[str]) -> Adjustment:
    """Ridge logistic regression with bounds on the signs; every past day has a level of its own, which is not kept."""
    blank = _scaled(days)
    columns = [column for column, term in enumerate(TERMS) if term.factor in factors]
    terms = np.concatenate([day.terms for day in days])[:, columns]
    known = ~np.isnan(terms)
    spread = _spread(terms, known)
    columns = [column for column, varies in zip(columns, spread > 0, strict=True) if varies]
    terms, known, spread = terms[:, spread > 0], known[:, spread > 0], spread[spread > 0]
    if not columns:
        return blank
    design = np.where(known, (terms - blank.centre[columns]) / spread, 0.0)
    problem = _Problem(
        np.hstack([design, _levels(days)]),
        np.concatenate([day.offset for day in days]),
        np.concatenate([day.churned for day in days]).astype(float),
        np.concatenate([np.full(len(day.ids), NEWER_WEIGHT**step) for step, day in enumerate(days)]),
        np.array([RIDGE] * len(columns) + [1.0] * len(days)),
        np.array([bool(TERMS[column].sign) for column in columns] + [False] * len(days)),
    )
    theta = problem.solve()
    coefficients = np.zeros(len(TERMS))
    # Six places say all there is to say, and hide what the last steps of a search differ in between machines.
    coefficients[columns] = np.round(theta[: len(columns)] / spread, 6)
    return replace(blank, coefficients=coefficients)


def _scaled(days: list[_Day]) -> Adjustment:
    """A stage without coefficients: usual value and range of every term."""
    terms = np.concatenate([day.terms for day in days])
    known = ~np.isnan(terms)
    some = known.any(axis=0)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, terms, 0.0).sum(axis=0) / count
    low = np.where(some, np.where(known, terms, np.inf).min(axis=0), 0.0)
    high = np.where(some, np.where(known, terms, -np.inf).max(axis=0), 0.0)
    return Adjustment(np.zeros(len(TERMS)), centre, low, high)


def _spread(terms: Floats, known: Flags) -> Floats:
    """Standard deviation of each term where it is known; 0 where hardly anybody differs."""
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, terms, 0.0).sum(axis=0) / count
    off = np.where(known, terms - mean, 0.0)
    spread = np.sqrt((off**2).sum(axis=0) / count)
    return np.where(spread > 1e-6, spread, 0.0)


def _levels(days: list[_Day]) -> Floats:
    """(n, days) 1 in the column of a row's own day."""
    return np.repeat(np.eye(len(days)), [len(day.ids) for day in days], axis=0)


@dataclass(frozen=True)
class _Problem:
    """Weighted log loss from a fixed start plus a ridge, some coefficients not below 0: convex, one solution."""

    design: Floats
    offset: Floats
    churned: Floats
    weight: Floats
    ridge: Floats
    bounded: Flags

    def solve(self) -> Floats:
        """Newton's method on the coefficients that are not held at their bound (Bertsekas 1982)."""
        theta = np.zeros(self.design.shape[1])
        loss = self.loss(theta)
        for _ in range(MOST_STEPS):
            step = self._step(theta)
            size, before = 1.0, loss
            while size > 1e-4:
                ahead = np.where(self.bounded, np.maximum(theta + size * step, 0.0), theta + size * step)
                loss = self.loss(ahead)
                if loss <= before:
                    break
                size /= 2
            else:
                return theta
            theta = ahead
            if before - loss < 1e-9 * max(1.0, abs(loss)):
                break
        return theta

    def loss(self, theta: Floats) -> float:
        logit = self.offset + self.design @ theta
        return float(
            self.weight @ (np.logaddexp(0.0, logit) - self.churned * logit) + (self.ridge * theta) @ theta / 2
        )

    def _step(self, theta: Floats) -> Floats:
        p = expit(self.offset + self.design @ theta)
        slope = (self.weight * (p - self.churned)) @ self.design + self.ridge * theta
        held = self.bounded & (theta <= 0) & (slope > 0)
        free = np.flatnonzero(~held)
        curve = self.weight * np.maximum(p * (1 - p), 1e-9)
        columns = self.design[:, free]
        bend = (columns * curve[:, None]).T @ columns + np.diag(self.ridge[free])
        step = np.zeros(len(theta))
        step[free] = -np.linalg.solve(bend, slope[free])
        return step


def _apply(stage: Adjustment, terms: Floats) -> Floats:
    """What a stage adds for rows of terms, all factors together."""
    off = np.clip(terms, stage.low, stage.high) - stage.centre
    return np.where(np.isnan(off), 0.0, off) @ stage.coefficients
