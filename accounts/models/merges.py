"""Accounts that are the same customer: what suggests it, and what was done when a person said so."""

from __future__ import annotations

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q

from accounts.models.account import Account, visible_accounts
from accounts.models.fields import Stamped
from accounts.models.staff import User


class PairState(models.TextChoices):
    WAITING = "waiting", "To look at"
    APART = "apart", "Two customers"


class DuplicatePairQuerySet(models.QuerySet["DuplicatePair"]):
    def visible_to(self, user: User) -> Self:
        """Pairs of which `user` sees both accounts."""
        first, second = visible_accounts(user, "first__"), visible_accounts(user, "second__")
        return self if first is None or second is None else self.filter(first, second)


class DuplicatePair(Stamped):
    """Two accounts that may be one customer, and why. That a person said they are two is kept, so that nobody is
    asked again."""

    first = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    evidence = models.JSONField(default=list, help_text="Pairs of what is the same, and its value.")
    weight = models.FloatField(default=0)
    state = models.CharField(max_length=10, choices=PairState.choices, default=PairState.WAITING)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    derived_rows = Q(state=PairState.WAITING)  # found again: no reason to keep an import that is undone
    objects = DuplicatePairQuerySet.as_manager()

    class Meta:
        ordering = ["-weight", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="duplicate_pair_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="duplicate_pair_in_order"),
        ]
        indexes = [
            models.Index(
                fields=["-weight", "id"], condition=Q(state="waiting"), name="duplicate_pair_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.first} and {self.second}"


class AccountMerge(Stamped):
    """One account taken into another. Its rows in `MergedRow` say everything that was moved or set aside, so that the
    whole can be taken back."""

    kept = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="merges")
    gone_id = models.BigIntegerField(help_text="The id the other account had, and has again when undone.")
    gone_name = models.CharField(max_length=200)
    filled = models.JSONField(
        default=dict, encoder=DjangoJSONEncoder, help_text="Field of the kept account -> before and after."
    )
    merged_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["gone_id"], name="merge_by_gone")]

    def __str__(self) -> str:
        return f"{self.gone_name} into {self.kept}"


class MergedRow(models.Model):
    """A row that a merge touched: moved (its `column` said the other account, or, with `before`, the first of the two
    values in it and then the second), or set aside (no `column`; `before` is all of it)."""

    merge = models.ForeignKey(AccountMerge, on_delete=models.CASCADE, related_name="rows")
    table = models.CharField(max_length=60)
    column = models.CharField(max_length=60, blank=True)
    row_id = models.BigIntegerField()
    before = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merge", "table", "column", "row_id"], name="merged_row_once")
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.row_id}"
