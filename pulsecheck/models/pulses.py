"""What a customer told us."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Account, Contact, Issue, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import Stamped
from pulsecheck.models.insights import Insight, Reaction
from pulsecheck.models.touchpoints import Touchpoint


class PulseTheme(models.Model):
    """What a pulse can be about, such as delivery or price."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    is_active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class PulseScore(models.IntegerChoices):
    """Six points without a middle, so that everybody takes a side."""

    LEAVING = 1, "About to leave"
    UNHAPPY = 2, "Unhappy"
    DOUBTFUL = 3, "Has doubts"
    FINE = 4, "Fine"
    HAPPY = 5, "Happy"
    DELIGHTED = 6, "Delighted"


# At or below this a customer takes the unhappy side: the pulse is low.
LOW = PulseScore.DOUBTFUL


class PulseCheck(Stamped):
    """One look at how a customer feels about us. Every pulse ends with a next step that somebody owns."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="pulse_checks", db_index=False
    )
    touchpoint = models.OneToOneField(
        Touchpoint, null=True, blank=True, on_delete=models.SET_NULL, related_name="pulse_check"
    )
    taken_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="pulse_checks")
    taken_at = models.DateTimeField()
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    score = models.PositiveSmallIntegerField(choices=PulseScore.choices)
    themes = models.ManyToManyField(PulseTheme, blank=True, related_name="pulse_checks")
    note = models.TextField(blank=True)
    issue = models.ForeignKey(
        Issue, null=True, blank=True, on_delete=models.SET_NULL, related_name="pulse_checks"
    )
    insight = models.ForeignKey(
        Insight, null=True, blank=True, on_delete=models.SET_NULL, related_name="pulse_checks"
    )
    insight_shared = models.CharField(
        max_length=300, blank=True, help_text="What was told, in words that stay when the library changes."
    )
    insight_reaction = models.CharField(max_length=12, choices=Reaction.choices, blank=True, db_default="")
    opportunity = models.CharField(max_length=300, blank=True)
    next_step = models.CharField(max_length=300)
    next_step_owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="next_steps")
    next_step_due_on = models.DateField()
    next_step_done_at = models.DateTimeField(null=True, blank=True)
    submission = models.UUIDField(
        null=True, unique=True, editable=False, help_text="Of the form, so that sending it twice counts once."
    )
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(score__range=(1, 6)), name="pulse_score_1_to_6"),
            models.CheckConstraint(condition=~Q(next_step=""), name="pulse_has_next_step"),
            models.CheckConstraint(
                condition=Q(insight_reaction="") | ~Q(insight_shared=""), name="pulse_reaction_to_something"
            ),
        ]
        indexes = [
            models.Index(fields=["updated_at", "id"], name="pulse_by_change"),
            models.Index(fields=["account", "-taken_at"], name="pulse_by_account"),
            models.Index(fields=["-taken_at", "-id"], name="pulse_newest"),
            models.Index(fields=["score", "-taken_at", "-id"], name="pulse_poorest"),
            models.Index(
                fields=["next_step_owner", "next_step_due_on", "id"],
                condition=Q(next_step_done_at=None),
                name="pulse_step_to_do",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.score} of 6 on {self.taken_at:%Y-%m-%d}"

    @property
    def is_low(self) -> bool:
        """Whether the customer takes the unhappy side."""
        return self.score <= LOW
