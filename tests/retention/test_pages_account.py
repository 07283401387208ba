"""The account page: what it says, who sees it, what can be done on it."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Enquiry, Interaction, Issue, Promise
from accounts.models.care import PromiseStatus
from pulsecheck.models import Handback, Touchpoint
from pulsecheck.models.handbacks import HandbackOutcome
from retention.datasets import day_number, load_history
from retention.models import FittedModel, Tier
from retention.scoring import models as engine
from retention.scoring.bgnbd import BgNbd
from retention.scoring.features import Basis
from retention.scoring.money import GammaGamma
from retention.scoring.scores import score_accounts
from retention.selectors.account import find_change
from tests.factories import (
    AccountFactory,
    ClosedHandbackFactory,
    ContactFactory,
    ContractFactory,
    EnquiryFactory,
    HandbackFactory,
    InteractionFactory,
    IssueFactory,
    OrderFactory,
    OrderLineFactory,
    PromiseFactory,
    PulseCheckFactory,
    ScoreFactory,
    ScoreRunFactory,
    TouchpointFactory,
    date_ago,
    days_ago,
    make_cast,
    reason,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_kept():
    cache.clear()


@pytest.fixture
def cast():
    return make_cast()


@pytest.fixture
def page(client, cast):
    """The page of the cast's account as its owner sees it, as text."""

    def read(query=""):
        client.force_login(cast.owner)
        return client.get(f"/accounts/{cast.account.pk}/{query}").content.decode()

    return read


def test_a_stranger_gets_the_404_of_an_account_that_is_not_there(client, cast):
    for user, status in [
        (cast.owner, 200),
        (cast.teammate, 200),
        (cast.marketing, 200),
        (cast.stranger, 404),
        (cast.other_manager, 404),
    ]:
        client.force_login(user)
        assert client.get(f"/accounts/{cast.account.pk}/").status_code == status, user
    assert client.get("/accounts/999999/").status_code == 404


def card_of(client, cast, query=""):
    client.force_login(cast.owner)
    return client.get(f"/accounts/{cast.account.pk}/{query}").context["card"]


@pytest.mark.parametrize(
    ("base", "probability", "points", "shown"),
    [
        (0.366, 0.71, [28.4, 12.4, -6.4], [28, 12, -6]),
        (0.284, 0.306, [0.8, 0.7, 0.7], [1, 1, 1]),
        (0.1, 0.114, [0.7, 0.7, 0.2], [1, 0]),
        (0.5, 0.487, [1.4, 1.4, -4.1], [2, 1, -4]),
    ],
)
def test_what_is_shown_adds_up_to_the_probability(client, cast, base, probability, points, shown):
    reasons = [reason(f"Reason {number}.", size) for number, size in enumerate(points)]
    ScoreFactory(account=cast.account, churn_probability=probability, base_probability=base, reasons=reasons)
    card = card_of(client, cast)
    assert [row.whole for row in card.reasons] == shown
    assert card.base + sum(shown) == round(100 * probability)


def test_the_change_is_split_by_factor_against_a_month_before(cast):
    def score(ago, probability, silence, spend, version="m1"):
        return ScoreFactory(
            account=cast.account,
            run=ScoreRunFactory(as_of=date_ago(ago)),
            churn_probability=probability,
            model_version=version,
            reasons=[
                reason(points=silence) | {"factor": "rhythm"},
                reason(points=spend) | {"factor": "spend"},
            ],
        )

    now = score(1, 0.71, 30.0, 5.0, "m2")
    history = [now, score(8, 0.66, 25.0, 5.0), score(30, 0.52, 12.0, 4.2), score(60, 0.2, 0.0, 0.0)]
    change = find_change(history)
    assert (change.since, change.before, change.after) == (date_ago(30), 0.52, 0.71)
    assert change.factors == [("rhythm", 18.0)]
    assert change.is_model_new
    assert find_change([now]) is None


def test_money_is_of_the_accounts_own_currency_and_profit_where_cost_is_known(page, client, cast):
    OrderFactory(account=cast.account, amount=Decimal(1000), cost=Decimal(600))
    OrderFactory(account=cast.account, amount=Decimal(500))
    OrderFactory(account=cast.account, amount=Decimal(900), status="cancelled")
    OrderFactory(account=cast.account, amount=Decimal(700), currency="USD")
    text = page()
    assert "€1,500</b> bought so far" in text
    assert "€400</b> profit (40\N{NO-BREAK SPACE}%)" in text
    assert "where cost is known" in text


