"""A survey from sending to the closed loop: ours at a desk, the customer on a telephone without scripts or cookies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from playwright.sync_api import Page, expect

from accounts.models import Issue
from notifications.models import OutboxMessage
from pulsecheck.models import SurveyAnswer
from pulsecheck.services.surveys import survey_token
from tests.factories import ContactFactory, SurveyFactory, make_cast

Open = Callable[..., Page]
Axe = Callable[[Page], list[str]]


def fits(page: Page) -> bool:
    root = "document.documentElement"
    return not page.evaluate(f"{root}.scrollWidth > {root}.clientWidth")


def test_a_survey_is_answered_on_a_telephone(page_for: Open, axe: Axe) -> None:
    cache.clear()
    cast = make_cast()
    contact = ContactFactory(account=cast.account, name="Rosa Roth")

    ours = page_for(cast.teammate)
    ours.goto(f"/accounts/{cast.account.pk}/pulses/")
    ours.get_by_role("link", name="Send a survey").click()
    ours.get_by_label("How easy do we make it?").check()
    ours.get_by_role("button", name="Send it").click()
    expect(ours.get_by_text(f"Sent to {contact.name}")).to_be_visible()
    link = re.search(r"(/s/\S+)", OutboxMessage.objects.get().body)
    assert link is not None

    theirs = page_for(None, width=390, dark=True)
    theirs.goto(link[1])
    assert fits(theirs)
    assert axe(theirs) == []
    boxes = [box.bounding_box() for box in theirs.locator(".scale .choice").all()]
    assert len(boxes) == 18
    assert all(box and box["width"] >= 40 and box["height"] >= 44 for box in boxes)
    theirs.get_by_role("button", name="Send").click()
    expect(theirs.get_by_role("alert")).to_contain_text("Tap a number")
    theirs.locator("input[name=nps][value='2']").check(force=True)
    theirs.locator("input[name=ces][value='3']").check(force=True)
    theirs.get_by_label("Why? What should we do better?").fill("Two deliveries came late.")
    theirs.get_by_role("button", name="Send").click()
    expect(theirs.get_by_role("heading", name="Thank you")).to_be_visible()
    assert axe(theirs) == []
    assert theirs.context.cookies() == []
    theirs.goto(link[1])
    expect(theirs.get_by_text("You have answered already")).to_be_visible()

    assert Issue.objects.get().owner == cast.teammate
    ours.goto("/surveys/?which=open")
    ours.get_by_role("link", name="Hotel Seeblick").click()
    expect(ours.get_by_text("Two deliveries came late.").first).to_be_visible()
    ours.get_by_label("What you told them").fill("The van comes before nine from now on.")
    ours.get_by_role("button", name="They know").click()
    expect(ours.get_by_text("The loop is closed")).to_be_visible()
    answer = SurveyAnswer.objects.get()
    assert (answer.nps, answer.ces, answer.is_loop_open) == (2, 3, False)


def test_it_can_be_answered_without_scripts(page_for: Open, browser: Any, live_server: Any) -> None:
    cache.clear()
    survey = SurveyFactory()
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=False, viewport={"width": 390, "height": 800}
    )
    page = context.new_page()
    page.goto(f"/s/{survey_token(survey)}/")
    page.locator("input[name=nps][value='10']").check(force=True)
    page.get_by_role("button", name="Send").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    context.close()
    assert SurveyAnswer.objects.get().nps == 10
