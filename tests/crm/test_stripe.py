"""Stripe against the local stand-in: lists, events, guests, refunds, currencies, write-back, webhooks."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.crm.errors import SignInRefused, WebhookRefused
from accounts.crm.outbox import queue_write_backs
from accounts.crm.protocol import WebhookCall
from accounts.crm.shops import guest_id
from accounts.crm.stripe import connector as stripe
from accounts.models import (
    Account,
    Connection,
    Contact,
    Contract,
    ExchangeRate,
    Order,
    RawRecord,
    ReadHint,
    StreamCursor,
    WriteBack,
)
from accounts.models.crm import SyncState, WriteBackState
from accounts.services.connecting import create_connection
from accounts.services.crm import check_connection, take_webhook
from tests.crm.servers import stripe as servers
from tests.crm.servers.stripe import KEY, Stripe, StripeServer, bill, charge, fill, invoice
from tests.crm.storm import weather
from tests.crm.syncing import end_state, sync

pytestmark = pytest.mark.django_db
Connect = Callable[..., Connection]
SECRET = "whsec_hush_hush"


@pytest.fixture
def shop() -> Iterator[StripeServer]:
    with StripeServer() as running:
        yield running


@pytest.fixture
def connect(shop: StripeServer) -> Connect:
    def make(name: str = "stripe", **credentials: str) -> Connection:
        given = {"api_key": KEY, "webhook_secret": SECRET} | credentials
        return create_connection(name, "stripe", options={"address": shop.address}, credentials=given)

    return make


def orders(**which: object) -> dict[str, tuple[str, Decimal]]:
    found = Order.objects.filter(**which).values_list("external_id", "account__external_id", "amount")
    return {order: (account, amount) for order, account, amount in found}


def test_everything_is_read_once_and_a_second_sync_changes_nothing(
    connect: Connect, shop: StripeServer
) -> None:
    fill(shop.world)
    connection = connect()
    assert check_connection(connection) == "Customers, invoices and payments can be read."

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    guest = guest_id(" guest1@SHOP.example")
    first = Account.objects.get(external_id="cus_1")
    assert (first.name, first.country, first.region, first.billing_mode) == ("Company 1", "DE", "BE", "both")
    assert first.account_manager is None
    assert first.original_salesperson is None
    assert Account.objects.get(external_id=guest).name == "Guest1"
    assert Contact.objects.get(external_id="cus_1").email == "buyer1@customer.example"
    assert Contact.objects.get(external_id=guest).account.external_id == guest
    assert orders(external_id__endswith="_1") == {
        "in_1": ("cus_1", Decimal("120.01")),  # its payment ch_in_1 is no further sale
        "ch_1": ("cus_1", Decimal("7.01")),
        "ch_guest_1": (guest, Decimal("9.00")),
    }
    contract = Contract.objects.get(external_id="sub_1")
    assert (contract.annual_value, contract.auto_renews) == (
        Decimal("126.00"),
        True,
    )  # 3 x 10.50, four times a year
    before = end_state(connection)

    again = sync(connection)

    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0
    assert {one.path for one in shop.world.requests[-6:]} == {"/v1/events"}


def test_changes_come_by_events(
    connect: Connect, shop: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages, read again because an event shows an older state; refunds, credit notes, a deleted customer."""
    world = shop.world
    fill(world)
    connection = connect()
    sync(connection)
    monkeypatch.setattr(stripe, "PAGE", 2)
    world.put("customers", "cus_1", "customer.updated", name="Company one", address=None)
    world.put("customers", "cus_9", "customer.created", name="Ninth", email="ninth@customer.example")
    world.put("subscriptions", "sub_2", "customer.subscription.deleted", status="canceled", ended_at=world.now,
              canceled_at=world.now)  # fmt: skip
    world.put("invoices", "in_open_3", "invoice.paid", status="paid")
    world.put(
        "refunds",
        "re_1",
        "refund.created",
        charge="ch_guest_1",
        amount=400,
        currency="eur",
        status="succeeded",
    )
    world.put(
        "refunds", "re_2", "refund.created", charge="ch_in_2", amount=1000, currency="eur", status="pending"
    )
    world.put("credit_notes", "cn_1", "credit_note.created", customer="cus_2", amount=1500, currency="eur",
              status="issued", refund="re_2")  # fmt: skip
    world.delete("cus_4")

    run = sync(connection)

    assert run.state == SyncState.DONE
    one = Account.objects.get(external_id="cus_1")
    assert (one.name, one.country) == ("Company one", "")
    assert Account.objects.get(external_id="cus_9").name == "Ninth"
    assert Account.objects.get(external_id="cus_4").lifecycle_stage == "former"
    assert not Contact.objects.get(external_id="cus_4").is_active
    ended = Contract.objects.get(external_id="sub_2")
    assert (ended.ends_on, ended.auto_renews) == (dt.datetime.fromtimestamp(world.now, dt.UTC).date(), False)
    assert Order.objects.get(external_id="in_open_3").amount == 5
    assert orders(status="returned") == {
        "re_1": (guest_id("guest1@shop.example"), Decimal("-4.00")),
        "re_2": ("cus_2", Decimal("-10.00")),
        "cn_1": ("cus_2", Decimal("-5.00")),  # what was not paid back
    }

    world.put("refunds", "re_2", "refund.failed", status="failed")
    sync(connection)
    assert Order.objects.get(external_id="re_2").status == "cancelled"


