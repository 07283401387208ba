"""How often somebody may call in a minute, counted for all web processes together (decisions/0017)."""

from __future__ import annotations

import functools
import logging
import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from redis import ConnectionError as ConnectionLost
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

MINUTE = 60
PATIENCE = 1.0  # seconds that a call waits for its count
AWAY, AWAY_SECONDS = "calls-uncounted", 30  # a server that did not answer is left alone for so long

log = logging.getLogger(__name__)


def calls_in_this_minute(who: str) -> int:
    """Count one more call of `who` and say how many it has been since the minute began: in all web processes, or in this one
    alone while the broker's server is away."""
    key = f"mainstay:calls:{who}:{int(time.time() // MINUTE)}"
    if not cache.get(AWAY):
        try:
            return _counted_together(key)
        except RedisError as failure:
            if cache.add(AWAY, True, AWAY_SECONDS):
                log.warning(
                    "Calls are counted in each web process for the next %s seconds, because the server at REDIS_URL "
                    "does not count them (%s).",
                    AWAY_SECONDS,
                    failure,
                )
    return _counted_here(key)


def _counted_together(key: str) -> int:
    """Both commands in one round trip; the key is of one minute, so it may as well live a little longer."""
    with _counter(settings.REDIS_URL).pipeline(transaction=False) as line:
        line.incr(key)
        line.expire(key, MINUTE)
        return int(line.execute()[0])


@functools.cache
def _counter(address: str) -> Redis:
    # Once more after a restart of the server, which the connection of before does not know of yet.
    again = Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,))
    return Redis.from_url(address, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=again)


def _counted_here(key: str) -> int:
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
