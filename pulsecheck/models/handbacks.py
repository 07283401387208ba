"""An account at risk, given back to the salesperson who won it: one episode from opening to outcome."""

from __future__ import annotations

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q

from accounts.models import Account, ChurnReason, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import CurrencyField, MoneyField, Stamped


class HandbackTrigger(models.TextChoices):
    AT_RISK = "at_risk", "At risk"
    QUIET = "quiet", "Quiet beyond its own rhythm"
    RENEWAL = "renewal", "Renewal near"
    PULSE = "pulse", "Poor pulse"
    PROMISE = "promise", "Promise broken"
    MANUAL = "manual", "Asked for by a person"


class HandbackState(models.TextChoices):
    OPEN = "open", "Waiting for an answer"
    ACCEPTED = "accepted", "Accepted"
    CLOSED = "closed", "Closed"


class HandbackOutcome(models.TextChoices):
    SAVED = "saved", "Saved"
    LOST = "lost", "Lost"
    FALSE_ALARM = "false_alarm", "False alarm"


UNFINISHED = (HandbackState.OPEN, HandbackState.ACCEPTED)


class HandbackQuerySet(AccountRelatedQuerySet):
    def visible_to(self, user: User) -> Self:
        """Whoever sees the account, and the person it was handed to."""
        return (super().visible_to(user) | self.filter(salesperson=user)) if user.is_active else self.none()

    def unfinished(self) -> Self:
        return self.filter(state__in=UNFINISHED)


