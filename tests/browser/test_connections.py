"""A Monday morning with HubSpot (the local stand-in): connect it, look at the fields and at what would happen, sync, say
which account a doubtful record is, have scores written back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Account, Order, Quarantine
from tests.browser.connecting import enter, fill_in, first_sync, look_at_what_would_happen, write_back
from tests.browser.test_first_import import keep
from tests.crm.conftest import nearby, server  # noqa: F401 - fixtures
from tests.crm.servers.hubspot import Server
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
    look_at_what_would_happen(page, "connect-4")
    expect(page.get_by_role("row", name=re.compile("^Companies"))).to_contain_text("11")
    expect(page.get_by_text("2 accounts could be this one.")).to_be_visible()
    assert Account.objects.count() == 2
    assert axe(page) == []
    first_sync(page, "connect-5")
    assert Account.objects.count() == 2 + 11
    settle(page, known)
    bakery = Account.objects.get(name="Bakery Noor")
    write_back(page, bakery, {"tier": "At risk", "churn_probability": 0.4}, "connect-8")
    assert server.world.objects["companies"]["3"]["properties"]["mainstay_tier"] == "At risk"
    assert Order.objects.filter(account__name="Company 5").count() == 2
    page.reload()
    expect(page.get_by_text("Customers told")).to_be_visible()


def connect(page: Page) -> None:
    page.goto("/connections/new/")
    keep(page, "connect-1-choose")
    enter(page, "HubSpot", Key_or_access_token="no-such-token")
    expect(page.get_by_text("does not accept the credentials")).to_be_visible()
    keep(page, "connect-2-refused")
    fill_in(page, Key_or_access_token="token-one")
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
