"""Promises, issues, enquiries and the fine print: what can be done about them, and their lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Company, Contract, Disclosure, Issue, Promise, Term
from accounts.models.care import PromiseStatus, Validity
from accounts.services.errors import RecordError
from accounts.services.issues import reopen_issue, resolve_issue, tell_customer
from accounts.services.promises import break_promise, keep_promise, open_promise_page
from accounts.services.terms import acknowledge_terms, explain_terms
from pulsecheck.selectors import enquiries, promises
from pulsecheck.selectors.triggers import office_hours
from retention.datasets.signals import load_signals
from retention.scoring.history import UNKNOWN_DAY
from tests.factories import (
    AccountFactory,
    Cast,
    ContactFactory,
    ContractFactory,
    EnquiryFactory,
    IssueFactory,
    PromiseFactory,
    date_ago,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
LISTS = ["promises", "issues", "enquiries", "fine_print"]


@pytest.fixture
def cast() -> Cast:
    cache.clear()
    return make_cast()


def send(client: Client, name: str, row: Any, **data: Any) -> HttpResponse:
    return client.post(reverse(f"pulsecheck:{name}", args=[row.pk]), data)


# ── promises ───────────────────────────────────────────────────────────
def test_a_promise_is_kept_once_by_either_owner(client: Client, cast: Cast) -> None:
    promise = PromiseFactory(account=cast.account, made_by=cast.owner, due_on=date_ago(-3))
    client.force_login(cast.teammate)
    for _ in range(2):
        send(client, "keep_promise", promise)
    promise.refresh_from_db()
    assert promise.status == PromiseStatus.KEPT
    assert AuditEntry.objects.filter(action="keep_promise", user=cast.teammate).count() == 1


def test_a_promise_kept_after_its_day_is_late_even_when_it_was_given_up(cast: Cast) -> None:
    promise = PromiseFactory(account=cast.account)
    broken = break_promise(promise, cast.owner, "No driver")
    assert (broken.status, broken.broken_because) == (PromiseStatus.BROKEN, "No driver")
    kept = keep_promise(broken, cast.owner)
    assert (kept.status, kept.broken_because) == (PromiseStatus.LATE, "")
    with pytest.raises(RecordError):
        break_promise(kept, cast.owner, "No driver")


def test_breaking_a_promise_asks_why(client: Client, cast: Cast) -> None:
    promise = PromiseFactory(account=cast.account)
    client.force_login(cast.owner)
    answer = client.post(
        reverse("pulsecheck:break_promise", args=[promise.pk]), {"back": "/promises/"}, follow=True
    )
    assert "Say why, in one sentence." in answer.content.decode()
    promise.refresh_from_db()
    assert promise.status == PromiseStatus.OPEN


def test_the_record_of_each_person(cast: Cast) -> None:
    made = {"account": cast.account, "made_by": cast.owner, "made_on": date_ago(40)}
    PromiseFactory(**made, due_on=date_ago(20), kept_on=date_ago(21), status="kept")
    PromiseFactory(**made, due_on=date_ago(20), kept_on=date_ago(10), status="late")
    PromiseFactory(**made, due_on=date_ago(20), status="broken")
    PromiseFactory(**made, due_on=date_ago(1))  # overdue: not kept so far
    PromiseFactory(**made, due_on=date_ago(0))  # its day is not over
    PromiseFactory(account=AccountFactory(), made_by=cast.stranger)  # of an account they do not see
    (record,) = promises.promise_records(cast.owner, date_ago(0))
    assert (record.kept, record.late, record.broken, record.share) == (1, 1, 2, 0.25)
    counts = promises.count_promises(cast.owner, "mine", date_ago(0))
    assert (counts.open, counts.overdue, counts.soon, counts.share) == (2, 1, 1, 0.25)


def test_a_customer_sees_what_is_shown_to_them_until_the_link_is_turned_off(
    client: Client, cast: Cast
) -> None:
    PromiseFactory(account=cast.account, text=f"Shown {HOSTILE}", is_shared=True)
    PromiseFactory(account=cast.account, text="Kept to ourselves")
    PromiseFactory(account=AccountFactory(), text="Of somebody else", is_shared=True)
    client.force_login(cast.owner)
    send(client, "open_promise_page", cast.account)
    address = reverse("pulsecheck:promised", args=[cast.account.promise_page.link])
    stranger = Client()
    text = stranger.get(address).content.decode()
    assert "Shown" in text
    assert all(words not in text for words in (HOSTILE, "Kept to ourselves", "Of somebody else"))
    send(client, "close_promise_page", cast.account)
    assert stranger.get(address).status_code == 404


# ── issues ─────────────────────────────────────────────────────────────
def test_an_issue_is_solved_told_and_comes_back(client: Client, cast: Cast) -> None:
    issue = IssueFactory(account=cast.account, owner=cast.owner)
    client.force_login(cast.owner)
    assert send(client, "resolve_issue", issue).status_code == 422  # what was done has to be said
    send(client, "tell_customer", issue)
    issue.refresh_from_db()
    assert issue.told_at is None  # nothing to tell while it is open
    send(client, "resolve_issue", issue, resolution="Two new crates", validity="valid")
    send(client, "tell_customer", issue, reaction="Fine")
    issue.refresh_from_db()
    assert (issue.resolution, issue.validity, issue.reaction) == ("Two new crates", Validity.VALID, "Fine")
    send(client, "reopen_issue", issue, reason="Broken again")
    issue.refresh_from_db()
    assert (issue.resolved_at, issue.told_at, issue.times_reopened) == (None, None, 1)
    page = client.get(reverse("pulsecheck:issue", args=[issue.pk])).content.decode()
    assert "Broken again" in page
    assert "came back" in page


def test_an_issue_that_came_back_counts_again_in_the_factors_and_not_before(cast: Cast) -> None:
    issue = IssueFactory(account=cast.account, opened_at=days_ago(40))
    Issue.objects.filter(pk=issue.pk).update(resolved_at=days_ago(30))
    reopened = reopen_issue(Issue.objects.get(), cast.owner, "Broken again")
    reopened.reopenings.update(reopened_at=days_ago(10))

    def spells(as_of: dt.date) -> list[tuple[int, bool]]:
        """How old each spell is, and whether it is over."""
        found = load_signals(as_of, only=None).issues
        assert found is not None
        epoch = (as_of - dt.date(1970, 1, 1)).days
        return sorted(
            (epoch - int(day), int(until) != UNKNOWN_DAY)
            for day, until in zip(found.columns["day"], found.columns["until"], strict=True)
        )

    assert spells(date_ago(35)) == [(5, False)]
    assert spells(date_ago(20)) == [(20, True)]
    assert spells(date_ago(1)) == [(9, False), (39, True)]
    resolve_issue(issue, cast.owner)
    assert spells(date_ago(0)) == [(10, True), (40, True)]
    tell_customer(issue, cast.owner)
    assert spells(date_ago(20)) == [(20, True)]


def test_whoever_sees_to_an_issue_can_change(client: Client, cast: Cast) -> None:
    issue = IssueFactory(account=cast.account, owner=cast.owner)
    client.force_login(cast.manager)
    changed = {"owner": cast.teammate.pk, "due_on": date_ago(-5).isoformat(), "severity": "high"}
    send(client, "change_issue", issue, **changed, theme="quality", validity="partly")
    issue.refresh_from_db()
    assert (issue.owner, issue.severity, issue.validity) == (cast.teammate, "high", Validity.PARTLY)
    assert AuditEntry.objects.get(action="change_issue").detail["theme"] == ["delivery", "quality"]


# ── enquiries ──────────────────────────────────────────────────────────
def test_an_answer_ends_with_a_next_step(client: Client, cast: Cast) -> None:
    enquiry = EnquiryFactory(account=cast.account)
    client.force_login(cast.owner)
    answer = send(client, "answer_enquiry", enquiry, response="Yes, from May on")
    assert answer.status_code == 422
    assert "What happens next?" in answer.content.decode()
    assert "Yes, from May on" in answer.content.decode()
    step = {"next_step": "Send the list", "next_step_due_on": date_ago(-3).isoformat()}
    send(client, "answer_enquiry", enquiry, response="Yes, from May on", **step)
    enquiry.refresh_from_db()
    assert (enquiry.responded_by, enquiry.owner, enquiry.next_step_owner) == (cast.owner,) * 3
    assert "Send the list" in client.get(reverse("pulsecheck:enquiries") + "?state=steps").content.decode()
    send(client, "finish_enquiry_step", enquiry)
    enquiry.refresh_from_db()
    assert enquiry.next_step_done_at is not None


def test_somebody_may_say_that_nothing_comes_next(client: Client, cast: Cast) -> None:
    enquiry = EnquiryFactory(account=cast.account)
    client.force_login(cast.owner)
    send(client, "answer_enquiry", enquiry, response="No", is_finished="on")
    enquiry.refresh_from_db()
    assert enquiry.responded_at is not None
    assert (enquiry.next_step, enquiry.next_step_due_on) == ("", None)


def test_the_clock_counts_business_hours(cast: Cast) -> None:
    Company.objects.update_or_create(pk=1, defaults={"answer_hours": 4, "time_zone": "UTC"})
    cache.clear()
    friday = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)
    enquiry = EnquiryFactory(account=cast.account, received_at=friday)
    clock = enquiries.clock_of(enquiry, friday + dt.timedelta(days=2), office_hours())
    assert (clock.is_late, clock.words) == (False, "2 h left")
    assert clock.due_at == dt.datetime(2026, 11, 23, 11, tzinfo=dt.UTC)
    clock = enquiries.clock_of(enquiry, dt.datetime(2026, 11, 23, 13, tzinfo=dt.UTC), office_hours())
    assert (clock.is_late, clock.words) == (True, "late by 2 h")
    enquiry.responded_at = dt.datetime(2026, 11, 20, 16, tzinfo=dt.UTC)
    assert enquiries.clock_of(enquiry, timezone.now(), office_hours()).words == "answered in 1 h"


# ── the fine print ─────────────────────────────────────────────────────
def test_a_contract_is_explained_once_no_term_is_missing(client: Client, cast: Cast) -> None:
    contract, contact = ContractFactory(account=cast.account), ContactFactory(account=cast.account)
    terms = list(Term.objects.filter(is_active=True))
    client.force_login(cast.owner)
    today = date_ago(0).isoformat()
    send(client, "explain_terms", contract, terms=[terms[0].pk], on=today, to=contact.pk)
    contract.refresh_from_db()
    assert contract.terms_disclosed_on is None
    assert Disclosure.objects.get().explained_to == contact
    send(client, "explain_terms", contract, terms=[term.pk for term in terms[1:]], on=today)
    contract.refresh_from_db()
    assert (contract.terms_disclosed_on, contract.terms_disclosed_by) == (date_ago(0), cast.owner)
    send(client, "acknowledge_terms", contract, how="Signed", on=today)
    contract.refresh_from_db()
    assert contract.terms_acknowledged_on == date_ago(0)


def test_nothing_is_acknowledged_before_it_was_explained(cast: Cast) -> None:
    contract = ContractFactory(account=cast.account)
    with pytest.raises(RecordError):
        acknowledge_terms(contract, cast.owner, on=date_ago(0), how="Signed")
    explain_terms(contract, cast.owner, Term.objects.all(), on=date_ago(1))
    with pytest.raises(RecordError):
        acknowledge_terms(contract, cast.owner, on=date_ago(2), how="Signed")
    assert Contract.objects.get().terms_acknowledged_on is None


# ── pages ──────────────────────────────────────────────────────────────
def fill(cast: Cast, count: int) -> None:
    for _ in range(count):
        contact = ContactFactory(account=cast.account, name=HOSTILE)
        PromiseFactory(account=cast.account, made_by=cast.owner, text=HOSTILE, made_to=contact)
        IssueFactory(account=cast.account, owner=cast.owner, description=HOSTILE, theme=HOSTILE)
        EnquiryFactory(account=cast.account, owner=cast.owner, subject=HOSTILE, contact=contact)
        ContractFactory(account=cast.account)


@pytest.mark.parametrize("name", LISTS)
def test_lists_read_the_same_for_any_number_of_rows_and_show_text_as_text(
    client: Client, cast: Cast, name: str
) -> None:
    client.force_login(cast.owner)
    fill(cast, 1)
    address = reverse(f"pulsecheck:{name}")
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(address)
    fill(cast, 5)
    with CaptureQueriesContext(connection) as six:
        page = client.get(address).content.decode()
    assert len(six) == len(one)
    assert HOSTILE not in page
    assert page.count("data-row") == 6


@pytest.mark.parametrize("name", LISTS)
def test_every_filter_of_a_list_answers(client: Client, cast: Cast, name: str) -> None:
    fill(cast, 2)
    client.force_login(cast.manager)
    address = reverse(f"pulsecheck:{name}")
    for state in ("", "overdue", "kept", "late", "broken", "untold", "reopened", "closed", "steps", "answered",
                  "unacknowledged", "done", "all", "nonsense"):  # fmt: skip
        for after in ("", "2026-01-01~5", "nonsense~x"):
            query = {"state": state, "after": after, "whose": "all", "q": "See", "severity": "high"}
            assert client.get(address, query).status_code == 200


def test_pages_follow_one_another(client: Client, cast: Cast) -> None:
    for number in range(53):
        PromiseFactory(account=cast.account, made_by=cast.owner, text=f"Number {number}", due_on=date_ago(3))
    client.force_login(cast.owner)
    first = client.get(reverse("pulsecheck:promises"))
    second = client.get(reverse("pulsecheck:promises") + first.context["page"].next_url)
    shown = [row.pk for page in (first, second) for row in page.context["page"].rows[:50]]
    assert sorted(shown) == sorted(Promise.objects.values_list("pk", flat=True))
    assert len(first.context["page"].rows) == 50


def test_the_key_of_a_promise_page_alone_opens_nothing(client: Client, cast: Cast) -> None:
    page = open_promise_page(cast.account, cast.owner)
    assert client.get(reverse("pulsecheck:promised", args=[page.token])).status_code == 404
    assert client.get(reverse("pulsecheck:promised", args=[page.link])).status_code == 200


def test_a_solved_issue_of_a_later_hour_can_be_told(cast: Cast) -> None:
    """A file may say that it was opened and solved later today."""
    later = timezone.now() + dt.timedelta(hours=2)
    issue = IssueFactory(account=cast.account, opened_at=later, resolved_at=later)
    assert tell_customer(issue, cast.owner).told_at == later


@pytest.mark.parametrize(
    ("day", "said"), [("2020-01-01", "This day is over"), ("9999-12-31", "next ten years")]
)
def test_a_day_nobody_can_mean_is_refused(client: Client, cast: Cast, day: str, said: str) -> None:
    client.force_login(cast.owner)
    sent = {"description": "Late", "severity": "low", "due_on": day}
    answer = client.post(reverse("retention:open_issue", args=[cast.account.pk]), sent)
    assert (answer.status_code, said in answer.content.decode()) == (422, True)
