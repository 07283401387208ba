"""Rolling backtest: put the book back to earlier days, score it as it would have been scored, see what came."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.errors import ScoringError
from retention.scoring.features import RhythmState, features_at, recent_gaps, rhythm_state
from retention.scoring.fitting import fit_book
from retention.scoring.history import History, Ints, Purchases, purchases_of
from retention.scoring.horizon import check_horizon
from retention.scoring.labels import churned
from retention.scoring.ladder import fit_sample
from retention.scoring.metrics import Figures, figures
from retention.scoring.models import FittedModel
from retention.scoring.scores import facts_for
from retention.scoring.signals import Signals

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GROUPS = 10
LEAST_GROUP = 10  # customers in a group of the calibration table
WEEK = 5  # working days
LARGEST_SHARE = 4  # of the customers at most one in so many is called, or calling is no choice any more
WATCH_EVERY = 7  # days between two looks at a customer who has gone silent
YEAR = 365
MISSED_KEPT = 200


@dataclass(frozen=True)
class Terms:
    """What a company can do and what it calls at risk: calls its sales reps make in a day, and the
    probabilities from which an account is at risk, and is watched."""

    calls_per_day: int = 8
    at_risk_from: float = 0.5
    watch_from: float = 0.3


@dataclass(frozen=True)
class Group:
    """Customers who were given about the same probability: what was said, and how many of them left."""

    said: float
    happened: float
    customers: int


@dataclass(frozen=True)
class Capacity:
    """Who would have been found with the calls the team can make.

    Only customers who had bought within the horizon before count: whoever was silent for longer had left
    already, and naming them is no merit. `found` are leavers among the `calls` customers each contender puts
    first; who shares the last place is called at random. `window` says how the number of calls came about:
    a week's, a day's, or a quarter of the customers.
    """

    calls: int
    window: str
    customers: int
    leavers: int
    found: dict[str, float]

    @property
    def at_random(self) -> float:
        """Leavers expected among as many customers drawn by lot."""
        return self.calls * self.leavers / self.customers if self.customers else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers; lift is against drawing lots, recall is the share of all leavers that was found."""
        random, leavers = self.at_random, self.leavers
        return asdict(self) | {
            "found": {name: round(count, 2) for name, count in self.found.items()},
            "at_random": round(random, 2),
            "lift": {name: round(n / random, 3) if random else None for name, n in self.found.items()},
            "recall": {name: round(n / leavers, 4) if leavers else None for name, n in self.found.items()},
        }


@dataclass(frozen=True)
class LeadTime:
    """How early leavers were rated at risk, seen from the last day on which a return would still have been usual.

    A leaver here bought within the horizon after the cutoff, had bought before, and then bought nothing for a
    horizon. The last usual day is its last purchase plus the longest of its own gaps. It is looked at weekly from
    its last purchase on, by the model of the cutoff. `days` is what half of all leavers had at least: above 0 before
    the last usual day, below 0 after it, None where less than half were rated at risk at all.
    """

    leavers: int
    warned: int
    in_time: int
    days: float | None


@dataclass(frozen=True)
class MissedAccount:
    """A leaver nobody was told of; `spent` is money of the year before the cutoff, silence and gap are days."""

    account_id: int
    probability: float
    spent: float
    silence: int
    gap: float | None
    purchases: int


@dataclass(frozen=True)
class Missed:
    """Customers who left although they were rated below the threshold for watching; the largest are named."""

    customers: int
    leavers: int
    spent: float
    as_usual: int  # silent for no longer than their own usual gap: nothing in their orders showed it
    once: int  # had bought once
    accounts: list[MissedAccount]


@dataclass(frozen=True)
class Verdict:
    """What contenders said of the same customers, against what happened.

    `by_chance` is the calibration error a perfectly calibrated score would show on so many customers.
    """

    customers: int
    churn_rate: float
    figures: dict[str, Figures]
    calibration: list[Group]
    capacity: Capacity
    by_chance: float


