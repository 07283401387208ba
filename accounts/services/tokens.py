"""API tokens: made and revoked by the person they act for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from accounts.models import ApiToken, User
from accounts.models.api import EVERYTHING
from accounts.services.audit import write_audit


@transaction.atomic
def issue_token(
    user: User, name: str, scopes: Sequence[str] = EVERYTHING, expires_on: dt.date | None = None
) -> str:
    """A new token of `user`; returns its secret, which is not kept and cannot be shown again."""
    token, secret = ApiToken.objects.issue(user, name, scopes, expires_on)
    until = expires_on.isoformat() if expires_on else None
    write_audit(user, "issue_token", token, name=name, scopes=list(scopes), expires_on=until)
    return secret


@transaction.atomic
def revoke_token(token: ApiToken, user: User) -> None:
    """From now on calls with it are refused."""
    write_audit(user, "revoke_token", token, name=token.name)
    token.delete()
