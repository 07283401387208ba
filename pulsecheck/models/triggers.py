"""What may open a handback, how right each trigger has to be, and how many handbacks a person gets."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from accounts.models import User
from accounts.models.fields import Stamped
from pulsecheck.models.handbacks import HandbackTrigger


class TriggerRule(Stamped):
    """Whether a trigger may speak, and how often it must be right. Right = its handbacks that were closed as saved or lost,
    as a share of those closed at all; a false alarm is wrong. Below `least_precision` with `least_judged` closed it mutes itself
    (`muted_at`); whoever lets it speak again starts the count anew (`measured_from`)."""

    trigger = models.CharField(max_length=10, choices=HandbackTrigger.choices, unique=True)
    is_on = models.BooleanField(default=True, help_text="A person lets it speak.")
    threshold = models.PositiveSmallIntegerField(null=True, blank=True)
    least_precision = models.DecimalField(
        max_digits=3,
        decimal_places=2,
        default=Decimal("0.30"),
        validators=[MinValueValidator(0), MaxValueValidator(1)],
    )
    least_judged = models.PositiveSmallIntegerField(default=20, validators=[MinValueValidator(5)])
    muted_at = models.DateTimeField(null=True, blank=True)
    muted_because = models.CharField(max_length=200, blank=True)
    measured_from = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(least_precision__range=(0, 1)), name="trigger_precision_is_a_share"
            ),
            models.CheckConstraint(condition=Q(least_judged__gte=5), name="trigger_judged_by_five_at_least"),
        ]

    def __str__(self) -> str:
        return self.get_trigger_display()

    @property
    def may_speak(self) -> bool:
        """Switched on by people, and not muted by its own record."""
        return self.is_on and self.muted_at is None


class HandbackPolicy(models.Model):
    """When people work and how long they have to answer; one row. Hours are office hours."""

    opens_at = models.TimeField(default=dt.time(9))
    closes_at = models.TimeField(default=dt.time(17))
    answer_hours = models.PositiveSmallIntegerField(default=16, validators=[MinValueValidator(1)])
    pass_on_hours = models.PositiveSmallIntegerField(default=8, validators=[MinValueValidator(1)])
    days_waiting = models.PositiveSmallIntegerField(default=5, validators=[MinValueValidator(1)])

    class Meta:
        verbose_name_plural = "handback policy"
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="handback_policy_is_one_row"),
            models.CheckConstraint(
                condition=Q(closes_at__gt=F("opens_at")), name="office_closes_after_it_opens"
            ),
            models.CheckConstraint(
                condition=Q(answer_hours__gte=1, pass_on_hours__gte=1, days_waiting__gte=1),
                name="handback_policy_gives_time",
            ),
        ]

    def __str__(self) -> str:
        return f"answer within {self.answer_hours} office hours"


class AlertBudget(Stamped):
    """Handbacks a person may get from runs in a day, where that is not their calls in a day; 0 = none."""

    person = models.OneToOneField(User, on_delete=models.CASCADE, related_name="alert_budget")
    per_day = models.PositiveSmallIntegerField(validators=[MaxValueValidator(100)])

    class Meta:
        ordering = ["person"]
        constraints = [models.CheckConstraint(condition=Q(per_day__lte=100), name="alert_budget_sane")]

    def __str__(self) -> str:
        return f"{self.person}: {self.per_day} a day"
