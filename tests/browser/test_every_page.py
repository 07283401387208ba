"""Every page there is, looked at in a real browser: full with the sample company, and empty.

At 1280 pixels in the light and at 390 in the dark: axe finds nothing serious, nothing scrolls sideways, no script
fails, the content security policy is kept (the `page_for` fixture sees to the last two), and no reader meets a None.
The pages come from the table of tests/test_permissions.py, which no address can escape. SCREENSHOTS=<folder> keeps
a picture of each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from accounts.models import (
    ChurnReason,
    Contract,
    Department,
    Enquiry,
    ExchangeRate,
    Handoff,
    ImportRun,
    Issue,
    OnboardingItem,
    Role,
    Team,
    Term,
    User,
)
from accounts.models.imports import ImportState
from pulsecheck.models import Handback, Insight, ProofPage, RetentionMeeting, SurveyAnswer, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import FittedModel, ScoreRun
from retention.sample.company import SEED
from retention.services import evidence
from retention.services.sample import load_sample
from tests.factories import AdministratorFactory, ReferenceFactory
from tests.test_permissions import TABLE, Row

# Answers that are no pages: files, parts of a page, and words for monitors.
NO_PAGES = {
    "retention:at_risk_export",
    "retention:accounts_export",
    "retention:kpis_export",
    "retention:kpi_export",
    "accounts:import_rejected",
    "retention:suggest",
    "retention:run_progress",
    # Its page is walked with a link that works, in test_survey.py.
    "pulsecheck:answer_survey",
    "retention:healthz",
    "retention:proof_page",  # below, signed out
    "retention:readyz",
    "pulsecheck:feed",
}
PAGES = {
    name: row
    for name, row in TABLE.items()
    if not row.is_api and "administrator" in row.get and name not in NO_PAGES
}
VIEWS = [(1280, False), (390, True)]
# What a template or a script says when it has nothing to say.
RAW = re.compile(r"^None$|: None$|\{\{|\{%|undefined|\bNaN\b|<[A-Z]\w+: ")
Open = Callable[..., Page]
Axe = Callable[[Page], list[str]]


def find_records() -> dict[str, int]:
    """A record of the sample company for each kind of page, one with much to show."""
    handback = Handback.objects.unfinished().order_by("-revenue_at_risk").first()
    touchpoint = Touchpoint.objects.filter(state=TouchpointState.PLANNED).first()
    assert handback is not None
    assert touchpoint is not None
    return {
        "insight": Insight.objects.filter(pulse_checks__isnull=False).earliest("pk").pk,
        "survey": SurveyAnswer.objects.with_open_loop().earliest("pk").survey_id,
        "account": handback.account_id,
        "handback": handback.pk,
        "touchpoint": touchpoint.pk,
        "meeting": RetentionMeeting.objects.filter(team__isnull=False).latest("held_on").pk,
        "person": User.objects.filter(role=Role.SALES_REP).earliest("pk").pk,
        "team": Team.objects.earliest("pk").pk,
        "rate": ExchangeRate.objects.get_or_create(currency="CHF", defaults={"rate": "1.05"})[0].pk,
        "churn_reason": ChurnReason.objects.earliest("pk").pk,
        "term": Term.objects.earliest("pk").pk,
        "issue": Issue.objects.earliest("opened_at").pk,
        "enquiry": Enquiry.objects.latest("received_at").pk,
        "handoff": Handoff.objects.latest("won_on").pk,
        "department": Department.objects.earliest("pk").pk,
        "onboarding_item": OnboardingItem.objects.earliest("pk").pk,
        "contract": Contract.objects.latest("ends_on").pk,
        "model": FittedModel.objects.latest("pk").pk,
        "import": ImportRun.objects.create(kind="orders", file_name="orders.csv", state=ImportState.DONE).pk,
    }


def address_of(name: str, row: Row, records: dict[str, int]) -> str:
    if row.record.startswith("?"):
        field = row.record.removeprefix("?")
        return f"{reverse(name)}?{field}={records[field]}"
    arguments: dict[str, Any] = dict(row.arguments) | ({"pk": records[row.record]} if row.record else {})
    return reverse(name, kwargs=arguments)


def faults_of(page: Page, address: str, axe: Axe) -> list[str]:
    answer = page.goto(address)
    faults = [] if answer and answer.status == 200 else [f"answered {answer and answer.status}"]
    root = "document.documentElement"
    if page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"):
        faults.append("scrolls sideways")
    lines = [line.strip() for line in page.locator("body").inner_text().splitlines()]
    faults += [f"says {line}" for line in lines if RAW.search(line)]
    return faults + axe(page)


def look(page: Page, names: dict[str, str], axe: Axe, tag: str) -> list[str]:
    found = []
    for name, address in names.items():
        found += [f"{tag} {address}: {fault}" for fault in faults_of(page, address, axe)]
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{tag}-{name.replace(':', '-')}.png", full_page=True)
    return found


def test_full(page_for: Open, axe: Axe, monkeypatch: pytest.MonkeyPatch) -> None:
    load_sample(date.today(), SEED)
    monkeypatch.setattr(evidence, "CUTOFFS", 1)
    evidence.gather_evidence(ScoreRun.objects.latest("as_of").pk)
    administrator = User.objects.filter(role=Role.ADMINISTRATOR).earliest("pk")
    records = find_records()
    addresses = {name: address_of(name, row, records) for name, row in PAGES.items()}
    faults = []
    for width, dark in VIEWS:
        page = page_for(administrator, width=width, dark=dark)
        faults += look(page, addresses, axe, f"full-{width}-{'dark' if dark else 'light'}")
    for role in (Role.SALES_REP, Role.ACCOUNT_MANAGER, Role.MANAGER, Role.MARKETING):
        user = User.objects.filter(role=role, is_active=True).earliest("pk")
        faults += look(page_for(user), {f"today-{role}": reverse("retention:today")}, axe, "full-1280-light")
    assert not faults, "\n".join(["", *faults])


def test_empty(page_for: Open, axe: Axe) -> None:
    administrator = AdministratorFactory()
    addresses = {
        name: reverse(name, kwargs=dict(row.arguments)) for name, row in PAGES.items() if not row.record
    }
    faults = []
    for width, dark in VIEWS:
        page = page_for(administrator, width=width, dark=dark)
        faults += look(page, addresses, axe, f"empty-{width}-{'dark' if dark else 'light'}")
    assert not faults, "\n".join(["", *faults])


def test_signed_out(page_for: Open, axe: Axe) -> None:
    faults = []
    ReferenceFactory(quote="They ring before we notice.", shows_since=True)
    token = ProofPage.objects.create(title="Fair", created_by=AdministratorFactory()).token
    for width, dark in VIEWS:
        page = page_for(None, width=width, dark=dark)
        faults += faults_of(page, reverse("accounts:sign_in"), axe)
        faults += faults_of(page, reverse("retention:proof_page", args=[token]), axe)
    assert not faults, "\n".join(["", *faults])


@pytest.mark.parametrize("address", ["/", "/at-risk/", "/accounts/", "/handbacks/", "/pulse/", "/kpis/"])
def test_pages_do_their_work_without_javascript(
    page_for: Open, browser: Any, live_server: Any, address: str
) -> None:
    """The same words stand on the page when scripts are off."""
    administrator = AdministratorFactory()
    scripted = page_for(administrator)
    scripted.goto(address)
    cookies = scripted.context.cookies()
    plain = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(cookies)
    page = plain.new_page()
    page.goto(address)
    assert page.locator("h1").inner_text() == scripted.locator("h1").inner_text()
    assert page.locator("main a[href], main button, main summary").count() >= 1
    plain.close()
