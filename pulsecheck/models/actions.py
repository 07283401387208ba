"""What somebody of ours has agreed to do by a day."""

from __future__ import annotations

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q

from accounts.models import Account, Role, User
from accounts.models.account import visible_accounts
from accounts.models.fields import Stamped
from pulsecheck.models.meetings import RetentionMeeting


class FollowUp(models.TextChoices):
    BETTER = "better", "It is better"
    SAME = "same", "No change"
    CANNOT_TELL = "cannot_tell", "Cannot tell yet"


class ActionQuerySet(models.QuerySet["Action"]):
    def visible_to(self, user: User) -> Self:
        """One's own, those about accounts one sees or from meetings one sees, and whatever improves our own company."""
        if not user.is_active:
            return self.none()
        if user.is_superuser or user.role == Role.ADMINISTRATOR:
            return self
        mine = Q(owner=user) | Q(asked_by=user) | ~Q(cause="")
        seen = visible_accounts(user, prefix="account__")
        about = Q(account__isnull=False) if seen is None else Q(account__isnull=False) & seen
        meetings = RetentionMeeting.objects.visible_to(user).order_by()
        return self.filter(mine | about | Q(account=None, meeting__in=meetings.values("pk")))

    def unfinished(self) -> Self:
        return self.filter(done_at=None)


class Action(Stamped):
    """Agreed at a retention meeting, or because of a spike in the collective pulse: then `cause` says which ("delivery
    region North 2026-10"), `finding` keeps what was measured, and on `follow_up_on` somebody looks whether it helped.
    """

    text = models.CharField(max_length=500)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="actions")
    due_on = models.DateField()
    asked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    meeting = models.ForeignKey(
        RetentionMeeting, null=True, blank=True, on_delete=models.SET_NULL, related_name="actions"
    )
    account = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.CASCADE, related_name="actions"
    )
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    cause = models.CharField(max_length=200, blank=True, db_default="", default="")
    finding = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    follow_up_on = models.DateField(null=True, blank=True)
    follow_up = models.CharField(
        max_length=12, choices=FollowUp.choices, blank=True, db_default="", default=""
    )
    follow_up_note = models.CharField(max_length=500, blank=True, db_default="", default="")
    followed_up_at = models.DateTimeField(null=True, blank=True)
    submission = models.UUIDField(
        null=True, unique=True, editable=False, help_text="Of the form, so that sending it twice counts once."
    )
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = ActionQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="action_says_what"),
            models.CheckConstraint(
                condition=Q(cause="") | Q(follow_up_on__isnull=False), name="improvement_is_followed_up"
            ),
            models.CheckConstraint(
                condition=Q(follow_up_on__isnull=True) | Q(follow_up_on__gte=F("due_on")),
                name="followed_up_after_it_is_due",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "due_on"], condition=Q(done_at=None), name="action_due"),
            models.Index(fields=["due_on", "id"], condition=Q(done_at=None), name="action_due_all"),
            models.Index(fields=["-due_on", "-id"], condition=~Q(done_at=None), name="action_done_all"),
            models.Index(fields=["cause"], condition=~Q(cause=""), name="action_by_cause"),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def is_improvement(self) -> bool:
        """Whether it mends something of our own company."""
        return bool(self.cause)