def test_the_page_of_an_account_without_anything_says_so(page):
    text = page()
    for sentence in (
        "Not scored yet.",
        "No orders in the last two years.",
        "Nobody on record.",
        "No complaints on record.",
        "Nothing is planned.",
        "Nobody has asked how they feel about us yet.",
    ):
        assert sentence in text
    assert "None</" not in text


def test_an_alarm_sounds_when_a_parent_is_missing_or_silent(page, cast):
    assert "say bad" not in page()
    InteractionFactory(account=cast.account, happened_at=days_ago(120))
    assert "Nobody has spoken with them for 120 days." in page()
    cast.account.account_manager = None
    cast.account.save()
    assert "Only sales looks after this account" in page()
    cast.account.original_salesperson, cast.account.account_manager = None, cast.owner
    cast.account.save()
    assert "it needs somebody from sales" in page()


def test_one_contact_alone_is_a_thin_thread(page, cast):
    ContactFactory(account=cast.account, name="Priya Shah", role="decision_maker")
    ContactFactory(account=cast.account, name="Tom Reyes", is_active=False, left_on=date_ago(50))
    text = page()
    assert "Only one person there talks to us." in text
    assert "Priya Shah</b> · decides" in text


def test_the_timeline_holds_every_kind_and_filters_by_it(page, cast):
    OrderFactory(account=cast.account, promised_on=date_ago(20), delivered_on=date_ago(17))
    InteractionFactory(account=cast.account, subject="How the season starts", user=cast.owner)
    IssueFactory(account=cast.account, resolved_at=days_ago(2))
    PromiseFactory(account=cast.account, made_by=cast.owner, kept_on=date_ago(1), status="late")
    PulseCheckFactory(account=cast.account, score=2)
    ClosedHandbackFactory(account=cast.account)
    for ago, tier in ((40, Tier.STEADY), (1, Tier.AT_RISK)):
        ScoreFactory(account=cast.account, run=ScoreRunFactory(as_of=date_ago(ago)), tier=tier)
    spoken = {
        "orders": "delivered 3 days late",
        "talk": "How the season starts",
        "issues": "Issue resolved",
        "promises": "Promise kept late",
        "risk": "Moved from steady to at risk",
    }
    everything = page()
    for kind, words in spoken.items():
        assert words in everything
        only = page(f"?kind={kind}").split('id="timeline"')[1].split("<aside")[0]
        assert words in only
        others = [said for other, said in spoken.items() if other != kind]
        assert not any(said in only for said in others), kind
    assert "Handback closed: saved" in page("?kind=risk")
    assert page("?kind=nonsense")


def test_a_long_history_is_shown_in_two_steps(page, cast):
    for ago in range(1, 40):
        OrderFactory(account=cast.account, ordered_at=days_ago(ago))
    assert page().count("Ordered for") == 12
    assert "Show what happened before" in page()
    assert page("?all").count("Ordered for") == 39


def fill(account, owner):
    for ago in range(5, 90, 9):
        OrderLineFactory(order=OrderFactory(account=account, ordered_at=days_ago(ago)))
    for _ in range(4):
        ContactFactory(account=account)
        ContractFactory(account=account)
        InteractionFactory(account=account, user=owner)
        IssueFactory(account=account, owner=owner)
        PromiseFactory(account=account, made_by=owner)
        PulseCheckFactory(account=account)
        ClosedHandbackFactory(account=account)
        EnquiryFactory(account=account)


def test_the_number_of_queries_does_not_grow_with_the_account(client, cast):
    run = ScoreRunFactory()
    ScoreFactory(account=cast.account, run=run)
    client.force_login(cast.owner)
    client.get(f"/accounts/{cast.account.pk}/")  # makes the company's row
    counts = []
    for _ in range(2):
        fill(cast.account, cast.owner)
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/accounts/{cast.account.pk}/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 50


def test_a_rhythm_chart_shows_the_silence_in_words(page, cast):
    ScoreFactory(account=cast.account, days_since_last_order=74, usual_gap_days=21.0)
    OrderFactory(account=cast.account, ordered_at=days_ago(75))
    text = page()
    assert "53 days beyond the usual gap" in text
    assert 'aria-label="Orders over 2 years. Last order 74 days ago, usually every 21."' in text


