"""What a published run leads to, and what a look back does not."""

import datetime as dt

import pytest

from pulsecheck.models import Handback
from retention.models import Tier
from retention.services.actions import act_on_run
from tests.factories import AccountFactory, OrderFactory, ScoreFactory, ScoreRunFactory, date_ago, days_ago

pytestmark = pytest.mark.django_db


def scored(days: int):
    """An account at risk in a run of so many days ago; the book goes on until yesterday."""
    account = AccountFactory()
    for day in (days + 200, days + 100, 1):
        OrderFactory(account=account, ordered_at=days_ago(day))
    run = ScoreRunFactory(as_of=date_ago(days), takes_action=True, acted_at=None)
    ScoreFactory(account=account, run=run, as_of=run.as_of, tier=Tier.AT_RISK)
    return run


def test_last_nights_scores_hand_back_once():
    run = scored(1)
    assert [act_on_run(run), act_on_run(run)] == [True, False]
    assert Handback.objects.count() == 1


def test_scores_of_long_ago_send_nobody_anywhere():
    run = scored(90)
    assert not act_on_run(run)
    assert Handback.objects.count() == 0
    run.refresh_from_db()
    assert run.acted_at is not None  # or the reaper would ring for it for ever


def test_a_run_that_takes_no_action_opens_nothing():
    run = scored(1)
    run.takes_action = False
    run.save()
    assert not act_on_run(run)
    assert Handback.objects.count() == 0


def test_a_day_scored_again_after_newer_ones_opens_nothing():
    ScoreRunFactory(as_of=date_ago(1), acted_at=dt.datetime.now(dt.UTC))
    assert not act_on_run(scored(3))
    assert Handback.objects.count() == 0