@dataclass(frozen=True)
class Cutoff:
    """What was said at the end of day `as_of`, against what happened in the `horizon` days after.

    Contenders: `model` is the product's own score, fitted on what was known by then; `bgnbd` the probability of
    silence by BG/NBD alone; `recency` ranks by days since the last order (turned into probabilities by the rate
    among equally silent customers at the time); `previous` the model in use before. That one is judged only in a
    way it could have been wrong: the stored model where it was fitted by that day (`previous_is` "stored"), else
    the same recipe fitted as many days earlier as the previous run was earlier than this one ("recipe").
    """

    as_of: int
    horizon: int
    stage: str
    has_signal: bool
    verdict: Verdict
    missed: Missed
    lead_time: LeadTime | None
    previous_is: str = ""
    previous_as_of: int | None = None

    @property
    def customers(self) -> int:
        return self.verdict.customers

    @property
    def churn_rate(self) -> float:
        return self.verdict.churn_rate

    @property
    def model(self) -> Figures:
        return self.verdict.figures["model"]

    @property
    def bgnbd(self) -> Figures:
        return self.verdict.figures["bgnbd"]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        verdict = self.verdict
        return {
            "as_of": self.as_of, "horizon": self.horizon, "customers": verdict.customers,
            "churn_rate": round(verdict.churn_rate, 4), "stage": self.stage, "has_signal": self.has_signal,
            **{name: shown.as_dict() for name, shown in verdict.figures.items()},
            "ece_by_chance": round(verdict.by_chance, 4),
            "calibration": calibration_rows(verdict.calibration),
            "at_capacity": verdict.capacity.as_dict(),
            "lead_time": None if self.lead_time is None else asdict(self.lead_time),
            "missed": asdict(self.missed),
            "previous_is": self.previous_is, "previous_as_of": self.previous_as_of,
        }  # fmt: skip


def calibration_rows(groups: Sequence[Group]) -> list[dict[str, float]]:
    """The calibration table in plain numbers."""
    return [
        {"said": round(g.said, 4), "happened": round(g.happened, 4), "customers": g.customers} for g in groups
    ]


# -- judging -----------------------------------------------------------------
def judge(
    said: Mapping[str, Floats], left: Flags, silence: Floats, horizon: int, calls_per_day: int
) -> Verdict:
    """Compare what each contender said of the same customers with what happened.

    Parameters
    ----------
    said : contender -> (n,) probabilities; "model" must be among them
    left : (n,) bought nothing within the horizon
    silence : (n,) days since the last purchase at the time
    """
    p = said["model"]
    return Verdict(
        len(left), float(left.mean()), {name: figures(left, values) for name, values in said.items()},
        calibration_groups(p, left), _capacity(said, left, silence, horizon, calls_per_day), _by_chance(p),
    )  # fmt: skip


