"""API tokens: made and revoked by the person they act for."""

from __future__ import annotations

from django.db import transaction

from accounts.models import ApiToken, User
from accounts.services.audit import write_audit


@transaction.atomic
def issue_token(user: User, name: str) -> str:
    """A new token of `user`; returns its secret, which is not kept and cannot be shown again."""
    token, secret = ApiToken.objects.issue(user, name)
    write_audit(user, "issue_token", token, name=name)
    return secret


@transaction.atomic
def revoke_token(token: ApiToken, user: User) -> None:
    """From now on calls with it are refused."""
    write_audit(user, "revoke_token", token, name=token.name)
    token.delete()
