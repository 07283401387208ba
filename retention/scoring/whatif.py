"""What changed and what would change it, both found by scoring again: nothing here is estimated.

`changes` walks from an earlier score to the present one in steps that each change one thing. `futures` scores the
account as it would stand on coming days, with an order of its usual size or with silence, and with what we could do.

A day in the future is looked at by moving everything that happened into the past by as many days: every number of
the engine is counted from the day of the score, so both are the same, and all futures are scored in one go.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from retention.scoring.explain import factors_of, moved
from retention.scoring.features import RECENT, features_at, rhythm_state
from retention.scoring.history import UNKNOWN_DAY, Floats, History, Ints, purchases_of
from retention.scoring.models import FittedModel
from retention.scoring.scores import LEAST_PROBABILITY, facts_for
from retention.scoring.signals import Events, Signals, records_of

DAYS = 60  # how far futures look ahead
MANY_ORDERS = 400  # from so many on, only every seventh day is looked at
HAPPY = 5  # of six
DATED = ("day", "until", "due", "kept")  # columns of records that are days


# ── what changed ───────────────────────────────────────────────────────
@dataclass(frozen=True)
class Step:
    """One thing that changed: percentage points it added to the probability, and how much of them by each factor.

    `kind`: "late" records that arrived after they happened, "time" that passed, "behaviour" of the customer and of
    ours, "model" that was fitted anew, "uncounted" records that arrived after the newest score.
    """

    kind: str
    points: float
    factors: dict[str, float]


@dataclass(frozen=True)
class Changes:
    """From one score to another; the points of the steps sum to 100 * (after - before)."""

    before: float
    after: float
    steps: tuple[Step, ...]

    def points(self, kind: str) -> float:
        """Of one step; 0 where it was not taken."""
        return sum(step.points for step in self.steps if step.kind == kind)


@dataclass(frozen=True)
class Fitted:
    """A model and the day it scored; `said` is the probability that was stored then, None where none was."""

    model: FittedModel
    as_of: int
    said: float | None = None


def changes(old: Fitted, new: Fitted, history: History, signals: Signals | None = None) -> Changes | None:
    """How one account came from the old score to the new one; None when it had not bought by the old day.

    `history` and `signals` are of that account alone, as they are known now, up to the new day or later. Their parts
    dated up to the old day give what the old model would have said had it known them: what that differs from what
    it did say arrived late.
    """
    history = history.until(new.as_of)
    then, beyond_then = history.until(old.as_of), signals.until(old.as_of) if signals else None
    if not (then.cents > 0).any():
        return None
    known_then = _look(old.model, then, old.as_of, beyond_then)
    only_later = _look(old.model, then, new.as_of, beyond_then)
    as_it_is = _look(old.model, history, new.as_of, signals)
    anew = _look(new.model, history, new.as_of, signals)
    before = known_then.probability if old.said is None else old.said
    after = anew.probability if new.said is None else new.said
    steps = [
        Step("late", 100 * (known_then.probability - before), {}),
        _step("time", known_then, only_later),
        _step("behaviour", only_later, as_it_is),
        _step("model", as_it_is, anew),
        Step("uncounted", 100 * (after - anew.probability), {}),
    ]
    return Changes(before, after, tuple(steps))


@dataclass(frozen=True)
class _Look:
    """An account as a model sees it on a day: log odds, of which so much by each factor ("base": anybody's)."""

    probability: float
    logit: float
    factors: dict[str, float]


def _step(kind: str, before: _Look, after: _Look) -> Step:
    """Each factor has the same share of the points as of the log odds."""
    points, way = 100 * (after.probability - before.probability), after.logit - before.logit
    slope = points / way if abs(way) > 1e-9 else 0.0
    names = before.factors.keys() | after.factors.keys()
    by_factor = {
        name: slope * (after.factors.get(name, 0.0) - before.factors.get(name, 0.0)) for name in names
    }
    return Step(kind, points, by_factor)


def _look(model: FittedModel, history: History, as_of: int, signals: Signals | None) -> _Look:
    logit, factors, names = _scored(model, history, as_of, signals)
    found = dict(zip(names, factors[0].tolist(), strict=True)) | {"base": model.full_intercept}
    return _Look(float(_probability(logit)[0]), float(logit[0]), found)


def _scored(
    model: FittedModel, history: History, as_of: int, signals: Signals | None
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """(n,) log odds and (n, factors) what each factor adds, of every account that had bought."""
    purchases = purchases_of(history)
    rows = purchases.customers(as_of)
    features = features_at(purchases, as_of, rows, model.basis)
    facts = facts_for(model, signals, purchases, as_of, rows)
    parts = model.parts(features, rhythm_state(purchases, as_of, rows), facts)
    compared = moved(parts, model)
    names = factors_of(parts)
    return compared.total(model.full_intercept), compared.by_factor(names), names


def _probability(logit: Floats) -> Floats:
    return np.clip(expit(logit), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)


# ── what would change it ───────────────────────────────────────────────
@dataclass(frozen=True)
class Futures:
    """Probabilities of one account on coming days; day 0 is the day of the score.

    Attributes
    ----------
    now : as it stands
    days : ascending, from 0; the days looked at
    ordered : at the end of each of these days, had it ordered on that very day for the first time since
    silent : at the end of each of these days without any order
    order_size : money of the order that was assumed: the median of its last ones
    solved, talked, pleased : had all open issues been solved today, had somebody spoken with them today, had a pulse
        check tomorrow found them happy; None where that changes nothing or the model does not look at it
    """

    now: float
    days: Ints
    ordered: Floats
    silent: Floats
    order_size: float
    solved: float | None
    talked: float | None
    pleased: float | None

    def last_day_for_order(self, below: float) -> int | None:
        """The last day up to which an order, whenever it came, would bring the probability below `below`; None when
        not even one today would."""
        fails = np.flatnonzero(self.ordered >= below)
        reached = len(self.days) if not len(fails) else int(fails[0])
        return None if reached == 0 else int(self.days[reached - 1])

    def after_order_by(self, day: int) -> float:
        """The highest probability after an order on any day up to this one."""
        return float(self.ordered[self.days <= day].max())

    def silent_until(self, reaches: float) -> int | None:
        """The first day on which silence alone brings the probability to `reaches`; None when none of these does."""
        found = np.flatnonzero(self.silent >= reaches)
        return int(self.days[found[0]]) if len(found) else None

    def silent_on(self, day: int) -> float:
        """Probability after silence up to this day."""
        return float(self.silent[np.searchsorted(self.days, day, side="right") - 1])


def futures(
    model: FittedModel, history: History, as_of: int, signals: Signals | None = None
) -> Futures | None:
    """Score one account's possible futures; None when it had not bought by then. Records after `as_of` are not looked
    at."""
    history, beyond = history.until(as_of), signals.until(as_of) if signals else None
    bought = history.cents[history.cents > 0]
    if not len(bought):
        return None
    size = float(np.median(bought[-RECENT:]))
    days = np.arange(0, DAYS + 1, 1 if history.orders < MANY_ORDERS else 7)
    cases = [_Case(day) for day in days.tolist()] + [_Case(day, orders=True) for day in days.tolist()]
    deeds = [_Case(0, change=_solve), _Case(0, change=_talk), _Case(1, change=_please)]
    probability = _probability(_imagined(model, history, as_of, beyond, [*cases, *deeds], size))
    silent, ordered = probability[: len(days)], probability[len(days) : 2 * len(days)]
    now = float(silent[0])
    looks = model.adjustment is not None
    solved, talked, pleased = (float(p) if looks and p < now else None for p in probability[-3:])
    return Futures(now, days, ordered, silent, size / 100, solved, talked, pleased)


@dataclass(frozen=True)
class _Table:
    """Records of one kind: whose each is, and the rest of it."""

    whose: Ints
    columns: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Case:
    """A future: so many days on, with an order on that day, or with what we did by then."""

    days: int
    orders: bool = False
    change: Callable[[dict[str, _Table], int, int], None] | None = None


def _imagined(
    model: FittedModel, history: History, as_of: int, signals: Signals | None, cases: list[_Case], size: float
) -> Floats:
    """(cases,) log odds; each case is an account of its own, whose past is moved back by the days of the case."""
    ids = np.arange(len(cases), dtype=np.int64)
    whole = _moved(history, as_of, cases, size)
    beyond = None
    if signals is not None and model.since is not None:
        beyond = _imagined_signals(signals, as_of, cases, ids)
    return _scored(model, whole, as_of, beyond)[0]


def _moved(history: History, as_of: int, cases: list[_Case], size: float) -> History:
    back = np.array([case.days for case in cases], dtype=np.int32)
    extra = np.array([case.orders for case in cases])
    length = history.orders + extra.astype(np.int64)
    offsets = np.concatenate(([0], np.cumsum(length)))
    last = offsets[1:][extra] - 1  # where the imagined orders stand: each is its account's newest
    is_past = np.ones(offsets[-1], dtype=bool)
    is_past[last] = False

    def column(values: np.ndarray, imagined: float, is_day: bool) -> np.ndarray:
        out = np.full(offsets[-1], imagined, dtype=values.dtype)
        past = np.tile(values, (len(cases), 1))
        if is_day:
            past = np.where(past == UNKNOWN_DAY, past, past - back[:, None])
        out[is_past] = past.ravel()
        return out

    return History(
        np.arange(len(cases), dtype=np.int64),
        offsets,
        column(history.day, as_of, True),
        column(history.cents, size, False),
        None if history.promised is None else column(history.promised, int(UNKNOWN_DAY), True),
        None if history.delivered is None else column(history.delivered, int(UNKNOWN_DAY), True),
    )


def _imagined_signals(signals: Signals, as_of: int, cases: list[_Case], ids: Ints) -> Signals:
    back = np.array([case.days for case in cases], dtype=np.int64)
    tables = {kind: _tiled(records, back) for kind, records in signals.kinds().items()}
    for number, case in enumerate(cases):
        if case.change is not None:
            case.change(tables, number, as_of)
    kinds = {kind: records_of(ids, table.whose, **table.columns) for kind, table in tables.items()}
    return Signals(ids, **kinds)


def _tiled(records: Events, back: Ints) -> _Table:
    """The records once per case, their days moved back by the days of the case."""
    columns = {}
    for name, column in records.columns.items():
        tiled = np.tile(column, (len(back), 1))
        if name in DATED:
            tiled = np.where(tiled == UNKNOWN_DAY, tiled, tiled - back[:, None])
        columns[name] = tiled.ravel()
    return _Table(np.repeat(np.arange(len(back)), len(records.day)), columns)


def _solve(tables: dict[str, _Table], case: int, as_of: int) -> None:
    if "issues" in tables:
        until = tables["issues"].columns["until"]
        is_open = (tables["issues"].whose == case) & (until == UNKNOWN_DAY)
        tables["issues"].columns["until"] = np.where(is_open, as_of, until)


def _talk(tables: dict[str, _Table], case: int, as_of: int) -> None:
    _add(tables, "touches", case, day=as_of)


def _please(tables: dict[str, _Table], case: int, as_of: int) -> None:
    _add(tables, "pulses", case, day=as_of, score=HAPPY)
    _talk(tables, case, as_of)


def _add(tables: dict[str, _Table], kind: str, case: int, **record: int) -> None:
    """One more record of a kind."""
    nothing = np.empty(0, dtype=np.int64)
    table = tables.setdefault(kind, _Table(nothing, dict.fromkeys(record, nothing)))
    columns = {name: np.append(column, record[name]) for name, column in table.columns.items()}
    tables[kind] = _Table(np.append(table.whose, case), columns)