def test_after_a_month_without_a_sync_the_lists_are_read_again(connect: Connect, shop: StripeServer) -> None:
    fill(shop.world)
    connection = connect()
    sync(connection)
    StreamCursor.objects.update(since=timezone.now() - dt.timedelta(days=31))
    shop.world.objects["customers"]["cus_2"]["name"] = "Changed, and its event forgotten"
    shop.world.requests.clear()

    sync(connection)

    assert Account.objects.get(external_id="cus_2").name == "Changed, and its event forgotten"
    assert "/v1/events" not in {one.path for one in shop.world.requests}
    shop.world.requests.clear()
    sync(connection)
    # But for refunds and credit notes, of which there are none.
    assert {one.path for one in shop.world.requests[:-2]} == {"/v1/events"}


def test_who_bought_as_a_guest_and_is_a_customer_is_one_account(connect: Connect, shop: StripeServer) -> None:
    fill(shop.world, customers=2)
    charge(shop.world, "ch_x", None, 1100, billing_details=bill("BUYER1@customer.example"))
    charge(shop.world, "ch_y", None, 1200, billing_details=bill("twice@customer.example"))
    for number in (7, 8):
        shop.world.put("customers", f"cus_{number}", name="Twice", email="twice@customer.example")
    sync(connect())
    assert orders()["ch_x"][0] == "cus_1"
    assert orders()["ch_y"][0] == guest_id("twice@customer.example")  # of two customers it is neither
    assert not Account.objects.filter(external_id=guest_id("buyer1@customer.example")).exists()


def test_a_list_goes_on_where_its_last_record_was_deleted(
    connect: Connect, shop: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe, "PAGE", 2)
    fill(shop.world, customers=6)
    gone: list[str] = []

    def delete_last(request: servers.Request) -> None:
        if request.path == "/v1/customers" and not gone:
            gone.append("cus_5")
            shop.world.delete("cus_5")

    shop.world.after_page = delete_last
    sync(connect())
    assert set(
        Account.objects.filter(external_id__startswith="cus_").values_list("external_id", flat=True)
    ) == {f"cus_{number}" for number in range(1, 7)}


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        (1234, "eur", "12.34"),
        (1234, "jpy", "1234"),
        (500, "isk", "5.00"),
        (500, "UGX", "5.00"),
        (5124, "kwd", "5.124"),
        (-7, "usd", "-0.07"),
        (0, "usd", "0.00"),
    ],
)
def test_amounts_are_read_in_the_units_of_their_currency(amount: int, currency: str, said: str) -> None:
    assert stripe.money(amount, currency) == said


def test_amounts_without_decimals_arrive(connect: Connect, shop: StripeServer) -> None:
    ExchangeRate.objects.create(currency="JPY", rate="0.006")
    shop.world.put("customers", "cus_1", name="Kabushiki")
    invoice(shop.world, "in_1", "cus_1", 98_000, currency="jpy")
    sync(connect())
    order = Order.objects.get()
    assert (order.amount, order.currency) == (98_000, "JPY")


