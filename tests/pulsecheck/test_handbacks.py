"""The life of a handback, from opening to outcome."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import time_machine
from django.core.cache import cache
from django.db import connections

from accounts.models import Account, AuditEntry, Company, ExchangeRate, Interaction, Team, User
from notifications.models import Notification, Topic
from pulsecheck.errors import CareError, HandbackConflict
from pulsecheck.handback import Person, Staff, choose_person
from pulsecheck.models import Handback, HandbackAttempt
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.risk import RiskSnapshot
from pulsecheck.services import (
    accept_handback,
    close_handback,
    decline_handback,
    dismiss_risk,
    log_attempt,
    open_handback,
    open_handbacks,
    reassign_handback,
)
from tests.factories import (
    AccountFactory,
    AdministratorFactory,
    ClosedHandbackFactory,
    HandbackFactory,
    ManagerFactory,
    PromiseFactory,
    SalesRepFactory,
    churn_reason,
    date_ago,
    days_ago,
    make_cast,
    reason,
)

pytestmark = pytest.mark.django_db
FRIDAY = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)


def risk(money=6200, tier="at_risk", **changes):
    known = {"probability": 0.62, "horizon_days": 90, "reasons": [reason()], "currency": "EUR"}
    return RiskSnapshot(tier=tier, revenue_at_risk=Decimal(money), **known | changes)


@pytest.fixture
def cast():
    return make_cast()


@pytest.fixture
def opened(cast):
    return open_handback(cast.account, risk(), HandbackTrigger.AT_RISK)


def set_company(**fields):
    Company.objects.update_or_create(pk=1, defaults=fields)
    cache.clear()


def told(user, topic):
    return list(Notification.objects.filter(user=user, topic=topic).values_list("title", flat=True))


# ── opening ────────────────────────────────────────────────────────────
@time_machine.travel(FRIDAY, tick=False)
def test_an_account_goes_back_to_who_won_it_with_two_working_days_to_answer(cast):
    handback = open_handback(cast.account, risk(), HandbackTrigger.AT_RISK)

    assert (handback.salesperson, handback.assigned_because) == (cast.owner, "Won this account.")
    assert handback.due_on == dt.date(2026, 11, 24)
    assert handback.risk["churn_probability"] == 0.62
    assert told(cast.owner, Topic.HANDBACK) == ["Hotel Seeblick is handed back to you"]
    assert AuditEntry.objects.get(action="open_handback").subject_id == handback.pk


@time_machine.travel(dt.datetime(2026, 12, 23, 10, tzinfo=dt.UTC), tick=False)
def test_public_holidays_of_the_country_give_more_time(cast):
    set_company(country="DE")

    assert open_handback(cast.account, risk()).due_on == dt.date(2026, 12, 28)


def test_a_further_reason_joins_the_open_one(cast, opened):
    again = open_handback(cast.account, risk(tier="quiet"), HandbackTrigger.QUIET)
    open_handback(cast.account, risk(tier="quiet"), HandbackTrigger.QUIET)

    assert again.pk == opened.pk
    assert [reason.trigger for reason in again.reasons.all()] == ["at_risk", "quiet"]
    assert Handback.objects.count() == 1


def test_with_the_seller_gone_the_manager_of_the_team_has_it(cast):
    cast.owner.left_on = dt.date(2026, 1, 1)
    cast.owner.save()

    handback = open_handback(cast.account, risk())

    assert handback.salesperson == cast.manager
    assert "Olga Owner, who won the account, has left." in handback.assigned_because


def test_who_takes_over_from_elsewhere_sees_the_account(cast):
    Team.objects.filter(pk=cast.team.pk).update(manager=None)
    for gone in (cast.owner, cast.teammate, cast.manager):
        gone.is_active = False
        gone.save()

    handback = open_handback(cast.account, risk())

    assert handback.salesperson == cast.other_manager
    assert type(cast.account).objects.visible_to(handback.salesperson).filter(pk=cast.account.pk).exists()


def test_with_nobody_left_the_administrators_hear_of_it():
    boss = AdministratorFactory()

    handback = open_handback(AccountFactory(name="Lonely Inn"), risk())

    assert handback.salesperson is None
    assert told(boss, Topic.SYSTEM) == ["Nobody can take the handback of Lonely Inn"]


# ── a whole night ──────────────────────────────────────────────────────
def book(owner, count):
    return AccountFactory.create_batch(count, original_salesperson=owner)


def test_a_night_opens_no_more_than_a_person_can_call_most_money_first(cast):
    cast.owner.calls_per_day = 3
    cast.owner.save()
    accounts = book(cast.owner, 5)
    wanted = [(a.pk, risk(money=100 * n), HandbackTrigger.AT_RISK) for n, a in enumerate(accounts)]

    result = open_handbacks(wanted)

    assert (result.opened, result.over_budget) == (3, 2)
    assert set(Handback.objects.values_list("account", flat=True)) == {a.pk for a in accounts[2:]}
    assert told(cast.owner, Topic.HANDBACK) == ["3 accounts are handed back to you"]
    assert AuditEntry.objects.filter(action="open_handback").count() == 3


def test_the_same_night_twice_changes_nothing(cast):
    accounts = book(cast.owner, 12)
    wanted = [(a.pk, risk(), HandbackTrigger.AT_RISK) for a in accounts]

    open_handbacks(wanted)
    again = open_handbacks(wanted)

    assert (again.opened, again.joined, Handback.objects.count()) == (0, 0, 8)
    assert Notification.objects.count() == 1


def test_money_is_compared_in_one_currency(cast):
    cast.owner.calls_per_day = 1
    cast.owner.save()
    ExchangeRate.objects.create(currency="JPY", rate=Decimal("0.006"))
    yen, euro = book(cast.owner, 2)

    open_handbacks(
        [(yen.pk, risk(money=50_000, currency="JPY"), "at_risk"), (euro.pk, risk(money=400), "at_risk")]
    )

    assert Handback.objects.get().account == euro


@pytest.mark.parametrize(
    ("outcome", "days", "tier", "opens"),
    [
        ("false_alarm", 10, "at_risk", 0),
        ("saved", 10, "at_risk", 0),
        ("saved", 31, "at_risk", 1),
        ("saved", 10, "lost", 1),
        ("lost", 10, "at_risk", 1),
    ],
)
def test_what_was_settled_is_not_asked_again_unless_it_got_worse(cast, outcome, days, tier, opens):
    ClosedHandbackFactory(
        account=cast.account,
        outcome=outcome,
        closed_at=days_ago(days),
        risk={"tier": "at_risk"},
        churn_reason=churn_reason() if outcome == "lost" else None,
    )

    assert open_handbacks([(cast.account.pk, risk(tier=tier), "at_risk")]).opened == opens


def test_a_night_joins_its_reasons_to_open_ones(cast, opened):
    result = open_handbacks([(cast.account.pk, risk(tier="quiet"), HandbackTrigger.QUIET)])

    opened.refresh_from_db()
    assert (result.opened, result.joined) == (0, 1)
    assert opened.reasons.get(trigger="quiet").sentence == reason()["sentence"]


def test_the_number_of_queries_does_not_grow_with_the_night(cast, django_assert_max_num_queries):
    wanted = [
        (a.pk, risk(), "at_risk") for seller in SalesRepFactory.create_batch(10) for a in book(seller, 3)
    ]

    with django_assert_max_num_queries(33):
        open_handbacks(wanted)

    assert Handback.objects.count() == 30


# ── accepting ──────────────────────────────────────────────────────────
def test_accepting_twice_has_one_effect(cast, opened):
    accept_handback(opened, cast.owner)
    first = Handback.objects.get().accepted_at
    accept_handback(opened, cast.owner)

    assert Handback.objects.get().accepted_at == first
    assert AuditEntry.objects.filter(action="accept_handback").count() == 1


def test_of_fifty_who_accept_at_once_one_wins(committed_db):
    account = AccountFactory(original_salesperson=SalesRepFactory())
    people = ManagerFactory.create_batch(50)
    handback = open_handback(account, risk())

    def try_it(person):
        try:
            return accept_handback(handback, person).salesperson_id
        except HandbackConflict as conflict:
            return str(conflict)
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(try_it, people))

    winner = Handback.objects.get().salesperson
    assert [a for a in answers if a == winner.pk] == [winner.pk]
    assert answers.count(f"{winner.name} has accepted this handback already.") == 49
    assert AuditEntry.objects.filter(action="accept_handback").count() == 1


def test_a_closed_one_cannot_be_accepted(cast, opened):
    close_handback(opened, cast.owner, "saved")

    with pytest.raises(HandbackConflict, match="closed already: saved"):
        accept_handback(opened, cast.owner)


# ── declining and reassigning ──────────────────────────────────────────
def test_declining_passes_it_on_and_starts_the_clock_anew(cast, opened):
    Handback.objects.update(due_on=dt.date(2020, 1, 1), escalated_at=days_ago(1))

    handback = decline_handback(opened, cast.owner, "On holiday")

    assert handback.salesperson == cast.manager
    assert handback.due_on > dt.date(2020, 1, 1)
    assert handback.escalated_at is None
    attempt = handback.attempts.get()
    assert (attempt.kind, attempt.user, attempt.note) == ("decline", cast.owner, "On holiday")
    assert told(cast.manager, Topic.HANDBACK) == ["Hotel Seeblick is handed back to you"]


def test_declining_twice_has_one_effect(cast, opened):
    decline_handback(opened, cast.owner, "On holiday")
    decline_handback(opened, cast.owner, "On holiday")

    assert HandbackAttempt.objects.count() == 1


def test_when_everybody_declines_nobody_has_it_and_it_never_comes_back_round(cast, opened):
    seen = [cast.owner]
    handback = decline_handback(opened, cast.owner, "no")
    while handback.salesperson is not None:
        seen.append(handback.salesperson)
        handback = decline_handback(handback, handback.salesperson, "no")

    assert seen == [cast.owner, cast.manager, cast.teammate, cast.other_manager]
    assert told(cast.administrator, Topic.SYSTEM) == ["Nobody can take the handback of Hotel Seeblick"]


def test_only_who_has_it_can_decline(cast, opened):
    with pytest.raises(HandbackConflict):
        decline_handback(opened, cast.teammate, "not mine")


def test_reassigning_lets_the_new_person_see_the_account(cast, opened):
    handback = reassign_handback(opened, cast.stranger, cast.manager, "You know them")

    assert (handback.salesperson, handback.state) == (cast.stranger, "open")
    fresh = type(cast.stranger).objects.get(pk=cast.stranger.pk)
    assert type(cast.account).objects.visible_to(fresh).filter(pk=cast.account.pk).exists()
    assert told(cast.stranger, Topic.HANDBACK) == ["Hotel Seeblick is handed back to you"]


def test_it_cannot_go_to_somebody_who_has_left(cast, opened):
    cast.stranger.left_on = dt.date(2026, 1, 1)

    with pytest.raises(CareError, match="Sam Stranger has left"):
        reassign_handback(opened, cast.stranger, cast.manager)


# ── trying and closing ─────────────────────────────────────────────────
def test_an_attempt_stands_in_the_history_and_counts_as_accepting(cast, opened):
    log_attempt(opened, cast.owner, kind="call", has_reached=True, note="They wait for the price list")

    opened.refresh_from_db()
    assert opened.state == "accepted"
    assert Interaction.objects.get().subject == "They wait for the price list"


def test_the_same_form_twice_is_one_attempt(cast, opened):
    number = "5f0c9f0e-7b1f-4a55-8d3e-0d8a5c3d7f11"

    log_attempt(opened, cast.owner, submission=number)
    log_attempt(opened, cast.owner, submission=number)

    assert (HandbackAttempt.objects.count(), Interaction.objects.count()) == (1, 1)


def test_a_lost_account_needs_its_reason(cast, opened):
    with pytest.raises(CareError, match="churn reason"):
        close_handback(opened, cast.owner, "lost")

    closed = close_handback(opened, cast.owner, "lost", churn_reason=churn_reason())
    assert (closed.state, closed.outcome, closed.churn_reason) == ("closed", "lost", churn_reason())


def test_closing_twice_has_one_effect_and_differently_is_a_conflict(cast, opened):
    close_handback(opened, cast.owner, "saved")
    close_handback(opened, cast.owner, "saved")

    assert AuditEntry.objects.filter(action="close_handback").count() == 1
    with pytest.raises(HandbackConflict):
        close_handback(opened, cast.manager, "false_alarm")


def test_everybody_who_helped_is_thanked_for_a_save(cast, opened):
    log_attempt(opened, cast.manager, note="Called the owner")

    close_handback(opened, cast.owner, "saved")

    assert told(cast.manager, Topic.THANKS) == ["Hotel Seeblick stays. Thank you for your part in it."]
    assert told(cast.teammate, Topic.THANKS) == told(cast.manager, Topic.THANKS)
    assert told(cast.owner, Topic.THANKS) == []


def test_not_a_risk_is_a_false_alarm_with_its_reason(cast, opened):
    closed = dismiss_risk(opened, cast.owner, "Closed for the winter, every year")

    assert (closed.outcome, closed.closing_note) == ("false_alarm", "Closed for the winter, every year")


def test_a_page_from_before_it_went_to_somebody_else_takes_nothing_over(cast, opened):
    stale = Handback.objects.get(pk=opened.pk)
    other = SalesRepFactory()
    reassign_handback(opened, other, cast.manager)

    with pytest.raises(HandbackConflict):
        accept_handback(stale, cast.teammate)

    assert Handback.objects.get(pk=opened.pk).salesperson == other


def test_who_only_looks_on_does_not_close_it(cast, opened):
    onlooker = SalesRepFactory()

    with pytest.raises(CareError, match="ask them, or a manager"):
        close_handback(opened, onlooker, "saved")

    assert close_handback(opened, cast.manager, "saved").outcome == "saved"


# ── read line by line ──────────────────────────────────────────────────
def test_what_nobody_has_can_be_taken_over_from_its_page(cast, client):
    handback = HandbackFactory(account=cast.account, salesperson=None)
    client.force_login(cast.teammate)
    assert 'name="given_to" value="0"' in client.get(f"/handbacks/{handback.pk}/").content.decode()

    answer = client.post(f"/handbacks/{handback.pk}/accept/", {"given_to": "0"})

    handback.refresh_from_db()
    assert (answer.status_code, handback.salesperson) == (302, cast.teammate)


def test_who_thought_that_nobody_has_it_does_not_take_it_from_somebody(cast, client):
    handback = HandbackFactory(account=cast.account)
    client.force_login(cast.teammate)

    assert client.post(f"/handbacks/{handback.pk}/accept/", {"given_to": "0"}).status_code == 409


def test_a_colleague_who_stands_in_sees_the_account_after_a_night(cast):
    cast.owner.absences.create(starts_on=date_ago(1), ends_on=date_ago(-5), substitute=cast.stranger)
    cast.owner.absences.update(starts_on=date_ago(1))

    open_handbacks([(cast.account.pk, risk(), HandbackTrigger.AT_RISK)])

    assert Handback.objects.get().salesperson == cast.stranger
    cast.owner.absences.all().delete()  # not only for as long as the other is away
    assert (
        Account.objects.visible_to(User.objects.get(pk=cast.stranger.pk)).filter(pk=cast.account.pk).exists()
    )


@time_machine.travel(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC), tick=False)
def test_a_promise_kept_on_the_last_day_counts_by_the_calendar_of_the_company(cast):
    set_company(time_zone="Pacific/Auckland")  # where it is the 21st already
    handback = open_handback(cast.account, risk(), HandbackTrigger.AT_RISK)
    PromiseFactory(
        account=cast.account, made_by=cast.teammate, status="kept",
        made_on=dt.date(2026, 11, 18), due_on=dt.date(2026, 11, 21), kept_on=dt.date(2026, 11, 21),
    )  # fmt: skip

    close_handback(handback, cast.owner, "saved")

    assert "kept a promise" in handback.credits.get(person=cast.teammate).part


def test_who_was_away_and_then_passed_over_is_said_to_be_away():
    people = {1: Person(1, "Olga", away_until=dt.date(2026, 12, 3), substitute_id=2), 2: Person(2, "Tim")}

    choice = choose_person(Staff(people, [3]), 1, None, {1: "has not answered", 2: "has declined"})

    assert "Olga, who won the account, is away until 3 December." in choice.because
