"""A real BottleCRM 1.35: read, followed, and told of risk. Where there is no Python 3.12, these say that they were not run."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.crm.errors import SignInRefused
from accounts.crm.outbox import queue_write_backs
from accounts.models import Account, Connection, Contact, Interaction, Issue, Order, RawRecord, WriteBack
from accounts.services.connecting import change_access
from accounts.services.crm import check_connection
from tests.browser.connecting import (
    enter,
    fill_in,
    first_sync,
    look_at_what_would_happen,
    sync_now,
    write_back,
)
from tests.browser.test_first_import import keep
from tests.crm.bottlecrm.conftest import BottleCRM, connect
from tests.crm.bottlecrm.prepare import NARROW_TOKEN, OUR_TOKEN, SALES_TOKEN
from tests.crm.syncing import end_state, sync
from tests.factories import AccountFactory, AdministratorFactory, ContactFactory, SalesRepFactory


def news(connection: Connection) -> dict[str, int]:
    """Records that the last run read as new or changed, by stream."""
    run = connection.runs.first()
    assert run is not None
    return {step.stream: step.rows_created + step.rows_changed for step in run.steps.filter(action="pull")}


def test_accounts_people_and_invoices_are_read_and_a_second_sync_changes_nothing(
    connection: Connection, bottlecrm: BottleCRM
) -> None:
    SalesRepFactory(email="rep@example.com")
    assert check_connection(connection) == (
        "7 accounts, 7 contacts, 15 invoices, 8 tickets, 8 tasks can be read."
    )

    run = sync(connection)

    assert (run.state, run.message) == ("done", "")
    assert sum(run.steps.values_list("rows_refused", flat=True)) == 0
    assert sorted(Account.objects.values_list("name", flat=True)) == [f"Account {one}" for one in range(1, 8)]
    third = Account.objects.get(name="Account 3")
    assert (third.country, third.region, third.currency) == ("DE", "Bayern", "EUR")
    assert third.account_manager is not None
    assert third.account_manager.email == "rep@example.com"
    # Who closed the first of two won deals, although the later one was entered before it.
    assert third.original_salesperson == third.account_manager
    person = Contact.objects.get(account=third)
    assert (person.name, person.email, person.job_title) == ("Ann Of 3", "ann3@customer.example", "Buyer")
    orders = Order.objects.filter(account=third).order_by("ordered_at")
    assert [(one.ordered_at.date(), one.amount, one.currency) for one in orders] == [
        (dt.date(2025, 3, 3), Decimal("300.00"), "EUR"),
        (dt.date(2025, 9, 3), Decimal("50.25"), "EUR"),
    ]
    assert Order.objects.count() == 14  # the draft is none
    before = end_state(connection)

    assert sync(connection, is_full=True).state == "done"
    assert end_state(connection) == before
    assert set(news(connection).values()) == {0}


def test_tickets_and_completed_tasks_of_accounts_are_read_and_followed(
    connection: Connection, bottlecrm: BottleCRM
) -> None:
    rep = SalesRepFactory(email="rep@example.com")
    run = sync(connection)

    assert sum(run.steps.values_list("rows_refused", flat=True)) == 0
    # Those of no account are left out.
    assert (Issue.objects.count(), Interaction.objects.count()) == (7, 7)
    third = Account.objects.get(name="Account 3")
    issue = third.issues.get()
    assert (issue.description, issue.theme, issue.severity) == ("Late, again 3", "Incident", "high")
    assert (issue.owner, issue.opened_at) == (rep, dt.datetime(2025, 5, 3, 9, 30, tzinfo=dt.UTC))
    assert issue.resolved_at is None
    assert dict(Issue.objects.values_list("account__name", "severity")) == {
        "Account 1": "medium", "Account 2": "high", "Account 3": "high", "Account 4": "low", "Account 5": "medium",
        "Account 6": "high", "Account 7": "high",
    }  # fmt: skip
    rung = third.interactions.get()
    assert (rung.subject, rung.kind, rung.user) == ("Rang about 3", "other", rep)
    assert timezone.localdate(rung.happened_at) == dt.date(2025, 6, 3)

    bottlecrm.call("PATCH", f"cases/{issue.external_id}/", json={"status": "Closed"})
    for title, status, days in (("Today", "Completed", 0), ("Early", "Completed", 2), ("Open", "New", 0)):
        due = timezone.localdate() + dt.timedelta(days=days)
        made = {"title": title, "status": status, "priority": "Low", "due_date": due.isoformat()}
        bottlecrm.call("POST", "tasks/", json={**made, "account": third.external_id})
    sync(connection)
    issue.refresh_from_db()
    assert issue.resolved_at is not None
    assert abs(timezone.now() - issue.resolved_at) < dt.timedelta(minutes=5)
    assert set(third.interactions.values_list("subject", flat=True)) == {"Rang about 3", "Today"}

    bottlecrm.call("DELETE", f"cases/{issue.external_id}/")
    sync(connection, is_full=True)
    gone = RawRecord.objects.get(stream="tickets", deleted_at__isnull=False)
    assert gone.source_id == issue.external_id
    assert third.issues.exists()  # what a customer complained of stays on record


def test_a_token_that_may_not_see_tickets_brings_the_rest(
    connection: Connection, bottlecrm: BottleCRM
) -> None:
    sync(connection)
    seen = RawRecord.objects.filter(stream__in=["tickets", "tasks"], deleted_at=None)
    before = seen.count()

    change_access(connection, options={}, credentials={"token": SALES_TOKEN}, user=None)
    connection.refresh_from_db()
    assert check_connection(connection).endswith(" can be read. Not shown to this token: tickets, tasks.")
    run = sync(connection, is_full=True)

    assert (run.state, run.message) == ("done", "")
    assert run.steps.get(action="pull", stream="accounts").rows_read
    looked = run.steps.get(action="sweep", stream="tickets")
    assert "needs the cases:read scope. Nothing is taken for gone." in looked.message
    assert seen.count() == before > 0


def test_tasks_that_are_switched_off_there_are_not_taken_for_gone(
    connection: Connection, bottlecrm: BottleCRM
) -> None:
    sync(connection)
    bottlecrm.call("PUT", "org/modules/", json={"off": ["tasks"], "order": []})
    try:
        assert check_connection(connection).endswith(" can be read. Not shown to this token: tasks.")
        run = sync(connection, is_full=True)
    finally:
        bottlecrm.call("PUT", "org/modules/", json={"off": [], "order": []})
    assert run.state == "done"
    assert not RawRecord.objects.filter(stream="tasks").exclude(deleted_at=None).exists()


def test_changes_are_found_without_a_filter_and_deletions_by_the_sweep(
    connection: Connection, bottlecrm: BottleCRM
) -> None:
    made = bottlecrm.call("POST", "accounts/", json={"name": "Short-lived"})["id"]
    sync(connection)
    assert Account.objects.get(name="Short-lived").external_id == made
    fourth = bottlecrm.account("Account 4")
    person = bottlecrm.call("GET", "contacts/", params={"name": "Ann", "limit": 50})["results"]
    ann = next(one for one in person if one["last_name"] == "Of 4")

    bottlecrm.call("PATCH", f"accounts/{fourth['id']}/", json={"industry": "TECHNOLOGY"})
    bottlecrm.call("PATCH", f"contacts/{ann['id']}/", json={"title": "Head of buying"})
    sync(connection)
    assert news(connection) == {"accounts": 1, "contacts": 1, "invoices": 0, "tickets": 0, "tasks": 0}
    assert Contact.objects.get(external_id=ann["id"]).job_title == "Head of buying"

    bottlecrm.call("DELETE", f"accounts/{made}/")
    bottlecrm.call("PATCH", f"accounts/{fourth['id']}/", json={"industry": "BANKING"})
    sync(connection, is_full=True)
    assert Account.objects.get(name="Short-lived").lifecycle_stage == "former"
    assert Account.objects.get(name="Account 4").lifecycle_stage != "former"


def test_risk_is_written_into_custom_fields_and_does_not_come_back_as_news(
    connection: Connection, bottlecrm: BottleCRM
) -> None:
    sync(connection)
    first = Account.objects.get(name="Account 1")
    other = {"target_model": "Account", "key": "rating", "label": "Rating", "field_type": "text"}
    bottlecrm.call("POST", "custom-fields/", json=other)
    bottlecrm.call("PATCH", f"accounts/{first.external_id}/", json={"custom_fields": {"rating": "A"}})
    sync(connection)
    connection.writes_back = True
    connection.save()
    told = {"churn_probability": 0.62, "tier": "At risk", "reasons": "Quiet for 80 days.\nTwo complaints.",
            "revenue_at_risk": "6200.00", "revenue_currency": "EUR", "next_touchpoint_on": "2026-12-01"}  # fmt: skip
    queue_write_backs(connection, {first.pk: told})

    sync(connection)

    assert WriteBack.objects.get().state == "sent"
    assert bottlecrm.account("Account 1")["custom_fields"] == {
        "rating": "A",
        "mainstay_churn_probability": 0.62,
        "mainstay_tier": "At risk",
        "mainstay_reasons": "Quiet for 80 days.\nTwo complaints.",
        "mainstay_revenue_at_risk": 6200.0,
        "mainstay_revenue_currency": "EUR",
        "mainstay_next_touchpoint_on": "2026-12-01",
    }
    labels = {one["key"]: one["label"] for one in bottlecrm.call("GET", "custom-fields/")["definitions"]}
    assert labels["mainstay_tier"] == "Mainstay tier"
    sync(connection)
    assert set(news(connection).values()) == {0}

    queue_write_backs(connection, {first.pk: told | {"tier": "Healthy", "next_touchpoint_on": None}})
    sync(connection)
    fields = bottlecrm.account("Account 1")["custom_fields"]
    assert (fields["mainstay_tier"], fields["rating"]) == ("Healthy", "A")
    assert not fields.get("mainstay_next_touchpoint_on")


def test_wrong_tokens_and_missing_scopes_are_told_in_a_sentence(db: None, bottlecrm: BottleCRM) -> None:
    connection = connect(bottlecrm, "bcrm_pat_wrong-token-88")
    with pytest.raises(SignInRefused, match="BottleCRM does not accept the token") as refused:
        check_connection(connection)
    assert "wrong-token-88" not in str(refused.value)
    connection.delete()

    with pytest.raises(SignInRefused, match=r"may not read invoices .*scope"):
        check_connection(connect(bottlecrm, NARROW_TOKEN))


def test_through_the_browser(
    page_for: Callable[..., Page], bottlecrm: BottleCRM, no_tasks: None, axe: Callable[[Page], list[str]]
) -> None:
    """Connect, look, sync, say who somebody is that two entries of ours could be, write back."""
    known = AccountFactory(name="Account 5", record_source="file")
    for name in ("Anna", "Reception"):
        ContactFactory(account=known, name=name, email="ann5@customer.example", record_source="file")
    page = page_for(AdministratorFactory())
    enter(page, "BottleCRM", Address=bottlecrm.address, Token="bcrm_pat_wrong-token-88")
    expect(page.get_by_text("BottleCRM does not accept the token")).to_be_visible()
    keep(page, "bottlecrm-1-refused")
    fill_in(page, Token=OUR_TOKEN)
    said = re.compile(
        r"BottleCRM is connected\. \d+ accounts, \d+ contacts, 15 invoices, \d+ tickets, \d+ tasks can be read\."
    )
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Accounts become accounts")
    expect(page.get_by_role("row", name=re.compile("^Region"))).to_contain_text("Bayern")
    keep(page, "bottlecrm-2-fields")
    page.get_by_role("button", name="Save and go on: Contacts").click()
    for stream in ("Invoices", "Tickets", "Tasks"):
        page.get_by_role("button", name=f"Save and go on: {stream}").click()
    look_at_what_would_happen(page, "bottlecrm-3")
    expect(page.get_by_text("2 contacts could be this one.")).to_be_visible()
    assert Account.objects.count() == 1
    first_sync(page, "bottlecrm-4")
    assert known.orders.count() == 2

    page.get_by_role("link", name="Decide", exact=True).click()
    page.get_by_role("link", name="Ann Of 5").click()
    expect(page.get_by_role("button", name="It is a new contact")).to_be_visible()
    keep(page, "bottlecrm-5-decide")
    assert axe(page) == []
    card = page.locator("section.card", has=page.get_by_role("link", name="Anna", exact=True))
    card.get_by_role("button", name="It is this one").click()
    expect(page.get_by_text("Ann Of 5 is Anna.")).to_be_visible()

    write_back(page, known, {"tier": "At risk", "churn_probability": 0.62}, "bottlecrm-6")
    assert known.contacts.get(name="Ann Of 5").record_source == "file"
    assert known.contacts.count() == 2
    fields = bottlecrm.account("Account 5")["custom_fields"]
    assert (fields["mainstay_tier"], fields["mainstay_churn_probability"]) == ("At risk", 0.62)
    sync_now(page)
    assert set(news(Connection.objects.get()).values()) == {0}
