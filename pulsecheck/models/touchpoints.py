"""How often we look in on a customer, and when next."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Account, User
from accounts.models.account import AccountRelatedQuerySet, BillingMode
from accounts.models.fields import MoneyField, Stamped


class CadencePolicy(Stamped):
    """A pulse check at least every `every_days` for accounts of a tier, narrowed by segment and billing mode (empty =
    all) and by what twelve months are expected to bring in the company's currency (0 = all). The most particular policy
    wins; no policy may exceed a year."""

    tier = models.CharField(max_length=10)
    segment = models.CharField(max_length=100, blank=True, default="")
    billing_mode = models.CharField(
        max_length=10, choices=BillingMode.choices, blank=True, default="", db_default=""
    )
    value_from = MoneyField(default=0, db_default=0)
    every_days = models.PositiveSmallIntegerField()
    is_active = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "cadence policies"
        ordering = ["tier", "segment"]
        constraints = [
            models.UniqueConstraint(
                fields=["tier", "segment", "billing_mode", "value_from"], name="cadence_once_per_condition"
            ),
            models.CheckConstraint(condition=Q(value_from__gte=0), name="cadence_value_not_negative"),
            models.CheckConstraint(condition=Q(every_days__range=(1, 365)), name="cadence_at_least_yearly"),
        ]

    def __str__(self) -> str:
        return f"{self.tier} {self.segment}: every {self.every_days} days"


class OccasionKind(models.TextChoices):
    ONBOARDING = "onboarding", "After becoming a customer"
    RENEWAL = "renewal", "Before a contract ends, and before notice has to be given"


class ContactOccasion(models.Model):
    """A contact due so many days after somebody became a customer, or before a contract ends or can last be cancelled."""

    kind = models.CharField(max_length=10, choices=OccasionKind.choices)
    days = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["kind", "days"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "days"], name="occasion_once"),
            models.CheckConstraint(condition=Q(days__range=(1, 365)), name="occasion_within_a_year"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.days} days"


class TouchpointKind(models.TextChoices):
    REGULAR = "regular", "Regular"
    YEARLY = "yearly", "Yearly"
    ONBOARDING = "onboarding", "Onboarding"
    RENEWAL = "renewal", "Renewal"


class TouchpointState(models.TextChoices):
    PLANNED = "planned", "Planned"
    DONE = "done", "Done"
    SKIPPED = "skipped", "Skipped"
    REPLACED = "replaced", "Replaced by a newer plan"


class Touchpoint(Stamped):
    """A planned contact: who looks in on whom, and by when. An account has one planned touchpoint at a time: the one
    that is due first, whether by its rhythm, for onboarding or before a renewal."""

    derived_rows = models.Q(
        state="planned"
    )  # planned by the cadence; no reason to keep an import that is undone
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="touchpoints")
    assignee = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="touchpoints"
    )
    due_on = models.DateField()
    kind = models.CharField(
        max_length=10,
        choices=TouchpointKind.choices,
        default=TouchpointKind.REGULAR,
        db_default=TouchpointKind.REGULAR,
    )
    reason = models.CharField(max_length=300, help_text="Why it is due then, in words.")
    wanted_on = models.DateField(null=True, blank=True, help_text="The day the cadence asks for.")
    moved_because = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="Why it is planned on another day than that.",
    )
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
            models.Index(fields=["updated_at", "id"], name="touchpoint_by_change"),
            models.Index(fields=["assignee", "due_on"], condition=Q(state="planned"), name="touchpoint_due"),
            models.Index(fields=["due_on", "id"], condition=Q(state="planned"), name="touchpoint_due_all"),
        ]

    def __str__(self) -> str:
        return f"{self.account} by {self.due_on}"


class CalendarFeed(models.Model):
    """The secret address under which a calendar program reads one person's contacts, until it is revoked. Only a hash
    of the secret is kept."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="calendar_feed")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True, help_text="When it was last asked for.")

    def __str__(self) -> str:
        return f"Calendar of {self.user}"
