"""How often somebody may call in a minute, counted in the cache of the web process."""

from __future__ import annotations

import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

MINUTE = 60


def calls_in_this_minute(who: str) -> int:
    """Count one more call of `who` and say how many it has been since the minute began."""
    key = f"calls-{who}-{int(time.time() // MINUTE)}"
    cache.add(key, 0, MINUTE)
    try:
        return int(cache.incr(key))
    except ValueError:  # dropped by the cache between the two calls
        return 1


def seconds_left() -> float:
    """Until the next minute begins."""
    return MINUTE - time.time() % MINUTE


def address_of(request: HttpRequest) -> str:
    """Where a call comes from: as the proxy in front says, where one is set up (SECURE_PROXY_SSL_HEADER), else who is connected.
    Only the last address that the proxy added is believed; what stands before it anybody may write."""
    if settings.SECURE_PROXY_SSL_HEADER and (forwarded := request.META.get("HTTP_X_FORWARDED_FOR", "")):
        return str(forwarded).rpartition(",")[2].strip()
    return str(request.META.get("REMOTE_ADDR", ""))
