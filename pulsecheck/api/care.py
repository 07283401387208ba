"""What every resource of the care loop shares: who may write, and how a refusal is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework import permissions, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.authentication import caller
from accounts.api.base import Newest
from accounts.api.problems import Conflict
from accounts.models.api import Area
from accounts.permissions import CARERS, has_role
from pulsecheck.errors import CareError, HandbackConflict


class OnlyCarersWrite(permissions.BasePermission):
    """Marketing reads what it sees, and acts on none of it."""

    message = "Your role reads handbacks and pulse checks; it does not act on them."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.method in permissions.SAFE_METHODS or has_role(caller(request), *CARERS)


class OnlyCarers(permissions.BasePermission):
    """What our own people agree among themselves is for those who care for accounts."""

    message = "Meetings and actions are for those who care for accounts."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_role(caller(request), *CARERS)


def checked(serializer: type[serializers.Serializer[Any]], request: Request) -> Mapping[str, Any]:
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def done_or_refused(act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a service answers; what it refuses becomes a conflict or a fault of the request."""
    try:
        return act(*arguments, **named)
    except HandbackConflict as conflict:
        raise Conflict(str(conflict)) from conflict
    except CareError as refusal:
        raise ValidationError(str(refusal)) from refusal


class CareResource(Newest):
    """Read by whoever sees the account, written by those who care for it."""

    area = Area.CARE
    permission_classes: tuple[type[permissions.BasePermission], ...] = (
        permissions.IsAuthenticated,
        OnlyCarersWrite,
    )


class AmongOurselves(CareResource):
    """Read and written by those who care for accounts."""

    permission_classes = (permissions.IsAuthenticated, OnlyCarers)
