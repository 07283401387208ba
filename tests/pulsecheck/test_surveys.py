"""Surveys: the link, the answer, the issue, the loop, the figures."""

import datetime as dt
import threading

import pytest
import time_machine
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Interaction, Issue
from accounts.services.issues import resolve_issue, tell_customer
from notifications.models import Notification, OutboxMessage, Topic
from notifications.services import deliver_outbox
from pulsecheck.errors import CareError
from pulsecheck.models import Survey, SurveyAnswer
from pulsecheck.selectors.surveys import Filters, survey_results
from pulsecheck.services.surveys import (
    Questions,
    Said,
    SurveyGone,
    answer_survey,
    cancel_survey,
    close_loop,
    find_survey,
    send_survey,
    survey_token,
)
from tests.factories import (
    AccountFactory,
    ContactFactory,
    SurveyAnswerFactory,
    SurveyFactory,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)  # a Friday
HOSTILE = "<script>alert(1)</script> {{ 7|add:7 }}"
ALL = Questions(nps=True, csat=True, ces=True)


@pytest.fixture(autouse=True)
def clean_cache():
    cache.clear()


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def cast():
    return make_cast()


@pytest.fixture
def contact(cast):
    return ContactFactory(account=cast.account, name="Rosa Roth", email="rosa@seeblick.example")


@pytest.fixture
def survey(cast, contact):
    return send_survey(cast.account, contact, cast.owner, ALL)


def page_of(survey):
    return reverse("pulsecheck:answer_survey", args=[survey_token(survey)])


# ── sending ────────────────────────────────────────────────────────────
def test_the_mail_is_in_the_companys_name_and_holds_the_link(survey, cast, mailoutbox):
    deliver_outbox()

    (mail,) = mailoutbox
    assert mail.to == ["rosa@seeblick.example"]
    assert mail.from_email.startswith("Your company <")
    assert mail.reply_to == [cast.owner.email]
    assert page_of(survey) in mail.body
    assert "/settings/notifications/" not in mail.body


def test_nobody_is_asked_again_within_thirty_days(clock, survey, cast, contact):
    with pytest.raises(CareError, match="Ask again from 20 Dec 2026"):
        send_survey(cast.account, contact, cast.teammate, ALL)

    clock.shift(dt.timedelta(days=30))
    send_survey(cast.account, contact, cast.teammate, ALL)
    assert OutboxMessage.objects.count() == 2


def test_whoever_cannot_be_asked_is_not(cast):
    for person in (
        ContactFactory(account=cast.account, email=""),
        ContactFactory(account=cast.account, is_active=False),
        ContactFactory(),
    ):
        with pytest.raises(CareError):
            send_survey(cast.account, person, cast.owner, ALL)
    assert not OutboxMessage.objects.exists()


# ── the link ───────────────────────────────────────────────────────────
def test_a_link_works_until_it_is_answered(survey):
    assert find_survey(survey_token(survey)) == survey

    answer_survey(survey, Said(nps=9))

    with pytest.raises(SurveyGone, match="answered already"):
        find_survey(survey_token(survey))


def test_a_link_expires_to_the_second(clock, survey):
    clock.move_to(survey.expires_at - dt.timedelta(seconds=1))
    assert find_survey(survey_token(survey)) == survey
    clock.move_to(survey.expires_at)
    with pytest.raises(SurveyGone, match="valid until 20 Dec 2026"):
        find_survey(survey_token(survey))


def test_a_link_can_be_taken_back_but_an_answer_cannot(survey, cast):
    cancel_survey(survey, cast.owner)
    with pytest.raises(SurveyGone, match="taken back"):
        find_survey(survey_token(survey))

    other = SurveyAnswerFactory().survey
    cancel_survey(other, cast.owner)
    other.refresh_from_db()
    assert other.cancelled_at is None


def test_no_link_can_be_made_up(survey):
    token = survey_token(survey)
    key, signature = token.split(":")
    wrong = [key, f"{key}:", f"{key}:{signature[:-1]}", f"x{token}", f"{key}x:{signature}", "", ":", "\0"]

    for made_up in wrong:
        with pytest.raises(SurveyGone):
            find_survey(made_up)


def test_looking_uses_nothing_up_and_sending_does(survey, client):
    for _ in range(3):
        assert client.get(page_of(survey)).status_code == 200
    assert client.post(page_of(survey), {"comment": "  "}).status_code == 422

    sent = client.post(page_of(survey), {"nps": "9", "csat": "5", "comment": HOSTILE})

    assert sent["Location"] == reverse("pulsecheck:survey_thanks")
    answer = SurveyAnswer.objects.get()
    assert (answer.nps, answer.csat, answer.ces, answer.comment) == (9, 5, None, HOSTILE)
    survey.refresh_from_db()
    assert survey.opened_at is not None
    for again in (client.get(page_of(survey)), client.post(page_of(survey), {"nps": "0"})):
        assert again.status_code == 410
        assert "answered already" in again.content.decode()


