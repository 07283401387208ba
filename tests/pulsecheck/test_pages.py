"""The pages of the care loop: who sees them, what they do, what they make of odd input."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from accounts.models import Issue
from pulsecheck.models import Handback, HandbackAttempt, PulseCheck, PulseTheme, Touchpoint
from tests.factories import (
    AccountFactory,
    ClosedHandbackFactory,
    ContactFactory,
    HandbackFactory,
    ManagerFactory,
    PulseCheckFactory,
    SalesRepFactory,
    TouchpointFactory,
    churn_reason,
    date_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script> '; DROP TABLE x; -- \N{PILE OF POO} {{ 7|add:7 }}"


@pytest.fixture
def cast():
    return make_cast()


@pytest.fixture
def handback(cast):
    return HandbackFactory(account=cast.account)


@pytest.fixture
def sign_in(client):
    def sign_in(user):
        client.force_login(user)
        return client

    return sign_in


def url(name, *args):
    return reverse(f"pulsecheck:{name}", args=args)


def pulse_data(**changes):
    return {
        "score": "5",
        "next_step": "Send the price list",
        "next_step_due_on": (dt.date.today() + dt.timedelta(days=3)).isoformat(),
    } | changes


# ── who sees what ──────────────────────────────────────────────────────
def test_strangers_and_marketing_find_nothing(cast, handback, sign_in):
    touchpoint = TouchpointFactory(account=cast.account)
    pulse = PulseCheckFactory(account=cast.account)
    pages = [
        url("handback", handback.pk),
        url("log_pulse", cast.account.pk),
        url("skip", touchpoint.pk),
        url("snooze", touchpoint.pk),
        url("new_handback") + f"?account={cast.account.pk}",
    ]
    acts = [url(name, handback.pk) for name in ("accept", "decline", "log_attempt", "close", "reassign")]
    acts += [url("unsnooze", touchpoint.pk), url("finish_step", pulse.pk)]

    for person in (cast.stranger, cast.other_manager, cast.marketing):
        page = sign_in(person)
        assert {page.get(path).status_code for path in pages} == {404}
        assert {page.post(path).status_code for path in acts} == {404}
    handback.refresh_from_db()
    assert handback.state == "open"


def test_marketing_has_no_lists_and_a_visitor_signs_in_first(cast, client, sign_in):
    assert client.get(url("handbacks")).status_code == 302
    page = sign_in(cast.marketing)
    assert page.get(url("handbacks")).status_code == page.get(url("pulse_due")).status_code == 404


def test_acts_need_post(cast, handback, sign_in):
    page = sign_in(cast.owner)

    assert page.get(url("accept", handback.pk)).status_code == 405


def test_only_leaders_reassign(cast, handback, sign_in):
    assert sign_in(cast.owner).post(url("reassign", handback.pk), {"to": cast.teammate.pk}).status_code == 404

    answer = sign_in(cast.manager).post(url("reassign", handback.pk), {"to": cast.teammate.pk})

    handback.refresh_from_db()
    assert (answer.status_code, handback.salesperson) == (302, cast.teammate)


# ── the list ───────────────────────────────────────────────────────────
def test_the_list_shows_mine_the_overdue_first(cast, handback, sign_in):
    later = HandbackFactory(account=AccountFactory(original_salesperson=cast.owner), due_on=date_ago(3))
    HandbackFactory(account=AccountFactory(original_salesperson=cast.stranger))

    answer = sign_in(cast.owner).get(url("handbacks"))

    assert [row.pk for row in answer.context["page"].rows] == [later.pk, handback.pk]
    assert "1 account waits longer than agreed" in answer.content.decode().replace("\N{NO-BREAK SPACE}", " ")


def test_a_manager_sees_the_team_and_what_nobody_has(cast, handback, sign_in):
    alone = HandbackFactory(account=AccountFactory(account_manager=cast.teammate), salesperson=None)
    page = sign_in(cast.manager)

    assert {row.pk for row in page.get(url("handbacks")).context["page"].rows} == {handback.pk, alone.pk}
    rows = page.get(url("handbacks") + "?whose=nobody").context["page"].rows
    assert [row.pk for row in rows] == [alone.pk]


def test_pages_follow_each_other_without_gap_or_double(cast, sign_in):
    for number in range(120):
        account = AccountFactory(original_salesperson=cast.owner)
        HandbackFactory(
            account=account, due_on=date_ago(number % 5), state="open" if number % 3 else "accepted"
        )
    page, seen, query = sign_in(cast.owner), [], ""
    while True:
        found = page.get(url("handbacks") + query).context["page"]
        seen += [row.pk for row in found.rows]
        if not found.next_url:
            break
        query = found.next_url

    assert len(seen) == len(set(seen)) == 120


@pytest.mark.parametrize(
    "query", ["?after=x~y", "?after=open~2026-99-99~1", "?state=%00", "?whose=x&trigger=y", "?q=%27%00"]
)
def test_odd_addresses_show_the_list_from_the_top(cast, handback, sign_in, query):
    page = sign_in(cast.owner)

    assert page.get(url("handbacks") + query).status_code == 200
    assert page.get(url("handbacks") + query + "&state=closed").status_code == 200
    assert page.get(url("pulse_due") + query).status_code == 200


def test_lists_cost_the_same_queries_for_any_number_of_rows(cast, sign_in, django_assert_max_num_queries):
    for _ in range(30):
        account = AccountFactory(original_salesperson=cast.owner, account_manager=cast.owner)
        HandbackFactory(account=account)
        TouchpointFactory(account=account, due_on=date_ago(1))
        PulseCheckFactory(account=account)
    page = sign_in(cast.owner)

    with django_assert_max_num_queries(14):
        page.get(url("handbacks"))
    with django_assert_max_num_queries(17):
        page.get(url("pulse_due"))


# ── the briefing and what is done there ────────────────────────────────
def test_the_briefing_says_why_who_and_what_worked(cast, handback, sign_in):
    ContactFactory(account=cast.account, name="Odile Zeller", role="decision_maker")
    for number in range(6):
        other = ClosedHandbackFactory(outcome="saved" if number < 4 else "lost", churn_reason=churn_reason())
        if number < 3:
            HandbackAttempt.objects.create(
                handback=other, happened_at=other.closed_at, kind="call", has_reached=True
            )

    text = sign_in(cast.owner).get(url("handback", handback.pk)).content.decode()

    assert "Last order 74 days ago; usually every 21." in text
    assert "Odile Zeller" in text
    assert (
        "4 of 6 closed in two years were saved. Where somebody was reached, 3 of 3; where nobody was, 1 of 3."
        in text
    )


def test_too_few_like_accounts_say_nothing(cast, handback, sign_in):
    ClosedHandbackFactory()

    text = sign_in(cast.owner).get(url("handback", handback.pk)).content.decode()

    assert "only 1 closed in two years, 1 of them saved. Too few to say what works." in text


def test_an_episode_from_accepting_to_saved(cast, handback, sign_in):
    page = sign_in(cast.owner)
    page.post(url("accept", handback.pk))
    page.post(url("log_attempt", handback.pk), {"kind": "call", "has_reached": "on", "note": "All well"})
    page.post(url("close", handback.pk), {"outcome": "saved", "note": "Stays"})

    handback.refresh_from_db()
    assert (handback.state, handback.outcome, handback.closed_by) == ("closed", "saved", cast.owner)
    assert handback.attempts.get().note == "All well"
    assert "Stays" in page.get(url("handback", handback.pk)).content.decode()


@pytest.mark.parametrize(
    ("act", "data", "said"),
    [
        ("decline", {}, "Say why, in one sentence."),
        ("close", {}, "Choose how it ended."),
        ("close", {"outcome": "lost"}, "Choose why the customer left."),
        ("close", {"outcome": "false_alarm"}, "Say what made it look like a risk"),
        ("close", {"outcome": "eaten"}, "Select a valid choice"),
        ("log_attempt", {"kind": "telepathy"}, "Select a valid choice"),
        ("log_attempt", {"kind": "call", "note": "x" * 501}, "at most 500"),
    ],
)
def test_what_is_missing_is_said_at_its_field_and_nothing_changes(cast, handback, sign_in, act, data, said):
    answer = sign_in(cast.owner).post(url(act, handback.pk), data)

    handback.refresh_from_db()
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert (handback.state, handback.salesperson) == ("open", cast.owner)
    assert not HandbackAttempt.objects.exists()


def test_hostile_text_is_kept_and_shown_as_text(cast, handback, sign_in):
    page = sign_in(cast.owner)
    page.post(url("log_attempt", handback.pk), {"kind": "call", "note": HOSTILE})
    page.post(url("close", handback.pk), {"outcome": "false_alarm", "note": HOSTILE})

    text = page.get(url("handback", handback.pk)).content.decode()
    assert HandbackAttempt.objects.get().note == HOSTILE
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_null_character_is_refused_in_words(cast, handback, sign_in):
    answer = sign_in(cast.owner).post(url("decline", handback.pk), {"reason": "a\0b"})

    assert answer.status_code == 422
    assert "Null characters are not allowed" in answer.content.decode()


def test_fifty_browsers_accept_at_once(committed_db):
    handback = HandbackFactory(account=AccountFactory(original_salesperson=SalesRepFactory()))
    browsers = []
    for person in ManagerFactory.create_batch(50):
        browser = Client()
        browser.force_login(person)
        browsers.append(browser)

    def press(browser):
        try:
            return browser.post(url("accept", handback.pk))
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(press, browsers))

    codes = [answer.status_code for answer in answers]
    assert (codes.count(302), codes.count(409)) == (1, 49)
    winner = Handback.objects.get().salesperson
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert f"{winner.name} has accepted this handback already." in refused.content.decode()


def test_a_person_hands_an_account_back(cast, sign_in):
    page = sign_in(cast.teammate)
    path = url("new_handback") + f"?account={cast.account.pk}"

    assert page.post(path, {"reason": ""}).status_code == 422
    page.post(path, {"reason": "Asked a competitor for an offer"})

    handback = Handback.objects.get()
    assert (handback.trigger, handback.salesperson) == ("manual", cast.owner)
    assert handback.risk["reasons"][0]["sentence"] == "Asked a competitor for an offer"
    assert page.get(path).url == url("handback", handback.pk)


@pytest.mark.parametrize(
    "query", ["", "?account=", "?account=x", "?account=99999999999999999999", "?account=0"]
)
def test_an_account_that_is_none_is_not_found(cast, sign_in, query):
    assert sign_in(cast.owner).get(url("new_handback") + query).status_code == 404


# ── pulse checks ───────────────────────────────────────────────────────
def test_a_score_and_a_next_step_are_enough(cast, sign_in):
    answer = sign_in(cast.teammate).post(url("log_pulse", cast.account.pk), pulse_data())

    pulse = PulseCheck.objects.get()
    assert answer.url == url("pulse_due")
    assert (pulse.score, pulse.taken_by, pulse.next_step_owner) == (5, cast.teammate, cast.teammate)
    assert Touchpoint.objects.get().state == "planned"


@pytest.mark.parametrize("number", ["", "x", "5f0c9f0e-7b1f-4a55-8d3e-0d8a5c3d7f11"])
def test_a_number_of_the_form_that_is_none_does_not_stand_in_the_way(cast, sign_in, number):
    answer = sign_in(cast.teammate).post(url("log_pulse", cast.account.pk), pulse_data(submission=number))

    assert (answer.status_code, PulseCheck.objects.count()) == (302, 1)


def test_everything_that_can_be_said(cast, sign_in):
    contact = ContactFactory(account=cast.account)
    themes = list(PulseTheme.objects.values_list("pk", flat=True)[:3])
    data = pulse_data(
        score="2",
        themes=themes,
        note=HOSTILE,
        contact=contact.pk,
        grievance="Crates arrive broken",
        grievance_owner=cast.owner.pk,
        insight_shared="Hotels book earlier this year",
        insight_reaction="useful",
        opportunity="Oat milk",
        next_step_owner=cast.owner.pk,
    )

    answer = sign_in(cast.teammate).post(url("log_pulse", cast.account.pk), data, follow=True)

    pulse = PulseCheck.objects.get()
    assert (pulse.note, pulse.contact, pulse.issue) == (HOSTILE, contact, Issue.objects.get())
    assert "It is handed back to Olga Owner." in answer.content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"score": ""}, "Choose one of the six."),
        ({"score": "7"}, "Select a valid choice"),
        ({"score": "1; DROP"}, "Select a valid choice"),
        ({"next_step": " "}, "Every pulse check ends with a next step."),
        ({"next_step": "x" * 301}, "at most 300"),
        ({"next_step_due_on": "2020-01-01"}, "This day is over."),
        ({"next_step_due_on": "soon"}, "Enter a valid date."),
        ({"next_step_due_on": "99999-01-01"}, "Enter a valid date."),
        ({"themes": ["1", "2", "3", "4"]}, "Choose at most 3"),
        ({"contact": "999999"}, "Select a valid choice"),
        ({"note": "a\0"}, "Null characters are not allowed"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(cast, sign_in, changes, said):
    answer = sign_in(cast.teammate).post(
        url("log_pulse", cast.account.pk), pulse_data(opportunity="Oat milk") | changes
    )

    text = answer.content.decode()
    assert answer.status_code == 422
    assert said in text
    assert "Oat milk" in text
    assert not PulseCheck.objects.exists()


def test_a_contact_of_another_account_cannot_be_named(cast, sign_in):
    other = ContactFactory(account=AccountFactory())

    answer = sign_in(cast.teammate).post(url("log_pulse", cast.account.pk), pulse_data(contact=other.pk))

    assert answer.status_code == 422


def test_the_due_list_has_the_overdue_first_and_says_how_many_were_asked(cast, sign_in):
    accounts = AccountFactory.create_batch(2, account_manager=cast.teammate)
    soon = TouchpointFactory(account=accounts[0], due_on=date_ago(-2))
    late = TouchpointFactory(account=accounts[1], due_on=date_ago(2))
    TouchpointFactory(account=cast.account, due_on=date_ago(-60))
    PulseCheckFactory(account=accounts[0])

    answer = sign_in(cast.teammate).get(url("pulse_due"))

    assert [row.pk for row in answer.context["page"].rows] == [late.pk, soon.pk]
    coverage = answer.context["coverage"]
    assert (coverage.customers, coverage.covered, coverage.overdue, coverage.due) == (3, 1, 1, 1)


def test_putting_off_leaving_out_and_taking_back(cast, sign_in):
    touchpoint = TouchpointFactory(account=cast.account, due_on=date_ago(1))
    page = sign_in(cast.teammate)

    far = page.post(url("snooze", touchpoint.pk), {"until": "2060-01-01", "reason": "Later"})
    assert far.status_code == 422
    assert "Choose a day after today" in far.content.decode()
    page.post(url("snooze", touchpoint.pk), {"until": date_ago(-5).isoformat(), "reason": "Stocktaking"})
    touchpoint.refresh_from_db()
    assert touchpoint.snoozed_from == date_ago(1)
    page.post(url("unsnooze", touchpoint.pk))
    touchpoint.refresh_from_db()
    assert (touchpoint.due_on, touchpoint.snoozed_from) == (date_ago(1), None)
    assert page.post(url("skip", touchpoint.pk), {"reason": ""}).status_code == 422
    page.post(url("skip", touchpoint.pk), {"reason": "Met them"})
    touchpoint.refresh_from_db()
    assert (touchpoint.state, touchpoint.note) == ("skipped", "Met them")


def test_a_next_step_is_ticked_off(cast, sign_in):
    pulse = PulseCheckFactory(account=cast.account, taken_by=cast.teammate)
    page = sign_in(cast.teammate)
    assert "Send the new price list." in page.get(url("pulse_due")).content.decode()

    page.post(url("finish_step", pulse.pk))

    assert "Send the new price list." not in page.get(url("pulse_due")).content.decode()
