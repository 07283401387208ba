"""The steps of connecting a system in a real browser, the same for every system. What workers do is done here, while the
pages look on. SCREENSHOTS=<folder> keeps a picture of every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page, expect

from accounts.crm.outbox import queue_write_backs
from accounts.models import Account, Connection, SyncRun
from tests.browser.test_first_import import keep
from tests.crm.syncing import go_on


def enter(page: Page, system: str, **given: str) -> None:
    """Choose a system, and say where it is and who asks; `given` by the labels of the form."""
    page.goto("/connections/")
    page.get_by_role("link", name="Connect a system").first.click()
    page.get_by_role("link", name=system).click()
    fill_in(page, **given)


def fill_in(page: Page, **given: str) -> None:
    for label, value in given.items():
        page.get_by_label(label.replace("_", " ")).fill(value)
    page.get_by_role("button", name="Save and test").click()


def look_at_what_would_happen(page: Page, picture: str) -> None:
    """From the last page of fields to what the first sync would do."""
    page.get_by_role("button", name="Save and show what would happen").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    go_on(SyncRun.objects.get(is_dry_run=True))
    # The page finds out by itself.
    expect(page.get_by_role("button", name="Start the first sync")).to_be_visible()
    keep(page, f"{picture}-preview")


def first_sync(page: Page, picture: str) -> None:
    page.get_by_role("button", name="Start the first sync").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    keep(page, f"{picture}-progress")
    go_on(SyncRun.objects.get(is_dry_run=False))
    expect(page.get_by_text("Up to date")).to_be_visible()
    keep(page, f"{picture}-connection")


def write_back(page: Page, account: Account, told: Mapping[str, Any], picture: str) -> None:
    """Switch writing back on, and have the system told of one account."""
    connection = Connection.objects.get()
    page.goto(f"/connections/{connection.pk}/")
    page.get_by_role("button", name="Write scores back").click()
    expect(page.get_by_text("first to be written")).to_be_visible()
    queue_write_backs(connection, {account.pk: told})
    sync_now(page)
    keep(page, f"{picture}-written-back")


def sync_now(page: Page) -> None:
    page.get_by_role("button", name="Sync now").click()
    go_on(SyncRun.objects.latest("pk"))
    expect(page.get_by_text("Up to date")).to_be_visible()
