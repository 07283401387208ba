"""The fitted model: BG/NBD and additive trees, blended, levelled, and kept as plain arrays."""

import hashlib
import io
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from retention.scoring.bgnbd import BgNbd
from retention.scoring.calibration import to_logit
from retention.scoring.errors import ScoringError
from retention.scoring.features import FACTOR_OF, NAMES, Basis, Matrix, RhythmState
from retention.scoring.money import GammaGamma
from retention.scoring.trees import BINS, AdditiveTrees

Floats = NDArray[np.float64]

FORMAT = 1
FACTORS = ("pattern", *(f for f in dict.fromkeys(FACTOR_OF.values()) if f != "pattern"))


@dataclass(frozen=True)
class FittedModel:
    """Everything a worker needs to score any account: the same numbers on every machine.

    logit = intercept + tree_weight * trees + rhythm_weight * logit(P0). Where nothing beats the base rate both
    weights are 0. `centre` are the mean contributions per factor over the accounts in good standing at `as_of`,
    against which every account is explained.

    Attributes
    ----------
    stage : rules, rhythm or learned (see `ladder.fit_model`)
    basis : BG/NBD parameters, usual gap and horizon, fitted at `as_of`
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
    centre: Floats = field(default_factory=lambda: np.zeros(len(FACTORS)))
    summary: dict[str, Any] = field(default_factory=dict)

    def logit(self, features: Matrix, p_silent: Floats) -> Floats:
        """(n,) log odds of churn from features and BG/NBD P0."""
        total = self.intercept + self.rhythm_weight * to_logit(p_silent)
        if self.trees is not None and self.tree_weight:
            total = total + self.tree_weight * self.trees.logit(features)
        return total

    def factor_parts(self, features: Matrix, state: RhythmState) -> Floats:
        """(n, len(FACTORS)) what each factor adds to the logit; rows and `intercept` sum to `logit`.

        P0 itself is split: what it was on the day of the last order is the account's frequency, what the
        silence since then added is the pattern of a customer who has stopped.
        """
        parts = np.zeros((len(state.x), len(FACTORS)))
        horizon = self.basis.horizon
        at_last = to_logit(self.basis.bgnbd.p_silent(state.x, state.t_x, state.t_x, horizon))
        now = to_logit(self.basis.bgnbd.p_silent(state.x, state.t_x, state.age, horizon))
        parts[:, FACTORS.index("frequency")] = self.rhythm_weight * at_last
        parts[:, FACTORS.index("pattern")] = self.rhythm_weight * (now - at_last)
        if self.trees is not None and self.tree_weight:
            by_feature = self.trees.contributions(features)
            for column, name in enumerate(NAMES):
                parts[:, FACTORS.index(FACTOR_OF[name])] += self.tree_weight * by_feature[:, column]
        return parts

    def centred(self, features: Matrix, state: RhythmState) -> "FittedModel":
        """The same model, explaining against a customer in good standing: the average of those of these accounts
        that are more likely to stay than to leave.

        Against the average of all, a book with many customers long gone would call a worrying silence good news.
        The starting point has the mean probability of those in good standing; what that differs from their mean
        logit is laid on the factors in proportion to how much each varies.
        """
        parts = self.factor_parts(features, state)
        own = self.intercept + (self.tree_weight * self.trees.intercept if self.trees is not None else 0.0)
        stays = own + parts.sum(axis=1) < 0
        parts = parts[stays] if stays.any() else parts
        centre = parts.mean(axis=0)
        wanted = float(to_logit(expit(own + parts.sum(axis=1)).mean(keepdims=True))[0])
        spread = np.abs(parts - centre).mean(axis=0)
        if spread.sum() > 0:
            centre = centre + (wanted - own - centre.sum()) * spread / spread.sum()
        return replace(self, centre=centre)

    @property
    def full_intercept(self) -> float:
        """Log odds of the account reasons start from: `intercept`, the trees' own, and the centre."""
        own = self.tree_weight * self.trees.intercept if self.trees is not None else 0.0
        return self.intercept + own + float(self.centre.sum())

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
            "tree_weight": self.tree_weight, "features": NAMES, "factors": FACTORS, "summary": self.summary,
        }  # fmt: skip
        arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts, sort_keys=True)), "centre": self.centre}
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
        if facts["format"] != FORMAT or facts["features"] != list(NAMES) or facts["factors"] != list(FACTORS):
            raise ScoringError(
                "The stored model was made by another version of Mainstay; start a new scoring run."
            )
        trees = None
        if "tables" in arrays:
            trees = AdditiveTrees(arrays["edges"], arrays["tables"], float(arrays["tree_intercept"]))
        centre = arrays["centre"]
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
        centre=centre,
        summary=facts["summary"],
    )


assert BINS < 256, "bin codes are bytes"
