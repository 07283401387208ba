"""The insight library: what is offered to whom, its pages, and what pulse checks make of it."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.models import AuditEntry
from pulsecheck.errors import CareError
from pulsecheck.models import Insight, PulseCheck
from pulsecheck.selectors.insights import insights_for
from pulsecheck.services import PulseEntry, log_pulse_check
from pulsecheck.services.insights import save_insight, withdraw_insight
from tests.factories import AccountFactory, InsightFactory, PulseCheckFactory, date_ago, make_cast

pytestmark = pytest.mark.django_db
TODAY = dt.date.today()
HOSTILE = "<script>alert(1)</script> {{ 7|add:7 }}"


@pytest.fixture
def cast():
    return make_cast()


def titles(account):
    return [insight.title for insight in insights_for([account], TODAY)[account.pk]]


# ── what is offered ────────────────────────────────────────────────────
def test_only_what_is_valid_today_and_of_their_industry_is_offered():
    hotel = AccountFactory(industry="Hotels")
    InsightFactory(title="everybody")
    InsightFactory(title="theirs", industries=["Hotels", "Offices"])
    InsightFactory(title="others", industries=["Offices"])
    InsightFactory(title="over", valid_until=date_ago(1))
    InsightFactory(title="later", valid_from=date_ago(-1))
    InsightFactory(title="withdrawn", withdrawn_at=dt.datetime.now(dt.UTC))
    InsightFactory(title="last day", valid_until=TODAY, industries=["Hotels"])

    assert titles(hotel) == ["last day", "theirs", "everybody"]


def test_nobody_is_told_the_same_twice_and_what_was_useful_comes_first():
    account = AccountFactory()
    told, useful, useless = (InsightFactory(title=title) for title in ("told", "useful", "useless"))
    PulseCheckFactory(account=account, insight=told, insight_shared="told", insight_reaction="none")
    for insight, reaction in ((useful, "useful"), (useless, "not_theirs")):
        PulseCheckFactory.create_batch(3, insight=insight, insight_shared="x", insight_reaction=reaction)

    assert titles(account) == ["useful", "useless"]


def test_a_page_of_accounts_costs_the_same_queries_for_any_number(django_assert_num_queries):
    accounts = AccountFactory.create_batch(8)
    InsightFactory.create_batch(3)

    with django_assert_num_queries(3):
        insights_for(accounts, TODAY)


# ── told at a pulse check ──────────────────────────────────────────────
def entry(user, **changes):
    return PulseEntry(score=5, next_step="Call", next_step_owner=user, next_step_due_on=TODAY, **changes)


def test_a_reaction_is_kept_with_the_words_of_the_day(cast):
    insight = InsightFactory(title="Oat milk")

    pulse = log_pulse_check(
        cast.account, cast.teammate, entry(cast.teammate, insight=insight, insight_reaction="useful")
    )

    insight.title = "Other words"
    insight.save()
    pulse.refresh_from_db()
    assert (pulse.insight_shared, pulse.insight_reaction) == ("Oat milk", "useful")


@pytest.mark.parametrize("changes", [{"insight_reaction": "useful"}, {"insight_shared": "News"}])
def test_what_was_told_and_what_they_made_of_it_belong_together(cast, changes):
    with pytest.raises(CareError):
        log_pulse_check(cast.account, cast.teammate, entry(cast.teammate, **changes))
    assert not PulseCheck.objects.exists()


def test_the_form_offers_the_best_one_and_one_tap_logs_it(cast, client):
    cast.account.industry = "Hotels"
    cast.account.save()
    best = InsightFactory(title="For hotels", industries=["Hotels"])
    InsightFactory(title="For all")
    client.force_login(cast.teammate)
    address = reverse("pulsecheck:log_pulse", args=[cast.account.pk])
    page = client.get(address)
    assert "Bring along: <b>For hotels</b>" in page.content.decode()

    step = {"score": "5", "next_step": "Call", "next_step_due_on": TODAY.isoformat()}
    client.post(address, step | {"insight": best.pk, "insight_reaction": "known"})

    pulse = PulseCheck.objects.get()
    assert (pulse.insight, pulse.insight_reaction) == (best, "known")
    assert "For hotels" not in client.get(address).content.decode()


def test_what_was_not_told_is_not_logged(cast, client):
    insight = InsightFactory()
    client.force_login(cast.teammate)
    step = {"score": "5", "next_step": "Call", "next_step_due_on": TODAY.isoformat()}

    client.post(
        reverse("pulsecheck:log_pulse", args=[cast.account.pk]),
        step | {"insight": insight.pk, "insight_reaction": ""},
    )

    pulse = PulseCheck.objects.get()
    assert (pulse.insight, pulse.insight_shared, pulse.insight_reaction) == (None, "", "")


# ── the library ────────────────────────────────────────────────────────
def test_marketing_writes_and_a_rep_reads(cast, client):
    AccountFactory(industry="Hotels")
    client.force_login(cast.marketing)
    days = {"valid_from": TODAY.isoformat(), "valid_until": date_ago(-30).isoformat()}
    blank = client.get(reverse("pulsecheck:new_insight")).content.decode()
    assert f'value="{TODAY.isoformat()}"' in blank
    wrong = client.post(
        reverse("pulsecheck:new_insight"),
        {"title": "T", "text": "x", "valid_from": TODAY.isoformat(), "valid_until": date_ago(5).isoformat()},
    )
    assert wrong.status_code == 422

    client.post(
        reverse("pulsecheck:new_insight"),
        {"title": HOSTILE, "text": HOSTILE, "source": HOSTILE, "industries": ["Hotels"], **days},
    )
    unsafe = client.post(
        reverse("pulsecheck:new_insight"), {"title": "T", "text": "x", "link": "javascript:alert(1)", **days}
    )

    assert unsafe.status_code == 422
    insight = Insight.objects.get()
    assert (insight.industries, insight.written_by) == (["Hotels"], cast.marketing)
    client.force_login(cast.owner)
    for address in (reverse("pulsecheck:insights"), reverse("pulsecheck:insight", args=[insight.pk])):
        text = client.get(address).content.decode()
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert(1)" not in text
        assert "{{ 7|add:7 }}" in text


def test_filters_find_by_validity_industry_and_words(cast, client):
    now = InsightFactory(title="Now", industries=["Hotels"])
    over = InsightFactory(title="Over", valid_until=date_ago(1))
    client.force_login(cast.owner)

    def shown(query):
        return [row.pk for row in client.get(reverse("pulsecheck:insights") + query).context["page"].rows]

    assert shown("") == [now.pk]
    assert shown("?which=over") == [over.pk]
    assert shown("?which=all&industry=Offices") == [over.pk]
    assert shown("?which=all&q=now") == [now.pk]
    assert shown("?which=x&after=x~y&q=%00") == [now.pk]


def test_pages_of_the_library_follow_each_other(cast, client, django_assert_max_num_queries):
    InsightFactory.create_batch(60)
    client.force_login(cast.owner)
    first = client.get(reverse("pulsecheck:insights")).context["page"]
    second = client.get(reverse("pulsecheck:insights") + first.next_url).context["page"]

    assert len({row.pk for row in [*first.rows, *second.rows]}) == 60
    with django_assert_max_num_queries(16):
        client.get(reverse("pulsecheck:insights"))


def test_withdrawn_is_offered_to_nobody_and_can_come_back(cast, client):
    insight = save_insight(InsightFactory.build(), cast.manager)
    for _ in range(2):
        withdraw_insight(insight, cast.manager)
    assert titles(cast.account) == []
    assert AuditEntry.objects.filter(action="withdraw_insight").count() == 1

    client.force_login(cast.manager)
    client.post(reverse("pulsecheck:restore_insight", args=[insight.pk]))

    assert titles(cast.account) == [insight.title]


def test_the_database_wants_an_end_after_the_beginning():
    with pytest.raises(IntegrityError), transaction.atomic():
        InsightFactory(valid_until=date_ago(30))
