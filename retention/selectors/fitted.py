"""Fitted models as the engine applies them, kept in the memory of each process."""

from __future__ import annotations

import functools

from retention.models import FittedModel, ScoreRun
from retention.scoring import models as engine
from retention.scoring.errors import ScoringError

KEPT = 8  # a page compares two; a model is about a megabyte


def fitted_model(version: str) -> engine.FittedModel | None:
    """The stored model of this version; None when it is not stored any more, or made by another version of the engine
    and cannot be read: its scores stay, but nothing can be scored with it again."""
    try:
        return _read(version)
    except (FittedModel.DoesNotExist, ScoringError):
        return None


@functools.lru_cache(maxsize=KEPT)
def _read(version: str) -> engine.FittedModel:
    """A version is the hash of its model, so what is kept never goes stale."""
    payload = FittedModel.objects.values_list("payload", flat=True).get(version=version)
    return engine.model_from_bytes(bytes(payload))


def model_of(run: ScoreRun) -> engine.FittedModel | None:
    """The run's model; None when it has none that can be read."""
    if run.model_id is None:
        return None
    return fitted_model(FittedModel.objects.values_list("version", flat=True).get(pk=run.model_id))
