"""Going back to a model that was fitted earlier, and on to fresh ones again."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services.audit import write_audit
from retention.models import FittedModel, ModelPin
from retention.models.scores import Clock
from retention.scoring.errors import ScoringError
from retention.scoring.models import model_from_bytes


def pin_model(by: User, model: FittedModel, reason: str) -> ModelPin:
    """From the next run on use `model` instead of fitting one, until it is released; replaces an earlier pin.

    Raises ScoringError where this version of Mainstay cannot read it.
    """
    model_from_bytes(bytes(model.payload))
    with transaction.atomic():
        _release(by, model.clock)
        pin = ModelPin.objects.create(model=model, clock=model.clock, reason=reason.strip(), pinned_by=by)
        write_audit(by, "pin_model", model, version=model.version, reason=pin.reason)
    return pin


def release_model(by: User, clock: str = Clock.REPEAT) -> bool:
    """Fit a fresh model with every run again; False when none was pinned."""
    with transaction.atomic():
        return _release(by, clock)


def _release(by: User, clock: str) -> bool:
    pin = ModelPin.objects.in_force().select_for_update(of=("self",)).filter(clock=clock).first()
    if pin is None:
        return False
    pin.released_at, pin.released_by = timezone.now(), by
    pin.save(update_fields=["released_at", "released_by", "updated_at"])
    write_audit(by, "release_model", pin.model, version=pin.model.version, reason=pin.reason)
    return True


def pinned_model(as_of: dt.date, horizon: int) -> FittedModel | None:
    """The model that a run of this day must use; None when a fresh one is to be fitted. `horizon` 0 = any.

    Raises
    ------
    ScoringError
        The pinned model knows what came after that day, predicts over another horizon, or cannot be read.
    """
    pin = ModelPin.objects.in_force().filter(clock=Clock.REPEAT).select_related("model").first()
    if pin is None:
        return None
    model, release = pin.model, "release it on the Model page"
    if as_of < model.as_of:
        raise ScoringError(
            f"The pinned model {model.version} was fitted on orders up to {model.as_of}: {release},"
            f" or choose that day or a later one instead of {as_of}."
        )
    if horizon not in (0, model.horizon_days):
        raise ScoringError(
            f"The pinned model {model.version} looks {model.horizon_days} days ahead, not {horizon}: {release},"
            " or leave the horizon to it."
        )
    model_from_bytes(bytes(model.payload))
    return model
