"""A model of a flat table that is no more complicated than its outcomes bear.

Four rungs: the usual rate -> logistic regression with a prior -> additive boosted trees -> boosted trees whose facts act
together, the trees blended with the regression. Every rung predicts rows it has not seen (cross-validation by
group, so that no customer stands on both sides), and is taken only when it beats the one below by more than its noise.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.scoring import calibration
from retention.scoring.forest import Forest, Growth, grow
from retention.scoring.linear import Linear, Prior, fit_linear
from retention.scoring.tables import Coding, Table, fit_coding

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

FOLDS = 5
WIDTHS = (0.3, 1.0, 3.0)  # of the coefficients' prior
TREE_WEIGHTS = (0.5, 0.65, 0.8, 1.0)
ADDITIVE = Growth(rounds=150, leaves=3, depth=2, rate=0.1, additive=True)
TOGETHER = Growth(rounds=200, leaves=12, depth=4, rate=0.06)
STAGES = 3  # of its growth at which a forest is tried
LEAST_OUTCOMES = 8  # of either kind, for the regression to be more than its prior
TREE_OUTCOMES = 60  # of either kind, for trees
CLEAR = 2.0  # standard errors by which a rung has to win

FORMAT = 1


@dataclass(frozen=True)
class Lesson:
    """Labelled rows to learn from.

    Attributes
    ----------
    table : what was known
    outcome : (n,) what happened
    usual : (n,) log odds that hold before any fact is looked at
    group : (n,) rows of one group are never on both sides of a check
    prior : fact -> what is believed of its coefficient, in log odds per two standard deviations or per yes
    """

    table: Table
    outcome: Bools
    usual: Floats
    group: Ints
    prior: dict[str, float]

    def rows(self, chosen: NDArray[Any]) -> "Lesson":
        """The lesson of these rows."""
        return replace(
            self,
            table=self.table.rows(chosen),
            outcome=self.outcome[chosen],
            usual=self.usual[chosen],
            group=self.group[chosen],
        )

    @property
    def fewer(self) -> int:
        """In how many groups the rarer outcome occurred: rows of one group are one piece of evidence."""
        _, row = np.unique(self.group, return_inverse=True)
        churned = int((np.bincount(row, weights=self.outcome) > 0).sum()) if len(row) else 0
        return min(churned, len(np.unique(row)) - churned)


def plain_lesson(table: Table, outcome: Bools, group: Ints | None = None) -> Lesson:
    """Rows without any prior belief: the usual log odds are those of the rate."""
    rate = calibration.observed_rate(outcome)
    usual = np.full(len(outcome), np.log(rate / (1 - rate)))
    return Lesson(table, outcome, usual, np.arange(len(outcome)) if group is None else group, {})


@dataclass(frozen=True)
class TableModel:
    """log odds = shift + slope x ((1 - tree_weight) x (usual + linear) + tree_weight x forest).

    Attributes
    ----------
    rung : base, ridge, additive or together
    coding : the matrix that both parts read; the forest sees `usual` as one more column, the last
    summary : what was tried and what it gave, plain JSON
    """

    rung: str
    coding: Coding
    linear: Linear
    forest: Forest | None
    tree_weight: float
    slope: float
    shift: float
    summary: dict[str, Any]

    def logit(self, table: Table, usual: Floats) -> Floats:
        """(n,) log odds."""
        matrix = self.coding.matrix(table)
        total = usual + self.linear.logit(matrix)
        if self.forest is not None:
            trees = self.forest.logit(np.column_stack([matrix, usual]))
            total = (1 - self.tree_weight) * total + self.tree_weight * trees
        return self.shift + self.slope * total

    def contributions(self, table: Table, usual: Floats) -> tuple[float, Floats, Floats]:
        """A constant, (n,) what the usual log odds add, and (n, columns) what each column adds; they sum to `logit`."""
        matrix = self.coding.matrix(table)
        constant, of_usual = self.linear.intercept, usual
        parts = self.linear.contributions(matrix)
        if self.forest is not None:
            weight = self.tree_weight
            trees = self.forest.contributions(np.column_stack([matrix, usual]))
            constant = (1 - weight) * constant + weight * self.forest.mean
            of_usual = (1 - weight) * of_usual + weight * trees[:, -1]
            parts = (1 - weight) * parts + weight * trees[:, :-1]
        return self.shift + self.slope * constant, self.slope * of_usual, self.slope * parts

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The model as arrays and one JSON text."""
        facts = {
            "format": FORMAT, "rung": self.rung, "columns": self.coding.columns, "tree_weight": self.tree_weight,
            "slope": self.slope, "shift": self.shift, "linear_intercept": self.linear.intercept,
            "forest_intercept": self.forest.intercept if self.forest else None, "summary": self.summary,
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {"table_facts": np.array(json.dumps(facts, sort_keys=True))}
        arrays |= {f"linear_{name}": getattr(self.linear, name) for name in LINEAR}
        if self.forest is not None:
            arrays |= {f"forest_{name}": getattr(self.forest, name) for name in FOREST}
        return arrays


LINEAR = ("centre", "scale", "coefficient")
FOREST = ("roots", "feature", "threshold", "left", "right", "missing_left", "value", "cover")


def model_of_arrays(arrays: Any) -> TableModel:
    """Read back what `TableModel.to_arrays` gave."""
    facts = json.loads(str(arrays["table_facts"]))
    if facts["format"] != FORMAT:
        raise ValueError("made by another version")
    linear = Linear(
        **{name: arrays[f"linear_{name}"] for name in LINEAR}, intercept=facts["linear_intercept"]
    )
    forest = None
    if facts["forest_intercept"] is not None:
        forest = Forest(
            **{name: arrays[f"forest_{name}"] for name in FOREST}, intercept=facts["forest_intercept"]
        )
    coding = Coding(tuple((name, kind) for name, kind in facts["columns"]))
    return TableModel(
        facts["rung"], coding, linear, forest, facts["tree_weight"], facts["slope"], facts["shift"], facts["summary"]
    )  # fmt: skip


@dataclass(frozen=True)
class _Trial:
    """A rung with its settings, and the log odds it gave to rows it had not seen."""

    rung: str
    unseen: Floats
    width: float = WIDTHS[0]
    trees: int = 0
    tree_weight: float = 0.0
    slope: float = 1.0
    shift: float = 0.0

    @property
    def settings(self) -> dict[str, float]:
        return {
            "width": self.width,
            "trees": self.trees,
            "tree_weight": self.tree_weight,
            "slope": self.slope,
            "shift": self.shift,
        }


RUNGS = ("base", "ridge", "additive", "together")


def fit_table(lesson: Lesson, seed: int = 0, highest: str = RUNGS[-1]) -> TableModel:
    """The highest rung, up to `highest`, that earns its place, fitted on all rows and calibrated on unseen ones."""
    chosen = _Trial("base", lesson.usual)
    climbs: dict[str, Climb] = {
        "ridge": _ridge,
        "additive": _trees_with(ADDITIVE, "additive"),
        "together": _trees_with(TOGETHER, "together"),
    }
    tried: dict[str, float] = {}
    allowed = RUNGS[1 : RUNGS.index(highest) + 1] if lesson.fewer >= LEAST_OUTCOMES else ()
    folds = _folds(lesson, seed) if allowed else np.zeros(0, dtype=np.int64)
    for rung in allowed:
        trial = climbs[rung](lesson, folds, chosen, seed)
        if trial is None:
            break
        below, here = losses(chosen.unseen, lesson.outcome), losses(trial.unseen, lesson.outcome)
        tried |= {chosen.rung: float(below.mean()), rung: float(here.mean())}
        gain, noise = gain_and_noise(below - here, lesson.group)
        if gain > CLEAR * noise:
            chosen = trial
    summary = {
        "rung": chosen.rung,
        "rows": len(lesson.outcome),
        "outcomes": int(lesson.outcome.sum()),
        "log_loss": {name: round(value, 5) for name, value in tried.items()},
        **chosen.settings,
    }
    return _fitted(lesson, chosen, summary, seed)


def _folds(lesson: Lesson, seed: int) -> Ints:
    """(n,) number of the fold in which a row is unseen: whole groups, with alike outcomes in each."""
    groups, row = np.unique(lesson.group, return_inverse=True)
    churned = np.bincount(row, weights=lesson.outcome) > 0
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    fold = np.empty(len(groups), dtype=np.int64)
    # Dealt out like cards, first those with the outcome, so every fold has its share.
    fold[shuffled[np.argsort(~churned[shuffled], kind="stable")]] = np.arange(len(groups)) % FOLDS
    return fold[row]


def losses(logit: Floats, outcome: Bools) -> Floats:
    """(n,) negative log likelihood of each outcome."""
    return np.logaddexp(0.0, logit) - outcome * logit


def gain_and_noise(gain: Floats, group: Ints) -> tuple[float, float]:
    """Mean of a gain per row, and its standard error when the rows of a group are not independent."""
    _, row = np.unique(group, return_inverse=True)
    mean = float(gain.mean())
    by_group = np.bincount(row, weights=gain) - np.bincount(row) * mean
    return mean, float(np.sqrt((by_group**2).sum()) / len(gain))


Climb = Callable[[Lesson, Ints, _Trial, int], _Trial | None]


def _ridge(lesson: Lesson, folds: Ints, below: _Trial, seed: int) -> _Trial:
    tried = [_Trial("ridge", _unseen(lesson, folds, _linear_of(w))[0], w) for w in WIDTHS]
    return _best(lesson, tried)


def _best(lesson: Lesson, trials: list[_Trial]) -> _Trial:
    return min(trials, key=lambda trial: float(losses(trial.unseen, lesson.outcome).mean()))


def _trees_with(growth: Growth, rung: str) -> Climb:
    counts = [growth.rounds * step // STAGES for step in range(1, STAGES + 1)]

    def climb(lesson: Lesson, folds: Ints, below: _Trial, seed: int) -> _Trial | None:
        if lesson.fewer < TREE_OUTCOMES:
            return None
        ridge = _unseen(lesson, folds, _linear_of(below.width))[0]
        forests = _unseen(lesson, folds, _forest_of(growth, counts, seed))
        tried = [
            _Trial(rung, (1 - weight) * ridge + weight * forest, below.width, count, weight)
            for count, forest in zip(counts, forests, strict=True)
            for weight in TREE_WEIGHTS
        ]
        return _best(lesson, [_calibrated(lesson, trial) for trial in tried])

    return climb


def _calibrated(lesson: Lesson, trial: _Trial) -> _Trial:
    """The same with slope and shift that fit its log odds of unseen rows to what happened."""
    slope = calibration.shrunk_slope(trial.unseen, lesson.outcome)
    shift = calibration.level_shift(slope * trial.unseen, calibration.observed_rate(lesson.outcome))
    return replace(trial, unseen=shift + slope * trial.unseen, slope=slope, shift=shift)


Predict = Callable[[Lesson, Lesson], list[Floats]]


def _unseen(lesson: Lesson, folds: Ints, predict: Predict) -> list[Floats]:
    """Log odds of every row by a model that was fitted without its fold; several where one fit gives several."""
    found: list[Floats] = []
    for fold in range(FOLDS):
        out = folds == fold
        if not out.any():
            continue
        for place, logit in enumerate(predict(lesson.rows(~out), lesson.rows(out))):
            if place == len(found):
                found.append(np.zeros(len(folds)))
            found[place][out] = logit
    return found


def _prior(lesson: Lesson, coding: Coding, width: float) -> Prior:
    known = [lesson.prior.get(name, 0.0) if not kind else 0.0 for name, kind in coding.columns]
    return Prior(np.array(known), width)


def _linear(lesson: Lesson, coding: Coding, width: float) -> Linear:
    return fit_linear(
        coding.matrix(lesson.table), lesson.outcome.astype(float), lesson.usual, _prior(lesson, coding, width)
    )


def _linear_of(width: float) -> Predict:
    def predict(known: Lesson, asked: Lesson) -> list[Floats]:
        coding = fit_coding(known.table)
        return [asked.usual + _linear(known, coding, width).logit(coding.matrix(asked.table))]

    return predict


def _forest_of(growth: Growth, counts: list[int], seed: int) -> Predict:
    def predict(known: Lesson, asked: Lesson) -> list[Floats]:
        coding = fit_coding(known.table)
        forest = _forest(known, coding, growth, seed)
        return forest.logits_after(np.column_stack([coding.matrix(asked.table), asked.usual]), counts)

    return predict


def _forest(lesson: Lesson, coding: Coding, growth: Growth, seed: int) -> Forest:
    matrix = np.column_stack([coding.matrix(lesson.table), lesson.usual])
    return grow(matrix, lesson.outcome, growth, seed)


def _fitted(lesson: Lesson, chosen: _Trial, summary: dict[str, Any], seed: int) -> TableModel:
    """The chosen rung on all rows."""
    coding, linear, forest = NOTHING_ASKED, NOTHING_ADDED, None
    if chosen.rung != "base":
        coding = fit_coding(lesson.table)
        linear = _linear(lesson, coding, chosen.width)
    if chosen.trees:
        growth = ADDITIVE if chosen.rung == "additive" else TOGETHER
        forest = _forest(lesson, coding, growth, seed).first(chosen.trees)
    return TableModel(
        chosen.rung, coding, linear, forest, chosen.tree_weight, chosen.slope, chosen.shift, summary
    )


NOTHING_ASKED = Coding(())
NOTHING_ADDED = Linear(np.zeros(0), np.ones(0), np.zeros(0), 0.0)
