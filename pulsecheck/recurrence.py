"""When a meeting that repeats comes round again. Plain Python."""

from __future__ import annotations

import datetime as dt

from pulsecheck.business_days import BusinessCalendar

WEEK = dt.timedelta(days=7)
MONTHS = {"monthly": 1, "quarterly": 3}


def next_day(held_on: dt.date, repeats: str, calendar: BusinessCalendar) -> dt.date | None:
    """The day of the next meeting: two weeks later, or the same weekday of the same week of a later month ("the second
    Tuesday"; of a fifth one the last); the working day after where that is a holiday. None: it does not repeat."""
    if repeats == "fortnightly":
        return calendar.on_or_after(held_on + 2 * WEEK)
    if repeats not in MONTHS:
        return None
    month = held_on.month - 1 + MONTHS[repeats]
    first = dt.date(held_on.year + month // 12, month % 12 + 1, 1)
    day = first + dt.timedelta(days=(held_on.weekday() - first.weekday()) % 7) + (held_on.day - 1) // 7 * WEEK
    return calendar.on_or_after(day if day.month == first.month else day - WEEK)
