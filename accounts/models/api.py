"""What programs need to talk to us: tokens to sign in with, and answers kept so that a repeated call has one effect."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models.staff import User

PREFIX = "mst_"


def digest_of(secret: str) -> str:
    """How a secret is stored. It is 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Area(models.TextChoices):
    """Parts of the API that a token may be kept to."""

    RECORDS = "records", "Records: accounts, contacts, orders, contracts, conversations, issues, promises"
    CARE = "care", "Care: handbacks, pulse checks, touchpoints, surveys, meetings, actions"
    SCORES = "scores", "Scores, reasons and KPIs"
    PEOPLE = "people", "Our people and teams"
    WEBHOOKS = "webhooks", "Webhooks"


EVERYTHING = ("read", "write")
# Areas without a call that writes.
READ_ONLY = {(Area.SCORES, "write"), (Area.PEOPLE, "write")}


def every_scope() -> list[str]:
    """What tokens may do that nobody kept to less."""
    return list(EVERYTHING)


class ApiTokenManager(models.Manager["ApiToken"]):
    def issue(
        self,
        user: User,
        name: str,
        scopes: Sequence[str] = EVERYTHING,
        expires_on: dt.date | None = None,
    ) -> tuple[ApiToken, str]:
        """A new token and its secret, which is not kept and cannot be shown again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        token = self.create(
            user=user,
            name=name,
            digest=digest_of(secret),
            hint=secret[-4:],
            scopes=list(scopes),
            expires_on=expires_on,
        )
        return token, secret


class ApiToken(models.Model):
    """Lets a program act as `user`, with what that person may see and do, as far as its scopes go, until it is revoked
    or has expired."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, help_text="Which program it is for.")
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=4, help_text="The last four characters, to tell tokens apart.")
    created_at = models.DateTimeField(db_default=Now())
    last_used_on = models.DateField(null=True, blank=True)
    scopes = ArrayField(
        models.CharField(max_length=40),
        default=every_scope,
        db_default=every_scope(),
        help_text="`read`, `write`, or of one area, such as `records:write`.",
    )
    expires_on = models.DateField(null=True, blank=True, help_text="The last day it works; empty = no end.")

    objects = ApiTokenManager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    def is_in_force(self, today: dt.date) -> bool:
        """Whether it has not expired."""
        return self.expires_on is None or self.expires_on >= today

    def allows(self, area: str, deed: str) -> bool:
        """Whether it may be used to `deed` (read or write) in `area`."""
        return deed in self.scopes or f"{area}:{deed}" in self.scopes


class IdempotentCall(models.Model):
    """The answer to a writing call that carried an Idempotency-Key; written in the transaction of its effect."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="Hash of method, address and body.")
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
