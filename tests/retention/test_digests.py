"""Who hears what in the morning: once per zone and working day, and only when something changed."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Role
from notifications.models import OutboxMessage
from retention.models import Tier
from retention.services.digests import digest_for, send_due_digests
from tests.factories import AccountFactory, HandbackFactory, ScoreFactory, ScoreRunFactory, UserFactory

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = dt.datetime(2026, 11, 24, 7, 30, tzinfo=BERLIN)


@pytest.fixture
def rep():
    return UserFactory(name="Amara Mensah", time_zone="Europe/Berlin")


def score_both_days(account, before, now):
    """Scores of Sunday and Monday, the newer published in Tuesday's night."""
    for tier, as_of, hour in ((before, dt.date(2026, 11, 22), -24), (now, dt.date(2026, 11, 23), 0)):
        published = TUESDAY.replace(hour=3) + dt.timedelta(hours=hour)
        run = ScoreRunFactory(as_of=as_of, published_at=published)
        reasons = [{"factor": "rhythm", "sentence": "Silent for 41 days.", "points": 20}]
        ScoreFactory(account=account, run=run, as_of=as_of, tier=tier, reasons=reasons)


def test_an_account_that_got_worse_is_told_with_its_reason(rep):
    account = AccountFactory(name="Old Mill", original_salesperson=rep)
    score_both_days(account, Tier.WATCH, Tier.AT_RISK)
    assert send_due_digests(TUESDAY) == 1
    mail = OutboxMessage.objects.get()
    assert mail.subject == "Since yesterday: 1 account at more risk"
    assert "Old Mill: watch before, at risk now: Silent for 41 days." in mail.body


@pytest.mark.parametrize(
    ("before", "now"), [(Tier.AT_RISK, Tier.AT_RISK), (Tier.AT_RISK, Tier.WATCH), (Tier.WATCH, Tier.STEADY)]
)
def test_what_did_not_get_worse_is_no_news(rep, before, now):
    score_both_days(AccountFactory(original_salesperson=rep), before, now)
    assert send_due_digests(TUESDAY) == 0


def test_somebody_elses_account_is_not_told(rep):
    score_both_days(AccountFactory(original_salesperson=UserFactory()), Tier.WATCH, Tier.AT_RISK)
    assert digest_for(rep, TUESDAY - dt.timedelta(days=1), TUESDAY.date()).is_empty


def test_a_new_handback_is_told_once_however_often_the_clock_ticks(rep):
    HandbackFactory(salesperson=rep, opened_at=TUESDAY - dt.timedelta(hours=4))
    ticks = [TUESDAY + dt.timedelta(minutes=15 * n) for n in range(8)]
    assert [send_due_digests(tick) for tick in ticks] == [1] + [0] * 7
    assert send_due_digests(TUESDAY + dt.timedelta(days=1)) == 0


def test_on_monday_what_happened_since_friday_is_told(rep):
    friday, monday = TUESDAY - dt.timedelta(days=4), TUESDAY - dt.timedelta(days=1)
    assert send_due_digests(friday) == 0
    HandbackFactory(salesperson=rep, opened_at=friday + dt.timedelta(hours=2))
    saturday = friday + dt.timedelta(days=1)
    assert [send_due_digests(moment) for moment in (saturday, monday)] == [0, 1]


def test_nobody_is_woken_before_seven_in_their_own_zone(rep):
    auckland = UserFactory(time_zone="Pacific/Auckland")
    for user in (rep, auckland):
        HandbackFactory(salesperson=user, opened_at=TUESDAY - dt.timedelta(hours=14))
    before_seven = TUESDAY.replace(hour=6, minute=59)  # 18:59 in Auckland
    assert send_due_digests(before_seven) == 1
    assert OutboxMessage.objects.get().user == auckland


@pytest.mark.parametrize(
    "gone", [{"is_active": False}, {"left_on": dt.date(2026, 1, 1)}, {"role": Role.MARKETING}]
)
def test_who_left_or_does_no_calls_gets_none(gone):
    user = UserFactory(time_zone="Europe/Berlin", **gone)
    HandbackFactory(salesperson=user, opened_at=TUESDAY - dt.timedelta(hours=4))
    assert send_due_digests(TUESDAY) == 0


# Kolkata and Apia never change their clocks, London and New York on these Sundays.
CHANGES = [
    ("Europe/London", dt.date(2026, 3, 29)),
    ("Europe/London", dt.date(2026, 10, 25)),
    ("America/New_York", dt.date(2026, 3, 8)),
    ("America/New_York", dt.date(2026, 11, 1)),
    ("Asia/Kolkata", dt.date(2026, 3, 29)),
    ("Pacific/Apia", dt.date(2026, 3, 29)),
]


@pytest.mark.parametrize(("zone", "sunday"), CHANGES)
def test_when_the_clocks_change_no_morning_is_skipped_or_doubled(zone, sunday):
    user = UserFactory(time_zone=zone)
    friday = dt.datetime.combine(sunday - dt.timedelta(days=2), dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)
    sent = []
    for hour in range(0, 5 * 24, 3):
        now = friday + dt.timedelta(hours=hour)
        HandbackFactory(salesperson=user, opened_at=now)
        before = OutboxMessage.objects.filter(user=user).count()
        send_due_digests(now)
        after = OutboxMessage.objects.filter(user=user).count()
        sent += [now.astimezone(ZoneInfo(zone)).strftime("%a %H")] * (after - before)
    assert [morning[:3] for morning in sent] == ["Fri", "Mon", "Tue"]
    assert {morning[4:] for morning in sent} <= {"07", "08", "09"}
