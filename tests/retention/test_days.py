import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.datasets.days import local_days

PG_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]


def sent(moment: dt.datetime) -> int:
    """As PostgreSQL sends it."""
    return (moment - PG_EPOCH) // dt.timedelta(microseconds=1)


@pytest.mark.parametrize("zone", ZONES)
@settings(deadline=None, max_examples=20)
@given(
    moments=st.lists(
        st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2040, 1, 1), timezones=st.just(dt.UTC)), max_size=20
    )
)
def test_the_day_of_a_moment_is_the_one_on_the_wall_there(zone: str, moments: list[dt.datetime]) -> None:
    days = local_days(np.array([sent(moment) for moment in moments], dtype=">i8"), ZoneInfo(zone))
    here = [moment.astimezone(ZoneInfo(zone)).date() for moment in moments]
    assert [dt.date(1970, 1, 1) + dt.timedelta(days=int(day)) for day in days] == here


def test_the_hour_that_comes_twice() -> None:
    """In New York clocks went back at 06:00 UTC on 5 November 2023; midnight of the next day was at 05:00."""
    times = [dt.datetime(2023, 11, 5, 3, 59), dt.datetime(2023, 11, 5, 4), dt.datetime(2023, 11, 6, 4, 59)]
    moments = np.array([sent(time.replace(tzinfo=dt.UTC)) for time in times], dtype=">i8")
    assert np.diff(local_days(moments, ZoneInfo("America/New_York"))).tolist() == [1, 0]
