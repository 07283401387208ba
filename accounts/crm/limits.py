"""The pace of calls to one system, kept for all workers together in the connection's row.

In PostgreSQL, not in Redis: what is lost with the broker must not make us break a limit, and a handful of calls a
second is nothing for one row that no index depends on. The bucket may go into debt; whoever takes from it waits the
debt off, so that calls are spread evenly and nobody polls.
"""

from __future__ import annotations

import datetime as dt
import time

from django.db import connection as database

from accounts.crm.errors import CrmError, TryLater
from accounts.models import Connection

LONGEST_WAIT = 20.0  # seconds that a worker waits by itself; for longer it puts the step down

# What a crash of the database server may lose of this is a token or two, and to wait for the disk at each call would
# cost more than the call: set_config applies to the commit of this very statement.
TAKE = """
WITH hasty AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE accounts_connection
SET tokens = LEAST(%(burst)s, tokens + %(rate)s * extract(epoch FROM clock_timestamp() - filled_at)) - 1,
    filled_at = clock_timestamp()
FROM hasty WHERE id = %(id)s AND (wait_until IS NULL OR wait_until <= clock_timestamp()) RETURNING tokens
"""
BLOCKED = "SELECT extract(epoch FROM wait_until - clock_timestamp()) FROM accounts_connection WHERE id = %s"
BLOCK = """
UPDATE accounts_connection SET tokens = LEAST(tokens, 0),
    wait_until = GREATEST(wait_until, clock_timestamp() + make_interval(secs => %s)) WHERE id = %s
"""


class Pace:
    """The calls that one connection may make: `rate` a second, `burst` at once."""

    def __init__(self, connection: Connection, rate: float, burst: int) -> None:
        self.pk = connection.pk
        self.rate = rate
        self.burst = burst

    def wait(self) -> None:
        """Wait for one's turn. TryLater when that would take longer than LONGEST_WAIT."""
        while (seconds := self._take()) is None:
            blocked = self._blocked()
            if blocked > LONGEST_WAIT:
                raise TryLater(f"Asked to wait {blocked:.0f} s.", blocked)
            time.sleep(max(blocked, 0.0))
        if seconds > 0:
            time.sleep(seconds)

    def _take(self) -> float | None:
        """Seconds until the call may be made; None while the other side wants no calls."""
        with database.cursor() as cursor:
            cursor.execute(TAKE, {"id": self.pk, "rate": self.rate, "burst": self.burst})
            row = cursor.fetchone()
        return None if row is None else max(-row[0], 0.0) / self.rate

    def _blocked(self) -> float:
        with database.cursor() as cursor:
            cursor.execute(BLOCKED, [self.pk])
            row = cursor.fetchone()
        if row is None:
            raise CrmError("The connection is not there any more.")
        return float(row[0] or 0)

    def block(self, seconds: float) -> None:
        """The other side asked for a pause: nobody calls before it is over."""
        with database.cursor() as cursor:
            cursor.execute(BLOCK, [min(seconds, dt.timedelta(days=1).total_seconds()), self.pk])
