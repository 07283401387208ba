"""A Monday morning with HubSpot (the local stand-in): connect it, look at the fields and at what would happen, sync, say
which account a doubtful record is, have scores written back. SCREENSHOTS=<folder> keeps a picture of every step.

What workers do is done by the test itself, in steps, while the pages look on."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from accounts.crm.outbox import queue_write_backs
from accounts.models import Account, Connection, Order, Quarantine, SyncRun
from tests.browser.test_first_import import keep
from tests.crm.conftest import nearby, server  # noqa: F401 - fixtures
from tests.crm.servers.hubspot import Server
from tests.crm.syncing import go_on
from tests.crm.world import fill
from tests.factories import AccountFactory, AdministratorFactory


def test_connect_map_look_sync_settle_write_back(
    page_for: Callable[..., Page],
    server: Server,  # noqa: F811
    no_tasks: None,
    axe: Callable[[Page], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("accounts.crm.hubspot.connector.ADDRESS", server.address)
    fill(server.world, companies=12)
    server.world.labels = {
        "companies": {"name": "Company name", "area": "Sales area", "industry": "Industry"}
    }
    server.world.put("companies", 3, name="Bakery Noor", area="North")
    known = AccountFactory(name="Company 5", record_source="file", external_id="K-5")
    AccountFactory(name="Company 5", record_source="file", external_id="K-5b")
    page = page_for(AdministratorFactory())

    connect(page)
    choose_fields(page)
    look_at_what_would_happen(page)
    assert axe(page) == []
    first_sync(page)
    settle(page, known)
    write_back(page, server)


def connect(page: Page) -> None:
    page.goto("/connections/")
    page.get_by_role("link", name="Connect a system").first.click()
    keep(page, "connect-1-choose")
    page.get_by_role("link", name="HubSpot").click()
    page.get_by_label("Key or access token").fill("no-such-token")
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_text("does not accept the credentials")).to_be_visible()
    keep(page, "connect-2-refused")
    page.get_by_label("Key or access token").fill("token-one")
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_text("HubSpot is connected. Companies can be read.")).to_be_visible()


def choose_fields(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Companies become accounts")
    expect(page.get_by_label("Name *")).to_have_value("properties.name")
    page.get_by_label("Region", exact=True).select_option(label="Sales area")
    page.get_by_role("button", name="Save and look again").click()
    expect(page.get_by_role("row", name=re.compile("^Region"))).to_contain_text("North")
    keep(page, "connect-3-fields")
    page.get_by_role("button", name="Save and go on: Contacts").click()
    page.get_by_role("button", name="Save and go on: Deals").click()
    page.get_by_role("button", name="Save and show what would happen").click()


def look_at_what_would_happen(page: Page) -> None:
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    go_on(SyncRun.objects.get(is_dry_run=True))
    # The page finds out by itself.
    expect(page.get_by_role("button", name="Start the first sync")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^Companies"))).to_contain_text("11")
    expect(page.get_by_text("2 accounts could be this one.")).to_be_visible()
    keep(page, "connect-4-preview")
    assert Account.objects.count() == 2


def first_sync(page: Page) -> None:
    page.get_by_role("button", name="Start the first sync").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    keep(page, "connect-5-progress")
    go_on(SyncRun.objects.get(is_dry_run=False))
    expect(page.get_by_text("Up to date")).to_be_visible()
    keep(page, "connect-6-connection")
    assert Account.objects.count() == 2 + 11


def settle(page: Page, known: Account) -> None:
    page.get_by_role("link", name="Decide", exact=True).click()
    page.get_by_role("link", name="Company 5").click()
    keep(page, "connect-7-decide")
    card = page.locator("section.card", has_text="K-5b").first
    expect(card).to_be_visible()
    page.locator("section.card", has_text="file, K-5").filter(has_not_text="K-5b").get_by_role(
        "button", name="It is this one"
    ).click()
    expect(page.get_by_text("It is taken in with the next sync.")).to_be_visible()
    assert Quarantine.objects.get().account == known


def write_back(page: Page, server: Server) -> None:  # noqa: F811
    connection = Connection.objects.get()
    page.goto(f"/connections/{connection.pk}/")
    page.get_by_role("button", name="Write scores back").click()
    expect(page.get_by_text("first to be written")).to_be_visible()
    bakery = Account.objects.get(name="Bakery Noor")
    queue_write_backs(connection, {bakery.pk: {"tier": "At risk", "churn_probability": 0.4}})
    page.get_by_role("button", name="Sync now").click()
    go_on(SyncRun.objects.latest("pk"))
    expect(page.get_by_text("Up to date")).to_be_visible()
    assert server.world.objects["companies"]["3"]["properties"]["mainstay_tier"] == "At risk"
    assert Order.objects.filter(account__name="Company 5").count() == 2
    page.reload()
    expect(page.get_by_text("Customers told")).to_be_visible()
    keep(page, "connect-8-written-back")
