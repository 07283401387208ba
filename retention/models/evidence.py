"""How good the score is, kept with every run: looked back, matured, and what has moved since; and which model is
used until somebody says otherwise."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from accounts.models import User
from accounts.models.fields import Stamped
from retention.models.scores import Clock, FittedModel, ScoreRun, Stage


class RunEvidence(Stamped):
    """The look back that follows a published run. A run published anew is looked at anew."""

    run = models.OneToOneField(ScoreRun, on_delete=models.CASCADE, related_name="evidence")
    publication = models.DateTimeField(null=True, help_text="Which publication of the run it is about.")
    attempts = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    message = models.TextField(blank=True, help_text="Why there is nothing to look back on.")
    facts = models.JSONField(
        default=dict, help_text="Customers, repeat buyers, days of history, calls a day."
    )
    factors = models.JSONField(default=dict, help_text="Factor -> share of what moves the scores.")
    inputs_since = models.DateField(null=True, help_text="The day the inputs are compared with.")
    inputs = models.JSONField(default=list, help_text="How far each input has moved, most first.")
    late_records = models.PositiveBigIntegerField(
        default=0, help_text="Records dated by the run's day that arrived after it was published."
    )

    class Meta:
        verbose_name_plural = "run evidence"

    def __str__(self) -> str:
        return f"evidence of the {self.run}"


class Judged(Stamped):
    """Probabilities of one day against what happened in the horizon after it.

    `figures` are by contender (model, bgnbd, recency, previous), `calibration` a list of {said, happened,
    customers}, `at_capacity` as `retention.scoring.backtest.Capacity` says it.
    """

    horizon_days = models.PositiveIntegerField()
    customers = models.PositiveBigIntegerField()
    churn_rate = models.FloatField()
    stage = models.CharField(max_length=10, choices=Stage.choices)
    has_signal = models.BooleanField(default=True)
    figures = models.JSONField(default=dict)
    calibration = models.JSONField(default=list)
    at_capacity = models.JSONField(default=dict)
    ece_by_chance = models.FloatField(default=0.0)

    class Meta:
        abstract = True


class BacktestCutoff(Judged):
    """The engine of a run put back to `cutoff_on`: fitted on what was known by then, judged on what came."""

    run = models.ForeignKey(ScoreRun, on_delete=models.CASCADE, related_name="cutoffs")
    cutoff_on = models.DateField()
    previous_is = models.CharField(max_length=10, blank=True, help_text="stored, recipe, or none")
    previous_as_of = models.DateField(null=True)
    lead_time = models.JSONField(null=True)
    missed = models.JSONField(default=dict, help_text="Who left with a low probability; the largest by id.")

    class Meta:
        ordering = ["run", "-cutoff_on"]
        constraints = [models.UniqueConstraint(fields=["run", "cutoff_on"], name="cutoff_once_per_run")]

    def __str__(self) -> str:
        return f"look back from {self.run.as_of} to {self.cutoff_on}"


class MaturedRun(Judged):
    """The scores of an earlier run, as they stood, once its horizon has passed."""

    run = models.OneToOneField(ScoreRun, on_delete=models.CASCADE, related_name="matured")
    publication = models.DateTimeField(null=True)
    is_afterwards = models.BooleanField(
        default=False,
        help_text="Worked out when the outcome could have been known; a look back, no prediction.",
    )

    class Meta:
        ordering = ["-run__as_of"]

    def __str__(self) -> str:
        return f"what came of the {self.run}"


class FlagKind(models.TextChoices):
    CALIBRATION = "calibration", "Said and happened differ"
    INPUT = "input", "An input has moved"


class ModelFlagQuerySet(models.QuerySet["ModelFlag"]):
    def raised(self) -> Self:
        """Those that stand now."""
        return self.filter(cleared_on__isnull=True)


class ModelFlag(Stamped):
    """Something about the score that needs a look, from the run that found it to the run that found it gone."""

    kind = models.CharField(max_length=20, choices=FlagKind.choices)
    subject = models.CharField(
        max_length=60, help_text="What was off: backtest, matured, or the name of an input."
    )
    value = models.FloatField()
    by_chance = models.FloatField(default=0.0, help_text="What chance alone may bring about.")
    raised_on = models.DateField()
    cleared_on = models.DateField(null=True, blank=True)

    objects = ModelFlagQuerySet.as_manager()

    class Meta:
        ordering = ["kind", "-value"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(cleared_on__isnull=True), name="flag_raised_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.value:.2f}"

    @property
    def may_be_chance(self) -> bool:
        return self.value <= self.by_chance


class ModelPinQuerySet(models.QuerySet["ModelPin"]):
    def in_force(self) -> Self:
        """Those that hold now."""
        return self.filter(released_at__isnull=True)


class ModelPin(Stamped):
    """An administrator's word to use this fitted model until released: at most one at a time for each clock."""

    model = models.ForeignKey(FittedModel, on_delete=models.CASCADE, related_name="pins")
    clock = models.CharField(max_length=10, choices=Clock.choices, default=Clock.REPEAT)
    reason = models.TextField()
    pinned_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    objects = ModelPinQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["clock"], condition=Q(released_at__isnull=True), name="one_pinned_model_per_clock"
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} pinned"
