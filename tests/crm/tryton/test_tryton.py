"""A real Tryton 8.2: read, followed, and told of risk."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from accounts.crm.errors import CrmError, SignInRefused
from accounts.crm.outbox import queue_write_backs
from accounts.crm.tryton.values import HEAD
from accounts.models import Account, Connection, Contact, Order, OrderLine, Product, WriteBack
from accounts.services.crm import check_connection
from tests.browser.connecting import enter, fill_in, first_sync, look_at_what_would_happen, write_back
from tests.browser.test_first_import import keep
from tests.crm.syncing import end_state, sync
from tests.crm.tryton.conftest import Tryton, connect
from tests.crm.tryton.prepare import DATABASE, OUR_KEY
from tests.factories import AdministratorFactory, SalesRepFactory

CUSTOMERS = 12


def party(server: Tryton, name: str) -> int:
    (found,) = server.find("party.party", [["name", "=", name]], "id")
    return int(found["id"])


def counts(connection: Connection, action: str = "pull") -> dict[str, int]:
    """Records that a run read anew or changed, by stream."""
    run = connection.runs.first()
    assert run is not None
    return {step.stream: step.rows_created + step.rows_changed for step in run.steps.filter(action=action)}


def test_parties_people_products_and_sales_are_read_and_a_second_sync_changes_nothing(
    connection: Connection, tryton: Tryton
) -> None:
    SalesRepFactory(email="rep@example.com")
    assert re.fullmatch(r"13 parties and 2\d confirmed sales can be read\.", check_connection(connection))

    run = sync(connection)

    assert (run.state, run.message) == ("done", "")
    assert sum(run.steps.values_list("rows_refused", flat=True)) == 0
    # Twelve customers and the supplier; neither the company itself nor its employees.
    assert Account.objects.count() == CUSTOMERS + 1
    third = Account.objects.get(external_id=str(party(tryton, "Customer 3")))
    assert (third.name, third.country, third.region) == ("Customer 3", "DE", "Bayern")
    assert third.original_salesperson is not None
    assert third.original_salesperson.email == "rep@example.com"  # who confirmed the first of the two sales
    people = Contact.objects.filter(account=third).order_by("name")
    assert [(one.name, one.email, one.phone) for one in people] == [
        ("Ann Of 3", "ann3@customer.example", "+49 89 9982 8003"),
        ("Customer 3", "office3@customer.example", ""),
    ]
    assert sorted(Product.objects.values_list("sku", "name", "series", "unit_price", "unit_cost")) == [
        ("T-1", "Tool 1", "Tools", Decimal("50.00"), Decimal("20.00")),
        ("T-2", "Tool 2", "Tools", Decimal("100.00"), Decimal("40.00")),
    ]
    orders = Order.objects.filter(account=third).order_by("ordered_at")
    assert [(str(one.ordered_at.date()), one.amount, one.currency, one.status) for one in orders] == [
        ("2025-03-03", Decimal("150.00"), "EUR", "placed"),
        ("2025-09-03", Decimal("300.00"), "EUR", "placed"),
    ]
    lines = OrderLine.objects.filter(order=orders[1]).order_by("product__sku")
    assert [(one.product.sku, one.quantity, one.unit_price) for one in lines] == [
        ("T-1", 2, 50),
        ("T-2", 2, 100),
    ]
    sold = tryton.find("sale.sale", [["state", "!=", "draft"]], "id")
    assert Order.objects.count() == len(sold) >= 2 * CUSTOMERS  # the draft is none
    before = end_state(connection)

    assert sync(connection, is_full=True).state == "done"
    assert end_state(connection) == before
    assert set(counts(connection).values()) == {0}


def test_changes_are_picked_up_by_cursor_and_deletions_by_the_sweep(
    connection: Connection, tryton: Tryton
) -> None:
    fifth = party(tryton, "Customer 5")
    short_lived = tryton.make("party.party", name="Short-lived", code="S1")
    spare = tryton.make(
        "party.contact_mechanism", party=fifth, type="email", name="Bo", value="bo@customer.example"
    )
    sync(connection)
    assert Account.objects.filter(name="Short-lived").exists()
    assert Contact.objects.get(name="Bo").is_active
    # What was read a moment ago lies within the overlap: it comes again, and is known to be the same.
    sync(connection)
    assert set(counts(connection).values()) == {0}

    tryton.change("party.party", fifth, name="Customer Five")
    (address,) = tryton.find("party.address", [["party", "=", fifth]], "id")
    country = tryton.make("country.country", name="Austria", code="AT")
    tryton.change("party.address", address["id"], country=country, subdivision=None)
    (product,) = tryton.find("product.product", [["suffix_code", "=", "T-1"]], "id")
    (unit,) = tryton.find("product.uom", [["name", "=", "Unit"]], "id")
    line = {"product": product["id"], "quantity": 2, "unit": unit["id"],
            "unit_price": {"__class__": "Decimal", "decimal": "12.50"}}  # fmt: skip
    sale = tryton.make("sale.sale", party=fifth, company=1, currency=1, invoice_method="manual",
                       shipment_method="manual", invoice_address=address["id"], shipment_address=address["id"],
                       lines=[["create", [line, line]]])  # fmt: skip
    for action in ("quote", "confirm"):
        tryton.do("sale.sale", sale, action)
    sync(connection)
    assert {name for name, changed in counts(connection).items() if changed} == {
        "parties", "contacts", "sales", "sale_lines",
    }  # fmt: skip
    account = Account.objects.get(name="Customer Five")
    assert account.country == "AT"
    order = Order.objects.get(external_id=str(sale))
    assert (order.amount, order.status, order.account) == (Decimal("50.00"), "placed", account)
    only = OrderLine.objects.get(order=order)
    assert (only.quantity, only.unit_price) == (4, Decimal("12.50"))

    tryton.delete("party.contact_mechanism", spare)
    tryton.delete("party.party", short_lived)
    tryton.change("party.party", fifth, name="Customer 5")
    sync(connection, is_full=True)
    assert Account.objects.get(name="Short-lived").lifecycle_stage == "former"
    assert not Contact.objects.get(name="Bo").is_active


def test_risk_is_written_where_people_of_tryton_see_it_and_does_not_come_back_as_news(
    connection: Connection, tryton: Tryton
) -> None:
    sync(connection)
    first = Account.objects.get(name="Customer 1")
    number = int(first.external_id)
    connection.writes_back = True
    connection.save()
    told = {"churn_probability": 0.62, "tier": "At risk", "reasons": "Quiet for 80 days.\nTwo complaints: open",
            "revenue_at_risk": "6200.00", "revenue_currency": "EUR", "next_touchpoint_on": "2026-12-01"}  # fmt: skip
    queue_write_backs(connection, {first.pk: told})
    sync(connection)

    assert WriteBack.objects.get().state == "sent"
    assert categories(tryton, number) == ["Mainstay / At risk"]
    assert entries(tryton, number) == [
        (
            "At risk, 62.0% risk, 6200.00 EUR a year at stake, next touchpoint 2026-12-01",
            f"{HEAD}\nChurn probability: 62.0%\nTier: At risk\nRevenue at risk a year: 6200.00\nCurrency: EUR\n"
            "Next touchpoint: 2026-12-01\nReasons:\n- Quiet for 80 days.\n- Two complaints: open",
        )
    ]
    # Our own change moved the party's time of change, and says nothing new.
    sync(connection)
    assert set(counts(connection).values()) == {0}
    assert Account.objects.get(pk=first.pk).segment == ""

    # A person puts the party into a category of their own; then the tier changes, and the touchpoint is over.
    key = tryton.make("party.category", name="Key customers")
    tryton.change("party.party", number, categories=[["add", [key]]])
    queue_write_backs(connection, {first.pk: told | {"tier": "Critical", "next_touchpoint_on": None}})
    sync(connection)
    sync(connection)
    assert categories(tryton, number) == ["Key customers", "Mainstay / Critical"]
    ((summary, comment),) = entries(tryton, number)
    assert summary == "Critical, 62.0% risk, 6200.00 EUR a year at stake"
    assert comment.endswith("Currency: EUR\nReasons:\n- Quiet for 80 days.\n- Two complaints: open")
    assert set(WriteBack.objects.values_list("state", flat=True)) == {"sent"}
    assert Account.objects.get(pk=first.pk).segment == "Key customers"


def test_what_is_not_there_any_more_is_told_and_the_others_are_written(
    connection: Connection, tryton: Tryton
) -> None:
    gone = tryton.make("party.party", name="Gone soon", code="G1")
    sync(connection)
    tryton.delete("party.party", gone)
    connection.writes_back = True
    connection.save()
    both = Account.objects.filter(name__in=["Gone soon", "Customer 2"])
    queue_write_backs(connection, {one.pk: {"tier": "Healthy"} for one in both})

    assert sync(connection).state == "done"

    states = dict(WriteBack.objects.values_list("account__name", "state"))
    assert states == {"Gone soon": "failed", "Customer 2": "sent"}
    assert "not there any more" in WriteBack.objects.get(account__name="Gone soon").last_error


def test_only_a_category_of_parties_becomes_accounts_where_one_is_named(db: None, tryton: Tryton) -> None:
    mother = tryton.make("party.category", name="Buyers")
    below = tryton.make("party.category", name="Buyers abroad", parent=mother)
    tryton.change("party.party", party(tryton, "Customer 7"), categories=[["add", [below]]])
    connection = connect(tryton, category="Buyers")

    assert check_connection(connection).startswith("1 parties and ")
    assert sync(connection).state == "done"
    assert list(Account.objects.values_list("name", "segment")) == [("Customer 7", "Buyers / Buyers abroad")]
    assert (Order.objects.count(), OrderLine.objects.count()) == (2, 4)
    with pytest.raises(CrmError, match="no party category 'Nobody'"):
        check_connection(connect_again(connection, category="Nobody"))


def connect_again(connection: Connection, **options: str) -> Connection:
    connection.options |= options
    connection.save()
    return connection


def test_wrong_keys_databases_and_missing_rights_are_told_in_a_sentence(db: None, tryton: Tryton) -> None:
    connection = connect(tryton, key="a-wrong-key-55")
    with pytest.raises(SignInRefused, match="Tryton does not accept the key") as refused:
        check_connection(connection)
    assert "a-wrong-key-55" not in str(refused.value)
    assert sync(connection).state == "failed"
    connection.delete()

    connection = connect(tryton, database="elsewhere")
    with pytest.raises(CrmError, match="no REST interface of a database 'elsewhere'"):
        check_connection(connection)
    connection.delete()

    nobody = tryton.make("res.user", name="Nobody", login="nobody", companies=[["add", [1]]], company=1)
    tryton.make("res.user.application", user=nobody, application="rest", key="key-of-nobody")
    with pytest.raises(SignInRefused, match=r"must not read sale\.sale"):
        check_connection(connect(tryton, key="key-of-nobody"))


def test_fields_are_offered_by_the_names_that_people_of_tryton_see(connection: Connection) -> None:
    from accounts.crm.engine import open_connector
    from accounts.services.crm import save_map

    connector = open_connector(connection)
    offered = {field.path: field.label for field in connector.fields("parties")}
    assert offered["code"] == "Code"
    assert offered["lang.rec_name"] == "Language"
    assert offered["addresses.0.country.code"]
    mapped = connection.maps.get(stream="parties")
    save_map(connection, "parties", mapped.columns | {"campaign": "code", "source": "lang.rec_name"})
    sync(connection)
    assert Account.objects.get(name="Customer 9").campaign == "K009"


def test_through_the_browser(page_for: Callable[..., Page], tryton: Tryton, no_tasks: None) -> None:
    """Connect, look, sync, write back."""
    page = page_for(AdministratorFactory())
    enter(page, "Tryton", Address=tryton.address, Database=DATABASE, Key="a-wrong-key-55")
    expect(page.get_by_text("Tryton does not accept the key")).to_be_visible()
    keep(page, "tryton-1-refused")
    fill_in(page, Key=OUR_KEY)
    said = re.compile(r"Tryton is connected\. \d+ parties and 2\d confirmed sales")
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Parties become accounts")
    expect(page.get_by_role("row", name=re.compile("^Region"))).to_contain_text("Bayern")
    keep(page, "tryton-2-fields")
    look_at_what_would_happen(page, "tryton-3")
    assert not Account.objects.exists()
    first_sync(page, "tryton-4")
    eighth = Account.objects.get(name="Customer 8")
    assert eighth.orders.count() == 2
    write_back(page, eighth, {"tier": "Declining", "churn_probability": 0.4}, "tryton-5")
    number = int(eighth.external_id)
    assert categories(tryton, number) == ["Mainstay / Declining"]
    assert [summary for summary, _ in entries(tryton, number)] == ["Declining, 40.0% risk"]


def categories(server: Tryton, number: int) -> list[str]:
    (row,) = server.find("party.party", [["id", "=", number]], "categories.rec_name")
    return sorted(one["rec_name"] for one in row["categories"])


def entries(server: Tryton, number: int) -> list[tuple[str, str]]:
    """Our ways of contact of a party: what is seen in the list, and the comment."""
    rows = server.find(
        "party.contact_mechanism", [["party", "=", number], ["name", "=", "Mainstay"]], "value", "comment"
    )
    return [(row["value"], row["comment"]) for row in rows]
