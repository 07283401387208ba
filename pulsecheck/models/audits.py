"""A random sample of the accounts we believe healthy, drawn each week and asked: how often are we wrong?"""

from __future__ import annotations

import datetime as dt
from typing import Self

from django.db import models
from django.db.models import Q

from accounts.models import Account, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import Stamped
from pulsecheck.models.pulses import PulseCheck

PER_WEEK = 10


class AuditSettings(models.Model):
    """How many accounts are drawn each week; one row, and `PER_WEEK` until there is one."""

    per_week = models.PositiveSmallIntegerField(default=PER_WEEK)

    class Meta:
        verbose_name_plural = "audit settings"
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="audit_settings_are_one_row"),
            models.CheckConstraint(condition=Q(per_week__range=(0, 200)), name="audit_per_week_0_to_200"),
        ]

    def __str__(self) -> str:
        return f"{self.per_week} a week"


class AuditWeek(Stamped):
    """One draw: of `healthy` accounts (scored thriving or steady at the end of `as_of`) `drawn` were taken. With the seed and
    the same accounts anybody can draw the same ones again."""

    week_of = models.DateField(unique=True, help_text="Its Monday.")
    as_of = models.DateField()
    healthy = models.PositiveIntegerField()
    drawn = models.PositiveIntegerField()
    seed = models.CharField(max_length=64)
    is_sample = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["-week_of"]
        constraints = [
            models.CheckConstraint(
                condition=Q(drawn__lte=models.F("healthy")), name="audit_draws_from_healthy"
            )
        ]

    def __str__(self) -> str:
        return f"Week of {self.week_of}"


class AuditPickQuerySet(AccountRelatedQuerySet):
    def open_on(self, day: dt.date) -> Self:
        """Not asked yet, and still counting when asked."""
        return self.filter(pulse=None, closes_on__gte=day)


class AuditPick(Stamped):
    """An account that was drawn; `pulse` is what it said when asked. After `closes_on` it counts as not asked, so
    that nobody can wait for a better moment."""

    week = models.ForeignKey(AuditWeek, on_delete=models.CASCADE, related_name="picks")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="audit_picks")
    assignee = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="audit_picks"
    )
    due_on = models.DateField()
    closes_on = models.DateField()
    tier = models.CharField(max_length=10, help_text="When it was drawn.")
    churn_probability = models.FloatField(null=True, blank=True, help_text="When it was drawn, 0 to 1.")
    pulse = models.ForeignKey(
        PulseCheck, null=True, blank=True, on_delete=models.SET_NULL, related_name="audit_picks"
    )
    is_sample = models.BooleanField(default=False, db_default=False)

    derived_rows = Q(pk__isnull=False)  # drawn by Mainstay: no reason to keep an import that is undone
    objects = AuditPickQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["week", "account"], name="audit_pick_once_a_week"),
            models.CheckConstraint(
                condition=Q(closes_on__gte=models.F("due_on")), name="audit_closes_after_due"
            ),
        ]
        indexes = [
            models.Index(fields=["assignee", "due_on"], condition=Q(pulse=None), name="audit_pick_to_ask")
        ]

    def __str__(self) -> str:
        return f"{self.account} drawn in the {self.week}"
