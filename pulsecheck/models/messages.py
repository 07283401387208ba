"""What each customer heard from us in the last year, counted every night and whenever somebody writes a message down."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Account
from accounts.models.account import AccountRelatedQuerySet
from pulsecheck.message_mix import LEANINGS, Mix


class MessageMix(models.Model):
    """The messages of one account by class (pulsecheck/message_mix.py). An account that heard nothing has no row.
    `leaning` and `promotion_share` follow from the counts and are there to find and sort accounts by."""

    derived_rows = Q(pk__isnull=False)  # counted from records: no reason to keep an import that is undone
    account = models.OneToOneField(
        Account, primary_key=True, on_delete=models.CASCADE, related_name="message_mix"
    )
    information = models.PositiveIntegerField()
    service = models.PositiveIntegerField()
    promotion = models.PositiveIntegerField()
    unsaid = models.PositiveIntegerField()
    promotion_share = models.FloatField()
    leaning = models.CharField(max_length=10, choices=LEANINGS)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "message mixes"
        constraints = [
            models.CheckConstraint(
                condition=Q(promotion_share__gte=0, promotion_share__lte=1), name="message_share_0_to_1"
            )
        ]
        indexes = [
            models.Index(fields=["-promotion_share", "-account"], name="message_mix_by_share"),
            models.Index(fields=["leaning", "-promotion_share", "-account"], name="message_mix_by_leaning"),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.mix.leaning_words.lower()}"

    @property
    def mix(self) -> Mix:
        return Mix(self.information, self.service, self.promotion, self.unsaid)
