"""Signing in with a token: `Authorization: Token mst_...`. The token acts as the person who made it."""

from __future__ import annotations

import datetime as dt
from typing import cast

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiToken, User
from accounts.models.api import digest_of
from accounts.selectors import company_today

KEYWORD = "Token"


def caller(request: Request) -> User:
    """Who calls, behind IsAuthenticated: one of our people."""
    return cast(User, request.user)


class TokenAuthentication(BaseAuthentication):
    """Same answer for a token that never was, was revoked, has expired, or belongs to somebody who may not sign in any more."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != KEYWORD.lower().encode():
            return None
        token = self._find(parts[1]) if len(parts) == 2 else None
        if token is None:
            raise AuthenticationFailed("This token is not valid; make a new one under Settings, API tokens.")
        _note_use(token, company_today())
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD

    def _find(self, secret: bytes) -> ApiToken | None:
        try:
            digest = digest_of(secret.decode("ascii"))
        except UnicodeDecodeError:
            return None
        token = ApiToken.objects.select_related("user").filter(digest=digest).first()
        is_usable = token is not None and token.user.is_active and token.is_in_force(company_today())
        return token if is_usable else None


def _note_use(token: ApiToken, today: dt.date) -> None:
    """Once a day, so that a token nobody uses can be told from one in use."""
    if token.last_used_on != today:
        ApiToken.objects.filter(pk=token.pk).update(last_used_on=today)


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix=KEYWORD)