def test_write_back_is_metadata_and_its_echo_is_ignored(connect: Connect, shop: StripeServer) -> None:
    fill(shop.world, customers=2)
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    ids = dict(Account.objects.values_list("external_id", "pk"))
    told = {"tier": "watch", "reasons": "x" * 600, "churn_probability": 0.4}
    queue_write_backs(connection, dict.fromkeys(ids.values(), told))
    shop.world.deleted.add("cus_2")
    del shop.world.objects["customers"]["cus_2"]
    sync(connection)

    assert shop.world.objects["customers"]["cus_1"]["metadata"] == {
        "mainstay_tier": "watch",
        "mainstay_reasons": "x" * 500,
        "mainstay_churn_probability": "0.4",
    }
    states = dict(WriteBack.objects.values_list("account__external_id", "state"))
    assert states["cus_1"] == WriteBackState.SENT
    assert states["cus_2"] == states[guest_id("guest1@shop.example")] == WriteBackState.FAILED
    assert WriteBack.objects.get(account=ids["cus_2"]).last_error == "No such object: 'cus_2'"

    for tier in ("at risk", "watch", None):  # there and back within a day, then cleared
        queue_write_backs(connection, {ids["cus_1"]: {"tier": tier}})
        run = sync(connection)
    assert shop.world.objects["customers"]["cus_1"]["metadata"] == {}
    pulled = run.steps.get(action="pull", stream="customers")
    assert (pulled.rows_read, pulled.rows_changed) == (1, 0)


@pytest.mark.parametrize(("forbidden", "key"), [({"invoices"}, KEY), (set(), "rk_test_revoked")])
def test_a_key_that_may_not_is_named_without_being_shown(
    connect: Connect, shop: StripeServer, forbidden: set[str], key: str
) -> None:
    shop.world.forbidden = forbidden
    connection = connect(api_key=key)
    with pytest.raises(SignInRefused) as refused:
        check_connection(connection)
    assert ("invoices" in str(refused.value)) == bool(forbidden)
    assert key not in str(refused.value)
    run = sync(connection)
    assert run.state == SyncState.FAILED
    assert key not in run.message


def call(body: bytes, secret: str = SECRET, age: int = 0, more: str = "") -> WebhookCall:
    stamp = str(int(timezone.now().timestamp()) - age)
    header = f"t={stamp},{more}v1={stripe.sign(secret, stamp, body)}"
    return WebhookCall("POST", "https://mainstay.example.com/hooks/1/", {"stripe-signature": header}, body)


def test_webhooks_are_hints(connect: Connect, shop: StripeServer) -> None:
    world: Stripe = shop.world
    fill(world)
    connection = connect()
    sync(connection)
    world.objects["customers"]["cus_1"]["name"] = "Newest"
    world.put("credit_notes", "cn_1", customer="cus_2", amount=1500, currency="eur", status="issued")
    older = world.tell("customer.updated", world.objects["customers"]["cus_1"])
    note = world.tell("credit_note.created", world.objects["credit_notes"]["cn_1"])
    guest = world.tell("charge.succeeded", world.objects["charges"]["ch_guest_1"])
    other = world.tell("payout.paid", {"id": "po_1"})
    world.events.clear()
    for event in (older, note, other, guest, note, older):
        take_webhook(connection, call(json.dumps(event).encode(), more="v1=another,v0=old,"))
    assert sorted(ReadHint.objects.values_list("stream", "source_id")) == [
        ("contacts", "cus_1"),
        ("customers", "cus_1"),
        ("payments", "ch_guest_1"),
        ("returns", "cn_1"),
    ]

    sync(connection)

    assert Account.objects.get(external_id="cus_1").name == "Newest"
    assert orders(status="returned") == {"cn_1": ("cus_2", Decimal("-15.00"))}
    assert not RawRecord.objects.filter(deleted_at__isnull=False).exists()


@pytest.mark.parametrize("how", ["forged", "changed", "old", "unsigned", "no event"])
def test_webhooks_that_are_not_genuine_are_refused(connect: Connect, how: str) -> None:
    connection = connect()
    body = (
        b"[]" if how == "no event" else b'{"type": "customer.updated", "data": {"object": {"id": "cus_1"}}}'
    )
    made = call(body, secret="guessed" if how == "forged" else SECRET, age=301 * (how == "old"))
    if how == "changed":
        made = WebhookCall(made.method, made.url, made.headers, body.replace(b"1", b"2"))
    if how == "unsigned":
        made = WebhookCall(made.method, made.url, {}, body)
    with pytest.raises(WebhookRefused):
        take_webhook(connection, made)
    assert not ReadHint.objects.exists()


def test_every_request_may_fail_once(
    connect: Connect, shop: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe, "PAGE", 1)
    fill(shop.world, customers=3)
    weather(shop.world, connect, monkeypatch, at_least=20)
