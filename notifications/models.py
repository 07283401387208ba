"""Messages to people: what is to be sent (outbox), what they see (inbox), and what they want."""

from __future__ import annotations

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, User
from accounts.models.fields import Stamped


class Topic(models.TextChoices):
    HANDBACK = "handback", "An account is handed back to you"
    ESCALATION = "escalation", "A handback in your team is overdue"
    PULSE_DUE = "pulse_due", "A pulse check is due"
    ISSUE = "issue", "An issue is yours"
    SURVEY = "survey", "A customer answered a survey"
    ACTION = "action", "A retention meeting or an action is yours"
    THANKS = "thanks", "Somebody thanks you"
    IMPORT = "import", "An import has finished"
    DIGEST = "digest", "What changed since yesterday"
    MODEL = "model", "The score needs a look"
    SYSTEM = "system", "Something needs an administrator"


class Channel(models.TextChoices):
    INBOX = "inbox", "In Mainstay"
    EMAIL = "email", "E-mail"


class Preference(Stamped):
    """Whether a person wants a topic on a channel; no row = the default (inbox: all, e-mail: handbacks, escalations, digest)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="preferences")
    topic = models.CharField(max_length=20, choices=Topic.choices)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    is_wanted = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "topic", "channel"], name="preference_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.topic} by {self.channel}"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def visible_to(self, user: User) -> Self:
        """One's own, nobody else's."""
        return self.filter(user=user)

    def unread(self) -> Self:
        return self.filter(read_at__isnull=True)


class Notification(Stamped):
    """A message in a person's inbox. `path` is where it leads, within Mainstay."""

    derived_rows = models.Q(pk__isnull=False)  # no reason to keep an import that is undone
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    topic = models.CharField(max_length=20, choices=Topic.choices)
    account = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.CASCADE, related_name="notifications"
    )
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    path = models.CharField(max_length=300, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    dedupe_key = models.CharField(
        max_length=200, blank=True, default="", help_text="Said once per person and key."
    )
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "dedupe_key"], condition=~Q(dedupe_key=""), name="notification_once_per_key"
            )
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="notification_by_user"),
            models.Index(fields=["user"], condition=Q(read_at__isnull=True), name="notification_unread"),
        ]

    def __str__(self) -> str:
        return self.title


class OutboxState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Given up"


class OutboxMessage(Stamped):
    """An e-mail to be sent, written in the transaction that caused it. `dedupe_key` makes sure it is written once."""

    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    topic = models.CharField(max_length=20, choices=Topic.choices)
    to_address = models.EmailField()
    reply_to = models.EmailField(
        blank=True, db_default="", help_text="Who of ours gets the answer to a mail that goes to a customer."
    )
    subject = models.CharField(max_length=200)
    body = models.TextField()
    dedupe_key = models.CharField(max_length=200, unique=True)
    state = models.CharField(max_length=10, choices=OutboxState.choices, default=OutboxState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="outbox_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.to_address}"


class EventKind(models.TextChoices):
    """What other programs can be told of."""

    AT_RISK = "account.at_risk", "An account became at risk"
    TIER_CHANGED = "account.tier_changed", "The tier of an account changed"
    HANDBACK_OPENED = "handback.opened", "A handback was opened"
    HANDBACK_CLOSED = "handback.closed", "A handback was closed"
    PULSE_LOGGED = "pulse.logged", "A pulse check was logged"
    SCORES_PUBLISHED = "scores.published", "New scores were published"
    TEST = "webhook.test", "A test, sent from the settings"


class WebhookSubscription(Stamped):
    """An address of another program that is told of events. Its secret, with which calls are signed, is kept encrypted and
    shown once; after a change the one before signs along for a day."""

    name = models.CharField(max_length=80, help_text="Which program it is.")
    url = models.CharField(max_length=500)
    events = ArrayField(models.CharField(max_length=40, choices=EventKind.choices))
    sealed_credentials = models.TextField()
    previous_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then the old secret signs too."
    )
    hint = models.CharField(max_length=4, help_text="The last four characters of the secret.")
    is_active = models.BooleanField(default=True)
    disabled_because = models.CharField(max_length=300, blank=True, default="")
    failing_since = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class WebhookEvent(models.Model):
    """Something that happened, written in the transaction in which it did; `uid` tells a repetition from a new one."""

    derived_rows = Q(pk__isnull=False)
    uid = models.UUIDField(default=uuid.uuid4, unique=True)
    kind = models.CharField(max_length=40, choices=EventKind.choices)
    account = models.ForeignKey(Account, null=True, on_delete=models.CASCADE, related_name="+")
    data = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.uid}"


class WebhookDelivery(Stamped):
    """One event on its way to one address. Of one account the next waits until the one before has arrived or was given up."""

    derived_rows = Q(pk__isnull=False)
    subscription = models.ForeignKey(
        WebhookSubscription, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, related_name="deliveries")
    account = models.ForeignKey(Account, null=True, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=OutboxState.choices, default=OutboxState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["subscription", "event"], name="delivery_once_per_event")
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"], condition=Q(state="waiting"), name="delivery_waiting"
            ),
            models.Index(
                fields=["subscription", "account", "id"],
                condition=Q(state="waiting"),
                name="delivery_in_turn",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.subscription}"