# ── why ────────────────────────────────────────────────────────────────
def fitted(as_of, intercept=0.0):
    """A model that has only BG/NBD, stored as a run stores it."""
    model = engine.FittedModel(
        "rhythm", True, day_number(as_of), Basis(BgNbd(0.5, 30.0, 0.8, 2.5), 30.0, 90), GammaGamma(1.0, 2.0, 1.0),
        intercept, 1.0,
    )  # fmt: skip
    stored, _ = FittedModel.objects.get_or_create(
        version=model.version, defaults={"as_of": as_of, "horizon_days": 90, "stage": "rhythm", "payload": model.to_bytes()}
    )  # fmt: skip
    return model, stored


def scored(account, ago, intercept=0.0, **more):
    """Scored by such a model as of so many days ago, from the orders there are."""
    as_of = date_ago(ago)
    model, stored = fitted(as_of, intercept)
    history = load_history(as_of, only=np.array([account.pk]))
    p = float(score_accounts(history, day_number(as_of), model).probability[0])
    run = ScoreRunFactory(as_of=as_of, model=stored)
    defaults = {
        "churn_probability": p,
        "base_probability": model.base_probability,
        "model_version": stored.version,
    }
    return ScoreFactory(account=account, run=run, **(defaults | more))


@pytest.fixture
def bought(cast):
    """Every ten days from a year to 60 days ago."""
    for ago in range(60, 360, 10):
        OrderFactory(account=cast.account, ordered_at=days_ago(ago), amount=Decimal(100))
    return cast.account


def test_the_change_is_split_into_time_behaviour_and_model(client, cast, bought):
    then = scored(bought, 40)
    OrderFactory(account=bought, ordered_at=days_ago(12))
    now = scored(bought, 1, intercept=0.4)
    card = card_of(client, cast)
    assert [row.label for row in card.steps] == [
        "Time passing",
        "What happened since",
        "The model learned anew",
    ]
    assert sum(row.whole for row in card.steps) == round(now.churn_probability * 100) - round(
        then.churn_probability * 100
    )
    exact = 100 * (now.churn_probability - then.churn_probability)
    assert sum(row.points for row in card.steps) == pytest.approx(exact)
    time, behaviour, model = (row.points for row in card.steps)
    assert time > 0 > behaviour
    assert model > 0
    assert card.steps[1].detail.startswith("1\N{NO-BREAK SPACE}order")
    assert "late" not in {row.label for row in card.steps}


def test_records_that_came_late_or_are_not_counted_yet_stand_apart(client, cast, bought):
    scored(bought, 40)
    scored(bought, 1)
    OrderFactory(account=bought, ordered_at=days_ago(45))
    labels = {row.label: row.points for row in card_of(client, cast).steps}
    assert labels["Records that arrived late"] < 0
    assert labels["Newer records left out"] > 0
    assert labels["What happened since"] == 0


def test_one_chooses_what_to_compare_with(client, cast, bought):
    for ago in (1, 2, 9, 31, 50):
        scored(bought, ago)
    card = card_of(client, cast)
    assert card.since.code == "month"
    assert [link.url for link in card.links] == [
        f"?since={code}#changed" for code in ("run", "week", "month")
    ]
    for query, ago in [
        ("run", 2),
        ("week", 9),
        ("month", 31),
        (date_ago(50).isoformat(), 50),
        ("nonsense", 31),
    ]:
        assert card_of(client, cast, f"?since={query}").since.score.as_of == date_ago(ago), query
    scored(bought, 0)
    assert card_of(client, cast, "?since=visit").since.score.as_of == date_ago(1)


def test_a_score_of_a_model_that_is_gone_is_compared_by_factor(client, cast, bought):
    scored(bought, 40, churn_probability=0.3, reasons=[reason(points=4.0)], model_version="rhythm-of-old")
    scored(bought, 1, churn_probability=0.42, reasons=[reason(points=20.0)])
    card = card_of(client, cast)
    assert [(row.label, row.whole) for row in card.steps] == [("Buying rhythm", 16), ("Everything else", -4)]
    assert "cannot be applied any more" in card.change_note


