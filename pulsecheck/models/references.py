"""Customers who vouch for us, with what they agreed to, and pages that show nothing but that."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Self

from django.db import models
from django.db.models import F, Q

from accounts.links import sign_key
from accounts.models import Account, Contact, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import Stamped


def new_token() -> str:
    """The key of a link: 192 random bits."""
    return secrets.token_urlsafe(24)


class ReferenceQuerySet(AccountRelatedQuerySet):
    def in_force(self, today: dt.date) -> Self:
        """Consent that was given, has not run out and was not taken back."""
        return self.filter(revoked_at=None, agreed_on__lte=today, until__gte=today)


class Reference(Stamped):
    """A customer's consent to vouch for us: who there agreed (`agreed_by`), to what, until when; to be taken back at any
    time. Nothing that is not ticked here is ever shown to anybody outside."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="references")
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    agreed_by = models.CharField(max_length=200, help_text="Who there agreed.")
    agreed_on = models.DateField()
    until = models.DateField()
    shows_name = models.BooleanField(default=False)
    shows_since = models.BooleanField(default=False)
    shows_on_time = models.BooleanField(default=False)
    takes_calls = models.BooleanField(default=False)
    quote = models.CharField(max_length=600, blank=True, db_default="", default="")
    noted_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    revoke_reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = ReferenceQuerySet.as_manager()

    class Meta:
        ordering = ["until", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(until__gte=F("agreed_on")), name="consent_ends_after_it_began"
            ),
            models.CheckConstraint(condition=~Q(agreed_by=""), name="consent_has_somebody"),
            models.UniqueConstraint(
                fields=["account"], condition=Q(revoked_at=None), name="one_consent_per_account"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} until {self.until}"

    @property
    def agreed_parts(self) -> list[str]:
        """What they agreed to, in words; their own words stand for themselves."""
        parts = {
            "name": self.shows_name,
            "customer since": self.shows_since,
            "deliveries on time": self.shows_on_time,
            "calls": self.takes_calls,
        }
        return [words for words, agreed in parts.items() if agreed]

    @property
    def is_public(self) -> bool:
        """Whether there is anything the customer lets us show."""
        return self.shows_name or self.shows_since or self.shows_on_time or bool(self.quote)


class ProofPage(Stamped):
    """A page outside of the sign-in on how we treat customers, for whoever has the link. `facts` names the figures it
    shows; `token` is the key of the link, which is signed. Turned off, or after `expires_on`, it is as if it had never
    been there."""

    LINK = "pulsecheck.proof"

    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    title = models.CharField(max_length=120, help_text="For whom it is; not shown on the page.")
    facts = models.JSONField(default=list)
    shows_references = models.BooleanField(default=True)
    is_on = models.BooleanField(default=True)
    expires_on = models.DateField(null=True, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    is_sample = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.title

    @property
    def link(self) -> str:
        """What the address of the page ends with."""
        return sign_key(self.LINK, self.token)

    def is_open(self, today: dt.date) -> bool:
        """Whether the link works on `today`."""
        return self.is_on and (self.expires_on is None or today <= self.expires_on)
