"""The fitted model: BG/NBD and additive trees, blended, levelled, and kept as plain arrays."""

import hashlib
import io
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.adjustment import TERMS, Adjustment
from retention.scoring.bgnbd import BgNbd
from retention.scoring.calibration import to_logit
from retention.scoring.errors import ScoringError
from retention.scoring.features import FACTOR_OF, NAMES, Basis, Matrix, RhythmState
from retention.scoring.money import GammaGamma
from retention.scoring.parts import Parts, Standing, good_standing, medians
from retention.scoring.signals import FACTS, Facts
from retention.scoring.trees import BINS, AdditiveTrees

Floats = NDArray[np.float64]

FORMAT = 3
# What adds to the log odds -> factor. P0 is two columns: what it was on the day of the last order is the account's
# pace, what waiting since then added is the pattern of a customer who has stopped.
COLUMNS = {**FACTOR_OF, "pace": "frequency", "waiting": "pattern"}
FACTORS = ("pattern", *(f for f in dict.fromkeys(COLUMNS.values()) if f != "pattern"))
NOBODY = Standing(np.zeros(len(COLUMNS)), np.full(len(COLUMNS), np.nan))


@dataclass(frozen=True)
class FittedModel:
    """Everything a worker needs to score any account: the same numbers on every machine.

    logit = intercept + tree_weight * trees + rhythm_weight * logit(P0) + adjustment. Where nothing beats the base rate
    both weights are 0. `standing` is a customer in good standing at `as_of`, with whom every account is compared.

    Attributes
    ----------
    stage : rules, rhythm or learned (see `ladder.fit_model`)
    basis : BG/NBD parameters, usual gap and horizon, fitted at `as_of`
    adjustment : what is known beyond orders, where that helped
    margin : share of sales left after cost over the book's orders of known cost; None where no cost is known
    since : day of the book's first record of each kind beyond orders; None where there was none to be looked at
    summary : what was tried and what it gave, for the model page; plain JSON
    """

    stage: str
    has_signal: bool
    as_of: int
    basis: Basis
    money: GammaGamma
    intercept: float
    rhythm_weight: float
    tree_weight: float = 0.0
    trees: AdditiveTrees | None = None
    standing: Standing = NOBODY
    adjustment: Adjustment | None = None
    since: dict[str, int] | None = None
    margin: float | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def factors(self) -> dict[str, str]:
        """Name of each column of `parts` -> the factor it is told under."""
        return COLUMNS if self.adjustment is None else COLUMNS | FACTS

    def logit(self, features: Matrix, p_silent: Floats, facts: Facts | None = None) -> Floats:
        """(n,) log odds of churn from features, BG/NBD P0, and what is known beyond orders (nothing, without `facts`)."""
        total = self.intercept + self.rhythm_weight * to_logit(p_silent)
        if self.trees is not None and self.tree_weight:
            total = total + self.tree_weight * self.trees.logit(features)
        if self.adjustment is not None and facts is not None:
            total = total + self.adjustment.logit(facts)
        return total

    def parts(self, features: Matrix, state: RhythmState, facts: Facts | None = None) -> Parts:
        """What each number adds to the logit: rows and `start` sum to `logit`."""
        parts = self._parts_of_orders(features, state)
        if self.adjustment is None:
            return parts
        known = Facts(np.full((len(parts), len(FACTS)), np.nan)) if facts is None else facts
        return parts.beside(self.adjustment.parts(known))

    def _parts_of_orders(self, features: Matrix, state: RhythmState) -> Parts:
        horizon, bgnbd = self.basis.horizon, self.basis.bgnbd
        pace = to_logit(bgnbd.p_silent(state.x, state.t_x, state.t_x, horizon))
        waiting = to_logit(bgnbd.p_silent(state.x, state.t_x, state.age, horizon)) - pace
        added = np.zeros((len(pace), len(COLUMNS)), order="F")
        if self.trees is not None and self.tree_weight:
            added[:, : len(NAMES)] = self.trees.contributions(features)
            added[:, : len(NAMES)] *= self.tree_weight
        added[:, len(NAMES)] = self.rhythm_weight * pace
        added[:, len(NAMES) + 1] = self.rhythm_weight * waiting
        return Parts(COLUMNS, np.column_stack([features, pace, waiting]), added)

    def centred(self, features: Matrix, state: RhythmState) -> "FittedModel":
        """The same model, explaining against those of these accounts that are in good standing."""
        return replace(self, standing=good_standing(self.parts(features, state), self.start))

    def adjusted(self, adjustment: Adjustment, facts: Facts) -> "FittedModel":
        """The same model with what is known beyond orders on top; `facts` are of some accounts at `as_of`, to say what
        is usual. The customer in good standing stays the one of the orders: one of whom nothing else is known."""
        beyond = Standing(np.zeros(len(FACTS)), medians(facts.values))
        standing = Standing(
            np.concatenate([self.standing.added, beyond.added]),
            np.concatenate([self.standing.values, beyond.values]),
        )
        return replace(self, adjustment=adjustment, standing=standing, has_signal=True)

    @property
    def start(self) -> float:
        """Log odds of an account to which no number adds anything."""
        return self.intercept + (self.tree_weight * self.trees.intercept if self.trees is not None else 0.0)

    @property
    def full_intercept(self) -> float:
        """Log odds of the customer in good standing, from whom reasons start."""
        return self.start + float(self.standing.added.sum())

    @property
    def days_ahead(self) -> int:
        """The horizon in days."""
        return self.basis.horizon

    @property
    def base_probability(self) -> float:
        """Probability of a customer in good standing, from which reasons lead to the account's own."""
        return float(expit(self.full_intercept))

    @property
    def version(self) -> str:
        """Names this fit: equal versions give equal scores."""
        return f"{self.stage}-{hashlib.sha256(self.to_bytes()).hexdigest()[:12]}"

    def to_bytes(self) -> bytes:
        """The model as an npz archive of arrays and one JSON text; no code, no pickle."""
        facts = {
            "format": FORMAT, "stage": self.stage, "has_signal": self.has_signal, "as_of": self.as_of,
            "usual_gap": self.basis.usual_gap, "horizon": self.basis.horizon, "bgnbd": asdict(self.basis.bgnbd),
            "money": asdict(self.money), "intercept": self.intercept, "rhythm_weight": self.rhythm_weight,
            "tree_weight": self.tree_weight, "columns": list(COLUMNS),
            "terms": [term.fact for term in TERMS], "since": self.since, "margin": self.margin, "summary": self.summary,
        }  # fmt: skip
        arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts, sort_keys=True))}
        arrays |= {"standing_added": self.standing.added, "standing_values": self.standing.values}
        if self.adjustment is not None:
            arrays["adjustment"] = self.adjustment.as_array()
        if self.trees is not None:
            arrays |= {"edges": self.trees.edges, "tables": self.trees.tables}
            arrays["tree_intercept"] = np.array(self.trees.intercept)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()


