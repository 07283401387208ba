"""The first morning with Mainstay: sign in, bring an orders file, see who may leave and why, hand one back.

Real PostgreSQL, broker, worker and browser. SCREENSHOTS=<folder> keeps a picture of every step.
"""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Account, ImportRun, Order
from accounts.models.imports import ImportState
from pulsecheck.models import Handback
from retention.models import Score, ScoreRun
from retention.models.scores import RunState
from tests.browser.order_log import write_order_log
from tests.conftest import WorkerProcess, wait_until
from tests.factories import PASSWORD, AdministratorFactory, SalesRepFactory

MINUTE = 60_000


def keep(page: Page, name: str) -> None:
    """A picture of the page as it is, where somebody asked for pictures."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def orders_file(tmp_path: Path) -> tuple[Path, int]:
    path = tmp_path / "orders.csv"
    return path, write_order_log(path)


def test_from_an_orders_file_to_a_handback(
    page: Page, celery_worker: WorkerProcess, orders_file: tuple[Path, int]
) -> None:
    path, customers = orders_file
    administrator = AdministratorFactory(email="boss@ours.example")
    SalesRepFactory(name="Amara Mensah")

    sign_in(page, administrator.email)
    import_orders(page, path, customers)
    score(page)
    see_who_is_at_risk(page)
    hand_back(page)


def sign_in(page: Page, email: str) -> None:
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in/"))
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    keep(page, "1-first-page")


def import_orders(page: Page, path: Path, customers: int) -> None:
    page.goto("/imports/new/")
    page.get_by_label("File").set_input_files(path)
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("orders.csv")
    expect(page.get_by_label("customer_id")).to_have_value("account")
    expect(page.get_by_label("ordered_at")).to_have_value("ordered_at")
    keep(page, "2-columns")
    page.get_by_role("button", name="Show what would happen").click()

    start = page.get_by_role("button", name=re.compile(r"Import [\d,]+ rows"))
    expect(start).to_be_visible(timeout=MINUTE)
    assert Order.objects.count() == 0
    keep(page, "3-preview")
    start.click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=MINUTE)
    keep(page, "4-imported")
    assert Account.objects.count() == customers
    assert ImportRun.objects.get().state == ImportState.DONE


def score(page: Page) -> None:
    page.goto("/status/")
    page.get_by_role("button", name="Score now").click()
    wait_until(
        lambda: ScoreRun.objects.filter(state=RunState.PUBLISHED, acted_at__isnull=False).exists(), 120
    )
    page.goto("/status/")
    keep(page, "5-status")


def see_who_is_at_risk(page: Page) -> None:
    page.goto("/at-risk/")
    expect(page.get_by_role("heading", level=1)).to_have_text("At risk")
    names = page.locator("tbody [data-open]")
    money = list(Score.objects.published().risky().order_by("-revenue_at_risk_company", "account_id")[:50])
    assert names.all_inner_texts() == [score.account.name for score in money]
    keep(page, "6-at-risk")

    names.first.click()
    expect(page.get_by_role("heading", name="Why")).to_be_visible()
    reasons = page.locator(".why-rows .reason")
    assert reasons.count() >= 3
    *points, total = reasons.locator(".num").all_inner_texts()
    assert points_add_up(points, money[0].churn_probability)
    assert total.replace("\N{NO-BREAK SPACE}", " ") == f"{money[0].churn_probability:.0%}".replace("%", " %")
    keep(page, "7-account")


def points_add_up(points: list[str], probability: float) -> bool:
    """Whether the points as shown, each rounded, add up to the probability."""
    total = sum(float(re.sub(r"[^\d.-]", "", text.replace("\N{MINUS SIGN}", "-"))) for text in points)
    return abs(total - probability * 100) <= len(points)


def hand_back(page: Page) -> None:
    before = Handback.objects.unfinished().count()
    button = page.get_by_role("button", name=re.compile("Hand back"))
    if button.count():
        button.click()
        assert Handback.objects.unfinished().count() == before + 1
    else:
        page.get_by_role("link", name="Open handback").click()
    expect(page.get_by_text("Why now")).to_be_visible()
    keep(page, "8-handback")
