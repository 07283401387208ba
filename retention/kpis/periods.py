"""The days for which figures are kept."""

from __future__ import annotations

import calendar
import datetime as dt

EPOCH = dt.date(1970, 1, 1)
MONTHS_SHOWN = 12


def months_before(day: dt.date, months: int) -> dt.date:
    """The same day `months` earlier; the last day of the month where that month is shorter or `day` ends its month."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    last = calendar.monthrange(year, month + 1)[1]
    ends_month = day.day == calendar.monthrange(day.year, day.month)[1]
    return dt.date(year, month + 1, last if ends_month else min(day.day, last))


def month_ends_before(day: dt.date, months: int) -> list[dt.date]:
    """The last days of the `months` full months before `day`, oldest first."""
    first = day.replace(day=1)
    ends = []
    for _ in range(months):
        last = first - dt.timedelta(days=1)
        ends.append(last)
        first = last.replace(day=1)
    return ends[::-1]


def period_ends(as_of: dt.date) -> list[dt.date]:
    """The days a record covers: `as_of`, a month and a year before it (to compare), the month ends (the trend)."""
    compared = {as_of, months_before(as_of, 1), months_before(as_of, 12)}
    return sorted(compared | set(month_ends_before(as_of, MONTHS_SHOWN)))


def day_number(day: dt.date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def quarter_ends(as_of: dt.date, quarters: int) -> list[dt.date]:
    """The day before the first of the `quarters` calendar quarters up to `as_of`, then the last day of each; the
    running quarter ends at `as_of`."""
    running = as_of.year * 4 + (as_of.month - 1) // 3
    starts = [_quarter_start(running - back) for back in range(quarters - 1, -1, -1)]
    return [*(start - dt.timedelta(days=1) for start in starts), as_of]


def _quarter_start(index: int) -> dt.date:
    year, quarter = divmod(index, 4)
    return dt.date(year, quarter * 3 + 1, 1)
