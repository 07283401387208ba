"""Odoo against the local stand-in, by both ways in: first load, changes, archiving, lines, invoices, write-back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from accounts.crm.engine import open_connector
from accounts.crm.errors import SignInRefused
from accounts.crm.odoo import connector as odoo
from accounts.crm.outbox import queue_write_backs
from accounts.models import (
    Account,
    Connection,
    Contact,
    Enquiry,
    Interaction,
    Issue,
    Order,
    OrderLine,
    Product,
    RawRecord,
    WriteBack,
)
from accounts.models.crm import SyncState, WriteBackState
from accounts.services.connecting import create_connection
from accounts.services.crm import check_connection
from tests.crm.servers.odoo import Odoo, Server, add_meeting, fill
from tests.crm.storm import weather
from tests.crm.syncing import end_state, sync
from tests.factories import SalesRepFactory

Connect = Callable[..., Connection]
WAYS = pytest.mark.parametrize("login", ["", "mainstay"], ids=["json2", "jsonrpc"])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def world(server: Server) -> Odoo:
    return server.world


@pytest.fixture
def connect(db: None, server: Server) -> Connect:
    def make(name: str = "erp", key: str = "key-one-of-odoo", **options: Any) -> Connection:
        given = {"address": server.address, "database": "acme"} | options
        return create_connection(name, "odoo", options=given, credentials={"key": key})

    return make


@WAYS
def test_a_first_sync_brings_everything_and_a_second_one_changes_nothing(
    connect: Connect, world: Odoo, login: str
) -> None:
    SalesRepFactory(email="rep@example.com")
    fill(world)
    connection = connect(login=login)

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert Account.objects.count() == 12  # neither we, nor our people, nor suppliers
    assert Contact.objects.count() == 12  # no addresses
    account = Account.objects.get(external_id="103")
    assert (account.name, account.country) == ("Company 3", "Austria")
    assert account.original_salesperson is not None
    assert account.original_salesperson.email == "rep@example.com"
    order = Order.objects.get(
        external_id="3"
    )  # ordered by a contact, belongs to the company; quotations are none
    assert (order.account, order.amount, order.currency) == (account, Decimal("301.5"), "EUR")
    assert order.ordered_at == dt.datetime(2025, 3, 4, 23, 30, tzinfo=dt.UTC)
    assert Order.objects.count() == 12
    lines = OrderLine.objects.filter(order=order).order_by("product__sku")
    assert [(line.product.sku, line.quantity, line.unit_price) for line in lines] == [
        ("1", Decimal(3), Decimal(25)),
        ("2", Decimal(4), Decimal(45)),
    ]
    assert Product.objects.get(sku="1").name == "[P1] Product 1"
    lead = Enquiry.objects.get(external_id="3")
    assert (lead.account, lead.subject, lead.source) == (account, "Wants more 3", "Fair")
    issue = Issue.objects.get(external_id="3")
    assert (issue.account, issue.owner) == (account, account.original_salesperson)
    assert (issue.description, issue.theme, issue.severity) == ("How do I clean it? 3", "Question", "high")
    assert (issue.opened_at, issue.resolved_at) == (dt.datetime(2025, 5, 2, 9, 30, tzinfo=dt.UTC), None)
    assert [Issue.objects.get(external_id=str(one)).severity for one in (4, 5, 6)] == [
        "low",
        "medium",
        "high",
    ]
    assert Issue.objects.count() == 12  # a ticket of nobody is none
    meeting = Interaction.objects.get(external_id="3")
    assert (meeting.account, meeting.user, meeting.kind) == (account, issue.owner, "meeting")
    assert (meeting.subject, meeting.happened_at) == (
        "Year in review 3",
        dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC),
    )
    assert Interaction.objects.count() == 12  # neither among ourselves nor with suppliers
    assert not RawRecord.objects.exclude(problem="").exists()
    before = end_state(connection)

    again = sync(connection)

    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0
    assert sum(again.steps.values_list("rows_created", flat=True)) == 0


def test_changes_archiving_and_deletions_are_followed(connect: Connect, world: Odoo) -> None:
    fill(world)
    connection = connect()
    sync(connection)
    world.put("res.partner", 103, name="Company three")
    world.put("res.partner", 104, active=False)
    world.put("res.partner", 1_005, active=False)
    world.put("sale.order", 6, state="cancel")
    world.put("sale.order", 507, state="sale")
    world.put("helpdesk.ticket", 6, close_date="2025-05-04 10:00:00.000000")
    del world.rows["helpdesk.ticket"][7]
    del world.rows["sale.order"][8]
    world.rows["sale.order.line"][90]["product_uom_qty"] = 6.0
    world.put("sale.order", 9, amount_untaxed=1_000.0)

    sync(connection)

    assert Account.objects.get(external_id="103").name == "Company three"
    assert Account.objects.get(external_id="104").lifecycle_stage == "former"
    assert not Contact.objects.get(external_id="1005").is_active
    assert Order.objects.get(external_id="6").status == "cancelled"
    assert Order.objects.filter(external_id="507").exists()
    assert OrderLine.objects.get(order__external_id="9", product__sku="1").quantity == 7
    assert Order.objects.get(external_id="8").status == "placed"  # not noticed before the sweep
    assert Issue.objects.get(external_id="6").resolved_at == dt.datetime(2025, 5, 4, 10, tzinfo=dt.UTC)

    world.put("res.partner", 104, active=True)
    world.put("helpdesk.ticket", 6, close_date=False)
    sync(connection, is_full=True)
    assert Order.objects.get(external_id="8").status == "cancelled"
    assert Account.objects.get(external_id="104").lifecycle_stage == "customer"
    assert Issue.objects.get(external_id="6").resolved_at is None
    assert RawRecord.objects.get(stream="tickets", source_id="7").deleted_at
    assert Issue.objects.filter(external_id="7").exists()  # what a customer asked stays on record


def test_a_meeting_comes_in_when_it_is_over(connect: Connect, world: Odoo) -> None:
    """Nothing is written over there at that moment."""
    fill(world, customers=1)
    add_meeting(world, 50, "2025-11-20", [2, 1_001])
    add_meeting(world, 51, "2025-11-20", [2, 3])
    world.now += dt.timedelta(days=1)
    world.put("calendar.event", 1, name="The last that was written")
    with time_machine.travel("2025-11-20T12:30:00Z", tick=False):
        connection = connect()
        sync(connection)
        assert Interaction.objects.count() == 1
    with time_machine.travel("2025-11-20T13:05:00Z", tick=False):
        sync(connection)
    assert set(Interaction.objects.values_list("external_id", flat=True)) == {"1", "50"}


def test_invoices_can_be_the_sales(connect: Connect, world: Odoo) -> None:
    """What credit notes give back counts against; bills of suppliers are none."""
    fill(world, customers=3)
    connection = connect(sales="invoices")

    assert sync(connection).state == SyncState.DONE

    amounts = Order.objects.filter(account__external_id="102").order_by("ordered_at")
    assert list(amounts.values_list("amount", flat=True)) == [Decimal(80), Decimal("-12.5")]
    assert Order.objects.count() == 6
    assert not connection.streams.filter(stream__in=["orders", "order_lines", "products"]).exists()


def test_many_records_of_one_moment_come_in_pages(
    connect: Connect, world: Odoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odoo, "PAGE", 5)
    monkeypatch.setattr(odoo, "ORDERS_AT_ONCE", 3)
    fill(world)
    for row in world.rows["res.partner"].values():
        row["write_date"] = "2025-11-01 00:00:00.123456"

    connection = connect()
    sync(connection, is_full=True)

    assert (Account.objects.count(), Contact.objects.count(), Order.objects.count()) == (12, 12, 12)
    assert OrderLine.objects.count() == 24
    for row in world.rows["res.partner"].values():
        row["write_date"] = "2025-11-01 00:00:00.654321"
    again = sync(connection)
    assert again.steps.get(action="pull", stream="customers").rows_read == 12


@WAYS
def test_apps_that_are_not_installed_and_fields_that_are_hidden(
    connect: Connect, world: Odoo, login: str
) -> None:
    fill(world, customers=2)
    world.absent = {"crm.lead", "helpdesk.ticket", "calendar.event"}
    world.hidden = {"res.partner.phone", "res.partner.customer_rank"}
    connection = connect(login=login)

    assert (
        check_connection(connection)
        == "3 customers can be read. Not installed in Odoo: leads, tickets, meetings."
    )
    assert sync(connection, is_full=True).state == SyncState.DONE
    assert Account.objects.count() == 3  # without ranks suppliers cannot be told


@WAYS
def test_a_key_that_is_not_accepted_asks_for_a_person(connect: Connect, world: Odoo, login: str) -> None:
    fill(world, customers=1)
    connection = connect(login=login, key="expired-key")
    with pytest.raises(SignInRefused):
        check_connection(connection)
    assert sync(connection).state == SyncState.FAILED
    connection.refresh_from_db()
    assert connection.message
    assert "expired-key" not in connection.message


@WAYS
def test_write_back_tells_what_became_of_every_customer(connect: Connect, world: Odoo, login: str) -> None:
    fill(world, customers=4)
    connection = connect(login=login)
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    ids = dict(Account.objects.values_list("external_id", "pk"))
    told = {"tier": "Watch", "churn_probability": 0.4, "revenue_at_risk": "12.50", "next_touchpoint_on": None}
    queue_write_backs(connection, dict.fromkeys(ids.values(), told))
    del world.rows["res.partner"][103]
    world.locked = {104}

    sync(connection)

    row = world.rows["res.partner"][101]
    assert (row["x_mainstay_tier"], row["x_mainstay_churn_probability"]) == ("Watch", 0.4)
    assert (row["x_mainstay_revenue_at_risk"], row["x_mainstay_next_touchpoint_on"]) == (12.5, False)
    states = {one.account.external_id: one for one in WriteBack.objects.select_related("account")}
    assert states["101"].state == WriteBackState.SENT
    assert (states["103"].state, "has been deleted" in states["103"].last_error) == (
        WriteBackState.FAILED,
        True,
    )
    assert "not allowed to modify" in states["104"].last_error
    echo = sync(connection).steps.get(action="pull", stream="customers")
    assert (echo.rows_read >= 2, echo.rows_changed, echo.rows_created) == (True, 0, 0)


def test_missing_fields_are_named_and_a_busy_odoo_is_asked_again(connect: Connect, world: Odoo) -> None:
    fill(world, customers=1)
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    queue_write_backs(connection, {Account.objects.get().pk: {"tier": "Watch"}})
    kept = world.custom.pop("x_mainstay_tier")

    run = sync(connection)
    assert run.state == SyncState.FAILED
    assert "no field x_mainstay_tier." in run.message

    world.custom["x_mainstay_tier"] = kept
    world.busy = {101}
    assert sync(connection).state == SyncState.DONE
    assert world.rows["res.partner"][101]["x_mainstay_tier"] == "Watch"


def test_keys_are_not_shown_by_what_calls_are_made_of(connect: Connect, world: Odoo) -> None:
    connector = open_connector(connect(login="mainstay"))
    assert "key-one" not in repr(odoo.Quiet([connector.link.secrets["key"]]))
    connector.link.close()


@WAYS
def test_whatever_happens_on_the_way_the_end_state_is_the_same(
    connect: Connect, world: Odoo, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    monkeypatch.setattr(odoo, "PAGE", 3)
    monkeypatch.setattr(odoo, "ORDERS_AT_ONCE", 3)
    fill(world, customers=5)
    weather(world, lambda name: connect(name, login=login), monkeypatch, at_least=30)
