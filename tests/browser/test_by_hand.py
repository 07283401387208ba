"""What hands do: a pulse check moved by mouse, by keys and by a plain form; the palette; a briefing on one sheet."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from playwright.sync_api import Page, expect

from pulsecheck.models import Touchpoint
from tests.factories import (
    Cast,
    ContactFactory,
    HandbackFactory,
    InteractionFactory,
    IssueFactory,
    PromiseFactory,
    TouchpointFactory,
    days_ago,
    make_cast,
)

Open = Callable[..., Page]


def next_monday() -> dt.date:
    today = dt.date.today()
    return today + dt.timedelta(days=7 - today.weekday())


def planned(cast: Cast) -> tuple[Touchpoint, str]:
    """A pulse check on the Tuesday of next week, and the address of that week."""
    monday = next_monday()
    touchpoint = TouchpointFactory(
        account=cast.account, assignee=cast.teammate, due_on=monday + dt.timedelta(days=1)
    )
    return touchpoint, f"/pulse/calendar/?view=week&on={monday.isoformat()}"


def test_a_pulse_check_is_dragged_moved_with_keys_and_moved_without_scripts(
    page_for: Open, browser: Any, live_server: Any
) -> None:
    cache.clear()
    cast = make_cast()
    touchpoint, week = planned(cast)
    monday = next_monday()
    days = [(monday + dt.timedelta(days=n)).isoformat() for n in range(5)]

    page = page_for(cast.teammate)
    page.goto(week)
    page.locator("[data-move]").drag_to(page.locator(f"[data-day='{days[3]}']"))
    expect(page.locator(f"[data-day='{days[3]}'] [data-move]")).to_have_count(1)
    expect(page.locator(".notes")).to_contain_text("is now due on Thursday")

    page.locator("[data-move]").focus()
    for key in ("m", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("[data-cal-said]")).to_contain_text("Friday")
    page.keyboard.press("Escape")
    expect(page.locator("[data-cal-said]")).to_contain_text("Not moved")
    for key in ("m", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(f"[data-day='{days[2]}'] [data-move]")).to_have_count(1)

    plain = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(page.context.cookies())
    without = plain.new_page()
    without.goto(week)
    without.locator("[data-move]").click()
    without.get_by_label("New day").fill(days[0])
    without.get_by_role("button", name="Move it").click()
    touchpoint.refresh_from_db()
    assert touchpoint.due_on == monday
    plain.close()


def test_the_palette_finds_an_account_from_the_keyboard(page_for: Open) -> None:
    cache.clear()
    cast = make_cast()
    page = page_for(cast.owner)
    page.goto("/handbacks/")
    page.wait_for_load_state("networkidle")  # the palette is a module that comes last
    page.keyboard.press("Control+k")
    page.keyboard.type(cast.account.name[:6].lower())
    expect(page.get_by_role("option", name=re.compile(re.escape(cast.account.name)))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=cast.account.name)).to_be_visible()


def test_a_full_briefing_is_one_sheet(page_for: Open) -> None:
    """More of everything than a briefing shows, and long words of people."""
    cache.clear()
    cast = make_cast()
    said = (
        "The kitchen had to send somebody out twice last week, and the owner asked who answers for that. " * 2
    )
    for n in range(8):
        ContactFactory(
            account=cast.account, name=f"Rosa Roth-Achternbusch {n}", job_title="Head of purchasing"
        )
        InteractionFactory(account=cast.account, user=cast.teammate, happened_at=days_ago(n), note=said)
        IssueFactory(account=cast.account, description=said)
        PromiseFactory(account=cast.account, made_by=cast.teammate, text=said)
    handback = HandbackFactory(account=cast.account, salesperson=cast.owner)
    page = page_for(cast.owner)
    page.goto(f"/handbacks/{handback.pk}/")
    sheet = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", sheet)) == 1
