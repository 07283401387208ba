"""Two owners, the retention team, and handing a won deal over from sales to service."""

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

from accounts import selectors
from accounts.models import Account, AccountMember, Contact, CustomerEvent, Handoff, OnboardingItem, Promise
from accounts.services.errors import RecordError
from pulsecheck.models import Touchpoint
from pulsecheck.selectors import owners
from pulsecheck.selectors.owners import attach_alarms
from pulsecheck.services.owners import end_swap, swap_roles
from retention.selectors.today import today_of
from tests.factories import (
    AccountFactory,
    AccountManagerFactory,
    AccountMemberFactory,
    Cast,
    ContactFactory,
    EnquiryFactory,
    HandoffFactory,
    InteractionFactory,
    IssueFactory,
    OnboardingStepFactory,
    SalesRepFactory,
    TouchpointFactory,
    date_ago,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def cast() -> Cast:
    cache.clear()
    return make_cast()


def send(client: Client, name: str, row: Any, **data: Any) -> HttpResponse:
    return client.post(reverse(f"pulsecheck:{name}", args=[row.pk]), data)


def alarms(account: Account) -> list[str]:
    fresh = Account.objects.select_related("original_salesperson", "account_manager").get(pk=account.pk)
    attach_alarms([fresh], timezone.now())
    return [alarm.text for alarm in fresh.alarms]  # type: ignore[attr-defined]


# ── two owners ─────────────────────────────────────────────────────────
def test_an_owner_is_silent_when_the_other_one_speaks(cast: Cast) -> None:
    InteractionFactory(account=cast.account, user=cast.owner, happened_at=days_ago(20))
    InteractionFactory(account=cast.account, user=cast.teammate, happened_at=days_ago(100))
    assert alarms(cast.account) == ["Tim Teammate has not spoken with them for 100 days."]
    InteractionFactory(account=cast.account, user=cast.teammate, happened_at=days_ago(89))
    assert alarms(cast.account) == []


@pytest.mark.parametrize(("few_hundred", "most_looked_for"), [(500, 0), (1, 0), (1, 2000)])
def test_the_list_of_silent_owners_is_the_same_however_it_is_found(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch, few_hundred: int, most_looked_for: int
) -> None:
    """Few are remembered, many are found in the order of the list; whoever speaks is gone at once in both."""
    monkeypatch.setattr(owners, "FEW_HUNDRED", few_hundred)
    monkeypatch.setattr(owners, "MOST_LOOKED_FOR", most_looked_for)
    monkeypatch.setattr(selectors, "LARGE", 0)
    silent = []
    for name in ("Cedar", "Alder", "Birch"):
        account = AccountFactory(
            name=name,
            original_salesperson=cast.owner,
            account_manager=cast.teammate,
            became_customer_on=date_ago(400),
        )
        InteractionFactory(account=account, user=cast.owner, happened_at=days_ago(20))
        silent.append(account)
    client.force_login(cast.owner)

    def listed() -> list[str]:
        page = client.get(reverse("pulsecheck:owners"), {"state": "silent"}).context["page"]
        return [account.name for account in page.rows]

    assert listed() == ["Alder", "Birch", "Cedar"]
    InteractionFactory(account=silent[2], user=cast.teammate, happened_at=days_ago(1))
    assert listed() == ["Alder", "Cedar"]


def test_where_many_owners_are_silent_a_page_is_full_without_looking_through_the_book(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "PAGE_SIZE", 2)
    monkeypatch.setattr(owners, "_look", None)
    for name in ("Cedar", "Alder", "Birch", "Dogwood"):
        account = AccountFactory(name=name, original_salesperson=cast.owner, became_customer_on=date_ago(400))
        InteractionFactory(account=account, user=cast.owner, happened_at=days_ago(200))
    client.force_login(cast.owner)
    page = client.get(reverse("pulsecheck:owners"), {"state": "silent"}).context["page"]
    assert [account.name for account in page.rows] == ["Alder", "Birch"]
    assert page.next_url


def test_vacancies_one_person_for_both_and_who_stands_in(cast: Cast) -> None:
    for person in (cast.owner, cast.teammate):
        InteractionFactory(account=cast.account, user=person, happened_at=days_ago(1))
    cast.owner.is_active = False
    cast.owner.save()
    assert alarms(cast.account) == ["Whoever won this account is gone: it needs somebody from sales."]
    AccountMemberFactory(account=cast.account, user=SalesRepFactory(), role="sales")
    assert alarms(cast.account) == []
    cast.account.account_manager = None
    cast.account.save()
    assert alarms(cast.account) == ["Nobody of ours is responsible for this account."]
    Account.objects.update(original_salesperson=cast.teammate, account_manager=cast.teammate)
    assert "both owners at once" in alarms(cast.account)[0]


def test_swapping_roles_moves_the_planned_contact_and_back(cast: Cast) -> None:
    TouchpointFactory(account=cast.account, assignee=cast.teammate)
    swap = swap_roles(cast.account, cast.owner, until=date_ago(-30), reason="To know both")
    assert Touchpoint.objects.get(state="planned").assignee == cast.owner
    with pytest.raises(RecordError):
        swap_roles(cast.account, cast.owner, until=date_ago(-30), reason="Again")
    end_swap(swap, cast.owner)
    assert Touchpoint.objects.get(state="planned").assignee == cast.teammate
    cast.account.account_manager = None
    cast.account.save()
    with pytest.raises(RecordError):
        swap_roles(cast.account, cast.owner, until=date_ago(-30), reason="Alone")


def test_a_member_sees_the_account_and_no_longer_once_taken_off(client: Client, cast: Cast) -> None:
    client.force_login(cast.owner)
    send(client, "add_member", cast.account, member=cast.stranger.pk, role="finance")
    assert Account.objects.visible_to(type(cast.stranger).objects.get(pk=cast.stranger.pk)).count() == 1
    send(client, "remove_member", AccountMember.objects.get())
    assert not Account.objects.visible_to(type(cast.stranger).objects.get(pk=cast.stranger.pk)).exists()


def test_a_leader_names_another_account_manager(client: Client, cast: Cast) -> None:
    other = AccountManagerFactory()
    client.force_login(cast.manager)
    send(client, "change_manager", cast.account, manager=other.pk)
    cast.account.refresh_from_db()
    assert cast.account.account_manager == other
    page = client.get(reverse("pulsecheck:team", args=[cast.account.pk])).content.decode()
    assert "before Tim Teammate" in page


def test_new_management_there_is_an_event_and_who_left_is_noted(client: Client, cast: Cast) -> None:
    gone = ContactFactory(account=cast.account)
    client.force_login(cast.owner)
    when = date_ago(4).isoformat()
    send(
        client,
        "note_event",
        cast.account,
        kind="new_management",
        happened_on=when,
        left=gone.pk,
        note=HOSTILE,
    )
    assert CustomerEvent.objects.get().noted_by == cast.owner
    assert Contact.objects.get().left_on == date_ago(4)
    for address in (
        reverse("pulsecheck:team", args=[cast.account.pk]),
        f"/accounts/{cast.account.pk}/?kind=risk",
    ):
        page = client.get(address).content.decode()
        assert "New management there" in page
        assert HOSTILE not in page


# ── handing over ───────────────────────────────────────────────────────
def test_a_won_deal_becomes_a_customer_with_a_team_promises_and_a_list(client: Client, cast: Cast) -> None:
    prospect = AccountFactory(
        original_salesperson=cast.owner, lifecycle_stage="prospect", became_customer_on=None
    )
    finance = SalesRepFactory()
    client.force_login(cast.owner)
    fields = {
        "won_on": date_ago(1).isoformat(), "handed_to": cast.teammate.pk, "bought": HOSTILE, "why_us": "Before nine",
        "expects": "A fixed person", "member_0": finance.pk, "role_0": "finance", "promise_0": "A price list",
    }  # fmt: skip
    answer = send(client, "hand_over", prospect, **fields)
    assert answer.status_code == 422  # a promise needs its day
    assert "A promise without a day" in answer.content.decode()
    send(client, "hand_over", prospect, **fields, promise_due_0=date_ago(-7).isoformat())
    prospect.refresh_from_db()
    assert (prospect.lifecycle_stage, prospect.account_manager) == ("customer", cast.teammate)
    assert prospect.became_customer_on == date_ago(1)
    assert Promise.objects.get().made_by == cast.owner
    handoff = Handoff.objects.get()
    owners = dict(handoff.steps.values_list("role", "owner"))
    assert (owners["sales"], owners["finance"], owners["delivery"]) == (
        cast.owner.pk,
        finance.pk,
        cast.teammate.pk,
    )
    assert handoff.steps.count() == OnboardingItem.objects.filter(is_active=True).count()
    assert min(handoff.steps.values_list("due_on", flat=True)) >= date_ago(0)
    assert Touchpoint.objects.filter(account=prospect, state="planned").exists()
    client.force_login(cast.teammate)
    assert "Read the handoff" in client.get("/").content.decode()
    page = client.get(reverse("pulsecheck:handoff", args=[handoff.pk])).content.decode()
    assert HOSTILE not in page
    send(client, "receive_handoff", handoff, question="Who opens the gate?")
    send(client, "finish_onboarding_step", handoff.steps.first())
    handoff.refresh_from_db()
    assert handoff.received_at is not None
    assert handoff.steps.exclude(done_at=None).get().done_by == cast.teammate


def test_what_follows_a_record_stands_on_its_owners_today(cast: Cast) -> None:
    def kinds(user: Any) -> set[str]:
        rows = today_of(user, None, dt.date.today()).tasks
        return {row.kind for row in rows} | {word for row in rows for word in row.also}

    assert kinds(cast.owner) == set()
    IssueFactory(account=AccountFactory(), owner=cast.owner, resolved_at=days_ago(1))
    answered = {"responded_at": days_ago(0), "next_step": "Send it", "next_step_owner": cast.owner}
    EnquiryFactory(account=AccountFactory(), **answered, next_step_due_on=date_ago(1))
    OnboardingStepFactory(owner=cast.owner)
    assert kinds(cast.owner) == {"untold", "enquiry_step", "onboarding"}
    Account.objects.filter(pk=cast.account.pk).update(account_manager=None)
    assert kinds(cast.manager) == {"vacancy"}
    for _more in range(3):
        AccountFactory(original_salesperson=cast.owner, account_manager=None)
    (row,) = today_of(cast.manager, None, dt.date.today()).tasks
    assert (row.account, row.title) == (None, "4 customers have no account manager")


@pytest.mark.parametrize("name", ["owners", "handoffs"])
def test_lists_read_the_same_for_any_number_of_rows(client: Client, cast: Cast, name: str) -> None:
    client.force_login(cast.manager)

    def fill(count: int) -> None:
        for _ in range(count):
            account = AccountFactory(name=HOSTILE, original_salesperson=cast.owner)
            AccountMemberFactory(account=account, user=cast.owner, role="sales")
            step = OnboardingStepFactory(handoff__account=account, handoff__handed_by=cast.owner)
            HandoffFactory(account=account, handed_by=cast.owner, expects=HOSTILE)
            assert step.handoff.account == account

    fill(1)
    address = reverse(f"pulsecheck:{name}")
    client.get(address)
    with CaptureQueriesContext(connection) as one:
        client.get(address)
    fill(4)
    with CaptureQueriesContext(connection) as more:
        page = client.get(address).content.decode()
    assert len(more) == len(one)
    assert HOSTILE not in page
    for state in ("silent", "one", "unread", "done", "all"):
        for after in ("", "Z~1", "2026-01-01~5"):
            assert client.get(address, {"state": state, "after": after}).status_code == 200


def test_the_guide_is_for_everybody_and_departments_can_be_changed(client: Client, cast: Cast) -> None:
    AccountMemberFactory(account=cast.account, user=cast.stranger, role="finance")
    client.force_login(cast.marketing)
    page = client.get(reverse("pulsecheck:guide")).content.decode()
    assert "Sam Stranger" in page
    assert "Finance" in page
