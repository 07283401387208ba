"""What we can tell a customer about their own industry, without selling anything."""

from __future__ import annotations

import datetime as dt
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from accounts.models import User
from accounts.models.fields import Stamped


class Reaction(models.TextChoices):
    """What the customer made of an insight."""

    USEFUL = "useful", "Useful to them"
    KNOWN = "known", "Knew it already"
    NOT_THEIRS = "not_theirs", "Not for them"
    NONE = "none", "No reaction"


class InsightQuerySet(models.QuerySet["Insight"]):
    def valid_on(self, day: dt.date) -> Self:
        """What may be told on `day`."""
        return self.filter(withdrawn_at=None, valid_from__lte=day, valid_until__gte=day)


class Insight(Stamped):
    """News, a figure or a practice from an industry, true from `valid_from` to `valid_until`.

    `industries` are those of the accounts it is for, in their spelling; empty = all of them.
    """

    title = models.CharField(max_length=160)
    text = models.TextField()
    source = models.CharField(max_length=200, blank=True, help_text="Where it is from.")
    link = models.URLField(max_length=500, blank=True)
    industries = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    valid_from = models.DateField()
    valid_until = models.DateField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    written_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = InsightQuerySet.as_manager()

    class Meta:
        ordering = ["-valid_from", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_until__gte=F("valid_from")), name="insight_valid_for_a_day"
            ),
            models.CheckConstraint(condition=~Q(title=""), name="insight_has_title"),
        ]
        indexes = [models.Index(fields=["valid_until"], name="insight_by_validity")]

    def __str__(self) -> str:
        return self.title
