"""Which model a book deserves: rules, rhythm or learned, chosen by what would have worked one horizon ago.

Every choice is made out of time. The book is put back to `as_of` - H, each rung is fitted on what was known
then, and judged on the horizon that has elapsed since. A rung is taken only if it beats the one below.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring import calibration, metrics
from retention.scoring.bgnbd import BgNbd, fit_bgnbd
from retention.scoring.errors import ScoringError
from retention.scoring.features import (
    DIRECTIONS,
    Basis,
    Matrix,
    RhythmState,
    features_at,
    rhythm_state,
    usual_gap,
)
from retention.scoring.history import History, Ints, Purchases, purchases_of
from retention.scoring.horizon import check_horizon
from retention.scoring.labels import MOST_CUTOFFS, churned, training_cutoffs
from retention.scoring.models import FittedModel
from retention.scoring.money import fit_gamma_gamma
from retention.scoring.threads import one_thread
from retention.scoring.trees import AdditiveTrees, fit_trees

Floats = NDArray[np.float64]

RULES_CUSTOMERS, RULES_REPEAT_BUYERS = 60, 30  # fewer than these: rules
LEARNED_CUSTOMERS = 80  # had at least so many bought one horizon ago; trees of fewer are worth nothing yet
RULES_PULL = 10.0  # prior customers, while there are few real ones
SIGNAL = 0.005  # nats a model must gain over the base rate to be called a signal
NEWER_WEIGHT = 0.85  # weight of a training cutoff, per step back
TREE_WEIGHT = (
    0.5  # of the trees in the blend with BG/NBD, before anything is measured: a hedge that rarely loses
)
TREE_CUSTOMERS = 150.0  # with so many customers half of that
TREE_WEIGHTS = (1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6, 1.0)
WEIGHT_CUSTOMERS = 1_000.0  # measured on so many customers, the best weight is believed half
BGNBD_SAMPLE = 10_000
ALL_CUSTOMERS = 25_000  # up to so many customers, all of them are learned from at every cutoff
DRAWN_CUSTOMERS = 6_000  # of more, so many at each: a night has 12 seconds
CLEAR = 3.0  # standard errors from which one trial decides
LONG_PAST_ROWS = 20_000  # with so many rows a further stage needs no older days
LONG_PAST_DAYS = 16
LONG_PAST_FROM = 3  # whose trees score them: the oldest day a further stage is judged on
FIT_ACCOUNTS = 40_000  # a book is fitted on so many of its accounts; more changes nothing that can be seen
SEASON_CUSTOMERS = 1_000
LEVEL_CUSTOMERS = 500.0  # with so many customers the learned level and BG/NBD's count alike
LEVEL_SD = 0.3  # of the level from one time of the year to another, in logit, before anything is seen
YEAR = 365
DRIFT_BELIEVED = 0.5
SEASON_BELIEVED = 0.85  # of the distance that the season of last year had
PAST_ROWS = 24_000  # trees for the past, which only start a further stage, learn from so many rows


def fit_model(history: History, as_of: int, horizon: int, seed: int = 0) -> FittedModel:
    """Fit the highest rung this book supports, using nothing dated after `as_of`.

    Parameters
    ----------
    history : orders of the whole book, or of a sample of its accounts
    as_of : day number; the end of that day is the moment of the score
    horizon : days ahead that count as leaving when nothing is bought

    Raises
    ------
    ScoringError
        The horizon is unusable, or nobody had bought by `as_of`.
    """
    return _fit(_book(history, as_of, horizon, seed), as_of)


@dataclass(frozen=True)
class PastMoment:
    """What the model of orders would have said at the end of an earlier day, and what then happened.

    Attributes
    ----------
    as_of : day number; its horizon ended by the day of the fit
    account_ids : (n,) ascending ids of accounts that had bought by `as_of`; in a large book a draw of them, each day its own
    logit : (n,) log odds of churn, at their level, by a model that was fitted on what was known at `as_of`:
        no label that ends later is in it. Where there was nothing to learn from yet, BG/NBD's P0
    churned : (n,) bought nothing in the `horizon` days after `as_of`
    learned : trees stand behind `logit`
    """

    as_of: int
    account_ids: Ints
    logit: Floats
    churned: NDArray[np.bool_]
    learned: bool


def training_logits(history: History, as_of: int, horizon: int, seed: int = 0) -> list[PastMoment]:
    """What a further stage on top of the orders learns from: every elapsed training cutoff, newest first.

    All log odds are out of time. The one thing taken from `as_of` itself is the kind of model (`fit_model`'s
    rung), so that the past is scored by what the accounts of today are scored with. A small book gets older days as
    well, see `_long_past`. Arguments and errors as `fit_model`; `fit_with_past` gives both for little more than one.
    """
    return fit_with_past(history, as_of, horizon, seed)[1]


def fit_with_past(
    history: History, as_of: int, horizon: int, seed: int = 0
) -> tuple[FittedModel, list[PastMoment]]:
    """`fit_model` and `training_logits` in one go."""
    book = _book(history, as_of, horizon, seed)
    model = _fit(book, as_of)
    recent = book.cutoffs(as_of)
    past = [_past(book, day, model) for day in recent]
    return model, past + _long_past(book, recent, model, sum(len(moment.logit) for moment in past))


def _long_past(book: "_Book", recent: list[int], model: FittedModel, rows: int) -> list[PastMoment]:
    """Days before the training cutoffs, a horizon apart, while there are few customers to learn from.

    They are scored by the trees of one day, which learned from none of their outcomes nor from any outcome that ended
    after that day. As the trees come later than these days, a stage may be fitted on them, not judged.
    """
    if len(recent) < MOST_CUTOFFS or rows >= LONG_PAST_ROWS:
        return []
    day = recent[LONG_PAST_FROM]
    trained = _train(book, day, PAST_ROWS) if model.stage == "learned" else None
    # The trees of that day learned from windows that reach back so far.
    before = book.cutoffs(day)[-1:] or [day]
    days = range(before[0] - book.horizon, book.first_day + book.horizon - 1, -book.horizon)
    found: list[PastMoment] = []
    for earlier in list(days)[:LONG_PAST_DAYS]:
        found.append(_past_of(book, earlier, model, trained))
        rows += len(found[-1].logit)
        if rows >= LONG_PAST_ROWS:
            break
    return found


def _past(book: "_Book", day: int, model: FittedModel) -> PastMoment:
    return _past_of(book, day, model, _train(book, day, PAST_ROWS) if model.stage == "learned" else None)


def _past_of(book: "_Book", day: int, model: FittedModel, trained: "_Trained | None") -> PastMoment:
    moment = book.at(day)
    if not model.has_signal:
        logit = np.full(len(moment.rows), _base_logit(book, day))
    elif trained is None:
        logit = calibration.to_logit(moment.p_silent)
    else:
        logit = trained.placed(moment).logit(moment)
    ids = book.purchases.account_ids[moment.rows]
    return PastMoment(day, ids, logit, book.churned(moment), trained is not None)


def _book(history: History, as_of: int, horizon: int, seed: int) -> "_Book":
    check_horizon(horizon)
    purchases = purchases_of(history.until(as_of))
    if not len(purchases.customers(as_of)):
        raise ScoringError(
            "No account had bought anything by that day; choose a later date or import orders."
        )
    return _Book(purchases, horizon, seed)


@one_thread()
def _fit(book: "_Book", as_of: int) -> FittedModel:
    now = book.at(as_of)
    if len(now.rows) < RULES_CUSTOMERS or int((now.state.x > 0).sum()) < RULES_REPEAT_BUYERS:
        return _rhythm_model(book, now, "rules", {"customers": len(now.rows)})
    return _best_rung(book, now)


def fit_sample(account_ids: Ints, seed: int = 0) -> Ints:
    """The accounts to fit on: always the same ones of a book, whoever asks, ascending."""
    if len(account_ids) <= FIT_ACCOUNTS:
        return np.sort(account_ids)
    smallest = np.argpartition(_hashed(account_ids, seed), FIT_ACCOUNTS)[:FIT_ACCOUNTS]
    return np.sort(account_ids[smallest])


@dataclass(frozen=True)
class _Moment:
    """The book at the end of one day: features and P0 from the past alone."""

    as_of: int
    rows: Ints
    state: RhythmState
    basis: Basis
    features: Matrix
    p_silent: Floats


class _Book:
    """Moments of one book, each worked out once."""

    def __init__(self, purchases: Purchases, horizon: int, seed: int) -> None:
        self.purchases, self.horizon, self.seed = purchases, horizon, seed
        starts = purchases.offsets[:-1][np.diff(purchases.offsets) > 0]
        self.first_day = int(purchases.day[starts].min())
        self.last_label_day = int(purchases.day.max())
        self._moments: dict[int, _Moment] = {}
        self._newest: BgNbd | None = None

    def at(self, as_of: int) -> _Moment:
        if as_of not in self._moments:
            self._moments[as_of] = self._moment(as_of)
        return self._moments[as_of]

    def _moment(self, as_of: int) -> _Moment:
        everyone = self.purchases.customers(as_of)
        rows = basis_rows = everyone
        if len(everyone) > ALL_CUSTOMERS:
            rows = self._drawn(everyone, DRAWN_CUSTOMERS, as_of)
            basis_rows = self._drawn(everyone, BGNBD_SAMPLE, as_of)
        basis = self._basis(as_of, basis_rows)
        state = rhythm_state(self.purchases, as_of, rows)
        features = features_at(self.purchases, as_of, rows, basis)
        p_silent = basis.bgnbd.p_silent(state.x, state.t_x, state.age, self.horizon)
        return _Moment(as_of, rows, state, basis, features, p_silent)

    def _basis(self, as_of: int, rows: Ints) -> Basis:
        state = rhythm_state(self.purchases, as_of, rows)
        gap = usual_gap(state) or self.horizon / 3
        few = len(rows) < RULES_CUSTOMERS or int((state.x > 0).sum()) < RULES_REPEAT_BUYERS
        pull = RULES_PULL if few else 1.0
        bgnbd = fit_bgnbd(state.x, state.t_x, state.age, unit=gap, pull=pull, start=self._newest)
        self._newest = (
            self._newest or bgnbd
        )  # parameters hardly move over time: earlier days start from there
        return Basis(bgnbd, gap, self.horizon)

    def _drawn(self, rows: Ints, most: int, as_of: int) -> Ints:
        """At most so many of the rows: always the same accounts, whatever order or chunk they come in.

        Every day has its own, so that many cutoffs tell of many more accounts.
        """
        if len(rows) <= most:
            return rows
        draw = _hashed(self.purchases.account_ids[rows], self.seed + 7919 * as_of)
        return rows[draw <= np.partition(draw, most - 1)[most - 1]]

    def churned(self, moment: _Moment) -> NDArray[np.bool_]:
        return churned(self.purchases, moment.as_of, self.horizon, moment.rows)

    def cutoffs(self, as_of: int) -> list[int]:
        return training_cutoffs(as_of, self.horizon, self.first_day)


def _hashed(ids: Ints, seed: int) -> NDArray[np.uint64]:
    """A fixed pseudo-random number per account id (the finaliser of splitmix64)."""
    value = ids.astype(np.uint64) + np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _rhythm_model(book: _Book, now: _Moment, stage: str, summary: dict[str, object]) -> FittedModel:
    model = FittedModel(
        stage=stage,
        has_signal=True,
        as_of=now.as_of,
        basis=now.basis,
        money=_money(book, now),
        intercept=0.0,
        rhythm_weight=1.0,
        summary=summary,
    )
    return model.centred(now.features, now.state)


def _money(book: _Book, now: _Moment):  # type: ignore[no-untyped-def]
    purchases = book.purchases
    start, end = purchases.offsets[now.rows], purchases.position(now.as_of, now.rows)
    orders = (end - start).astype(float)
    return fit_gamma_gamma(orders, purchases.kept(now.as_of, now.rows) / orders)


@dataclass(frozen=True)
class _Trained:
    """Trees from the cutoffs known at one moment, blended with P0."""

    trees: AdditiveTrees
    tree_weight: float = TREE_WEIGHT
    slope: float = 1.0
    shift: float = 0.0
    steadiness: float = 1.0
    said: dict[int, Floats] = field(default_factory=dict, compare=False)  # by the trees, per day

    def blend(self, moment: _Moment) -> Floats:
        if moment.as_of not in self.said:
            self.said[moment.as_of] = self.trees.logit(moment.features)
        rhythm = calibration.to_logit(moment.p_silent)
        return self.tree_weight * self.said[moment.as_of] + (1 - self.tree_weight) * rhythm

    def logit(self, moment: _Moment) -> Floats:
        return self.shift + self.slope * self.blend(moment)

    def placed(self, moment: _Moment) -> "_Trained":
        """The same shape at its level: the slope turns about the mean; few customers, or a level that was not steady
        while less than a year was seen, lean on BG/NBD's."""
        blend = self.blend(moment)
        own = float(expit(blend).mean())
        toward_rhythm = calibration.level_shift(blend, float(moment.p_silent.mean()))
        lean = 1.0 - self.steadiness * len(blend) / (len(blend) + LEVEL_CUSTOMERS)
        keep_mean = calibration.level_shift(self.slope * blend, own)
        return replace(self, shift=keep_mean + lean * toward_rhythm)