class Handback(Stamped):
    """`salesperson` has the episode now: first the one who won the account, else the fallback that `assigned_because`
    names. `risk` keeps what was known when it was opened (probability, reasons, money), whatever later runs say.
    `trigger` opened it; every trigger that has spoken since has a HandbackReason. The answer is due at `due_at`, counted in
    office hours; rows from before that was counted have until the end of `due_on`."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="handbacks")
    salesperson = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="handbacks"
    )
    assigned_because = models.CharField(max_length=200)
    trigger = models.CharField(max_length=10, choices=HandbackTrigger.choices)
    state = models.CharField(max_length=10, choices=HandbackState.choices, default=HandbackState.OPEN)
    risk = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    revenue_at_risk = MoneyField(default=0)
    currency = CurrencyField()
    opened_at = models.DateTimeField()
    opened_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    due_on = models.DateField(help_text="Answer by this day.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="Answer by this moment.")
    accepted_at = models.DateTimeField(null=True, blank=True)
    escalated_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=12, choices=HandbackOutcome.choices, blank=True)
    churn_reason = models.ForeignKey(
        ChurnReason, null=True, blank=True, on_delete=models.PROTECT, related_name="handbacks"
    )
    closing_note = models.TextField(blank=True)
    counter_signer = models.ForeignKey(
        User,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="to_counter_sign",
        help_text="The other owner, where a loss lay on both sides.",
    )
    counter_signed_at = models.DateTimeField(null=True, blank=True)
    counter_agrees = models.BooleanField(null=True, blank=True)
    counter_note = models.CharField(max_length=500, blank=True, db_default="")
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = HandbackQuerySet.as_manager()

    class Meta:
        ordering = ["-revenue_at_risk", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(state__in=["open", "accepted"]),
                name="one_unfinished_handback",
            ),
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="closed") & Q(outcome="", closed_at__isnull=True),
                name="handback_closed_with_outcome",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="lost") | Q(churn_reason__isnull=False), name="lost_handback_has_reason"
            ),
            models.CheckConstraint(
                condition=Q(counter_signed_at__isnull=True, counter_agrees__isnull=True)
                | Q(counter_signed_at__isnull=False, counter_agrees__isnull=False, state="closed"),
                name="handback_counter_signed_with_answer",
            ),
        ]
        indexes = [
            models.Index(
                fields=["salesperson", "due_on"],
                condition=Q(state__in=["open", "accepted"]),
                name="handback_due",
            ),
            models.Index(fields=["updated_at", "id"], name="handback_by_change"),
            models.Index(
                fields=["-closed_at", "-id"], condition=Q(state="closed"), name="handback_newest_closed"
            ),
            models.Index(
                F("closed_at").desc(nulls_last=True),
                F("revenue_at_risk").desc(),
                "id",
                condition=~Q(outcome="false_alarm"),
                name="handback_lately_closed",
            ),
            models.Index(
                fields=["counter_signer"],
                condition=Q(counter_signer__isnull=False, counter_signed_at__isnull=True),
                name="handback_to_counter_sign",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} back to {self.salesperson or 'nobody yet'}"


class HandbackReason(models.Model):
    """One trigger that speaks for an episode: the first opened it, later ones joined it, each once. What it said at the
    time is kept, so that it can be seen how often each trigger is right."""

    handback = models.ForeignKey(Handback, on_delete=models.CASCADE, related_name="reasons", db_index=False)
    trigger = models.CharField(max_length=10, choices=HandbackTrigger.choices)
    sentence = models.CharField(max_length=300, blank=True)
    noted_at = models.DateTimeField()

    class Meta:
        ordering = ["noted_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["handback", "trigger"], name="trigger_once_per_handback")
        ]
        indexes = [models.Index(fields=["trigger", "handback"], name="reason_by_trigger")]

    def __str__(self) -> str:
        return f"{self.get_trigger_display()}: {self.sentence}"


class AttemptKind(models.TextChoices):
    CALL = "call", "Call"
    EMAIL = "email", "E-mail"
    MEETING = "meeting", "Meeting"
    DECLINE = "decline", "Declined"
    REASSIGN = "reassign", "Reassigned"
    ESCALATE = "escalate", "Escalated"
    PASS_ON = "pass_on", "Passed on"


# Kinds that are a try to reach the customer.
TALKS = (AttemptKind.CALL, AttemptKind.EMAIL, AttemptKind.MEETING)


class HandbackAttempt(Stamped):
    """One thing that was done about a handback: a try to reach the customer, or a change of hands."""

    handback = models.ForeignKey(Handback, on_delete=models.CASCADE, related_name="attempts")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    happened_at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=AttemptKind.choices)
    has_reached = models.BooleanField(default=False, help_text="Spoke with somebody there.")
    note = models.CharField(max_length=500, blank=True)
    submission = models.UUIDField(
        null=True, unique=True, editable=False, help_text="Of the form, so that sending it twice counts once."
    )

    class Meta:
        ordering = ["happened_at", "pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.happened_at:%Y-%m-%d}"


class ReasonSettlement(models.Model):
    """What a churn reason was changed to, or left at, after the other owner saw it differently: by whom, and why. The
    handback holds the reason that counts now, these rows how it came about."""

    handback = models.ForeignKey(Handback, on_delete=models.CASCADE, related_name="settlements")
    before = models.ForeignKey(ChurnReason, on_delete=models.PROTECT, related_name="+", db_index=False)
    after = models.ForeignKey(ChurnReason, on_delete=models.PROTECT, related_name="+", db_index=False)
    settled_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    settled_at = models.DateTimeField()
    note = models.CharField(max_length=500)

    class Meta:
        ordering = ["settled_at", "pk"]
        constraints = [models.CheckConstraint(condition=~Q(note=""), name="settlement_says_why")]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"


class HandbackCredit(models.Model):
    """What one of ours did for a customer that stays. Worked out when a handback is closed as saved."""

    handback = models.ForeignKey(Handback, on_delete=models.CASCADE, related_name="credits", db_index=False)
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="credits")
    part = models.CharField(max_length=200)
    is_sample = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["handback", "person"], name="credit_once_per_person")]

    def __str__(self) -> str:
        return f"{self.person}: {self.part}"


class HandbackThanks(Stamped):
    """Words of one of ours to everybody who had a part in a save; once per person and handback."""

    handback = models.ForeignKey(Handback, on_delete=models.CASCADE, related_name="thanks", db_index=False)
    by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="thanks_given")
    words = models.CharField(max_length=500)

    class Meta:
        verbose_name_plural = "thanks"
        ordering = ["created_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["handback", "by"], name="thanks_once_per_person")]

    def __str__(self) -> str:
        return f"{self.by}: {self.words}"