def test_what_would_change_it_is_found_by_scoring_again(page, bought):
    score = scored(bought, 1)
    assert score.churn_probability > 0.5
    text = page()
    assert "An order of its usual size (€100) within the next 60" in text
    assert "30 more days of silence would bring it to" in text
    OrderFactory(account=bought, ordered_at=days_ago(1.5))
    score.delete()
    cache.clear()
    scored(bought, 1)
    assert "Without an order it reaches 30" in page()


def test_nothing_would_change_what_is_the_same_for_all(page, bought):
    scored(bought, 1, reasons=[reason("No usable signal.", 0.0) | {"factor": "no_signal"}])
    text = page()
    assert "No usable signal: past orders do not tell who" in text
    assert "What would change it" not in text


def test_reasons_open_their_records(page, cast):
    OrderFactory(account=cast.account, ordered_at=days_ago(95), amount=Decimal(120))
    OrderFactory(account=cast.account, ordered_at=days_ago(75), amount=Decimal(340))
    OrderFactory(account=cast.account, ordered_at=days_ago(70), amount=Decimal(-34))
    OrderFactory(
        account=cast.account, ordered_at=days_ago(60), amount=Decimal(77), promised_on=date_ago(50), delivered_on=date_ago(46)
    )  # fmt: skip
    IssueFactory(account=cast.account, description="Wrong colour")
    PulseCheckFactory(account=cast.account, score=2)
    ContactFactory(account=cast.account, name="Tom Reyes", is_active=False, left_on=date_ago(50))
    ClosedHandbackFactory(account=cast.account)
    ContractFactory(account=cast.account, starts_on=date_ago(200))
    reasons = [
        reason(f"About {factor}.", 5.0) | {"factor": factor}
        for factor in (
            "rhythm",
            "spend",
            "returns",
            "season",
            "delivery",
            "service",
            "pulse",
            "promises",
            "stability",
            "treatment",
            "contract",
        )
    ]
    ScoreFactory(account=cast.account, reasons=reasons)
    text = page()
    behind = {part.split(".")[0].split("<")[0]: part for part in text.split("<span>About ")[1:]}
    assert "20 days after the one before" in behind["rhythm"]
    assert "Last 90 days" in behind["spend"]
    assert "Returned goods worth €34" in behind["returns"]
    assert "No order from" in behind["season"]
    assert "delivered 4 days late" in behind["delivery"]
    assert "Wrong colour" in behind["service"]
    assert "Pulse 2 of 6" in behind["pulse"]
    assert "No promise on record." in behind["promises"]
    assert "Tom Reyes left" in behind["stability"]
    assert "Handback closed: saved" in behind["treatment"]
    assert "Contract began" in behind["contract"]


@pytest.mark.parametrize(
    ("stage", "words"), [("rules", "too few yet to learn from"), ("contract", "a usual contract")]
)
def test_the_card_says_where_it_starts_from(page, cast, stage, words):
    since = None if stage == "contract" else 20
    ScoreFactory(account=cast.account, stage=stage, days_since_last_order=since)
    text = page()
    assert words in text
    assert ("May not renew" in text) == (stage == "contract")


# ── what can be done there ─────────────────────────────────────────────
def send(client, name, pk, **data):
    return client.post(reverse(f"retention:{name}", args=[pk]), data, follow=True)


def test_a_call_is_logged_and_stands_in_the_timeline(client, cast):
    contact = ContactFactory(account=cast.account)
    client.force_login(cast.owner)
    page = send(
        client, "log_interaction", cast.account.pk, kind="call", subject="Wants samples", contact=contact.pk
    )
    logged = Interaction.objects.get()
    assert (logged.user, logged.contact, logged.kind, logged.record_source) == (
        cast.owner,
        contact,
        "call",
        "mainstay",
    )
    assert "Wants samples" in page.content.decode()


def test_a_contact_of_another_account_is_refused(client, cast):
    client.force_login(cast.owner)
    send(client, "log_interaction", cast.account.pk, kind="call", subject="x", contact=ContactFactory().pk)
    assert not Interaction.objects.exists()


def test_nothing_typed_is_lost_when_something_is_missing(client, cast):
    client.force_login(cast.owner)
    tomorrow = date_ago(-1).isoformat()
    response = send(
        client,
        "log_interaction",
        cast.account.pk,
        kind="email",
        subject="Sent the list",
        happened_on=tomorrow,
    )
    assert response.status_code == 422
    text = response.content.decode()
    assert "This is still to come." in text
    assert 'value="Sent the list"' in text
    response = send(
        client, "make_promise", cast.account.pk, text="A price list", due_on=date_ago(2).isoformat()
    )
    assert "This day is over." in response.content.decode()