def _train(book: _Book, as_of: int, most: int | None = None) -> _Trained | None:
    """Trees on all elapsed cutoffs, newer ones heavier; None without cutoffs or with one outcome only."""
    moments = [book.at(day) for day in book.cutoffs(as_of)]
    if not moments:
        return None
    labels = [book.churned(moment) for moment in moments]
    weights = [np.full(len(label), NEWER_WEIGHT**step) for step, label in enumerate(labels)]
    label, weight = np.concatenate(labels), np.concatenate(weights)
    thin = slice(None, None, max(1, len(label) // most) if most else 1)
    if label[thin].all() or not label[thin].any():
        return None
    features = np.concatenate([moment.features for moment in moments])
    trees = fit_trees(features[thin], label[thin], weight[thin], DIRECTIONS)
    return _Trained(trees, steadiness=_steadiness(moments, labels, as_of))


def _steadiness(moments: list[_Moment], labels: list[NDArray[np.bool_]], as_of: int) -> float:
    """How far the level of the past, as its distance from BG/NBD's, is believed: wholly once it spans a year.

    Before that nobody can tell season from trend; the mean distance counts as far as it has been the same all along.
    """
    if as_of - moments[-1].as_of >= YEAR:
        return 1.0
    off = [
        calibration.level_shift(calibration.to_logit(moment.p_silent), calibration.observed_rate(label))
        for moment, label in zip(moments, labels, strict=True)
    ]
    weight = NEWER_WEIGHT ** np.arange(len(off))
    mean = float(np.average(off, weights=weight))
    spread = float((weight * (np.array(off) - mean) ** 2).sum() + LEVEL_SD**2) / float(weight.sum() + 1)
    return mean**2 / (mean**2 + spread)


def _best_rung(book: _Book, now: _Moment) -> FittedModel:
    horizon_ago = now.as_of - book.horizon
    if horizon_ago - book.first_day < book.horizon:
        return _rhythm_model(
            book, now, "rhythm", {"checked": False, "why": "less than two horizons of history"}
        )
    trial = _tried(book, horizon_ago)
    verdict = _judge(trial, _earlier_trial(book, trial))
    if not verdict["has_signal"]:
        return _base_rate_model(book, now, verdict)
    trained = _train(book, now.as_of) if verdict["learned"] else None
    if trained is None or trial.trained is None:
        return _rhythm_model(book, now, "rhythm", verdict)
    trained = _tuned(trained, trial, verdict)
    return _learned_model(book, now, _levelled(book, now, trained, trial, verdict), verdict)


@dataclass(frozen=True)
class _Trial:
    """The book put back to an earlier day: what was known, what was learned from it, what happened."""

    moment: _Moment
    label: NDArray[np.bool_]
    trained: _Trained | None

    def gains(self) -> Floats:
        """(customers, weights) nats each customer's log loss falls from P0 to the blend with each weight."""
        assert self.trained is not None, "asked only where there are trees"
        rhythm = _level_free_loss(calibration.to_logit(self.moment.p_silent), self.label)
        blends = [
            _level_free_loss(replace(self.trained, tree_weight=weight).blend(self.moment), self.label)
            for weight in TREE_WEIGHTS
        ]
        return rhythm[:, None] - np.column_stack(blends)


def _tried(book: _Book, as_of: int) -> _Trial:
    moment = book.at(as_of)
    return _Trial(moment, book.churned(moment), _train(book, as_of))


def _earlier_trial(book: _Book, trial: _Trial) -> _Trial | None:
    """A second opinion from half a horizon earlier, where the first one is within its own noise."""
    earlier = trial.moment.as_of - book.horizon // 2
    if trial.trained is None or earlier - book.first_day < 2 * book.horizon:
        return None
    gains = trial.gains()
    best = gains[:, gains.mean(axis=0).argmax()]
    if abs(best.mean()) > CLEAR * best.std() / np.sqrt(len(best)):
        return None
    second = _tried(book, earlier)
    return second if second.trained is not None else None


def _level_free_loss(logit: Floats, label: NDArray[np.bool_]) -> Floats:
    """(n,) log loss of each customer once the mean is put right: the quality of the shape alone."""
    p = expit(logit + calibration.level_shift(logit, calibration.observed_rate(label)))
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.where(label, -np.log(p), -np.log1p(-p))


def _judge(trial: _Trial, earlier: _Trial | None) -> dict[str, object]:
    """Would the rungs have helped one horizon ago? Levels are judged apart: they drift with the season."""
    label, p_silent = trial.label, trial.moment.p_silent
    rate = np.full(len(label), calibration.to_logit(np.array([calibration.observed_rate(label)]))[0])
    rhythm = calibration.to_logit(p_silent)
    gain = float((_level_free_loss(rate, label) - _level_free_loss(rhythm, label)).mean())
    verdict: dict[str, object] = {
        "checked": True,
        "customers": len(label),
        "rhythm": metrics.figures(label, p_silent).as_dict(),
        "gain_of_rhythm": round(gain, 5),
        "learned": False,
        "season": False,
    }
    if trial.trained is not None:
        trials = [trial] if earlier is None else [trial, earlier]
        ahead = np.mean([one.gains().mean(axis=0) for one in trials], axis=0)
        best = float(ahead.max())
        verdict |= {
            "gain_of_learning": round(best, 5),
            "trials": len(trials),
            "best_weight": TREE_WEIGHTS[int(ahead.argmax())],
            "learned": best > 0 and len(label) >= LEARNED_CUSTOMERS,
        }
        gain += max(best, 0.0)
    return verdict | {"has_signal": gain >= SIGNAL}


def _tuned(trained: _Trained, trial: _Trial, verdict: dict[str, object]) -> _Trained:
    """The blend's weight drawn toward the one that would have been best, its slope as it would have been right."""
    assert trial.trained is not None, "only a learned rung is tuned"
    best = float(verdict["best_weight"])  # type: ignore[arg-type]
    customers = len(trial.label)
    hedge = TREE_WEIGHT * customers / (customers + TREE_CUSTOMERS)
    weight = hedge + customers / (customers + WEIGHT_CUSTOMERS) * (best - hedge)
    blend = replace(trial.trained, tree_weight=weight).blend(trial.moment)
    centred = blend + calibration.level_shift(blend, calibration.observed_rate(trial.label))
    slope = calibration.shrunk_slope(centred, trial.label)
    verdict |= {"tree_weight": round(weight, 4), "slope": round(slope, 4)}
    then = metrics.figures(trial.label, expit(blend))
    verdict["blend"] = then.as_dict()
    return replace(trained, tree_weight=weight, slope=slope)


def _levelled(
    book: _Book, now: _Moment, trained: _Trained, trial: _Trial, verdict: dict[str, object]
) -> _Trained:
    """Match the level of the same season last year, where that would have helped one horizon ago as well."""
    assert trial.trained is not None, "only a learned rung is levelled"
    then, label = trial.moment, trial.label
    trained_then = replace(trial.trained, tree_weight=trained.tree_weight)
    before = _season_shift(book, trained_then, then.as_of)
    if before is not None:
        plain = calibration_loss(trained_then.placed(then).logit(then), label)
        matched = calibration_loss(trained_then.blend(then) + before, label)
        shift = _season_shift(book, trained, now.as_of) if matched < plain else None
        verdict |= {
            "season": shift is not None,
            "season_gain": round(plain - matched, 5),
            "season_shift": shift,
        }
        if shift is not None:
            wanted = float(expit(trained.blend(now) + shift).mean())
            return replace(trained, shift=calibration.level_shift(trained.slope * trained.blend(now), wanted))
    return trained.placed(now)


def calibration_loss(logit: Floats, label: NDArray[np.bool_]) -> float:
    """Log loss of log odds as they stand."""
    return metrics.log_loss(label.astype(float), np.clip(expit(logit), 1e-6, 1 - 1e-6))


def _season_shift(book: _Book, trained: _Trained, as_of: int) -> float | None:
    """How far the level was off a year before, plus half of how that has moved over the year; None if unknown."""
    pairs = [as_of - YEAR, as_of - book.horizon, as_of - book.horizon - YEAR]
    if min(pairs) < book.first_day + book.horizon / 2:
        return None
    off = []
    for day in pairs:
        moment = book.at(day)
        if len(moment.rows) < SEASON_CUSTOMERS:
            return None
        rate = calibration.observed_rate(book.churned(moment))
        off.append(calibration.level_shift(trained.blend(moment), rate))
    shift = SEASON_BELIEVED * (off[0] + DRIFT_BELIEVED * (off[1] - off[2]))
    return float(np.clip(shift, -calibration.CAP, calibration.CAP))


def _base_logit(book: _Book, as_of: int) -> float:
    """Log odds of the churn rate over the cutoffs known by then, newer ones heavier; BG/NBD's mean where none are."""
    moments = [book.at(day) for day in book.cutoffs(as_of)]
    if not moments:
        return float(calibration.to_logit(book.at(as_of).p_silent.mean(keepdims=True))[0])
    rates = [calibration.observed_rate(book.churned(moment)) for moment in moments]
    rate = np.average(rates, weights=[NEWER_WEIGHT**step for step in range(len(rates))], keepdims=True)
    return float(calibration.to_logit(rate)[0])


def _base_rate_model(book: _Book, now: _Moment, verdict: dict[str, object]) -> FittedModel:
    intercept = _base_logit(book, now.as_of)
    return FittedModel(
        stage="rhythm",
        has_signal=False,
        as_of=now.as_of,
        basis=now.basis,
        money=_money(book, now),
        intercept=intercept,
        rhythm_weight=0.0,
        summary=verdict | {"base_rate": round(float(expit(intercept)), 4)},
    )


def _learned_model(book: _Book, now: _Moment, trained: _Trained, verdict: dict[str, object]) -> FittedModel:
    model = FittedModel(
        stage="learned",
        has_signal=True,
        as_of=now.as_of,
        basis=now.basis,
        money=_money(book, now),
        intercept=trained.shift,
        rhythm_weight=trained.slope * (1 - trained.tree_weight),
        tree_weight=trained.slope * trained.tree_weight,
        trees=trained.trees,
        summary=verdict,
    )
    return model.centred(now.features, now.state)
