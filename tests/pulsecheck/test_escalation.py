"""What time does to a handback: office hours, escalation, and who gets it next."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Absence
from accounts.selectors import company_today
from notifications.models import Notification, Topic
from pulsecheck.business_days import business_calendar
from pulsecheck.business_hours import OfficeHours
from pulsecheck.models import Handback
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.services import accept_handback, decline_handback, escalate_overdue, open_handback
from pulsecheck.services.escalation import look_after_waiting
from pulsecheck.tasks import escalate
from tests.factories import AccountFactory, HandbackFactory, make_cast
from tests.pulsecheck.test_handbacks import risk, set_company, told

BERLIN, JERUSALEM = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Jerusalem")


def at(text, zone=BERLIN):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone)


# ── office hours ───────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("begin", "hours", "end"),
    [
        ("2026-11-23T10:00", 2, "2026-11-23T12:00"),
        ("2026-11-23T10:00", 7, "2026-11-23T17:00"),
        ("2026-11-23T16:00", 2, "2026-11-24T10:00"),
        ("2026-11-23T07:00", 1, "2026-11-23T10:00"),
        ("2026-11-23T22:00", 1, "2026-11-24T10:00"),
        ("2026-11-20T15:00", 16, "2026-11-24T15:00"),  # over a weekend
        ("2026-12-24T12:00", 8, "2026-12-28T12:00"),  # Christmas in Germany, on a Friday and a Saturday
        ("2026-03-27T15:00", 16, "2026-03-31T15:00"),  # the clock goes forward on Sunday night
        ("2026-10-23T15:00", 16, "2026-10-27T15:00"),  # and back
    ],
)
def test_hours_pass_only_while_people_are_at_work(begin, hours, end):
    office = OfficeHours(business_calendar("DE"), BERLIN)

    assert office.add(at(begin), hours) == at(end)
    assert office.between(at(begin), at(end)) == dt.timedelta(hours=hours)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-27", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_an_office_open_through_the_night_has_the_hours_that_pass(day, hours):
    # Israel changes its clock on a Friday in spring and on a Sunday, a working day, in autumn.
    midnight, last = dt.time(0), dt.time(23, 59, 59, 999999)
    office = OfficeHours(business_calendar("GB"), JERUSALEM, midnight, last)
    if day == "2026-10-25":
        office = OfficeHours(business_calendar("IL"), JERUSALEM, midnight, last)
    begin = at(f"{day}T00:00", JERUSALEM)
    end = at((dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat() + "T00:00", JERUSALEM)

    assert round(office.between(begin, end).total_seconds() / 3600, 3) == hours


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])  # holidays of five countries, once
@given(
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 31), timezones=st.just(dt.UTC)),
    st.floats(0.01, 120),
    st.sampled_from(["DE", "IL", "AE", "US", ""]),
    st.sampled_from(["Europe/Berlin", "Asia/Jerusalem", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.tuples(st.times(), st.times()).filter(lambda t: t[0].hour + 1 < t[1].hour),
)
def test_a_deadline_is_exactly_so_many_office_hours_away(begin, hours, country, zone, open_from_to):
    office = OfficeHours(business_calendar(country), ZoneInfo(zone), *open_from_to)

    end = office.add(begin, hours)

    assert abs(office.between(begin, end).total_seconds() - hours * 3600) < 0.001
    assert office.between(begin, end - dt.timedelta(seconds=1)) < dt.timedelta(hours=hours)


# ── a moved clock ──────────────────────────────────────────────────────
pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    return make_cast()


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        # Berlin leaves winter time on Sunday 29 March 2026 and summer time on Sunday 25 October 2026: on the clock of the
        # wall nothing changes, in UTC the deadline is an hour earlier and an hour later.
        ("2026-03-27T15:00", "2026-03-31T13:00"),
        ("2026-10-23T15:00", "2026-10-27T14:00"),
        ("2026-11-20T15:00", "2026-11-24T14:00"),
    ],
)
def test_the_whole_chain_across_the_nights_the_clock_changes(cast, opened, due):
    set_company(time_zone="Europe/Berlin", country="DE")
    due_at = at(due, dt.UTC)
    with time_machine.travel(at(opened), tick=False):
        handback = open_handback(cast.account, risk(), HandbackTrigger.AT_RISK)
    assert (handback.due_at, handback.salesperson) == (due_at, cast.owner)

    with time_machine.travel(due_at - dt.timedelta(seconds=1), tick=False):
        assert look_after_waiting() == (0, 0)
    with time_machine.travel(due_at + dt.timedelta(seconds=1), tick=False):
        assert look_after_waiting() == (1, 0)
        assert look_after_waiting() == (0, 0)
    assert told(cast.manager, Topic.ESCALATION) == ["Hotel Seeblick: the handback is not answered"]
    # Eight office hours later, at the same time of the next day, it goes to the next in line.
    with time_machine.travel(due_at + dt.timedelta(days=1, seconds=-1), tick=False):
        assert look_after_waiting() == (0, 0)
    with time_machine.travel(due_at + dt.timedelta(days=1, seconds=2), tick=False):
        escalate()
        escalate()
    handback.refresh_from_db()
    assert handback.salesperson == cast.manager
    assert handback.assigned_because == (
        "Olga Owner, who won the account, has not answered. You manage Olga Owner's team."
    )
    assert [a.kind for a in handback.attempts.all()] == ["escalate", "pass_on"]
    assert handback.escalated_at is None


@pytest.mark.parametrize(
    ("due", "before", "after"),
    [
        ("2026-03-29", "2026-03-29T21:59:59Z", "2026-03-29T22:00:01Z"),
        ("2026-10-25", "2026-10-25T22:59:59Z", "2026-10-25T23:00:01Z"),
    ],
)
def test_a_day_without_an_hour_ends_at_midnight_of_the_company(cast, due, before, after):
    # Where people work on Sundays, so that the night itself is told and not the Monday after.
    set_company(time_zone="Europe/Berlin", country="IL")
    handback = HandbackFactory(account=cast.account, due_on=dt.date.fromisoformat(due))

    with time_machine.travel(before, tick=False):
        escalate()
        assert not handback.attempts.exists()
    with time_machine.travel(after, tick=False):
        escalate()
        escalate()
    assert handback.attempts.count() == 1


def test_nobody_is_late_on_a_weekend(cast):
    HandbackFactory(account=cast.account, due_on=dt.date(2026, 11, 20))  # a Friday
    told_of = []
    for day in ("2026-11-21", "2026-11-22", "2026-11-23"):
        with time_machine.travel(f"{day}T12:00:00Z", tick=False):
            told_of.append(escalate_overdue())

    assert told_of == [0, 0, 1]


@time_machine.travel("2026-11-20T09:00:00Z", tick=False)
def test_the_clock_is_the_one_of_whoever_has_to_answer(cast):
    cast.owner.time_zone = "America/New_York"
    cast.owner.save()

    handback = open_handback(cast.account, risk())

    assert handback.due_at == at("2026-11-23T17:00", ZoneInfo("America/New_York"))
    assert "Monday, 23 November, 17:00" in Notification.objects.get(user=cast.owner).body


@time_machine.travel("2026-11-20T09:00:00Z", tick=False)
def test_what_was_answered_is_neither_escalated_nor_passed_on(cast):
    handback = open_handback(cast.account, risk())
    accept_handback(handback, cast.owner)

    with time_machine.travel("2026-12-20T09:00:00Z", tick=False):
        assert look_after_waiting() == (0, 0)


def test_a_manager_who_does_not_answer_is_escalated_to_another(cast):
    handback = HandbackFactory(account=cast.account, salesperson=cast.manager, due_on=dt.date(2026, 1, 5))

    with time_machine.travel("2026-01-06T12:00:00Z", tick=False):
        escalate_overdue()

    assert told(cast.other_manager, Topic.ESCALATION) == ["Hotel Seeblick: the handback is not answered"]
    assert handback.attempts.get().note == "Not answered by 2026-01-05. Otto Other was told."


def test_declining_gives_the_next_in_line_the_whole_time(cast):
    with time_machine.travel("2026-11-20T10:00:00Z", tick=False):
        handback = open_handback(cast.account, risk())
    with time_machine.travel("2026-11-23T10:00:00Z", tick=False):
        declined = decline_handback(handback, cast.owner, "On parental leave")

    assert (declined.salesperson, declined.due_at) == (cast.manager, at("2026-11-25T10:00", dt.UTC))


def test_a_person_who_leaves_passes_everything_on(cast):
    waiting = open_handback(cast.account, risk())
    accepted = HandbackFactory(
        salesperson=cast.owner, state="accepted", account__account_manager=cast.teammate
    )
    cast.owner.left_on = dt.date(2026, 1, 1)
    cast.owner.save()

    assert look_after_waiting() == (0, 2)

    waiting.refresh_from_db()
    assert waiting.salesperson == cast.manager
    assert "Olga Owner, who won the account, has left." in waiting.assigned_because
    assert Handback.objects.get(pk=accepted.pk).state == "open"


def test_with_nobody_else_it_stays_where_it_is(cast):
    for person in (cast.manager, cast.teammate, cast.other_manager):
        person.is_active = False
        person.save()
    with time_machine.travel("2026-11-20T10:00:00Z", tick=False):
        handback = open_handback(cast.account, risk())
    with time_machine.travel("2026-12-20T10:00:00Z", tick=False):
        assert look_after_waiting() == (1, 0)

    handback.refresh_from_db()
    assert handback.salesperson == cast.owner


# ── people who are away ────────────────────────────────────────────────
def away(person, days=5, substitute=None):
    today = company_today()
    return Absence.objects.create(
        person=person, starts_on=today, ends_on=today + dt.timedelta(days=days), substitute=substitute
    )


@time_machine.travel("2026-11-20T10:00:00Z", tick=False)
def test_who_stands_in_gets_it_else_the_manager(cast):
    absence = away(cast.owner, substitute=cast.stranger)
    handback = open_handback(cast.account, risk())
    assert (handback.salesperson, handback.assigned_because) == (
        cast.stranger,
        "Olga Owner, who won the account, is away until 25 November. You stand in for Olga Owner.",
    )
    absence.substitute = None
    absence.save()
    assert open_handback(AccountFactory(original_salesperson=cast.owner), risk()).salesperson == cast.manager


@time_machine.travel("2026-11-20T10:00:00Z", tick=False)
def test_what_waits_for_somebody_away_goes_on_and_what_they_accepted_stays(cast):
    waiting = open_handback(cast.account, risk())
    accepted = HandbackFactory(salesperson=cast.owner, state="accepted")
    away(cast.owner, substitute=cast.stranger)

    assert look_after_waiting() == (0, 1)
    assert look_after_waiting() == (0, 0)

    waiting.refresh_from_db()
    accepted.refresh_from_db()
    assert (waiting.salesperson, accepted.salesperson) == (cast.stranger, cast.owner)
    assert type(cast.account).objects.visible_to(cast.stranger).filter(pk=cast.account.pk).exists()


def test_with_everybody_away_it_waits_for_who_won_it(cast):
    for person in (cast.owner, cast.teammate, cast.manager, cast.other_manager):
        away(person)

    assert open_handback(cast.account, risk()).salesperson == cast.owner
