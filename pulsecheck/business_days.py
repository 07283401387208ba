"""Days on which people work: weekends and public holidays of a country. Plain Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping
from functools import lru_cache

import holidays

DAY = dt.timedelta(days=1)
WEEKEND = frozenset({5, 6})


class BusinessCalendar:
    """The working days of `country` (ISO 3166, such as DE); of an unknown or empty one, Monday to Friday."""

    def __init__(self, country: str = "") -> None:
        known = country in holidays.list_supported_countries(include_aliases=False)
        found = holidays.country_holidays(country) if known else None
        self._holidays: Mapping[dt.date, str] = found if found is not None else {}
        self._weekend: Container[int] = found.weekend if found is not None else WEEKEND
        self._known: dict[dt.date, bool] = {}

    def is_business_day(self, day: dt.date) -> bool:
        """Whether people work on `day`."""
        found = self._known.get(day)
        if found is None:
            found = self._known[day] = day.weekday() not in self._weekend and day not in self._holidays
        return found

    def holiday(self, day: dt.date) -> str:
        """The name of the public holiday on `day`; empty when it is none."""
        return self._holidays.get(day, "")

    def on_or_after(self, day: dt.date) -> dt.date:
        """`day`, or the next working day when it is none."""
        while not self.is_business_day(day):
            day += DAY
        return day

    def on_or_before(self, day: dt.date) -> dt.date:
        """`day`, or the working day before when it is none."""
        while not self.is_business_day(day):
            day -= DAY
        return day

    def after(self, day: dt.date, count: int) -> dt.date:
        """The `count`-th working day after `day`, which itself does not count."""
        for _ in range(count):
            day = self.on_or_after(day + DAY)
        return day


@lru_cache(maxsize=16)
def business_calendar(country: str) -> BusinessCalendar:
    """The calendar of a country, kept because its holidays are worked out year by year."""
    return BusinessCalendar(country)
