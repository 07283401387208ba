"""A limit of calls per minute for each person, and a lower one for those who are not signed in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.limits import address_of, calls_in_this_minute, seconds_left

if TYPE_CHECKING:  # views import the throttles of the settings
    from rest_framework.views import APIView


class CallsPerMinute(BaseThrottle):
    """Counts in fixed minutes, over all web processes. What is left is told with every answer."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.user.is_authenticated:
            who, limit = f"user-{request.user.pk}", settings.API_CALLS_PER_MINUTE
        else:
            who, limit = f"address-{address_of(request)}", settings.API_ANONYMOUS_CALLS_PER_MINUTE
        calls = calls_in_this_minute(f"api-{who}")
        view.headers = view.default_response_headers | _told(limit, calls)
        return calls <= limit

    def wait(self) -> float:
        return seconds_left()


def _told(limit: int, calls: int) -> dict[str, Any]:
    """Limit, what is left of it, and seconds until the next minute (draft-ietf-httpapi-ratelimit-headers, up to -07)."""
    return {
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(max(limit - calls, 0)),
        "RateLimit-Reset": str(math.ceil(seconds_left())),
    }
