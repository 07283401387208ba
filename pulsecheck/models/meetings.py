"""Retention meetings: time set aside, again and again, with the people who keep a customer or lead a sales team."""

from __future__ import annotations

import datetime as dt
from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from accounts.models import Account, Role, Team, User
from accounts.models.account import visible_accounts
from accounts.models.fields import Stamped


class Recurrence(models.TextChoices):
    ONCE = "once", "Once"
    FORTNIGHTLY = "fortnightly", "Every two weeks"
    MONTHLY = "monthly", "Every month"
    QUARTERLY = "quarterly", "Every three months"


class MeetingState(models.TextChoices):
    PLANNED = "planned", "Planned"
    HELD = "held", "Held"
    CANCELLED = "cancelled", "Cancelled"


class MeetingQuerySet(models.QuerySet["RetentionMeeting"]):
    def visible_to(self, user: User) -> Self:
        """Meetings about accounts one sees, of one's own team or of teams one manages, and those one leads."""
        if not user.is_active:
            return self.none()
        if user.is_superuser or user.role == Role.ADMINISTRATOR:
            return self
        seen = visible_accounts(user, prefix="account__")
        about = Q(account__isnull=False) if seen is None else Q(account__isnull=False) & seen
        if user.role == Role.MANAGER and not user.managed_team_ids:
            return self.filter(about | Q(team__isnull=False) | Q(chair=user))
        teams = [*user.managed_team_ids, *([user.team_id] if user.team_id else [])]
        return self.filter(about | Q(team__in=teams) | Q(chair=user))

    def planned(self) -> Self:
        return self.filter(state=MeetingState.PLANNED)


class RetentionMeeting(Stamped):
    """About one account (with its retention team) or about all accounts of a sales team; never both.

    The agenda looks at what happened from `covers_from` on. It is made anew whenever a planned meeting is opened, and
    kept as it stood when the meeting was held. `minutes_version` counts what was saved, so that nobody writes over
    somebody else's minutes unseen. A meeting has at most one that follows it.
    """

    account = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.CASCADE, related_name="meetings"
    )
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="meetings")
    chair = models.ForeignKey(User, on_delete=models.PROTECT, related_name="meetings_led")
    held_on = models.DateField(help_text="The day it is planned for, or was held on.")
    covers_from = models.DateField()
    repeats = models.CharField(max_length=12, choices=Recurrence.choices, default=Recurrence.MONTHLY)
    state = models.CharField(max_length=10, choices=MeetingState.choices, default=MeetingState.PLANNED)
    agenda = models.JSONField(default=dict, encoder=DjangoJSONEncoder, help_text="As it stood when held.")
    minutes = models.TextField(blank=True, db_default="", default="")
    minutes_version = models.PositiveIntegerField(default=0, db_default=0)
    attended = models.ManyToManyField(User, blank=True, related_name="meetings_attended")
    follows = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="followed_by"
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = MeetingQuerySet.as_manager()

    class Meta:
        ordering = ["-held_on", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(account__isnull=False, team__isnull=True)
                | Q(account__isnull=True, team__isnull=False),
                name="meeting_of_account_or_team",
            ),
            models.CheckConstraint(
                condition=Q(state="planned", closed_at__isnull=True)
                | ~Q(state="planned") & Q(closed_at__isnull=False),
                name="meeting_closed_when_not_planned",
            ),
            models.UniqueConstraint(
                fields=["account"], condition=Q(state="planned"), name="one_planned_meeting_of_account"
            ),
            models.UniqueConstraint(
                fields=["team"], condition=Q(state="planned"), name="one_planned_meeting_of_team"
            ),
        ]
        indexes = [models.Index(fields=["held_on"], condition=Q(state="planned"), name="meeting_planned")]

    def __str__(self) -> str:
        return f"Retention meeting of {self.subject}"

    @property
    def subject(self) -> str:
        """What it is about, as people call it."""
        return str(self.account) if self.account_id else f"team {self.team}"

    @property
    def is_open(self) -> bool:
        return self.state == MeetingState.PLANNED

    def is_late(self, today: dt.date) -> bool:
        """Its day is over and nobody has said that it was held."""
        return self.is_open and self.held_on < today