def model_from_bytes(payload: bytes) -> FittedModel:
    """Read back what `FittedModel.to_bytes` wrote; refuses a model of another version of the engine."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        facts = json.loads(str(arrays["facts"]))
        terms = [term.fact for term in TERMS]
        if facts["format"] != FORMAT or facts["columns"] != list(COLUMNS) or facts["terms"] != terms:
            raise ScoringError(
                "The stored model was made by another version of Mainstay; start a new scoring run."
            )
        trees = None
        if "tables" in arrays:
            trees = AdditiveTrees(arrays["edges"], arrays["tables"], float(arrays["tree_intercept"]))
        standing = Standing(arrays["standing_added"], arrays["standing_values"])
        adjustment = Adjustment(*arrays["adjustment"]) if "adjustment" in arrays else None
    return FittedModel(
        stage=facts["stage"],
        has_signal=facts["has_signal"],
        as_of=facts["as_of"],
        basis=Basis(BgNbd(**facts["bgnbd"]), facts["usual_gap"], facts["horizon"]),
        money=GammaGamma(**facts["money"]),
        intercept=facts["intercept"],
        rhythm_weight=facts["rhythm_weight"],
        tree_weight=facts["tree_weight"],
        trees=trees,
        standing=standing,
        adjustment=adjustment,
        since=facts["since"],
        margin=facts["margin"],
        summary=facts["summary"],
    )


assert BINS < 256, "bin codes are bytes"
