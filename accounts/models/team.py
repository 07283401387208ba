"""How our people look after an account together: handing it over when it is won, swapping roles, and what changes there."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from accounts.models.account import Account, AccountRelatedQuerySet, Contact, MemberRole
from accounts.models.fields import Stamped
from accounts.models.staff import User


class RoleSwap(Stamped):
    """For some time the salesperson looks in on the account, and the account manager talks about what they could buy:
    the customer gets to know both. Who won the account and who manages it does not change."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="role_swaps")
    begins_on = models.DateField()
    ends_on = models.DateField()
    reason = models.CharField(max_length=300)
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-begins_on", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_on__gte=F("begins_on")), name="swap_ends_after_beginning")
        ]

    def __str__(self) -> str:
        return f"{self.account} from {self.begins_on} to {self.ends_on}"


class EventKind(models.TextChoices):
    NEW_MANAGEMENT = "new_management", "New management there"
    NEW_OWNER = "new_owner", "Sold or merged"
    REORGANISED = "reorganised", "Reorganised"
    MOVED = "moved", "Moved or opened a site"
    OTHER = "other", "Something else"


class CustomerEvent(Stamped):
    """Something that changed at the customer and not at ours."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    happened_on = models.DateField()
    note = models.CharField(max_length=300, blank=True)
    noted_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-happened_on", "-pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.account}"


class Handoff(Stamped):
    """What sales tells service when a deal is won, so that the customer need not tell it again. Written by whoever won
    it, read and received by whoever looks after it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="handoffs")
    won_on = models.DateField()
    handed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="handoffs_given")
    handed_to = models.ForeignKey(User, on_delete=models.PROTECT, related_name="handoffs_received")
    bought = models.TextField(help_text="What they bought.")
    why_us = models.TextField(help_text="Why they chose us, and what was wrong before.")
    expects = models.TextField(help_text="What they expect, and by when.")
    people = models.TextField(
        blank=True, default="", help_text="Who decides, who uses it, who was against it."
    )
    watch_out = models.TextField(blank=True, default="", help_text="What could go wrong.")
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    received_at = models.DateTimeField(null=True, blank=True)
    question = models.TextField(blank=True, default="", help_text="What service still wants to know.")

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-won_on", "-pk"]
        indexes = [
            models.Index(fields=["won_on", "id"], name="handoff_by_day"),
            models.Index(
                fields=["handed_to"], condition=Q(received_at__isnull=True), name="handoff_to_receive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account}, won on {self.won_on}"


class OnboardingItem(models.Model):
    """A step that every new customer goes through; the list is copied when a deal is handed over."""

    title = models.CharField(max_length=200)
    role = models.CharField(max_length=20, choices=MemberRole.choices, default=MemberRole.OPERATIONS)
    days_after = models.PositiveSmallIntegerField(help_text="Days after the deal was won.")
    position = models.PositiveSmallIntegerField(default=100)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.title


class StepQuerySet(models.QuerySet["OnboardingStep"]):
    def visible_to(self, user: User) -> models.QuerySet[OnboardingStep]:
        """Seen by whoever sees the account."""
        return self.filter(handoff__in=Handoff.objects.visible_to(user))


class OnboardingStep(Stamped):
    """One step of one new customer."""

    handoff = models.ForeignKey(Handoff, on_delete=models.CASCADE, related_name="steps")
    title = models.CharField(max_length=200)
    role = models.CharField(max_length=20, choices=MemberRole.choices, default=MemberRole.OPERATIONS)
    owner = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="onboarding_steps", db_index=False
    )
    due_on = models.DateField()
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        indexes = [
            models.Index(
                fields=["owner", "due_on"], condition=Q(done_at__isnull=True), name="onboarding_step_to_do"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def account(self) -> Account:
        return self.handoff.account


class Department(models.Model):
    """What a department does for customers, and when to call it: what a new colleague has to know."""

    role = models.CharField(max_length=20, choices=MemberRole.choices, unique=True)
    does = models.TextField(help_text="What it does for a customer.")
    call_when = models.TextField(help_text="When others call it.")
    may_promise = models.TextField(blank=True, help_text="What it may promise, and what not.")
    speaker = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    position = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.get_role_display()
