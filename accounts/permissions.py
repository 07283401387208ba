"""Which roles may open which pages. Which *records* one sees is decided by `visible_to(user)` of each queryset."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.models import Role, User

View = Callable[..., HttpResponseBase]


class SignedIn(HttpRequest):
    """A request behind LoginRequiredMiddleware: there is a person. For annotations of views."""

    user: User


CARERS = (Role.SALES_REP, Role.ACCOUNT_MANAGER, Role.MANAGER, Role.ADMINISTRATOR)
LEADERS = (Role.MANAGER, Role.ADMINISTRATOR)
ADMINISTRATORS = (Role.ADMINISTRATOR,)


def has_role(user: User, *roles: str) -> bool:
    """Whether `user` acts in one of `roles`; a superuser acts in all."""
    return user.is_active and (user.is_superuser or user.role in roles)


def require_role(*roles: str) -> Callable[[View], View]:
    """Whoever is in none of `roles` gets the 404 a stranger gets."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: SignedIn, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not has_role(request.user, *roles):
                raise Http404
            return view(request, *args, **kwargs)

        return checked

    return decorate
