"""Moments as PostgreSQL sends them -> days of the company's time zone, for millions of them at once."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_SECOND = 1_000_000  # microseconds, PostgreSQL's unit
_DAY = 86_400
_LOOK = 7 * _DAY  # no country has changed its clocks twice within a week and back
_START = 946_684_800  # 2000-01-01 in seconds since 1970-01-01, where PostgreSQL begins to count


def local_days(moments: NDArray[np.signedinteger], zone: ZoneInfo) -> NDArray[np.int32]:
    """(n,) day number in `zone` of each moment, given in microseconds since 2000-01-01 UTC.

    The zone's rules are asked about the change of its clocks only, not about every moment.
    """
    if not len(moments):
        return np.empty(0, dtype=np.int32)
    seconds = moments // _SECOND + _START
    changes, offsets = _clock_changes(int(seconds.min()), int(seconds.max()), zone)
    if len(changes):
        seconds += offsets[np.searchsorted(changes, seconds, side="right")]
    else:
        seconds += offsets[0]
    seconds //= _DAY
    return seconds.astype(np.int32)


def _clock_changes(first: int, last: int, zone: ZoneInfo) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Moments between first and last from which another offset holds, and all offsets in order, in seconds."""
    looks = [*range(first, last, _LOOK), last]
    changes: list[int] = []
    offsets = [_offset(first, zone)]
    for before, after in pairwise(looks):
        if (wanted := _offset(after, zone)) != offsets[-1]:
            changes.append(_first_with(wanted, before, after, zone))
            offsets.append(wanted)
    return np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _first_with(offset: int, before: int, after: int, zone: ZoneInfo) -> int:
    """The second at which the clocks change, by halving."""
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if _offset(middle, zone) == offset else (middle, after)
    return after


def _offset(second: int, zone: ZoneInfo) -> int:
    moment = dt.datetime.fromtimestamp(second, dt.UTC).astimezone(zone)
    offset = moment.utcoffset()
    assert offset is not None, "a moment with a zone has an offset"
    return int(offset.total_seconds())
