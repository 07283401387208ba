"""WooCommerce against the local stand-in: lists, changes, guests, refunds, write-back, webhooks."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from accounts.crm.errors import CrmError, SignInRefused, WebhookRefused
from accounts.crm.outbox import queue_write_backs
from accounts.crm.protocol import WebhookCall
from accounts.crm.shops import guest_id
from accounts.crm.woocommerce import connector as woo
from accounts.models import Account, Connection, Contact, Order, Product, ReadHint, WriteBack
from accounts.models.crm import SyncState, WriteBackState
from accounts.services.connecting import create_connection
from accounts.services.crm import check_connection, take_webhook
from tests.crm.servers.woocommerce import KEY, SECRET, WooServer, bill, fill, order
from tests.crm.storm import weather
from tests.crm.syncing import end_state, sync

pytestmark = pytest.mark.django_db
Connect = Callable[..., Connection]
HOOK = "hush-webhook-secret"


@pytest.fixture
def shop() -> Iterator[WooServer]:
    with WooServer() as running:
        yield running


@pytest.fixture
def connect(shop: WooServer) -> Connect:
    def make(name: str = "woo", **credentials: str) -> Connection:
        given = {"consumer_key": KEY, "consumer_secret": SECRET, "webhook_secret": HOOK} | credentials
        return create_connection(name, "woocommerce", options={"address": shop.address}, credentials=given)

    return make


def orders(**which: object) -> dict[str, tuple[str, Decimal, str]]:
    found = Order.objects.filter(**which).values_list(
        "external_id", "account__external_id", "amount", "status"
    )
    return {number: (account, amount, status) for number, account, amount, status in found}


def test_everything_is_read_and_a_second_sync_changes_nothing(connect: Connect, shop: WooServer) -> None:
    fill(shop.world)
    connection = connect()
    assert check_connection(connection) == "Customers and orders can be read."

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    guest = guest_id("guest1@shop.example")
    first = Account.objects.get(external_id="1")
    assert (first.name, first.country, first.region) == ("Company 1", "DE", "BE")
    assert first.account_manager is None
    assert not Account.objects.filter(external_id="99").exists()  # an author of the site
    assert Account.objects.get(external_id=guest).name == "Gus Test"
    assert Contact.objects.get(external_id="1").name == "Ann Of 1"
    assert Contact.objects.get(external_id=guest).email == "guest1@shop.example"
    assert orders(external_id__endswith="01") == {
        "101": ("1", Decimal("10.50"), "delivered"),
        "301": (guest, Decimal("5.00"), "placed"),
    }  # and not 201, which was never paid
    made = dt.datetime.fromisoformat(shop.world.objects["orders"][301]["date_created_gmt"])
    assert Order.objects.get(external_id="301").ordered_at == made.replace(tzinfo=dt.UTC)
    assert set(Product.objects.values_list("sku", flat=True)) == {"TEA", "901"}
    before = end_state(connection)

    again = sync(connection)

    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0


def test_changes_refunds_and_cancellations_are_followed(
    connect: Connect, shop: WooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(woo, "PAGE", 3)
    world = shop.world
    fill(world)
    for number, day in ((99, "2025-06-01T00:00:00"), (1, "2025-01-01T00:00:00")):
        world.objects["customers"][number]["date_created_gmt"] = day
    connection = connect()
    sync(connection)
    world.put("customers", 7, email="new@customer.example", role="wholesale", is_paying_customer=True, billing={},
              first_name="", last_name="", username="new")  # fmt: skip
    world.put("customers", 1, billing={"company": "Company one"})
    order(world, 107, 7, "70.00")
    world.put("orders", 202, status="processing")
    world.put("orders", 303, status="cancelled")
    world.put("refunds", 501, parent_id=101, amount="4.00", reason="broken")
    world.put("refunds", 502, parent_id=301, amount="5.00", reason="")
    world.put("orders", 301, status="refunded")
    del world.objects["orders"][104]

    sync(connection)

    guest = guest_id("guest1@shop.example")
    assert orders(external_id="107") == {"107": ("7", Decimal("70.00"), "placed")}
    assert Account.objects.get(external_id="7").name == "new@customer.example"
    assert Account.objects.get(external_id="1").name == "Company 1"  # all customers are read once a day
    assert orders(external_id="202") == {"202": ("2", Decimal("9.99"), "placed")}
    assert Order.objects.get(external_id="303").status == "cancelled"
    assert orders(external_id__in=["501", "502", "301"]) == {
        "501": ("1", Decimal("-4.00"), "returned"),
        "502": (guest, Decimal("-5.00"), "returned"),
        "301": (guest, Decimal("5.00"), "placed"),
    }
    assert Order.objects.get(external_id="104").status == "delivered"

    options = dict.fromkeys(("whole_customers", "whole_contacts"), "2026-01-01T00:00:00+00:00")
    Connection.objects.update(options=connection.options | options)
    connection.refresh_from_db()
    sync(connection)
    assert Account.objects.get(external_id="1").name == "Company one"
    sync(connection, is_full=True)
    assert Order.objects.get(external_id="104").status == "cancelled"


def test_orders_that_change_while_they_are_read_hide_none(
    connect: Connect, shop: WooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page read, an order that was read already moves to the end; many share one second."""
    monkeypatch.setattr(woo, "PAGE", 3)
    world = shop.world
    fill(world, customers=1)
    same = world.tick()
    for number in range(400, 420):
        order(world, number, 1, "1.00", at=same if number < 410 else "")
    moved: list[int] = []

    def move(request: object) -> None:
        path = getattr(request, "path", "")
        if path.endswith("/orders") and len(moved) < 8:
            moved.append(400 + len(moved))
            world.put("orders", moved[-1], number="moved")

    connection = connect()
    world.after_page = move
    sync(connection)
    assert {str(number) for number in range(400, 420)} <= set(orders())