def calibration_groups(p: Floats, left: Flags) -> list[Group]:
    """Ten groups of equal count by probability, fewer where they would hold less than ten customers; one where
    everybody was given the same."""
    groups = min(GROUPS, max(len(p) // LEAST_GROUP, 1)) if np.ptp(p) > 0 else 1
    parts = np.array_split(np.argsort(p, kind="stable"), groups)
    return [Group(float(p[part].mean()), float(left[part].mean()), len(part)) for part in parts]


def _by_chance(p: Floats) -> float:
    """Mean distance over ten groups that a perfectly calibrated score shows: outcomes are throws of a coin."""
    parts = [part for part in np.array_split(np.sort(p), GROUPS) if len(part)]
    spread = [np.sqrt(2 / np.pi * (part * (1 - part)).sum()) for part in parts]
    return float(np.sum(spread) / len(p))


def calls_among(calls_per_day: int, customers: int) -> tuple[int, str]:
    """How many of so many customers the team can call: in a working week; where that is more than a quarter of
    them, in a day; and never more than a quarter."""
    most = max(customers // LARGEST_SHARE, min(customers, 1))
    for window, days in (("week", WEEK), ("day", 1)):
        if calls_per_day * days <= most:
            return calls_per_day * days, window
    return most, "share"


def found_in(rank: Floats, left: Flags, calls: int) -> float:
    """Leavers among the `calls` customers ranked highest; those who share the last place are drawn by lot."""
    if calls < 1 or not len(rank):
        return 0.0
    limit = np.partition(rank, len(rank) - calls)[len(rank) - calls]
    above, tied = rank > limit, rank == limit
    places = calls - int(above.sum())
    return float(left[above].sum() + left[tied].sum() * places / tied.sum())


def _capacity(
    said: Mapping[str, Floats], left: Flags, silence: Floats, horizon: int, calls_per_day: int
) -> Capacity:
    active = silence <= horizon
    calls, window = calls_among(calls_per_day, int(active.sum()))
    ranks = {name: silence if name == "recency" else values for name, values in said.items()}
    found = {name: found_in(rank[active], left[active], calls) for name, rank in ranks.items()}
    return Capacity(calls, window, int(active.sum()), int(left[active].sum()), found)


# -- rolling cutoffs ---------------------------------------------------------
@dataclass(frozen=True)
class _Book:
    """The history that is looked back on, and what is asked of it."""

    history: History
    signals: Signals | None
    whole: Purchases
    last_day: int
    horizon: int
    terms: Terms
    lag: int
    earlier: Mapping[int, FittedModel] = field(default_factory=dict)

    def fitted(self, day: int) -> FittedModel:
        sample = fit_sample(self.history.account_ids)
        signals = None if self.signals is None else self.signals.only(sample)
        return fit_book(self.history.only(sample), signals, day, self.horizon)


def cutoff_days(last_day: int, horizon: int, cutoffs: int) -> list[int]:
    """`last_day` - H, - 2 H, ...: the horizon of each has elapsed."""
    return [last_day - horizon * step for step in range(1, cutoffs + 1)]


def backtest(
    history: History,
    last_day: int,
    horizon: int,
    cutoffs: int,
    terms: Terms | None = None,
    earlier: Mapping[int, FittedModel] | None = None,
    lag: int = 0,
    signals: Signals | None = None,
) -> list[Cutoff]:
    """Judge the engine at `last_day` - H, - 2 H, ...: each fitted on what was known by then, judged on all customers.

    Parameters
    ----------
    earlier : by cutoff day, the stored model that was in use then; fitted on that day or before
    lag : days by which the previous run was earlier than this one; for the newest cutoff without a stored model
        the recipe is fitted so many days before it. 0 = there was no run before
    signals : what happened besides orders, of the accounts that the history covers

    Raises
    ------
    ScoringError
        The horizon is unusable, or there is not even one horizon with customers before it.
    """
    check_horizon(horizon)
    known = history.until(last_day)
    whole = purchases_of(known)
    usable = [day for day in cutoff_days(last_day, horizon, cutoffs) if len(whole.customers(day))]
    if not usable:
        raise ScoringError(
            f"The orders cover less than {horizon} days before the last one, so nothing can be checked yet;"
            " use a shorter horizon or import more history."
        )
    book = _Book(known, signals, whole, last_day, horizon, terms or Terms(), lag, earlier or {})
    return [_cutoff(book, day, is_newest=day == usable[0]) for day in usable]


def _cutoff(book: _Book, day: int, is_newest: bool) -> Cutoff:
    horizon, model = book.horizon, book.fitted(day)
    known = purchases_of(book.history.until(day))
    rows = known.customers(day)
    state = rhythm_state(known, day, rows)
    silence = state.age - state.t_x
    left = churned(book.whole, day, horizon, rows)
    said = {
        "model": predicted(model, known, day, rows, book.signals),
        "bgnbd": model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, horizon),
        "recency": _by_recency(known, day, horizon, silence),
    }
    previous = _previous(book, day, is_newest)
    if previous is not None:
        said["previous"] = predicted(previous[0], known, day, rows, book.signals)
    return Cutoff(
        day, horizon, model.stage, model.has_signal,
        judge(said, left, silence, horizon, book.terms.calls_per_day),
        _missed(known, day, rows, state, said["model"], left, book.terms.watch_from),
        _lead_time(book, model, day),
        previous_is=previous[1] if previous else "",
        previous_as_of=previous[0].as_of if previous else None,
    )  # fmt: skip


def predicted(
    model: FittedModel, known: Purchases, day: int, rows: Ints, signals: Signals | None = None
) -> Floats:
    """(n,) probability of churn for the accounts in `rows`, as the score would say it at the end of `day`."""
    state = rhythm_state(known, day, rows)
    p_silent = model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, model.basis.horizon)
    facts = facts_for(model, signals, known, day, rows)
    return expit(model.logit(features_at(known, day, rows, model.basis), p_silent, facts))


def _previous(book: _Book, day: int, is_newest: bool) -> tuple[FittedModel, str] | None:
    """The model in use before, in a form that knows nothing of what came after `day`; None when there is none."""
    stored = book.earlier.get(day)
    if stored is not None and stored.as_of <= day and stored.basis.horizon == book.horizon:
        return stored, "stored"
    if not is_newest or book.lag < 1:
        return None
    try:
        return book.fitted(day - book.lag), "recipe"
    except ScoringError:
        return None  # nobody had bought by then


def _by_recency(known: Purchases, day: int, horizon: int, silence: Floats) -> Floats:
    """Rate among the customers who had been as silent one horizon earlier, in twenty groups."""
    before = day - horizon
    rows = known.customers(before)
    if len(rows) < 20:
        return np.clip(silence / (silence.max() + 1.0), 0.01, 0.99)
    state = rhythm_state(known, before, rows)
    then, label = state.age - state.t_x, churned(known, before, horizon, rows)
    order = np.argsort(then, kind="stable")
    groups = [g for g in np.array_split(order, 20) if len(g)]
    middles = np.array([then[g].mean() for g in groups])
    rates = np.array([(label[g].sum() + 0.5) / (len(g) + 1) for g in groups])
    middles, first = np.unique(middles, return_index=True)
    # A slope of one in a million keeps silences apart that fall outside the groups.
    return np.clip(np.interp(silence, middles, rates[first]) * 0.999 + 1e-6 * silence, 1e-4, 1 - 1e-4)


def _missed(
    known: Purchases, day: int, rows: Ints, state: RhythmState, p: Floats, left: Flags, watch_from: float
) -> Missed:
    chosen = np.flatnonzero(left & (p < watch_from))
    at = rows[chosen]
    end = known.position(day, at)
    spent = (known.cents_sum[end] - known.cents_sum[known.position(day - YEAR, at)]) / 100
    gaps = recent_gaps(known, known.offsets[at], end)
    silence, count = (state.age - state.t_x)[chosen], state.x[chosen] + 1
    gap = np.full(len(at), np.nan)
    gap[count > 1] = np.nanmedian(gaps[count > 1], axis=1)
    first = np.lexsort((known.account_ids[at], -spent))[:MISSED_KEPT]
    named = [
        MissedAccount(
            int(known.account_ids[at[i]]), round(float(p[chosen[i]]), 4), round(float(spent[i]), 2),
            int(silence[i]), None if np.isnan(gap[i]) else round(float(gap[i]), 1), int(count[i]),
        )
        for i in first
    ]  # fmt: skip
    as_usual = int((silence <= np.nan_to_num(gap, nan=-1.0)).sum())
    once = int((count == 1).sum())
    return Missed(len(at), int(left.sum()), round(float(spent.sum()), 2), as_usual, once, named)


def judge_scores(
    history: History,
    day: int,
    horizon: int,
    account_ids: Ints,
    p: Floats,
    model: FittedModel | None,
    calls_per_day: int,
) -> Verdict | None:
    """Scores as they were given at the end of `day`, against what came; the horizon must have elapsed in `history`.

    Parameters
    ----------
    account_ids, p : (n,) ascending ids that the history covers, and what was said of each
    model : the model that gave them, for BG/NBD beside it; None where it cannot be read any more

    None where none of the accounts had bought by that day.
    """
    chosen = history.only(account_ids)
    known, whole = purchases_of(chosen.until(day)), purchases_of(chosen)
    rows = known.customers(day)
    if not len(rows):
        return None
    state = rhythm_state(known, day, rows)
    silence = state.age - state.t_x
    said = {"model": p[rows], "recency": _by_recency(known, day, horizon, silence)}
    if model is not None:
        said["bgnbd"] = model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, horizon)
    return judge(said, churned(whole, day, horizon, rows), silence, horizon, calls_per_day)


