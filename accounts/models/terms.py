"""The fine print: which terms a customer must not meet as a surprise, and who explained them."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import F, Q

from accounts.models.account import Contact, visible_accounts
from accounts.models.commerce import Contract
from accounts.models.fields import Stamped
from accounts.models.staff import User


class Term(Stamped):
    """A term or restriction that has to be explained with every contract. Switched off rather than deleted."""

    name = models.CharField(max_length=120, unique=True)
    in_plain_words = models.CharField(max_length=300, blank=True)
    is_active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class DisclosureQuerySet(models.QuerySet["Disclosure"]):
    def visible_to(self, user: User) -> Self:
        """Seen by whoever sees the account of the contract."""
        condition = visible_accounts(user, prefix="contract__account__")
        return self if condition is None else self.filter(condition)


class Disclosure(Stamped):
    """One term of one contract was explained by one of ours; acknowledged once the customer said they know it."""

    contract = models.ForeignKey(Contract, on_delete=models.CASCADE, related_name="disclosures")
    term = models.ForeignKey(Term, on_delete=models.PROTECT, related_name="disclosures", db_index=False)
    explained_on = models.DateField()
    explained_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    explained_to = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    acknowledged_on = models.DateField(null=True, blank=True)
    acknowledged_how = models.CharField(
        max_length=200, blank=True, default="", help_text="Signed, by e-mail, on the telephone ..."
    )

    objects = DisclosureQuerySet.as_manager()

    class Meta:
        ordering = ["term__position", "term__name"]
        constraints = [
            models.UniqueConstraint(fields=["contract", "term"], name="term_explained_once_per_contract"),
            models.CheckConstraint(
                condition=Q(acknowledged_on__isnull=True) | Q(acknowledged_on__gte=F("explained_on")),
                name="term_acknowledged_after_explained",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.term} of {self.contract}"
