"""A limit of calls per minute for each person, and a lower one for those who are not signed in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:  # views import the throttles of the settings
    from rest_framework.views import APIView

MINUTE = 60


class CallsPerMinute(BaseThrottle):
    """Counts in fixed minutes, in the cache of the web process."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.user.is_authenticated:
            who, limit = f"user-{request.user.pk}", settings.API_CALLS_PER_MINUTE
        else:
            who, limit = f"address-{self.get_ident(request)}", settings.API_ANONYMOUS_CALLS_PER_MINUTE
        key = f"api-calls-{who}-{int(time.time() // MINUTE)}"
        return _count(key) <= limit

    def wait(self) -> float:
        return MINUTE - time.time() % MINUTE


def _count(key: str) -> int:
    cache.add(key, 0, MINUTE)
    try:
        return cache.incr(key)
    except ValueError:  # dropped by the cache between the two calls
        return 1