@pytest.mark.parametrize(
    "body", [{"nps": "11"}, {"nps": "-1"}, {"csat": "0"}, {"ces": "8"}, {"nps": "x"}, {}]
)
def test_odd_answers_are_refused_in_place(survey, client, body):
    assert client.post(page_of(survey), body).status_code == 422
    assert not SurveyAnswer.objects.exists()


def test_it_needs_no_cookie_and_no_token(survey):
    strict = Client(enforce_csrf_checks=True)

    assert strict.post(page_of(survey), {"nps": "9"}).status_code == 302
    assert not strict.cookies


def test_what_was_not_asked_is_left_out(cast, contact, client):
    survey = send_survey(cast.account, contact, cast.owner, Questions(nps=False, ces=True))

    client.post(page_of(survey), {"nps": "0", "ces": "7"})

    answer = SurveyAnswer.objects.get()
    assert (answer.nps, answer.ces, answer.is_bad) == (None, 7, False)


def test_the_page_is_the_companys_and_kept_nowhere(survey, client):
    answer = client.get(page_of(survey))

    text = answer.content.decode()
    assert "Your company" in text
    assert "Mainstay" not in text
    assert survey.account.name not in text
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert "default-src 'self'" in answer["Content-Security-Policy"]


def test_too_many_calls_from_one_address_are_put_off(survey, client, settings):
    settings.PUBLIC_CALLS_PER_MINUTE = 3
    for _ in range(3):
        client.get(reverse("pulsecheck:answer_survey", args=["made-up:link"]))

    answer = client.get(page_of(survey))

    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 61
    assert client.get(page_of(survey), REMOTE_ADDR="10.9.8.7").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_twenty_answers_at_once_are_one():
    survey, codes = SurveyFactory(), []

    def send():
        codes.append(Client().post(page_of(survey), {"nps": "2"}).status_code)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [302, *[410] * 19]
    assert (SurveyAnswer.objects.count(), Issue.objects.count()) == (1, 1)


# ── a bad answer ───────────────────────────────────────────────────────
def test_a_bad_answer_opens_an_issue_and_says_so(clock, survey, cast):
    answer = answer_survey(survey, Said(nps=2, csat=4, comment="Late again"))

    issue = Issue.objects.get()
    assert answer.issue == issue
    assert (issue.owner, issue.severity, issue.due_on) == (cast.teammate, "high", dt.date(2026, 11, 24))
    assert issue.description == "Survey, Rosa Roth: recommends us 2 of 10, satisfied 4 of 5. Late again"
    assert Notification.objects.get(user=cast.teammate).topic == Topic.ISSUE
    assert Notification.objects.get(user=cast.owner).topic == Topic.SURVEY


@pytest.mark.parametrize(
    ("said", "is_bad", "severity"),
    [
        (Said(nps=6), True, "medium"),
        (Said(nps=7), False, ""),
        (Said(csat=2), True, "medium"),
        (Said(csat=3), False, ""),
        (Said(ces=3), True, "medium"),
        (Said(ces=1), True, "high"),
        (Said(ces=4), False, ""),
        (Said(comment="Fine"), False, ""),
    ],
)
def test_what_is_bad(survey, said, is_bad, severity):
    answer = answer_survey(survey, said)

    assert answer.is_bad == is_bad
    assert [issue.severity for issue in Issue.objects.all()] == ([severity] if is_bad else [])


def test_the_loop_is_closed_once_and_counts_as_a_contact(cast):
    answer = SurveyAnswerFactory(survey__account=cast.account)
    assert answer.is_loop_open

    for note in ("The driver rings first", "Another"):
        answer = close_loop(answer, cast.teammate, note=note, kind="call")

    assert (answer.loop_note, answer.loop_closed_by, answer.is_loop_open) == (
        "The driver rings first",
        cast.teammate,
        False,
    )
    assert Interaction.objects.get().note == "The driver rings first"
    assert AuditEntry.objects.filter(action="close_survey_loop").count() == 1


