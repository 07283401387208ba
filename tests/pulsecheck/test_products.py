"""The product matrix: holdings follow the orders, suggestions wait until the account is well."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Product
from accounts.models.care import PromiseStatus
from accounts.selectors import company_today
from pulsecheck.models import Holding, ProductStep
from pulsecheck.selectors.products import account_products, held_back
from pulsecheck.services.products import study_products
from tests.factories import (
    AccountFactory,
    Cast,
    HandbackFactory,
    IssueFactory,
    OrderFactory,
    OrderLineFactory,
    ProductFactory,
    PromiseFactory,
    PulseCheckFactory,
    ScoreFactory,
    date_ago,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return make_cast()


def buy(account: Account, product: Product, days: int, **order: Any) -> None:
    bought = OrderFactory(account=account, ordered_at=days_ago(days), **order)
    OrderLineFactory(order=bought, product=product)


@pytest.fixture
def shelf(cast: Cast) -> tuple[Product, Product, Product]:
    """Thirty customers bought coffee, 24 of them cups next, 6 milk; the account of the cast has only coffee."""
    coffee, cups = ProductFactory(name="Coffee", series="Bar"), ProductFactory(name="Cups", series="Bar")
    milk = ProductFactory(name="Milk", series="Dairy")
    for number in range(30):
        account = AccountFactory(account_manager=cast.stranger)
        buy(account, coffee, 400)
        buy(account, cups if number < 24 else milk, 300)
    buy(cast.account, coffee, 300)
    study_products(company_today())
    return coffee, cups, milk


def test_holdings_follow_the_orders(cast: Cast) -> None:
    coffee, cups = ProductFactory(), ProductFactory()
    buy(cast.account, coffee, 100)
    buy(cast.account, coffee, 40)
    buy(cast.account, cups, 30, status="cancelled")
    buy(cast.account, cups, 30, amount=-5, status="returned")
    for _ in range(2):
        study_products(company_today())
    only = Holding.objects.get()
    assert (only.product, only.orders, only.first_on, only.last_on) == (
        coffee,
        2,
        date_ago(100),
        date_ago(40),
    )
    cast.account.orders.all().delete()
    study_products(company_today())
    assert not Holding.objects.exists()


def test_what_others_bought_next_with_its_support(cast: Cast, shelf: tuple[Product, ...]) -> None:
    _, cups, milk = shelf
    matrix = account_products(cast.account)
    assert [(n.product, n.step.followers, n.step.buyers, n.in_series) for n in matrix.suggestions] == [
        (cups, 24, 31, True),
        (milk, 6, 31, False),
    ]
    assert [(name, bought, len(cells)) for name, bought, cells in matrix.series] == [
        ("Bar", 1, 2),
        ("Dairy", 0, 1),
    ]
    assert ProductStep.objects.count() == 2


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (lambda a: ScoreFactory(account=a, tier="at_risk"), "it is at risk"),
        (lambda a: HandbackFactory(account=a), "it is handed back"),
        (lambda a: IssueFactory(account=a, resolved_at=None), "an issue is open"),
        (lambda a: PromiseFactory(account=a, due_on=date_ago(1)), "a promise is overdue"),
        (
            lambda a: PromiseFactory(account=a, due_on=date_ago(9), status=PromiseStatus.BROKEN),
            "a promise was broken",
        ),
        (lambda a: PulseCheckFactory(account=a, score=3), "the last pulse was 3 of 6"),
    ],
)
def test_nothing_is_suggested_while_the_account_is_unwell(
    cast: Cast, shelf: tuple[Product, ...], client: Client, trouble: Any, words: str
) -> None:
    client.force_login(cast.owner)
    well = client.get(reverse("pulsecheck:products")).content.decode()
    assert "24 of 31 (77 %) who bought Coffee bought it next" in " ".join(well.split())
    trouble(cast.account)
    assert held_back([cast.account.pk], company_today()) == {cast.account.pk: [words]}
    page = client.get(reverse("pulsecheck:products")).content.decode()
    assert f"Nothing now: {words}." in page
    assert "bought it next" not in page


def test_an_old_trouble_that_is_settled_holds_nothing_back(cast: Cast) -> None:
    PulseCheckFactory(account=cast.account, score=2, taken_at=days_ago(50))
    PulseCheckFactory(account=cast.account, score=5, taken_at=days_ago(5))
    IssueFactory(account=cast.account, opened_at=days_ago(9), resolved_at=days_ago(1))
    assert held_back([cast.account.pk], company_today()) == {}


def test_the_matrix_costs_the_same_for_many_accounts(
    cast: Cast, shelf: tuple[Product, ...], client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(55):
        AccountFactory(name=f"Inn {number:02}", account_manager=cast.owner)
    client.force_login(cast.manager)
    with django_assert_max_num_queries(26):
        first = client.get(reverse("pulsecheck:products"))
    after = first.context["page"].next_url
    names = [row.account.name for row in first.context["page"].rows]
    names += [
        row.account.name for row in client.get(reverse("pulsecheck:products") + after).context["page"].rows
    ]
    assert len(names) == len(set(names)) == 56
    without = client.get(reverse("pulsecheck:products") + "?without=Bar").content.decode()
    assert "Hotel Seeblick" not in without


def test_a_study_on_another_day_replaces_the_last(cast: Cast, shelf: tuple[Product, ...]) -> None:
    assert study_products(company_today() + dt.timedelta(days=1)).customers == 31
    assert ProductStep.objects.count() == 2
