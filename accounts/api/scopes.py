"""What a token may be used for: reading, writing, everywhere or in one area of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import ApiToken
from accounts.models.api import Area

if TYPE_CHECKING:  # views import the permissions of the settings
    from rest_framework.views import APIView


class TokenScope(BasePermission):
    """A token reads and writes only where it was made for. People who are signed in have all scopes; what they may see
    and do is decided by their role either way."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        area = getattr(view, "area", Area.RECORDS)
        deed = "read" if request.method in SAFE_METHODS else "write"
        self.message = (
            f"This token lacks the scope {area}:{deed}; make one that has it under Settings, API tokens."
        )
        return token.allows(area, deed)
