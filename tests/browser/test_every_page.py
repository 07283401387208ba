"""Every page there is, looked at in a real browser: full with the sample company, and empty.

At 1280 pixels in the light and at 390 in the dark: axe finds nothing serious, nothing scrolls sideways, no script
fails, the content security policy is kept (the `page_for` fixture sees to the last two), and no reader meets a None.
The pages come from the table of tests/test_permissions.py, which no address can escape. SCREENSHOTS=<folder> keeps
a picture of each.
"""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from accounts.models import (
    Account,
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
from pulsecheck.models import Action, Handback, Insight, RetentionMeeting, SurveyAnswer, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import FittedModel, ScoreRun
from retention.sample.company import SEED
from retention.services import evidence
from retention.services.sample import load_sample
from tests.browser.walk import PAGES, VIEWS, Axe, Open, address_of, look
from tests.factories import make_connection, make_merge, make_webhook


def find_records() -> dict[str, int]:
    """A record of the sample company for each kind of page, one with much to show."""
    handback = Handback.objects.unfinished().order_by("-revenue_at_risk").first()
    touchpoint = Touchpoint.objects.filter(state=TouchpointState.PLANNED).first()
    assert handback is not None
    assert touchpoint is not None
    some = Account.objects.filter(is_sample=True).earliest("pk")
    return {
        **{name: record.pk for name, record in (make_connection(some) | make_merge(some)).items()},
        "webhook": make_webhook().pk,
        "action": Action.objects.filter(done_at=None).earliest("pk").pk,
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


def test_full(page_for: Open, axe: Axe, monkeypatch: pytest.MonkeyPatch) -> None:
    load_sample(date.today(), SEED)
    monkeypatch.setattr(evidence, "CUTOFFS", 1)
    evidence.gather_evidence(ScoreRun.objects.latest("as_of").pk)
    administrator = User.objects.filter(role=Role.ADMINISTRATOR).earliest("pk")
    records = find_records()
    addresses = {name: address_of(name, row, records) for name, row in PAGES.items()}
    addresses["decide_contact"] = reverse("accounts:decide", args=[records["doubtful_contact"]])
    faults = []
    for width, dark in VIEWS:
        page = page_for(administrator, width=width, dark=dark)
        faults += look(page, addresses, axe, f"full-{width}-{'dark' if dark else 'light'}")
    for role in (Role.SALES_REP, Role.ACCOUNT_MANAGER, Role.MANAGER, Role.MARKETING):
        user = User.objects.filter(role=role, is_active=True).earliest("pk")
        faults += look(page_for(user), {f"today-{role}": reverse("retention:today")}, axe, "full-1280-light")
    assert not faults, "\n".join(["", *faults])
