"""Pulse checks and the plan of contacts, in the database."""

import datetime as dt

import pytest
import time_machine
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry, Issue, User
from notifications.models import Notification, Topic
from pulsecheck.errors import CareError
from pulsecheck.models import CadencePolicy, Handback, PulseCheck, PulseTheme, Touchpoint
from pulsecheck.selectors.pulse_history import standing_of
from pulsecheck.services import (
    Grievance,
    PulseEntry,
    complete_next_step,
    log_pulse_check,
    plan_touchpoints,
    skip_touchpoint,
    snooze_touchpoint,
)
from pulsecheck.services.touchpoints import unsnooze_touchpoint
from tests.factories import (
    AccountFactory,
    AccountManagerFactory,
    PulseCheckFactory,
    ScoreFactory,
    TouchpointFactory,
    make_cast,
)

pytestmark = pytest.mark.django_db
TODAY = dt.date(2026, 11, 20)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC), tick=False):
        yield


@pytest.fixture
def cast():
    return make_cast()


def entry(user, score=5, **changes):
    standard = {"next_step": "Send the price list", "next_step_owner": user, "next_step_due_on": TODAY}
    return PulseEntry(score=score, **standard | changes)


def planned(account):
    return Touchpoint.objects.get(account=account, state="planned")


# ── writing one down ───────────────────────────────────────────────────
def test_a_pulse_completes_what_was_planned_and_plans_the_next(cast):
    ScoreFactory(account=cast.account, tier="at_risk")
    due = TouchpointFactory(account=cast.account, due_on=TODAY)

    pulse = log_pulse_check(cast.account, cast.teammate, entry(cast.teammate))

    due.refresh_from_db()
    assert (due.state, due.finished_on, pulse.touchpoint) == ("done", TODAY, due)
    following = planned(cast.account)
    assert (following.due_on, following.assignee) == (dt.date(2026, 12, 4), cast.teammate)
    assert following.reason == "At risk: every 14 days, last pulse on 20 Nov 2026"


def test_without_a_score_it_is_once_a_year(cast):
    log_pulse_check(cast.account, cast.teammate, entry(cast.teammate))

    assert planned(cast.account).due_on == dt.date(2027, 11, 19)


@pytest.mark.parametrize(("score", "opens"), [(1, 1), (2, 1), (3, 0), (6, 0)])
def test_a_poor_score_hands_the_account_back(cast, score, opens):
    log_pulse_check(cast.account, cast.teammate, entry(cast.teammate, score))

    assert Handback.objects.filter(trigger="pulse", salesperson=cast.owner).count() == opens


def test_the_handback_says_what_the_customer_said(cast):
    ScoreFactory(account=cast.account)

    log_pulse_check(cast.account, cast.teammate, entry(cast.teammate, 2))

    risk = Handback.objects.get().risk
    assert risk["reasons"][0]["sentence"] == "Pulse check 2 of 6: unhappy"
    assert risk["churn_probability"] == 0.62


def test_a_grievance_becomes_an_issue_with_an_owner_and_a_day(cast):
    grievance = Grievance("Late again", cast.owner, dt.date(2026, 11, 27))
    delivery = PulseTheme.objects.get(code="delivery")

    log_pulse_check(cast.account, cast.teammate, entry(cast.teammate, grievance=grievance, themes=[delivery]))

    issue = Issue.objects.get()
    assert (issue.description, issue.owner, issue.theme) == ("Late again", cast.owner, "delivery")
    assert issue.due_on == dt.date(2026, 11, 27)
    assert Notification.objects.get(user=cast.owner, topic=Topic.ISSUE).body == "Late again"


def test_the_same_form_twice_counts_once(cast):
    number = "5f0c9f0e-7b1f-4a55-8d3e-0d8a5c3d7f11"
    for _ in range(2):
        log_pulse_check(cast.account, cast.teammate, entry(cast.teammate, 2, submission=number))

    assert (PulseCheck.objects.count(), Handback.objects.count()) == (1, 1)
    assert AuditEntry.objects.filter(action="log_pulse_check").count() == 1


def test_more_than_three_themes_are_refused_and_nothing_is_written(cast):
    with pytest.raises(CareError, match="at most 3"):
        log_pulse_check(
            cast.account, cast.teammate, entry(cast.teammate, themes=list(PulseTheme.objects.all()))
        )

    assert not PulseCheck.objects.exists()


def test_a_step_is_done_once(cast):
    pulse = log_pulse_check(cast.account, cast.teammate, entry(cast.teammate))
    complete_next_step(pulse, cast.teammate)
    complete_next_step(pulse, cast.teammate)

    assert AuditEntry.objects.filter(action="complete_next_step").count() == 1


def test_the_database_wants_a_next_step(cast):
    with pytest.raises(IntegrityError), transaction.atomic():
        PulseCheckFactory(account=cast.account, next_step="")


# ── planning ───────────────────────────────────────────────────────────
def test_planning_the_book_twice_changes_nothing(cast):
    ScoreFactory(account=cast.account, tier="watch")
    AccountFactory.create_batch(3, account_manager=cast.teammate)
    AccountFactory(lifecycle_stage="prospect")

    first, second = plan_touchpoints(), plan_touchpoints()

    assert (first.planned, first.moved, first.cancelled) == (4, 0, 0)
    assert (second.planned, second.moved, second.cancelled) == (0, 0, 0)


def test_a_change_of_tier_or_policy_moves_what_is_planned(cast):
    PulseCheckFactory(account=cast.account, taken_at=dt.datetime(2026, 11, 16, 10, tzinfo=dt.UTC))
    score = ScoreFactory(account=cast.account, tier="steady")
    plan_touchpoints()
    assert planned(cast.account).due_on == dt.date(2027, 2, 12)

    score.tier = "at_risk"
    score.save()
    assert plan_touchpoints().moved == 1
    assert planned(cast.account).due_on == dt.date(2026, 11, 30)

    CadencePolicy.objects.create(tier="at_risk", segment="Hotels", every_days=7)
    plan_touchpoints()
    assert planned(cast.account).due_on == dt.date(2026, 11, 23)


