"""Today and Search."""

from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pulsecheck.models import HandbackReason, TriggerRule
from retention.models import ScoreRun, Tier
from retention.selectors.search import search
from retention.selectors.today import KINDS, today_of
from retention.selectors.today_team import team_table
from tests.factories import (
    AccountFactory,
    ActionFactory,
    AuditPickFactory,
    ClosedHandbackFactory,
    ContactFactory,
    ContractFactory,
    EnquiryFactory,
    HandbackFactory,
    HandoffFactory,
    InteractionFactory,
    IssueFactory,
    MeetingFactory,
    OnboardingStepFactory,
    PromiseFactory,
    PulseCheckFactory,
    ScoreFactory,
    ScoreRunFactory,
    TouchpointFactory,
    UserFactory,
    churn_reason,
    date_ago,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_kept():
    cache.clear()


@pytest.fixture
def cast():
    return make_cast()


def account_of(user, name="Customer", **fields):
    return AccountFactory(name=name, original_salesperson=user, **fields)


def tasks(user):
    return today_of(user, ScoreRun.objects.first(), date_ago(0)).tasks


def kinds(user):
    return [task.kind for task in tasks(user)]


def test_every_kind_of_duty_has_its_row(cast):
    rep = cast.owner
    HandbackFactory(account=account_of(rep))
    PromiseFactory(account=account_of(rep), made_by=rep)
    EnquiryFactory(account=account_of(rep), owner=rep)
    IssueFactory(account=account_of(rep), owner=rep, due_on=date_ago(1))
    PulseCheckFactory(account=account_of(rep), taken_by=rep, next_step_due_on=date_ago(2))
    TouchpointFactory(account=account_of(rep), assignee=rep, due_on=date_ago(0))
    ContractFactory(account=account_of(rep), starts_on=date_ago(300), ends_on=date_ago(-20))
    ScoreFactory(account=account_of(rep))
    assert kinds(rep) == ["promise", "enquiry", "issue", "step", "handback", "risk", "pulse", "renewal"]


def one_of_every_kind(rep, run):
    """A duty of every kind that somebody who cares for accounts can have, each at an account of its own."""
    handback = HandbackFactory(account=account_of(rep))
    HandbackReason.objects.create(handback=handback, trigger="quiet", noted_at=days_ago(1))
    HandbackFactory(account=account_of(rep), state="accepted", accepted_at=days_ago(9))
    ClosedHandbackFactory(
        account=account_of(rep), outcome="lost", churn_reason=churn_reason(), counter_signer=rep,
        closed_by=rep, revenue_at_risk=5,
    )  # fmt: skip
    PromiseFactory(account=account_of(rep), made_by=rep)
    EnquiryFactory(account=account_of(rep), owner=rep)
    answered = {"responded_at": days_ago(0), "next_step": "Write", "next_step_due_on": date_ago(1)}
    EnquiryFactory(account=account_of(rep), next_step_owner=rep, **answered)
    IssueFactory(account=account_of(rep), owner=rep, due_on=date_ago(1))
    IssueFactory(account=account_of(rep), owner=rep, resolved_at=days_ago(1))
    PulseCheckFactory(account=account_of(rep), taken_by=rep, next_step_due_on=date_ago(2))
    TouchpointFactory(account=account_of(rep), assignee=rep, due_on=date_ago(0))
    ContractFactory(account=account_of(rep), starts_on=date_ago(300), ends_on=date_ago(-20))
    ContractFactory(account=account_of(rep), starts_on=date_ago(3), ends_on=date_ago(-300))
    HandoffFactory(account=account_of(rep), handed_to=rep)
    OnboardingStepFactory(handoff__account=account_of(rep), owner=rep)
    MeetingFactory(account=account_of(rep), chair=rep)
    ActionFactory(account=account_of(rep), owner=rep, due_on=date_ago(0))
    asked = {
        "follow_up_on": date_ago(0),
        "due_on": date_ago(9),
        "cause": "late",
        "finding": {"says": "Late."},
    }
    ActionFactory(owner=UserFactory(), asked_by=rep, **asked)
    AuditPickFactory(account=account_of(rep), assignee=rep, due_on=date_ago(0), closes_on=date_ago(-9))
    ScoreFactory(account=account_of(rep), run=run)


def test_as_many_queries_whatever_waits(cast):
    rep, run, day = cast.owner, ScoreRunFactory(), date_ago(0)
    rep.calls_per_day = 100
    PromiseFactory(account=account_of(rep), made_by=rep)
    today_of(rep, run, day)  # what is kept from then on does not count
    with CaptureQueriesContext(connection) as few:
        assert len(today_of(rep, run, day).tasks) == 1
    for _ in range(2):
        one_of_every_kind(rep, run)
    with CaptureQueriesContext(connection) as many:
        shown = today_of(rep, run, day).tasks
        said = [str(task.why) for task in shown]
    assert {task.kind for task in shown} == {kind.name for kind in KINDS if rep.role in kind.roles}
    assert all(said)
    assert len(many) == len(few)


def test_a_handback_says_its_first_reason_and_how_many_more(cast):
    handback = HandbackFactory(account=account_of(cast.owner), trigger="pulse")
    (task,) = tasks(cast.owner)
    assert task.why == handback.get_trigger_display()
    said = {"noted_at": days_ago(2), "sentence": "They ask for a refund."}
    HandbackReason.objects.create(handback=handback, trigger="promise", noted_at=days_ago(1))
    HandbackReason.objects.create(handback=handback, trigger="pulse", **said)
    (task,) = tasks(cast.owner)
    assert task.why == "They ask for a refund. And 1 more reason."
    HandbackReason.objects.filter(trigger="pulse").delete()
    (task,) = tasks(cast.owner)
    assert task.why == HandbackReason(trigger="promise").get_trigger_display()


def test_nobody_gets_more_rows_than_calls_they_can_make(cast):
    cast.owner.calls_per_day = 3
    for money in range(5):
        ScoreFactory(account=account_of(cast.owner), revenue_at_risk=Decimal(money))
    found = today_of(cast.owner, ScoreRun.objects.get(), date_ago(0))
    assert [task.standing.money for task in found.tasks] == [4, 3, 2]
    assert found.waiting == 2


def test_an_account_has_one_row_and_names_the_other_duties(cast):
    account = account_of(cast.owner)
    HandbackFactory(account=account)
    PromiseFactory(account=account, made_by=cast.owner)
    (task,) = tasks(cast.owner)
    assert (task.kind, task.also) == ("promise", ["Answer the handback"])


def test_accounts_that_are_looked_after_already_do_not_come_again(cast):
    spoken, put_off, dismissed = (account_of(cast.owner) for _ in range(3))
    for account in (spoken, put_off, dismissed):
        ScoreFactory(account=account)
    InteractionFactory(account=spoken, happened_at=days_ago(1))
    TouchpointFactory(account=put_off, snoozed_from=date_ago(2), due_on=date_ago(-9), assignee=None)
    ClosedHandbackFactory(account=dismissed, closed_at=days_ago(3), outcome="false_alarm")
    assert tasks(cast.owner) == []


def test_watched_accounts_and_those_of_others_are_no_task(cast):
    ScoreFactory(account=account_of(cast.owner), tier=Tier.WATCH)
    ScoreFactory(account=account_of(cast.stranger))
    assert tasks(cast.owner) == []


def test_an_accepted_handback_comes_back_when_nothing_was_tried(cast):
    account = account_of(cast.owner)
    HandbackFactory(account=account, state="accepted", accepted_at=days_ago(1))
    (task,) = tasks(cast.owner)
    assert task.why == "You accepted it and have not tried yet."


def test_the_page_is_calm_when_nothing_is_due(client, cast):
    client.force_login(cast.owner)
    assert "All done" in client.get("/").content.decode()


def test_an_empty_installation_opens_three_doors_to_an_administrator(client, cast):
    cast.account.delete()
    client.force_login(cast.administrator)
    page = client.get("/").content.decode()
    assert "Load the sample company" in page
    assert "Connect your CRM" in page
    client.force_login(cast.owner)
    page = client.get("/").content.decode()
    assert "Load the sample company" not in page
    assert "An administrator of your company has to bring the first orders" in page


def test_marketing_sees_which_campaign_wins_customers_who_leave(client, cast):
    for campaign, leaving in (("Trade fair", 6), ("Newsletter", 1)):
        for number in range(10):
            account = AccountFactory(campaign=campaign, became_customer_on=date_ago(100))
            ScoreFactory(account=account, tier=Tier.AT_RISK if number < leaving else Tier.STEADY)
    client.force_login(cast.marketing)
    page = client.get("/")
    (task,) = page.context["duties"].tasks
    assert task.title == "Campaign Trade fair"
    assert task.why.startswith(
        "6 of 10 customers won by it in a year are at risk, quiet or lost; of all others 1 of"
    )
    assert "Campaign Trade fair" in page.content.decode()
    assert kinds(cast.owner) == []


def test_a_manager_sees_what_the_team_left_unanswered_and_what_nobody_has(client, cast):
    late = HandbackFactory(account=account_of(cast.owner), escalated_at=days_ago(0), due_on=date_ago(1))
    HandbackFactory(account=account_of(cast.owner), salesperson=None, due_on=date_ago(1))
    HandbackFactory(account=account_of(cast.stranger), escalated_at=days_ago(0), due_on=date_ago(1))
    assert kinds(cast.manager) == ["unanswered", "nobodys"]
    client.force_login(cast.manager)
    page = client.get("/").content.decode()
    assert "Olga Owner has not answered the handback." in page
    assert f"/handbacks/{late.pk}/accept/" in page


def test_who_signs_too_and_who_may_let_a_trigger_speak(client, cast):
    ClosedHandbackFactory(
        account=account_of(cast.owner, account_manager=cast.teammate),
        outcome="lost",
        churn_reason=churn_reason(),
        counter_signer=cast.owner,
        closed_by=cast.teammate,
    )
    TriggerRule.objects.filter(trigger="quiet").update(
        muted_at=days_ago(1), muted_because="Right in 2 of 20."
    )
    assert kinds(cast.owner) == ["sign"]
    assert "Tim Teammate says why they left" in tasks(cast.owner)[0].why
    assert kinds(cast.manager) == kinds(cast.administrator) == ["muted"]
    acts = {user: [act.label for act in tasks(user)[0].acts] for user in (cast.manager, cast.administrator)}
    assert "Let it speak again" in acts[cast.administrator]
    assert "Let it speak again" not in acts[cast.manager]


def test_what_changed_and_what_was_saved_stand_beside(client, cast):
    account = account_of(cast.owner, "Moved Inn")
    for ago, tier in ((2, Tier.STEADY), (1, Tier.WATCH)):
        ScoreFactory(account=account, run=ScoreRunFactory(as_of=date_ago(ago)), tier=tier)
    ClosedHandbackFactory(account=account_of(cast.owner, "Kept Hotel"), closed_at=days_ago(0))
    client.force_login(cast.owner)
    response = client.get("/")
    assert [(m.score.account.name, m.before) for m in response.context["changed"]] == [
        ("Moved Inn", "Steady")
    ]
    assert "Kept Hotel" in response.content.decode()
    client.force_login(cast.stranger)
    assert client.get("/").context["changed"] == []


def test_a_manager_sees_how_the_team_stands_and_no_other(client, cast):
    account = account_of(cast.owner, account_manager=cast.teammate)
    ScoreFactory(account=account, revenue_at_risk=Decimal(700))
    HandbackFactory(account=account, due_on=date_ago(1))
    TouchpointFactory(account=account, due_on=date_ago(4))
    rows = {m.user: m for m in team_table(cast.manager, ScoreRun.objects.get(), date_ago(0))}
    assert set(rows) == {cast.owner, cast.teammate}
    assert (rows[cast.owner].risky, rows[cast.owner].money, rows[cast.owner].overdue) == (1, 700, 1)
    assert rows[cast.teammate].pulses_late == 1
    client.force_login(cast.manager)
    page = client.get("/").content.decode()
    assert "Your people" in page
    assert "Sam Stranger" not in page


def test_the_number_of_queries_does_not_grow(client, cast):
    client.force_login(cast.manager)
    client.get("/")  # makes the company's row
    counts = []
    for _ in range(2):
        for _ in range(8):
            account = account_of(cast.owner)
            ScoreFactory(account=account)
            HandbackFactory(account=account, salesperson=cast.manager)
            PromiseFactory(account=account, made_by=cast.manager)
            TouchpointFactory(account=account_of(cast.owner), assignee=cast.manager, due_on=date_ago(1))
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 50  # one for each kind of row, and what stands beside


# ── search ─────────────────────────────────────────────────────────────
def test_search_finds_beginnings_first_and_only_what_one_sees(cast):
    for name in ("Old Mill", "Mill Lane", "Windmill"):
        account_of(cast.owner, name)
    account_of(cast.stranger, "Mill of Others")
    assert [a.name for a in search(cast.owner, "mill").accounts] == ["Mill Lane", "Old Mill", "Windmill"]
    assert [a.name for a in search(cast.owner, "mi").accounts] == ["Mill Lane"]


def test_search_finds_people_by_name_and_mail(cast):
    ContactFactory(account=cast.account, name="Priya Shah", email="priya@hotel.example")
    ContactFactory(name="Priya Elsewhere")
    assert [c.name for c in search(cast.owner, "priya").contacts] == ["Priya Shah"]
    assert [c.name for c in search(cast.owner, "PRIYA@hotel.example").contacts] == ["Priya Shah"]


def test_search_guesses_when_a_name_is_misspelled(cast):
    found = search(cast.owner, "hotel seeblik")
    assert found.is_guess
    assert [a.name for a in found.accounts] == ["Hotel Seeblick"]


@pytest.mark.parametrize("text", ["", "   ", "%", "_", "\0", "'", "x" * 5000, "\\"])
def test_odd_searches_are_no_error(client, cast, text):
    client.force_login(cast.owner)
    for path in ("/search/", "/search/suggest/"):
        assert client.get(path, {"q": text}).status_code == 200


def test_the_palette_gets_accounts_people_and_pages(client, cast):
    ContactFactory(account=cast.account, name="Hotte Pages")
    client.force_login(cast.owner)
    groups = {g["title"]: g["rows"] for g in client.get("/search/suggest/?q=hot").json()["groups"]}
    assert groups["Accounts"] == [
        {"label": "Hotel Seeblick", "hint": "Hotels", "href": f"/accounts/{cast.account.pk}/"}
    ]
    assert groups["People"][0]["href"] == f"/accounts/{cast.account.pk}/#people"
    assert client.get("/search/suggest/?q=risk").json()["groups"][0]["rows"][0]["href"] == "/at-risk/"
    client.force_login(cast.stranger)
    assert client.get("/search/suggest/?q=hot").json()["groups"] == []
