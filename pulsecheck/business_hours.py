"""Hours in which people work, in their own time zone: what a deadline is counted in. Plain Python.

Time is counted as it passes: a night on which the clock changes makes no office day longer or shorter unless the office is
open through it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pulsecheck.business_days import DAY, BusinessCalendar

NINE, FIVE = dt.time(9), dt.time(17)
NOTHING = dt.timedelta(0)


@dataclass(frozen=True)
class OfficeHours:
    """From `opens_at` to `closes_at` of the local clock on the working days of `calendar`."""

    calendar: BusinessCalendar
    zone: ZoneInfo
    opens_at: dt.time = NINE
    closes_at: dt.time = FIVE

    def add(self, moment: dt.datetime, hours: float) -> dt.datetime:
        """The moment at which `hours` office hours have passed since `moment`, in UTC."""
        left = dt.timedelta(hours=hours)
        day = self.calendar.on_or_after(moment.astimezone(self.zone).date())
        while True:
            opens, closes = self._span(day)
            begin = max(moment, opens)
            if begin < closes and left <= closes - begin:
                return begin.astimezone(dt.UTC) + left
            left -= max(closes - begin, NOTHING)
            day = self.calendar.after(day, 1)

    def before(self, moment: dt.datetime, hours: float) -> dt.datetime:
        """The moment since which `hours` office hours have passed until `moment`, in UTC."""
        left = dt.timedelta(hours=hours)
        day = self.calendar.on_or_before(moment.astimezone(self.zone).date())
        while True:
            opens, closes = self._span(day)
            end = min(moment, closes)
            if opens < end and left <= end - opens:
                return end.astimezone(dt.UTC) - left
            left -= max(end - opens, NOTHING)
            day = self.calendar.on_or_before(day - DAY)

    def between(self, begin: dt.datetime, end: dt.datetime) -> dt.timedelta:
        """The office time from `begin` to `end`; nothing when `end` is not later."""
        day, last = begin.astimezone(self.zone).date(), end.astimezone(self.zone).date()
        # Moments of one zone are subtracted by the clock on the wall; in UTC by time that passes.
        begin, end, passed = begin.astimezone(dt.UTC), end.astimezone(dt.UTC), NOTHING
        while day <= last:
            if self.calendar.is_business_day(day):
                opens, closes = self._span(day)
                passed += max(min(end, closes) - max(begin, opens), NOTHING)
            day += DAY
        return passed

    def is_open(self, moment: dt.datetime) -> bool:
        """Whether people are at work at `moment`."""
        day = moment.astimezone(self.zone).date()
        opens, closes = self._span(day)
        return self.calendar.is_business_day(day) and opens <= moment < closes

    def _span(self, day: dt.date) -> tuple[dt.datetime, dt.datetime]:
        """When the office opens and closes on `day`, in UTC, where differences are time that passes."""
        return (
            dt.datetime.combine(day, self.opens_at, self.zone).astimezone(dt.UTC),
            dt.datetime.combine(day, self.closes_at, self.zone).astimezone(dt.UTC),
        )


def hours_words(open_for: dt.timedelta) -> str:
    """Office time in words: 40 min, 3 h, 2 h 30 min."""
    hours, minutes = divmod(int(open_for.total_seconds() // 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h" if hours >= 10 or not minutes else f"{hours} h {minutes} min"