def test_who_is_no_customer_any_more_is_left_alone(cast):
    touchpoint = TouchpointFactory(account=cast.account)
    cast.account.lifecycle_stage = "former"
    cast.account.save()

    assert plan_touchpoints().cancelled == 1
    touchpoint.refresh_from_db()
    assert (touchpoint.state, touchpoint.finished_on) == ("replaced", TODAY)


def test_a_manager_who_leaves_hands_over_what_was_planned(cast):
    plan_touchpoints()
    assert planned(cast.account).assignee == cast.teammate
    User.objects.filter(pk=cast.teammate.pk).update(is_active=False)

    plan_touchpoints()

    assert planned(cast.account).assignee == cast.owner


def test_nobody_is_given_more_in_a_day_than_they_can_do():
    person = AccountManagerFactory(calls_per_day=2)
    AccountFactory.create_batch(7, account_manager=person)

    plan_touchpoints()

    days = list(Touchpoint.objects.order_by("due_on").values_list("due_on", flat=True))
    assert all(days.count(day) <= 2 for day in days)


def test_planning_costs_the_same_queries_for_any_book(django_assert_max_num_queries):
    AccountFactory.create_batch(40, account_manager=AccountManagerFactory())

    with django_assert_max_num_queries(20):
        plan_touchpoints()


# ── leaving out, putting off ───────────────────────────────────────────
def test_leaving_one_out_plans_the_next_from_today(cast):
    ScoreFactory(account=cast.account, tier="watch")
    plan_touchpoints()

    skipped = skip_touchpoint(planned(cast.account), cast.teammate, "Met at the fair")
    skip_touchpoint(skipped, cast.teammate, "Met at the fair")

    assert (skipped.state, skipped.note) == ("skipped", "Met at the fair")
    assert planned(cast.account).due_on == dt.date(2026, 12, 18)
    assert planned(cast.account).reason == "Watch: every 30 days, left out on 20 Nov 2026"
    assert AuditEntry.objects.filter(action="skip_touchpoint").count() == 1


def test_what_was_put_off_stays_put_off_and_can_come_back(cast):
    ScoreFactory(account=cast.account, tier="watch")
    plan_touchpoints()
    before = planned(cast.account).due_on

    # 28 Nov 2026 is a Saturday.
    snoozed = snooze_touchpoint(planned(cast.account), cast.teammate, dt.date(2026, 11, 28), "Stocktaking")
    plan_touchpoints()

    assert planned(cast.account).due_on == snoozed.due_on == dt.date(2026, 11, 30)
    unsnooze_touchpoint(snoozed, cast.teammate)
    assert planned(cast.account).due_on == before


@pytest.mark.parametrize("until", [TODAY, dt.date(2026, 1, 1), dt.date(2028, 1, 1)])
def test_nothing_is_put_off_into_the_past_or_beyond_a_year(cast, until):
    plan_touchpoints()

    with pytest.raises(CareError, match="Choose a day after today"):
        snooze_touchpoint(planned(cast.account), cast.teammate, until, "Later")


# ── what they told us, over time ───────────────────────────────────────
def test_a_pulse_is_stale_once_its_cadence_is_over(cast):
    ScoreFactory(account=cast.account, tier="watch")  # every 30 days
    assert standing_of(cast.account, TODAY).is_stale is False  # never asked: nothing to go stale
    PulseCheckFactory(account=cast.account, taken_at=dt.datetime(2026, 10, 21, 10, tzinfo=dt.UTC))

    fresh, stale = standing_of(cast.account, TODAY), standing_of(cast.account, TODAY + dt.timedelta(days=1))

    assert (fresh.every_days, fresh.stale_after, fresh.is_stale) == (30, TODAY, False)
    assert stale.is_stale


def test_a_grievance_without_a_day_is_settled_within_a_working_week(cast):
    log_pulse_check(
        cast.account, cast.teammate, entry(cast.teammate, 2, grievance=Grievance("Late again", cast.owner))
    )

    issue = Issue.objects.get()
    assert (issue.due_on, issue.severity) == (dt.date(2026, 11, 27), "high")


def test_an_opportunity_reaches_whoever_won_them(cast):
    log_pulse_check(cast.account, cast.teammate, entry(cast.teammate, opportunity="Oat milk"))

    told = Notification.objects.get(user=cast.owner)
    assert told.body == "Tim Teammate heard: Oat milk"


def test_the_history_has_every_pulse_and_what_followed(cast, client, django_assert_max_num_queries):
    theme = PulseTheme.objects.get(code="delivery")
    for number in range(25):
        pulse = PulseCheckFactory(
            account=cast.account,
            taken_at=dt.datetime(2026, 10, 1, tzinfo=dt.UTC) - dt.timedelta(days=30 * number),
            note=f"<script>{number}</script>",
            opportunity="<b>Oat</b>",
        )
        pulse.themes.add(theme)
    client.force_login(cast.owner)
    address = f"/accounts/{cast.account.pk}/pulses/"
    with django_assert_max_num_queries(24):
        first = client.get(address)
    second = client.get(address + first.context["page"].next_url)

    assert len({row.pk for answer in (first, second) for row in answer.context["page"].rows}) == 25
    text = first.content.decode()
    assert "&lt;script&gt;0" in text
    assert "<script>0" not in text
    assert "It is stale since" not in text
    assert client.get(address + "?after=x~y").status_code == 200
