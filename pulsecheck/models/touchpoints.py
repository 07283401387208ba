"""How often we look in on a customer, and when next."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Account, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import Stamped


class CadencePolicy(Stamped):
    """A pulse check at least every `every_days` for accounts of a tier (and segment; empty = all segments).
    The most particular policy wins; no policy may exceed a year."""

    tier = models.CharField(max_length=10)
    segment = models.CharField(max_length=100, blank=True, default="")
    every_days = models.PositiveSmallIntegerField()
    is_active = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "cadence policies"
        ordering = ["tier", "segment"]
        constraints = [
            models.UniqueConstraint(fields=["tier", "segment"], name="cadence_once_per_tier_and_segment"),
            models.CheckConstraint(condition=Q(every_days__range=(1, 365)), name="cadence_at_least_yearly"),
        ]

    def __str__(self) -> str:
        return f"{self.tier} {self.segment}: every {self.every_days} days"


class TouchpointState(models.TextChoices):
    PLANNED = "planned", "Planned"
    DONE = "done", "Done"
    SKIPPED = "skipped", "Skipped"
    REPLACED = "replaced", "Replaced by a newer plan"


class Touchpoint(Stamped):
    """A planned contact: who looks in on whom, and by when. An account has one planned touchpoint at a time."""

    derived_rows = models.Q(
        state="planned"
    )  # planned by the cadence; no reason to keep an import that is undone
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="touchpoints")
    assignee = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="touchpoints"
    )
    due_on = models.DateField()
    reason = models.CharField(max_length=300, help_text="Why it is due then, in words.")
    state = models.CharField(max_length=10, choices=TouchpointState.choices, default=TouchpointState.PLANNED)
    snoozed_from = models.DateField(null=True, blank=True)
    finished_on = models.DateField(
        null=True, blank=True, help_text="The day it was done, skipped or replaced."
    )
    note = models.CharField(max_length=300, blank=True, help_text="Why it was skipped or put off.")
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(state="planned"), name="one_planned_touchpoint"
            )
        ]
        indexes = [
            models.Index(fields=["assignee", "due_on"], condition=Q(state="planned"), name="touchpoint_due")
        ]

    def __str__(self) -> str:
        return f"{self.account} by {self.due_on}"
