"""What the engine found: runs, fitted models, scores; what leaving means here; figures kept for the pages."""

from retention.models.definitions import Definition, TierPolicy
from retention.models.evidence import BacktestCutoff, MaturedRun, ModelFlag, ModelPin, RunEvidence
from retention.models.health import Disagreement, HealthWeights
from retention.models.jobs import JobRun
from retention.models.kpis import KpiEvidence, KpiValue
from retention.models.scores import FittedModel, Score, ScoreChunk, ScoreRun, Tier

__all__ = [
    "BacktestCutoff",
    "Definition",
    "Disagreement",
    "FittedModel",
    "HealthWeights",
    "JobRun",
    "KpiEvidence",
    "KpiValue",
    "MaturedRun",
    "ModelFlag",
    "ModelPin",
    "RunEvidence",
    "Score",
    "ScoreChunk",
    "ScoreRun",
    "Tier",
    "TierPolicy",
]
