"""The clock of office hours: known answers around nights, weekends, holidays and changes of the clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsecheck.business_days import BusinessCalendar
from pulsecheck.business_hours import OfficeHours, hours_words

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = OfficeHours(BusinessCalendar("DE"), BERLIN)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


@pytest.mark.parametrize(
    ("since", "number", "until"),
    [
        ("2026-11-24 10:00", 4, "2026-11-24 14:00"),
        ("2026-11-24 15:00", 4, "2026-11-25 11:00"),
        ("2026-11-24 22:00", 1, "2026-11-25 10:00"),
        ("2026-11-27 16:30", 1, "2026-11-30 09:30"),  # over a weekend
        ("2026-12-24 16:00", 2, "2026-12-28 10:00"),  # both days of Christmas, then a weekend
        ("2026-11-24 06:00", 8, "2026-11-24 17:00"),
        ("2026-03-27 16:00", 2, "2026-03-30 10:00"),  # the night in which an hour is lost
        ("2026-10-23 16:00", 2, "2026-10-26 10:00"),  # the night in which one is won
    ],
)
def test_add(since: str, number: float, until: str) -> None:
    assert OFFICE.add(at(since), number) == at(until)
    assert OFFICE.between(at(since), at(until)) == hours(number)


def test_a_day_with_a_change_of_the_clock_has_another_length() -> None:
    monday = OfficeHours(_EveryDay(), BERLIN, dt.time(0), dt.time(12))
    assert monday.between(at("2026-03-29 00:00"), at("2026-03-29 12:00")) == hours(11)
    assert monday.between(at("2026-10-25 00:00"), at("2026-10-25 12:00")) == hours(13)


class _EveryDay(BusinessCalendar):
    def is_business_day(self, day: dt.date) -> bool:
        return True


MOMENTS = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=dt.UTC)
)
SPANS = st.integers(1, 6000).map(lambda minutes: dt.timedelta(minutes=minutes))


@given(MOMENTS, SPANS)
def test_there_and_back(moment: dt.datetime, open_for: dt.timedelta) -> None:
    """What is due after so many hours was asked so many hours before; nobody works outside office hours."""
    number = open_for / hours(1)
    due = OFFICE.add(moment, number)
    assert OFFICE.between(moment, due) == open_for
    assert OFFICE.between(OFFICE.before(due, number), due) == open_for
    assert dt.time(9) <= due.astimezone(BERLIN).time() <= dt.time(17)


@given(MOMENTS, MOMENTS)
def test_nothing_before_the_beginning(first: dt.datetime, last: dt.datetime) -> None:
    later, earlier = max(first, last), min(first, last)
    assert OFFICE.between(later, earlier) == hours(0)
    assert hours(0) <= OFFICE.between(earlier, later) <= later - earlier


@pytest.mark.parametrize(
    ("number", "words"), [(0.5, "30 min"), (3, "3 h"), (2.5, "2 h 30 min"), (12.5, "12 h")]
)
def test_words(number: float, words: str) -> None:
    assert hours_words(hours(number)) == words