def test_the_filter_speaks_of_utc(connect: Connect, shop: WooServer) -> None:
    """The shop's clock is two hours ahead; an order changed a minute ago is met, and older ones are not read again."""
    fill(shop.world, customers=30)
    connection = connect()
    sync(connection)
    shop.world.now += dt.timedelta(hours=1)
    shop.world.put("orders", 101, total="11.00")
    run = sync(connection)
    assert Order.objects.get(external_id="101").amount == 11
    assert run.steps.get(action="pull", stream="orders").rows_read < 90


def test_a_guest_with_the_e_mail_of_a_customer_is_that_customer(connect: Connect, shop: WooServer) -> None:
    fill(shop.world, customers=1)
    order(shop.world, 350, 0, "3.00", billing=bill("BUYER1@customer.example"))
    sync(connect())
    assert orders(external_id="350")["350"][0] == "1"


def test_write_back_is_meta_data_and_its_echo_is_ignored(connect: Connect, shop: WooServer) -> None:
    fill(shop.world, customers=2)
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    ids = dict(Account.objects.values_list("external_id", "pk"))
    queue_write_backs(connection, {pk: {"tier": "watch", "churn_probability": 0.4} for pk in ids.values()})
    del shop.world.objects["customers"][2]
    sync(connection)

    meta = {one["key"]: one["value"] for one in shop.world.objects["customers"][1]["meta_data"]}
    assert meta == {"mainstay_tier": "watch", "mainstay_churn_probability": "0.4"}
    states = dict(WriteBack.objects.values_list("account__external_id", "state"))
    assert states["1"] == WriteBackState.SENT
    assert states["2"] == states[guest_id("guest1@shop.example")] == WriteBackState.FAILED
    assert WriteBack.objects.get(account=ids["2"]).last_error == "Invalid resource ID."

    queue_write_backs(connection, {ids["1"]: {"tier": None}})
    run = sync(connection, is_full=True)
    meta = {one["key"]: one["value"] for one in shop.world.objects["customers"][1]["meta_data"]}
    assert meta == {"mainstay_tier": "", "mainstay_churn_probability": ""}
    assert run.steps.get(action="pull", stream="customers").rows_changed == 0


def test_a_wrong_key_and_an_old_shop_are_named(connect: Connect, shop: WooServer) -> None:
    with pytest.raises(SignInRefused) as refused:
        check_connection(connect("wrong", consumer_secret="cs_guessed_wrongly"))
    assert "cs_guessed_wrongly" not in str(refused.value)
    shop.world.has_refunds = False
    with pytest.raises(CrmError, match="No route was found"):
        check_connection(connect())


def call(body: bytes, resource: str, secret: str = HOOK) -> WebhookCall:
    signed = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    headers = {"x-wc-webhook-signature": signed, "x-wc-webhook-resource": resource}
    return WebhookCall("POST", "https://mainstay.example.com/hooks/1/", headers, body)


def test_webhooks_are_hints(connect: Connect, shop: WooServer) -> None:
    fill(shop.world)
    connection = connect()
    sync(connection)
    shop.world.objects["customers"][1]["billing"]["company"] = "Newest"
    del shop.world.objects["orders"][102]
    assert take_webhook(connection, WebhookCall("POST", "https://a.example/", {}, b"webhook_id=3")) == 0
    for number, resource in ((1, "customer"), (102, "order"), (1, "customer"), (5, "coupon")):
        take_webhook(
            connection, call(json.dumps({"id": number, "billing": {"company": "Old"}}).encode(), resource)
        )
    assert ReadHint.objects.count() == 3
    sync(connection)
    assert Account.objects.get(external_id="1").name == "Newest"
    assert Order.objects.get(external_id="102").status == "cancelled"


@pytest.mark.parametrize("how", ["forged", "changed", "unsigned", "no record"])
def test_webhooks_that_are_not_genuine_are_refused(connect: Connect, how: str) -> None:
    connection = connect()
    made = call(
        b"[1]" if how == "no record" else b'{"id": 1}', "order", "guessed" if how == "forged" else HOOK
    )
    if how == "changed":
        made = WebhookCall(made.method, made.url, made.headers, b'{"id": 2}')
    if how == "unsigned":
        made = WebhookCall(made.method, made.url, {}, made.body)
    with pytest.raises(WebhookRefused):
        take_webhook(connection, made)


def test_every_request_may_fail_once(
    connect: Connect, shop: WooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(woo, "PAGE", 3)
    fill(shop.world)
    shop.world.put("refunds", 501, parent_id=101, amount="4.00", reason="broken")
    weather(shop.world, connect, monkeypatch, at_least=15)
