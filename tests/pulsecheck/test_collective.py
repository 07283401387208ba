"""The collective pulse: shares against their limits, and spikes that become improvements."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.models import Account
from accounts.selectors import company_today
from pulsecheck.control_chart import Verdict
from pulsecheck.models import Action, PulseTheme
from pulsecheck.selectors.collective import Choice, collective_pulse, months_until, themes_by_code
from pulsecheck.services.products import study_products
from tests.factories import (
    AccountFactory,
    Cast,
    OrderFactory,
    OrderLineFactory,
    ProductFactory,
    PulseCheckFactory,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    cache.clear()
    return make_cast()


def pulses(account: Account, many: int, score: int, days: float, theme: str = "") -> None:
    found = PulseTheme.objects.filter(code=theme)
    for _ in range(many):
        pulse = PulseCheckFactory(
            account=account, score=score, taken_at=days_ago(days), taken_by=account.account_manager
        )
        pulse.themes.set(found)


@pytest.fixture
def north_is_late(cast: Cast) -> Account:
    """A quiet year with one low pulse in ten; then, in the North, twelve of thirty are low because of deliveries."""
    cast.account.region = "North"
    cast.account.save()
    south = AccountFactory(name="Gasthof Linde", region="South", account_manager=cast.other_manager)
    for account in (cast.account, south):
        pulses(account, 45, 5, 200)
        pulses(account, 5, 3, 200, "price")
    pulses(cast.account, 18, 5, 0)
    pulses(cast.account, 12, 2, 0, "delivery")
    pulses(south, 28, 5, 0)
    pulses(south, 2, 3, 0, "price")
    return cast.account


def look(**choice: str) -> Any:
    themes = themes_by_code()
    return collective_pulse(Choice.from_query(choice, themes), company_today(), themes)


def test_months_end_with_the_present_one() -> None:
    months = months_until(dt.date(2026, 2, 14))
    assert (months[0], months[-1], len(months)) == (dt.date(2025, 3, 1), dt.date(2026, 2, 1), 12)


def test_shares_are_counted_from_the_pulses(north_is_late: Account) -> None:
    found = look(kind="region", value="North")
    assert found.usual == pytest.approx(24 / 160)
    assert (found.recent.group.cases, found.recent.group.size) == (12, 30)
    this_month = found.months.points[-1]
    assert (this_month.group.cases, this_month.group.size, this_month.share) == (12, 30, 0.4)
    assert look(theme="delivery").recent.group.cases == 12
    assert look(theme="price", kind="region", value="South").recent.group.cases == 2


def test_the_spike_is_named_with_its_limits(north_is_late: Account) -> None:
    """24 of 160 are low: 15 %; of 30 up to 15 + 3 * sqrt(.15 * .85 / 30) = 34.6 % is usual."""
    found = look()
    spikes = {(spike.theme, spike.kind, spike.value): spike for spike in found.spikes}
    north = spikes["", "region", "North"]
    assert north.point.limits is not None
    assert north.point.limits.upper == pytest.approx(0.3456, abs=5e-5)
    month = f"{months_until(company_today())[-3]:%B}"
    assert north.says == (
        f"Low pulses, region North: 12 of 30 pulses since {month} are low (40\N{NO-BREAK SPACE}%; up to 35\N{NO-BREAK SPACE}% is usual)."
    )
    assert not any(value == "South" for _, _, value in spikes)


def test_a_small_group_cannot_be_told(cast: Cast) -> None:
    pulses(cast.account, 40, 5, 200)
    pulses(AccountFactory(region="East", account_manager=cast.owner), 3, 1, 0)
    found = look(by="region")
    (east,) = found.groups.points
    assert (east.group.cases, east.group.size, east.verdict) == (3, 3, Verdict.CANNOT_TELL)
    assert found.spikes == []


def test_products_are_those_the_customer_buys(cast: Cast, north_is_late: Account) -> None:
    for series in ("Dairy", "Dairy", "Frozen"):
        order = OrderFactory(account=north_is_late, ordered_at=days_ago(20))
        OrderLineFactory(order=order, product=ProductFactory(series=series))
    study_products(company_today())
    cache.clear()
    points = {p.group.label: (p.group.cases, p.group.size) for p in look(by="product").groups.points}
    assert points == {"Dairy": (12, 30), "Frozen": (12, 30)}


def test_a_spike_becomes_an_improvement(cast: Cast, north_is_late: Account, client: Client) -> None:
    client.force_login(cast.manager)
    address = reverse("pulsecheck:collective")
    assert "12 of 30 pulses" in client.get(address).content.decode()
    today = company_today()
    form = {
        "kind": "region",
        "value": "North",
        "theme": "",
        "text": "A second driver",
        "owner": cast.owner.pk,
        "due_on": today + dt.timedelta(days=20),
        "follow_up_on": today + dt.timedelta(days=10),
    }
    early = client.post(reverse("pulsecheck:improve"), form)
    assert early.status_code == 422
    assert "after it is done, not before" in early.content.decode()
    form["follow_up_on"] = today + dt.timedelta(days=90)
    client.post(reverse("pulsecheck:improve"), form)
    action = Action.objects.get()
    assert action.cause == "any|region|North"
    assert action.finding["says"].startswith("Low pulses, region North: 12 of 30 pulses since")
    page = client.get(address).content.decode()
    assert "A second driver: Olga Owner" in " ".join(page.split())
    listed = client.get(reverse("retention:actions") + "?state=improvements").content.decode()
    assert "Low pulses, region North: 12 of 30" in listed


def test_names_only_of_accounts_one_sees(cast: Cast, north_is_late: Account, client: Client) -> None:
    client.force_login(cast.stranger)
    page = client.get(reverse("pulsecheck:collective")).content.decode()
    assert "12 of 30 pulses" in page
    assert "Hotel Seeblick" not in page
    assert "Gasthof Linde" not in page
    client.force_login(cast.owner)
    assert "Hotel Seeblick" in client.get(reverse("pulsecheck:collective")).content.decode()


def test_odd_choices_fall_back_to_everything(cast: Cast, north_is_late: Account, client: Client) -> None:
    client.force_login(cast.owner)
    for query in (
        "theme=%00",
        "theme=nothing&kind=planet&value=Mars",
        "kind=region&value=<script>",
        "by=moon",
    ):
        answer = client.get(reverse("pulsecheck:collective") + "?" + query)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()


def test_a_fixed_number_of_queries(
    cast: Cast, north_is_late: Account, client: Client, django_assert_max_num_queries: Any
) -> None:
    client.force_login(cast.manager)
    with django_assert_max_num_queries(26):
        client.get(reverse("pulsecheck:collective"))
