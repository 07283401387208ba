"""A whole episode in the browser by three people: risk found, handed back, accepted, an issue and a promise written down,
the pulse taken, the promise kept, the customer saved, and everybody who had a part in it thanked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.cache import cache
from playwright.sync_api import Page, expect

from accounts.models import Issue, Promise
from accounts.selectors import company_today
from pulsecheck.models import Handback, HandbackThanks, PulseCheck
from retention.models import ScoreRun
from retention.services.actions import act_on_run
from tests.factories import AccountFactory, OrderFactory, ScoreFactory, date_ago, days_ago, make_cast

Open = Callable[..., Page]


def keep(page: Page, name: str) -> None:
    """A picture for who looks (SCREENSHOTS=<folder>)."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"episode-{name}.png", full_page=True)


def test_from_a_risk_to_thanks(page_for: Open, axe: Callable[[Page], list[str]]) -> None:
    cast = make_cast()
    account = cast.account
    for ago in (80, 101, 122):
        OrderFactory(account=account, ordered_at=days_ago(ago))
    OrderFactory(account=AccountFactory(), ordered_at=days_ago(1))
    ScoreFactory(account=account)

    # The night finds the risk and hands it back to whoever won the account.
    assert act_on_run(ScoreRun.objects.get())
    handback = Handback.objects.get()
    assert (handback.salesperson, handback.trigger) == (cast.owner, "at_risk")

    rep, carer, manager = (page_for(person) for person in (cast.owner, cast.teammate, cast.manager))
    accept_and_call(rep, axe)
    write_down_issue_and_promise(rep, cast)
    take_the_pulse(carer)
    keep_the_promise(rep)
    close_as_saved(rep)
    thank(manager, axe)
    read_the_thanks(rep)
    assert HandbackThanks.objects.get().by == cast.manager
    assert set(handback.credits.values_list("person__name", "part")) == {
        ("Olga Owner", "took it on, spoke with them, kept a promise"),
        ("Tim Teammate", "took their pulse, looks after them"),
    }


def row_of(page: Page, name: str = "Hotel Seeblick") -> Any:
    cache.clear()
    page.goto("/")
    return page.locator(".task", has_text=name)


def accept_and_call(page: Page, axe: Callable[[Page], list[str]]) -> None:
    row = row_of(page)
    expect(row).to_contain_text("Answer the handback")
    keep(page, "1-today")
    row.get_by_role("link", name="Briefing").click()
    expect(page.get_by_role("heading", name="Why now")).to_be_visible()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Hotel Seeblick is yours.")).to_be_visible()
    page.locator("summary", has_text="Log an attempt").click()
    page.get_by_label("Spoke with somebody there").check()
    page.get_by_label("What came of it").fill("The cook misses half of every delivery")
    page.locator("details[open] button[type=submit]").click()
    expect(page.get_by_text("Written down.")).to_be_visible()
    assert axe(page) == []
    keep(page, "2-briefing")


def write_down_issue_and_promise(page: Page, cast: Any) -> None:
    page.get_by_role("link", name="Whole account").click()
    composer = page.locator(".composer")
    composer.locator("a", has_text=re.compile("issue", re.I)).click()
    form = composer.locator("form")
    form.get_by_label("What went wrong").fill("Half of every delivery is missing")
    form.locator("button[type=submit]").click()
    expect(page.get_by_text("The issue is open.")).to_be_visible()
    composer.locator("a", has_text=re.compile("promise", re.I)).click()
    form = composer.locator("form")
    form.get_by_label("We promise").fill("A second delivery on Fridays")
    form.get_by_label("By", exact=False).first.fill(company_today().isoformat())
    form.locator("button[type=submit]").click()
    expect(page.get_by_text("Promised.")).to_be_visible()
    assert Issue.objects.get().owner == cast.owner
    assert Promise.objects.get().made_by == cast.owner
    keep(page, "3-account")


def take_the_pulse(page: Page) -> None:
    page.goto("/accounts/")
    page.get_by_role("link", name="Hotel Seeblick").first.click()
    page.goto(f"{page.url.split('#')[0].split('?')[0]}pulse/")
    page.locator(".choice", has_text="Happy").filter(has_text="5").click()
    page.locator("[name=next_step]").fill("Ask the cook how Friday went")
    page.locator("[name=next_step_due_on]").fill(date_ago(-5).isoformat())
    page.get_by_role("button", name="Save the pulse").click()
    page.wait_for_load_state()
    assert PulseCheck.objects.get().score == 5
    keep(page, "4-pulse")


def keep_the_promise(page: Page) -> None:
    row = row_of(page)
    expect(row).to_contain_text("You promised: A second delivery on Fridays")
    row.get_by_role("button", name="It is kept").click()
    page.wait_for_load_state()
    assert Promise.objects.get().status == "kept"


def close_as_saved(page: Page) -> None:
    page.goto("/handbacks/")
    page.get_by_role("link", name="Hotel Seeblick").click()
    page.locator("summary", has_text="Close with an outcome").click()
    page.locator("details[open] .choice", has_text="Saved").click()
    page.get_by_label("What others should know").fill("They order on Fridays now")
    page.get_by_role("button", name="Close it").click()
    expect(page.get_by_text("Closed. Thank you.")).to_be_visible()
    expect(page.locator("#thanks")).to_contain_text("took it on, spoke with them, kept a promise")
    assert Handback.objects.get().outcome == "saved"


def thank(page: Page, axe: Callable[[Page], list[str]]) -> None:
    page.goto("/handbacks/?state=closed")
    page.get_by_role("link", name="Hotel Seeblick").click()
    page.locator("summary", has_text="Thank them").click()
    page.get_by_label("Your words to them").fill("You listened to the cook. Thank you.")
    page.get_by_role("button", name="Send it to all of them").click()
    expect(page.get_by_text("Thanked everybody.")).to_be_visible()
    assert axe(page) == []
    keep(page, "5-thanks")


def read_the_thanks(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("You listened to the cook. Thank you.")).to_be_visible()
    keep(page, "6-today")
    page.goto("/inbox/")
    expect(page.get_by_text("Mona Manager thanks you for Hotel Seeblick")).to_be_visible()
