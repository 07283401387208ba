"""Shopify against the local stand-in: bulk operations, pages, companies, lines and refunds, points, metafields, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.crm.errors import SignInRefused, WebhookRefused
from accounts.crm.outbox import queue_write_backs
from accounts.crm.protocol import WebhookCall
from accounts.crm.shopify import connector as shopify
from accounts.models import Account, Connection, Contact, Order, OrderLine, Product, ReadHint, WriteBack
from accounts.models.crm import SyncState, WriteBackState
from accounts.services.connecting import create_connection
from accounts.services.crm import check_connection, take_webhook
from tests.crm.servers.shopify import (
    CLIENT,
    SECRET,
    TOKEN,
    ShopifyServer,
    customer,
    fill,
    gid,
    line,
    money,
    order,
    refund,
)
from tests.crm.storm import weather
from tests.crm.syncing import end_state, sync

pytestmark = pytest.mark.django_db
Connect = Callable[..., Connection]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopify, "POLL", 0.0)


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    with ShopifyServer() as running:
        yield running


@pytest.fixture
def connect(shop: ShopifyServer) -> Connect:
    def make(name: str = "shopify", **credentials: str) -> Connection:
        given = credentials or {"access_token": TOKEN, "client_secret": SECRET}
        return create_connection(name, "shopify", options={"address": shop.address}, credentials=given)

    return make


def orders(**which: object) -> dict[str, tuple[str, Decimal, str]]:
    found = Order.objects.filter(**which).values_list(
        "external_id", "account__external_id", "amount", "status"
    )
    return {number: (account, amount, status) for number, account, amount, status in found}


def lines(number: int) -> list[tuple[str, Decimal, Decimal]]:
    found = OrderLine.objects.filter(order__external_id=f"Order/{number}").order_by("product__sku")
    return list(found.values_list("product__sku", "quantity", "unit_price"))


def asked(shop: ShopifyServer) -> list[str]:
    """The names of the questions that came."""
    bodies = [one.body["query"] for one in shop.world.requests if one.path.endswith("graphql.json")]
    return [body.split("(")[0].split("{")[0].split()[1] for body in bodies]


def test_a_first_sync_reads_files_and_a_second_one_pages(connect: Connect, shop: ShopifyServer) -> None:
    fill(shop.world)
    connection = connect()
    assert check_connection(connection) == "The shop Tea and cups can be read."

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert set(Account.objects.values_list("external_id", "name")) == {
        ("Company/1", "Grand Hotel"),
        *((f"Customer/{number}", f"Zoë {number}") for number in range(1, 5)),
    }
    first = Account.objects.get(external_id="Customer/1")
    assert (first.country, first.region, first.account_manager) == ("DE", "BE", None)
    assert Contact.objects.get(external_id="Customer/82").account.external_id == "Company/1"
    assert Contact.objects.get(external_id="Customer/1").account == first
    assert orders(external_id__in=["Order/101", "Order/500"]) == {
        "Order/101": ("Customer/1", Decimal("10.50"), "placed"),
        "Order/500": ("Company/1", Decimal("99.00"), "placed"),
    }
    assert set(Product.objects.values_list("sku", flat=True)) == {"TEA", "ProductVariant/901"}
    assert lines(101) == [("ProductVariant/901", 2, Decimal("4.50")), ("TEA", 2, Decimal("4.50"))]
    assert "Begin" in asked(shop)
    assert "Page" not in asked(shop)
    before = end_state(connection)
    shop.world.requests.clear()

    again = sync(connection)

    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0
    assert "Begin" not in asked(shop)


def test_changes_refunds_cancellations_and_deletions_are_followed(
    connect: Connect, shop: ShopifyServer
) -> None:
    world = shop.world
    fill(world, customers=30)
    connection = connect()
    sync(connection)
    customer(world, 99)
    world.put("Customer", 1, displayName="Zoë the first")
    order(world, 199, 99, "70.00", totalPriceSet=money("70.00", "EUR", "76.30", "USD"))
    order(world, 198, 99, "1.00", test=True)
    order(world, 197, None, "2.00")
    world.put(
        "Order", 102, displayFulfillmentStatus="FULFILLED", refunds=[refund(1, "4.00"), refund(2, "0.00")]
    )
    world.put("Order", 103, cancelledAt="2026-05-08T10:00:00Z", refunds=[refund(3, "30.50")])
    world.put("Order", 104, lines=[line(world, n, 900 if n else None, 1) for n in range(60)])
    del world.objects[gid("Order", 101)]

    run = sync(connection)

    assert run.state == SyncState.DONE
    assert Account.objects.get(external_id="Customer/1").name == "Zoë the first"
    assert orders(external_id__in=[f"Order/{number}" for number in (102, 103, 197, 198, 199)]) == {
        "Order/199": ("Customer/99", Decimal("70.00"), "placed"),
        "Order/102": ("Customer/2", Decimal("20.50"), "delivered"),
        "Order/103": ("Customer/3", Decimal("30.50"), "cancelled"),
    }
    assert Order.objects.get(external_id="Order/199").currency == "EUR"
    assert orders(status="returned") == {
        "Refund/1": ("Customer/2", Decimal("-4.00"), "returned"),
        "Refund/3": ("Customer/3", Decimal("-30.50"), "returned"),
    }
    assert ("TEA", Decimal(59), Decimal("4.50")) in lines(104)
    assert run.steps.get(action="pull", stream="orders").rows_read < 30
    assert Order.objects.get(external_id="Order/101").status == "placed"
    sync(connection, is_full=True)
    assert Order.objects.get(external_id="Order/101").status == "cancelled"


@pytest.mark.parametrize("length", [1, 700, 3_000])
def test_files_are_read_slice_by_slice(
    connect: Connect, shop: ShopifyServer, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """Slices that end inside a letter, inside a line, and between an order and its lines."""
    monkeypatch.setattr(shopify, "SLICE", length)
    fill(shop.world, customers=3)
    sync(connect())
    assert Account.objects.filter(name__startswith="Zoë").count() == 3
    assert OrderLine.objects.count() == 8


def test_a_bulk_operation_that_fails_is_replaced_by_pages(connect: Connect, shop: ShopifyServer) -> None:
    fill(shop.world, customers=60)
    shop.world.fails = True
    assert sync(connect()).state == SyncState.DONE
    assert Order.objects.count() == 61
    assert {"Begin", "Page"} <= set(asked(shop))


def test_an_operation_of_ours_that_still_runs_is_waited_for(connect: Connect, shop: ShopifyServer) -> None:
    """As after a kill between its beginning and our note of it."""
    fill(shop.world, customers=1)
    world = shop.world
    forgotten = world.begin("{ customers { edges { node { id } } } }")["bulkOperation"]

    def end(request: Any) -> None:
        if len(world.requests) > 4:
            forgotten["status"] = "COMPLETED"
            world.objects[forgotten["id"]]["status"] = "COMPLETED"

    world.after_page = end
    assert sync(connect()).state == SyncState.DONE
    assert Order.objects.count() == 2


def test_points_are_waited_for_rather_than_overdrawn(connect: Connect, shop: ShopifyServer) -> None:
    fill(shop.world)
    connection = connect()
    sync(connection)
    world = shop.world
    world.most = world.points = 1_000.0
    world.restored = 1_500.0
    for number in range(1, 5):
        world.put("Order", 100 + number)

    assert sync(connection).state == SyncState.DONE

    # The first large question may be refused; what the answer says about points then keeps the others waiting.
    assert world.refused <= 2


def test_write_back_sets_metafields_and_its_echo_is_ignored(connect: Connect, shop: ShopifyServer) -> None:
    fill(shop.world)
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    ids = dict(Account.objects.values_list("external_id", "pk"))
    told = {
        "tier": "watch", "churn_probability": 0.4, "reasons": "Quiet.", "revenue_at_risk": "12.00",
        "revenue_currency": "EUR", "next_touchpoint_on": "2026-06-01",
    }  # fmt: skip
    queue_write_backs(connection, dict.fromkeys(ids.values(), told))
    del shop.world.objects[gid("Customer", 2)]
    sync(connection)

    assert shop.world.metafields[gid("Company", 1)] == {name: str(value) for name, value in told.items()}
    states = dict(WriteBack.objects.values_list("account__external_id", "state"))
    assert states.pop("Customer/2") == WriteBackState.FAILED
    assert set(states.values()) == {WriteBackState.SENT}
    assert WriteBack.objects.get(account=ids["Customer/2"]).last_error == "Owner does not exist."

    queue_write_backs(connection, {ids["Customer/1"]: {**told, "tier": "steady", "next_touchpoint_on": None}})
    run = sync(connection)
    kept = shop.world.metafields[gid("Customer", 1)]
    assert (kept["tier"], "next_touchpoint_on" in kept) == ("steady", False)
    pulled = run.steps.get(action="pull", stream="customers")
    assert pulled.rows_read > 0
    assert pulled.rows_changed == 0


def test_tokens_of_an_app_are_fetched_and_renewed(connect: Connect, shop: ShopifyServer) -> None:
    fill(shop.world, customers=1)
    connection = connect(client_id=CLIENT, client_secret=SECRET)
    assert sync(connection).state == SyncState.DONE
    assert shop.world.renewed == 1
    connection.refresh_from_db()
    assert connection.credentials_expire_at is not None
    shop.world.tokens = {"shpat_another"}
    assert sync(connection).state == SyncState.DONE
    assert shop.world.renewed == 2


def test_what_is_not_allowed_is_named(connect: Connect, shop: ShopifyServer) -> None:
    fill(shop.world)
    with pytest.raises(SignInRefused) as refused:
        check_connection(connect("wrong", access_token="shpat_guessed"))
    assert "shpat_guessed" not in str(refused.value)
    shop.world.scopes -= {"read_all_orders"}  # older orders would seem to be deleted
    connection = connect()
    with pytest.raises(SignInRefused, match="read_all_orders"):
        check_connection(connection)
    assert sync(connection).state == SyncState.FAILED
    assert not Account.objects.exists()


def test_a_shop_without_companies_needs_no_right_to_read_them(connect: Connect, shop: ShopifyServer) -> None:
    shop.world.scopes -= {"read_companies"}
    fill(shop.world, customers=2)
    assert sync(connect()).state == SyncState.DONE
    assert Account.objects.count() == 2


def call(body: bytes, topic: str, secret: str = SECRET) -> WebhookCall:
    signed = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    headers = {"x-shopify-hmac-sha256": signed, "x-shopify-topic": topic}
    return WebhookCall("POST", "https://mainstay.example.com/hooks/1/", headers, body)


def test_webhooks_are_hints(connect: Connect, shop: ShopifyServer) -> None:
    world = shop.world
    fill(world)
    connection = connect()
    sync(connection)
    world.objects[gid("Customer", 1)]["displayName"] = "Newest"
    world.objects[gid("Order", 103)]["refunds"] = [refund(3, "3.00")]
    del world.objects[gid("Order", 102)]
    for topic, body in (
        ("customers/update", {"id": 1, "admin_graphql_api_id": gid("Customer", 1), "first_name": "Older"}),
        ("orders/delete", {"id": 102}),
        ("refunds/create", {"id": 3, "admin_graphql_api_id": gid("Refund", 3), "order_id": 103}),
        ("customers/update", {"id": 1}),
        ("themes/publish", {"id": 5}),
    ):
        take_webhook(connection, call(json.dumps(body).encode(), topic))
    assert ReadHint.objects.count() == 4

    sync(connection)

    assert Account.objects.get(external_id="Customer/1").name == "Newest"
    assert Order.objects.get(external_id="Order/102").status == "cancelled"
    assert orders(status="returned") == {"Refund/3": ("Customer/3", Decimal("-3.00"), "returned")}


@pytest.mark.parametrize("how", ["forged", "changed", "unsigned", "no record"])
def test_webhooks_that_are_not_genuine_are_refused(connect: Connect, how: str) -> None:
    connection = connect()
    made = call(
        b"[1]" if how == "no record" else b'{"id": 1}',
        "orders/create",
        "guess" if how == "forged" else SECRET,
    )
    if how == "changed":
        made = WebhookCall(made.method, made.url, made.headers, b'{"id": 2}')
    if how == "unsigned":
        made = WebhookCall(made.method, made.url, {}, made.body)
    with pytest.raises(WebhookRefused):
        take_webhook(connection, made)


def test_every_request_may_fail_once(
    connect: Connect, shop: ShopifyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shopify, "SLICE", 2_000)
    fill(shop.world, customers=6)
    shop.world.put("Order", 101, refunds=[refund(1, "4.00")])
    weather(shop.world, connect, monkeypatch, at_least=18)
