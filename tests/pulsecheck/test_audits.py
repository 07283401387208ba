"""The weekly random audit: drawn once, settled by a pulse check, measured honestly."""

import datetime as dt

import pytest
import time_machine
from django.urls import reverse

from accounts.models import AuditEntry
from notifications.models import Notification
from pulsecheck.draw import draw
from pulsecheck.models import AuditPick, AuditWeek
from pulsecheck.selectors.audits import audits_to_ask, false_green
from pulsecheck.services import PulseEntry, log_pulse_check
from pulsecheck.services.audits import Healthy, change_audit_size, pick_audit
from retention.services.actions import draw_audit
from tests.factories import (
    AccountFactory,
    AuditPickFactory,
    AuditWeekFactory,
    PulseCheckFactory,
    ScoreFactory,
    ScoreRunFactory,
    date_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
WEDNESDAY = dt.date(2026, 11, 18)


@pytest.fixture
def clock():
    with time_machine.travel(dt.datetime(2026, 11, 18, 10, tzinfo=dt.UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def cast():
    return make_cast()


def healthy(accounts):
    return [Healthy(account.pk, "steady", 0.05) for account in accounts]


def asked(account, user, score):
    step = {"next_step": "Call", "next_step_owner": user, "next_step_due_on": dt.date(2027, 1, 1)}
    return log_pulse_check(account, user, PulseEntry(score=score, **step))


def test_a_week_is_drawn_once_and_can_be_repeated(clock, cast):
    accounts = AccountFactory.create_batch(30, account_manager=cast.teammate)

    week = pick_audit(healthy(accounts), WEDNESDAY, WEDNESDAY)
    again = pick_audit(healthy(accounts), WEDNESDAY, WEDNESDAY + dt.timedelta(days=4))

    assert again is None
    assert (week.week_of, week.healthy, week.drawn) == (dt.date(2026, 11, 16), 30, 10)
    picks = AuditPick.objects.all()
    assert {pick.account_id for pick in picks} == set(draw([a.pk for a in accounts], 10, week.seed))
    assert {(p.assignee, p.due_on, p.closes_on) for p in picks} == {
        (cast.teammate, dt.date(2026, 11, 27), dt.date(2026, 12, 13))
    }
    assert Notification.objects.filter(user=cast.teammate).count() == 10
    assert pick_audit(healthy(accounts), WEDNESDAY, WEDNESDAY + dt.timedelta(days=5)).seed != week.seed


def test_a_run_draws_among_healthy_customers_only(cast):
    run = ScoreRunFactory()
    good = [ScoreFactory(run=run, tier=tier).account_id for tier in ("steady", "thriving")]
    for tier in ("at_risk", "watch", "quiet", "new", "lost"):
        ScoreFactory(run=run, tier=tier)
    ScoreFactory(run=run, tier="steady", account__lifecycle_stage="former")

    week = draw_audit(run)

    assert week.healthy == 2
    assert sorted(week.picks.values_list("account", flat=True)) == sorted(good)
    assert draw_audit(run) is None


def test_nobody_to_draw_or_none_wanted_is_no_week(cast):
    assert pick_audit([], WEDNESDAY, WEDNESDAY) is None
    change_audit_size(0, cast.administrator)
    assert pick_audit(healthy([cast.account]), WEDNESDAY, WEDNESDAY) is None
    assert not AuditWeek.objects.exists()
    assert AuditEntry.objects.filter(action="change_audit_size").count() == 1


def test_the_first_pulse_after_the_draw_answers_it(clock, cast):
    PulseCheckFactory(account=cast.account, taken_at=dt.datetime(2026, 11, 10, tzinfo=dt.UTC), score=6)
    pick_audit(healthy([cast.account]), WEDNESDAY, WEDNESDAY)
    assert [pick.account for pick in audits_to_ask(cast.teammate, WEDNESDAY)] == [cast.account]

    first = asked(cast.account, cast.owner, 3)
    asked(cast.account, cast.owner, 6)

    assert AuditPick.objects.get().pulse == first
    assert audits_to_ask(cast.teammate, WEDNESDAY) == []
    found = false_green(WEDNESDAY)
    assert (found.drawn, found.asked, found.unhappy, found.rate.value) == (1, 1, 1, 1.0)


def test_nobody_can_wait_for_a_better_moment(clock, cast):
    pick_audit(healthy([cast.account]), WEDNESDAY, WEDNESDAY)
    clock.move_to(dt.datetime(2026, 12, 14, 10, tzinfo=dt.UTC))

    asked(cast.account, cast.owner, 6)

    found = false_green(dt.date(2026, 12, 14))
    assert (found.asked, found.missed, found.rate, found.worst) == (0, 1, None, 1.0)


def test_the_rate_is_of_a_year_and_says_how_sure_it_is(cast):
    week = AuditWeekFactory(drawn=12)
    for score in (6, 6, 5, 5, 5, 4, 4, 4, 3, 1):
        pulse = PulseCheckFactory(score=score)
        AuditPickFactory(week=week, account=pulse.account, pulse=pulse)
    AuditPickFactory(week=week)
    old = AuditWeekFactory(week_of=date_ago(380), drawn=1)
    AuditPickFactory(week=old)
    AuditPickFactory(week=AuditWeekFactory(week_of=date_ago(60)))

    found = false_green(date_ago(0))

    assert (found.drawn, found.asked, found.unhappy, found.open, found.missed) == (12, 10, 2, 1, 1)
    assert found.rate.value == 0.2
    assert (round(found.rate.low, 3), round(found.rate.high, 3)) == (0.057, 0.51)  # Wilson, 2 of 10
    assert found.worst == pytest.approx(3 / 11)
    assert found.is_unsure


def test_the_page_shows_the_rate_to_all_and_names_only_what_one_may_see(
    cast, client, django_assert_max_num_queries
):
    AuditPickFactory(account=cast.account)
    hidden = AuditPickFactory(account__name="Hidden Inn")
    client.force_login(cast.owner)

    with django_assert_max_num_queries(18):
        page = client.get(reverse("pulsecheck:audit"))

    text = page.content.decode()
    assert "Hotel Seeblick" in text
    assert "Hidden Inn" not in text
    assert page.context["rate"].drawn == 2
    AuditWeekFactory(week_of=date_ago(300))
    weeks = [row.week.week_of for row in client.get(reverse("pulsecheck:audit")).context["weeks"]]
    assert weeks == sorted(weeks, reverse=True)
    for odd in (
        "?which=x",
        "?after=x",
        "?after=99999999999999999999",
        "?which=open",
        "?which=false",
        "?which=%00",
    ):
        assert client.get(reverse("pulsecheck:audit") + odd).status_code == 200
    assert hidden.pulse is None


def test_only_administrators_change_how_many(cast, client):
    address = reverse("pulsecheck:audit_size")
    client.force_login(cast.manager)
    assert client.post(address, {"per_week": 5}).status_code == 404
    client.force_login(cast.administrator)
    assert client.post(address, {"per_week": 900}).status_code == 422
    client.post(address, {"per_week": 1})

    pick_audit(healthy(AccountFactory.create_batch(3)), WEDNESDAY, WEDNESDAY)

    assert AuditPick.objects.count() == 1


def test_what_was_drawn_stands_on_the_pages_of_the_day(cast, client):
    AuditPickFactory(account=cast.account)
    client.force_login(cast.teammate)

    assert "Drawn by lot" in client.get(reverse("pulsecheck:pulse_due")).content.decode()
    assert "Drawn by lot" in client.get("/").content.decode()