def test_the_database_wants_words_and_ranges():
    survey = SurveyFactory()
    for wrong in ({"nps": 11}, {"nps": None, "comment": ""}, {"loop_closed_at": days_ago(0)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SurveyAnswerFactory(survey=survey, **{"is_bad": True} | wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        SurveyFactory(asks_nps=False)


# ── the figures ────────────────────────────────────────────────────────
def test_figures_are_of_what_was_sent_in_the_span(cast):
    for nps in (10, 9, 9, 8, 3):
        SurveyAnswerFactory(survey__account=cast.account, nps=nps)
    SurveyFactory(account=cast.account)
    SurveyFactory(account=cast.account, cancelled_at=timezone.now())
    SurveyFactory(account=cast.account, sent_at=days_ago(40), expires_at=days_ago(10))
    SurveyAnswerFactory(survey=SurveyFactory(account=cast.account, sent_at=days_ago(400)), nps=0)
    SurveyAnswerFactory(nps=0)

    year = survey_results(cast.owner, Filters(), timezone.now())
    month = survey_results(cast.owner, Filters(span="month"), timezone.now())

    assert (year.sent, year.answered, year.waiting, year.bad) == (7, 5, 1, 1)
    assert year.response.value == pytest.approx(5 / 7)
    assert (month.sent, month.answered) == (6, 5)
    nps, csat, _ = year.questions
    assert (nps.figure.value, nps.n, nps.mean, nps.is_unsure) == (40, 5, 7.8, True)
    assert dict(nps.counts)[9] == 2
    assert csat.figure is None


# ── our pages ──────────────────────────────────────────────────────────
def test_sending_from_the_account_and_closing_the_loop(cast, contact, client):
    client.force_login(cast.teammate)
    address = reverse("pulsecheck:send_survey", args=[cast.account.pk])
    other = ContactFactory(account=AccountFactory())
    assert client.post(address, {"contact": other.pk, "asks": ["nps"]}).status_code == 422
    assert client.post(address, {"contact": contact.pk}).status_code == 422

    sent = client.post(address, {"contact": contact.pk, "asks": ["nps", "ces"], "about": HOSTILE})
    survey = Survey.objects.get()
    assert (survey.asks_nps, survey.asks_csat, survey.asks_ces) == (True, False, True)
    again = client.post(address, {"contact": contact.pk, "asks": ["nps"]})
    assert "Ask again from" in again.content.decode()
    answer_survey(survey, Said(nps=1, comment=HOSTILE))
    loop = reverse("pulsecheck:close_loop", args=[survey.pk])
    assert client.post(loop, {"note": "", "kind": "call"}).status_code == 422
    client.post(loop, {"note": HOSTILE, "kind": "call"})

    pages = [
        sent["Location"],
        reverse("pulsecheck:surveys"),
        reverse("pulsecheck:pulses", args=[cast.account.pk]),
    ]
    for text in (client.get(page).content.decode() for page in pages):
        assert "<script>alert(1)" not in text
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in client.get(pages[0]).content.decode()


def test_lists_hold_only_what_one_may_see_and_page_without_gaps(cast, client, django_assert_max_num_queries):
    for number in range(60):
        SurveyAnswerFactory(survey__account=cast.account, answered_at=days_ago(number / 7))
    SurveyAnswerFactory(survey__account__name="Hidden Inn")
    client.force_login(cast.owner)
    first = client.get(reverse("pulsecheck:surveys")).context["page"]
    second = client.get(reverse("pulsecheck:surveys") + first.next_url).context["page"]

    assert len({row.pk for row in [*first.rows, *second.rows]}) == 60
    with django_assert_max_num_queries(20):
        text = client.get(reverse("pulsecheck:surveys") + "?which=open").content.decode()
    assert "Hidden Inn" not in text
    for odd in ("?after=x~y", "?which=x&span=y", "?q=%00", "?segment=none", "?after=2026-01-01T00:00~1"):
        assert client.get(reverse("pulsecheck:surveys") + odd).status_code == 200


def test_closing_the_loop_tells_the_issue_too(cast):
    answer = answer_survey(SurveyFactory(account=cast.account, sent_by=cast.owner), Said(nps=2))
    resolve_issue(answer.issue, cast.teammate)

    close_loop(answer, cast.teammate, note="Done", kind="call")

    answer.issue.refresh_from_db()
    assert answer.issue.told_by == cast.teammate


def test_a_customer_told_at_the_issue_is_told(cast, client):
    answer = answer_survey(SurveyFactory(account=cast.account, sent_by=cast.owner), Said(nps=2))
    resolve_issue(answer.issue, cast.teammate)
    tell_customer(answer.issue, cast.teammate)

    answer.issue.refresh_from_db()
    assert not answer.is_loop_open
    assert not SurveyAnswer.objects.with_open_loop().exists()
    client.force_login(cast.owner)
    page = client.get(reverse("pulsecheck:survey", args=[answer.survey_id])).content.decode()
    assert "what was done about the issue" in page
