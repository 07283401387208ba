"""What programs need to talk to us: tokens to sign in with, and answers kept so that a repeated call has one effect."""

from __future__ import annotations

import hashlib
import secrets

from django.db import models
from django.db.models.functions import Now

from accounts.models.staff import User

PREFIX = "mst_"


def digest_of(secret: str) -> str:
    """How a secret is stored. It is 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiTokenManager(models.Manager["ApiToken"]):
    def issue(self, user: User, name: str) -> tuple[ApiToken, str]:
        """A new token and its secret, which is not kept and cannot be shown again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        return self.create(user=user, name=name, digest=digest_of(secret), hint=secret[-4:]), secret


class ApiToken(models.Model):
    """Lets a program act as `user`, with what that person may see and do, until it is revoked."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, help_text="Which program it is for.")
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=4, help_text="The last four characters, to tell tokens apart.")
    created_at = models.DateTimeField(db_default=Now())
    last_used_on = models.DateField(null=True, blank=True)

    objects = ApiTokenManager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


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