def test_every_kind_of_record_is_written_by_one_way(client, cast):
    client.force_login(cast.owner)
    week = date_ago(-7).isoformat()
    send(client, "make_promise", cast.account.pk, text="A price list", due_on=week, is_shared="on")
    send(client, "open_issue", cast.account.pk, description="Two crates broken", severity="high")
    page = send(client, "log_enquiry", cast.account.pk, subject="On Saturdays?").content.decode()
    promise, issue, enquiry = Promise.objects.get(), Issue.objects.get(), Enquiry.objects.get()
    assert (promise.made_by, promise.status, promise.is_shared) == (cast.owner, PromiseStatus.OPEN, True)
    assert (issue.owner, issue.severity, issue.resolved_at) == (cast.owner, "high", None)
    assert issue.due_on > dt.date.today()
    assert (enquiry.owner, enquiry.responded_at) == (cast.teammate, None)
    assert all(text in page for text in ("A price list", "Two crates broken", "On Saturdays?"))


def test_a_contact_who_left_is_noted(client, cast):
    contact = ContactFactory(account=cast.account)
    client.force_login(cast.owner)
    send(client, "contact_left", contact.pk)
    contact.refresh_from_db()
    assert (contact.is_active, contact.left_on) == (False, dt.date.today())


def test_putting_off_moves_the_planned_contact_or_plans_one(client, cast):
    client.force_login(cast.owner)
    until = date_ago(-14)
    send(client, "put_off", cast.account.pk, until=until.isoformat(), reason="On holiday")
    touchpoint = Touchpoint.objects.get()
    assert touchpoint.due_on >= until
    assert touchpoint.snoozed_from is not None
    assert touchpoint.note == "On holiday"


def test_putting_off_without_a_reason_is_refused_in_words(client, cast):
    TouchpointFactory(account=cast.account)
    client.force_login(cast.owner)
    page = send(client, "put_off", cast.account.pk, until=date_ago(-14).isoformat())
    assert "Say in a few words why it can wait." in page.content.decode()
    page = send(client, "put_off", cast.account.pk, until=date_ago(3).isoformat(), reason="x")
    assert "Choose a day after today" in page.content.decode()


def test_not_a_risk_is_kept_as_a_false_alarm_with_the_reason(client, cast):
    ScoreFactory(account=cast.account)
    client.force_login(cast.owner)
    send(client, "dismiss", cast.account.pk, reason="Closed for renovation until May")
    handback = Handback.objects.get()
    assert handback.outcome == HandbackOutcome.FALSE_ALARM
    assert handback.closing_note == "Closed for renovation until May"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("log_interaction", None),
        ("make_promise", None),
        ("open_issue", None),
        ("log_enquiry", None),
        ("put_off", None),
        ("dismiss", None),
        ("contact_left", ContactFactory),
    ],
)
def test_strangers_and_marketing_can_do_none_of_it(client, cast, name, make):
    pk = make(account=cast.account).pk if make else cast.account.pk
    for user in (cast.stranger, cast.marketing, cast.other_manager):
        client.force_login(user)
        assert send(client, name, pk).status_code == 404, user


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("log_interaction", "interaction"),
        ("make_promise", "promise"),
        ("open_issue", "issue"),
        ("log_enquiry", "enquiry"),
    ],
)
def test_the_form_of_a_record_is_on_the_page_or_comes_when_asked_for(client, cast, page, name, kind):
    address = reverse(f"retention:{name}", args=[cast.account.pk])
    assert f'action="{address}"' not in page()
    whole = client.get(address, follow=True)
    assert whole.redirect_chain[0][0].endswith(f"?write={kind}#write")
    part = client.get(address, headers={"HX-Request": "true"})
    for answer in (whole, part):
        assert answer.status_code == 200
        assert f'action="{address}"' in answer.content.decode()
    assert "<html" not in part.content.decode()
    client.force_login(cast.stranger)
    assert client.get(address).status_code == 404


def test_marketing_reads_without_buttons(client, cast):
    HandbackFactory(account=AccountFactory())
    client.force_login(cast.marketing)
    text = client.get(f"/accounts/{cast.account.pk}/").content.decode()
    assert "Log a call" not in text
    assert "Hand back" not in text
