"""Questions to a customer by a link that needs no sign-in, and what they answered."""

from __future__ import annotations

import datetime as dt
from typing import Self

from django.db import models
from django.db.models import F, Q

from accounts.models import Account, Contact, Issue, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import Stamped

LEAST_RECOMMENDING = 9  # net promoter score: 9 and 10 recommend us, 0 to 6 advise against, 7 and 8 do neither
MOST_AGAINST = 6
LEAST_SATISFIED = 4  # customer satisfaction, of 5
LEAST_EASY = 5  # customer effort, of 7
BAD_SATISFACTION = 2
BAD_EFFORT = 3


class SurveyState(models.TextChoices):
    WAITING = "waiting", "Waiting for an answer"
    ANSWERED = "answered", "Answered"
    EXPIRED = "expired", "Expired without an answer"
    CANCELLED = "cancelled", "Taken back"


class Survey(Stamped):
    """Sent to one person at one account; answered once, by `expires_at`. `key` is in the signed link, so that a link
    stops working for good when the survey is taken back."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="surveys", db_index=False)
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="surveys"
    )
    pulse_check = models.ForeignKey(
        "pulsecheck.PulseCheck", null=True, blank=True, on_delete=models.SET_NULL, related_name="surveys"
    )
    sent_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True, help_text="When the link was first followed.")
    about = models.CharField(max_length=200, blank=True, help_text="Such as: your delivery of 12 November.")
    asks_nps = models.BooleanField(default=True)
    asks_csat = models.BooleanField(default=False)
    asks_ces = models.BooleanField(default=False)
    key = models.CharField(max_length=32, unique=True, editable=False)
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-sent_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(asks_nps=True) | Q(asks_csat=True) | Q(asks_ces=True),
                name="survey_asks_something",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("sent_at")), name="survey_expires_after_sending"
            ),
        ]
        indexes = [
            models.Index(fields=["updated_at", "id"], name="survey_by_change"),
            models.Index(fields=["account", "-sent_at"], name="survey_by_account"),
            models.Index(fields=["-sent_at", "-id"], name="survey_newest"),
        ]

    def __str__(self) -> str:
        return f"Survey of {self.sent_at:%Y-%m-%d}"

    def state_at(self, now: dt.datetime) -> SurveyState:
        """Needs `answer` selected or a query."""
        if hasattr(self, "answer"):
            return SurveyState.ANSWERED
        if self.cancelled_at is not None:
            return SurveyState.CANCELLED
        return SurveyState.WAITING if now < self.expires_at else SurveyState.EXPIRED


class SurveyAnswerQuerySet(AccountRelatedQuerySet):
    def with_open_loop(self) -> Self:
        """Bad answers whose givers have not heard what came of them, neither here nor at the issue."""
        return self.filter(Q(issue=None) | Q(issue__told_at=None), is_bad=True, loop_closed_at=None)


class SurveyAnswer(Stamped):
    """What a customer said. `is_bad` opens an issue, and the loop stays open until somebody told them what came of it."""

    survey = models.OneToOneField(Survey, on_delete=models.CASCADE, related_name="answer")
    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="survey_answers", db_index=False
    )
    answered_at = models.DateTimeField()
    nps = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="0 to 10: would they recommend us?"
    )
    csat = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="1 to 5: how satisfied they are."
    )
    ces = models.PositiveSmallIntegerField(null=True, blank=True, help_text="1 to 7: how easy it was.")
    comment = models.TextField(blank=True)
    is_bad = models.BooleanField()
    issue = models.ForeignKey(
        Issue, null=True, blank=True, on_delete=models.SET_NULL, related_name="survey_answers"
    )
    loop_closed_at = models.DateTimeField(null=True, blank=True)
    loop_closed_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    loop_note = models.CharField(max_length=500, blank=True, help_text="What we told them.")
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = SurveyAnswerQuerySet.as_manager()

    class Meta:
        ordering = ["-answered_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(nps=None) | Q(nps__range=(0, 10)), name="survey_nps_0_to_10"),
            models.CheckConstraint(condition=Q(csat=None) | Q(csat__range=(1, 5)), name="survey_csat_1_to_5"),
            models.CheckConstraint(condition=Q(ces=None) | Q(ces__range=(1, 7)), name="survey_ces_1_to_7"),
            models.CheckConstraint(
                condition=Q(nps__isnull=False)
                | Q(csat__isnull=False)
                | Q(ces__isnull=False)
                | ~Q(comment=""),
                name="survey_answer_says_something",
            ),
            models.CheckConstraint(
                condition=Q(loop_closed_at=None, loop_note="")
                | Q(loop_closed_at__isnull=False) & ~Q(loop_note=""),
                name="survey_loop_closed_with_words",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-answered_at"], name="survey_answer_by_account"),
            models.Index(fields=["-answered_at", "-id"], name="survey_answer_newest"),
            models.Index(
                fields=["answered_at"],
                condition=Q(is_bad=True, loop_closed_at=None),
                name="survey_loop_open",
            ),
        ]

    def __str__(self) -> str:
        return f"Answer of {self.answered_at:%Y-%m-%d}"

    @property
    def is_loop_open(self) -> bool:
        """A bad answer whose giver has not been told yet what came of it."""
        told = self.issue.told_at if self.issue else None
        return self.is_bad and self.loop_closed_at is None and told is None


def is_bad_answer(nps: int | None, csat: int | None, ces: int | None) -> bool:
    """Advises against us, is dissatisfied, or found it hard; what was not asked says nothing."""
    return (
        (nps is not None and nps <= MOST_AGAINST)
        or (csat is not None and csat <= BAD_SATISFACTION)
        or (ces is not None and ces <= BAD_EFFORT)
    )
