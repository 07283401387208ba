"""What the factors of the health scorecard weigh, and where scorecard, pulse and model disagree."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Account, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import MoneyField, Stamped
from retention.scoring.health import FACTORS, SHIPPED


class HealthWeights(Stamped):
    """What each factor weighs, per segment (empty = all); only the proportions count. Versioned: rows are added, never
    edited. The newest row of a segment is in force."""

    segment = models.CharField(max_length=100, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    rhythm = models.PositiveSmallIntegerField(default=SHIPPED["rhythm"])
    frequency = models.PositiveSmallIntegerField(default=SHIPPED["frequency"])
    spend = models.PositiveSmallIntegerField(default=SHIPPED["spend"])
    delivery = models.PositiveSmallIntegerField(default=SHIPPED["delivery"])
    service = models.PositiveSmallIntegerField(default=SHIPPED["service"])
    relationship = models.PositiveSmallIntegerField(default=SHIPPED["relationship"])
    pulse = models.PositiveSmallIntegerField(default=SHIPPED["pulse"])
    promises = models.PositiveSmallIntegerField(default=SHIPPED["promises"])
    stability = models.PositiveSmallIntegerField(default=SHIPPED["stability"])
    follows_all = models.BooleanField(
        default=False, help_text="From this version on the segment has the weights of all segments."
    )
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        verbose_name_plural = "health weights"
        ordering = ["segment", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["segment", "version"], name="health_weights_version_once"),
            models.CheckConstraint(
                condition=Q(*((f"{name}__gt", 0) for name in FACTORS), _connector=Q.OR),
                name="health_weights_not_all_0",
            ),
            models.CheckConstraint(
                condition=Q(*((f"{name}__lte", 100) for name in FACTORS)), name="health_weights_at_most_100"
            ),
            models.CheckConstraint(
                condition=~Q(segment="", follows_all=True), name="health_weights_of_all_stand"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment or 'All segments'}, version {self.version}"

    @property
    def by_factor(self) -> dict[str, int]:
        """Factor -> weight."""
        return {name: getattr(self, name) for name in FACTORS}


class Stance(models.TextChoices):
    """What one of the three says of an account."""

    LEAVING = "leaving", "Leaving"
    STAYING = "staying", "Staying"
    SILENT = "", "Does not say"


class Verdict(models.TextChoices):
    MODEL = "model", "The model"
    SCORECARD = "scorecard", "The scorecard"
    PULSE = "pulse", "The pulse"
    CANNOT_TELL = "cannot_tell", "Cannot tell"


class DisagreementQuerySet(AccountRelatedQuerySet):
    def to_settle(self) -> DisagreementQuerySet:
        """Those that still stand, and that nobody has judged."""
        return self.filter(verdict="", ended_on__isnull=True, has_left__isnull=True)


class Disagreement(Stamped):
    """Model, scorecard and last pulse said different things of one account at the end of `as_of`.

    A person says who is right; `has_left` is what really happened within `horizon_days`. Until that is known there
    is no second one for the account. The three `..._says` keep what spoke for each side then.
    """

    derived_rows = Q(verdict="")  # found again every night; what a person judged is kept
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="disagreements")
    as_of = models.DateField()
    horizon_days = models.PositiveIntegerField()
    churn_probability = models.FloatField()
    health_score = models.SmallIntegerField(null=True)
    pulse_score = models.PositiveSmallIntegerField(null=True)
    model_stance = models.CharField(max_length=8, choices=Stance.choices, blank=True)
    scorecard_stance = models.CharField(max_length=8, choices=Stance.choices, blank=True)
    pulse_stance = models.CharField(max_length=8, choices=Stance.choices, blank=True)
    value = MoneyField(default=0, help_text="What the account buys in a year, in the company's currency.")
    model_says = models.CharField(max_length=500, blank=True)
    scorecard_says = models.CharField(max_length=500, blank=True)
    pulse_says = models.CharField(max_length=500, blank=True)
    ended_on = models.DateField(null=True, help_text="As of this day they no longer disagreed.")
    verdict = models.CharField(max_length=12, choices=Verdict.choices, blank=True)
    note = models.CharField(max_length=500, blank=True)
    settled_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    settled_at = models.DateTimeField(null=True, blank=True)
    has_left = models.BooleanField(null=True, help_text="Known once the horizon is over.")

    objects = DisagreementQuerySet.as_manager()

    class Meta:
        ordering = ["-value", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(has_left__isnull=True), name="one_disagreement_until_known"
            ),
            models.CheckConstraint(
                condition=Q(verdict="", settled_at__isnull=True)
                | ~Q(verdict="") & Q(settled_at__isnull=False),
                name="disagreement_settled_with_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} on {self.as_of}"