# -- lead time ---------------------------------------------------------------
def _lead_time(book: _Book, model: FittedModel, day: int) -> LeadTime | None:
    """See `LeadTime`; None where the second horizon after the cutoff has not elapsed, nobody left, or everybody is
    rated the same whatever they do."""
    whole, horizon = book.whole, book.horizon
    if day + 2 * horizon > book.last_day or not model.has_signal:
        return None
    rows, last = _leavers(whole, day, horizon)
    if not len(rows):
        return None
    stop = whole.position(day + horizon, rows)
    usual_until = last + np.nanmax(recent_gaps(whole, whole.offsets[rows], stop), axis=1)
    first = _first_at_risk(book, model, day, rows, last)
    early = np.where(np.isnan(first), -np.inf, usual_until - first)
    # The lower median: among as many warned as not, half were not warned.
    days = float(np.sort(early)[(len(early) - 1) // 2])
    warned, in_time = int(np.isfinite(early).sum()), int((early >= 0).sum())
    return LeadTime(len(rows), warned, in_time, round(days, 1) if np.isfinite(days) else None)


def _leavers(whole: Purchases, day: int, horizon: int) -> tuple[Ints, Floats]:
    """Who bought in the horizon after `day`, not for the first time, and then nothing for a horizon; the day of
    that last purchase."""
    rows = whole.customers(day + horizon)
    start, stop = whole.offsets[rows], whole.position(day + horizon, rows)
    last = whole.day[stop - 1].astype(float)
    has_more = stop < whole.offsets[rows + 1]
    following = np.where(has_more, whole.day[np.minimum(stop, len(whole.day) - 1)], np.inf)
    left = (last > day) & (stop - start > 1) & (following > last + horizon)
    return rows[left], last[left]


def _first_at_risk(book: _Book, model: FittedModel, day: int, rows: Ints, last: Floats) -> Floats:
    """First weekly look within a horizon of the last purchase at which the account was rated at risk; else NaN."""
    first = np.full(len(rows), np.nan)
    for look in range(day + WATCH_EVERY, day + 2 * book.horizon + 1, WATCH_EVERY):
        watched = np.flatnonzero(np.isnan(first) & (last <= look) & (look <= last + book.horizon))
        if len(watched):
            p = predicted(model, book.whole, look, rows[watched], book.signals)
            first[watched[p >= book.terms.at_risk_from]] = look
    return first
