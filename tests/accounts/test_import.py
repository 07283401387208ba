"""Records of every kind through the one door: matched, created, changed, left alone, refused."""

from __future__ import annotations

import datetime as dt
import unicodedata
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.ingest.errors import IngestError
from accounts.ingest.load import ImportOptions, import_file, import_rows, start_import
from accounts.ingest.schema import KINDS
from accounts.models import (
    Account,
    AuditEntry,
    Company,
    Contact,
    Contract,
    Enquiry,
    ExchangeRate,
    ImportRun,
    Interaction,
    Issue,
    Order,
    OrderLine,
    Product,
    Promise,
)
from accounts.models.imports import ImportState
from accounts.spreadsheets import csv_lines
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def load(
    kind: str, folder: Path, body: str, *, source: str = "file", dry: bool = False, **options: Any
) -> ImportRun:
    path = folder / f"{kind}.csv"
    path.write_text(body)
    run = start_import(
        kind, source=source, file_name=path.name, options=ImportOptions(**options), is_dry_run=dry
    )
    return import_file(run, path)


def counts(run: ImportRun) -> tuple[int, int, int, int]:
    """created, changed, unchanged, rejected"""
    return run.rows_created, run.rows_changed, run.rows_unchanged, run.rows_rejected


def reasons(run: ImportRun) -> list[tuple[int, str, str]]:
    return [(row.line_number, row.column, row.reason) for row in run.rejected.all()]


ORDERS = "customer,date,amount\nA,2024-01-31,10\nB,2024-02-01,20.50\nA,2024-01-31,10\n"


def test_three_columns_are_enough(tmp_path: Path) -> None:
    run = load("orders", tmp_path, ORDERS, create_accounts=True)

    assert counts(run) == (3, 0, 0, 0)
    assert run.accounts_created == 2
    assert set(Account.objects.values_list("external_id", "name", "currency")) == {
        ("A", "A", "EUR"),
        ("B", "B", "EUR"),
    }
    assert sorted(Order.objects.values_list("amount", flat=True)) == [
        Decimal("10.00"),
        Decimal("10.00"),
        Decimal("20.50"),
    ]


def test_the_same_file_twice_changes_nothing(tmp_path: Path) -> None:
    load("orders", tmp_path, ORDERS, create_accounts=True)
    before = list(Order.objects.order_by("pk").values())

    again = load("orders", tmp_path, ORDERS, create_accounts=True)

    assert counts(again) == (0, 0, 3, 0)
    assert list(Order.objects.order_by("pk").values()) == before


def test_orders_without_ids_are_known_again_wherever_they_stand(tmp_path: Path) -> None:
    load("orders", tmp_path, ORDERS, create_accounts=True)

    newest_first = (
        "customer,date,amount\nC,2024-03-01,7\nA,2024-01-31,10\nA,2024-01-31,10\nB,2024-02-01,20.50\n"
    )
    run = load("orders", tmp_path, newest_first, create_accounts=True)

    assert counts(run) == (1, 0, 3, 0)
    assert Order.objects.count() == 4


def test_changed_orders_change_and_empty_cells_keep_the_status(tmp_path: Path) -> None:
    header = "external_id,account,ordered_at,amount,status,promised_on\n"
    load(
        "orders",
        tmp_path,
        header + "1,A,2024-01-31,10,delivered,2024-02-05\n2,A,2024-02-01,5,,\n",
        create_accounts=True,
    )

    run = load("orders", tmp_path, header + "1,A,2024-01-31,11,,\n2,A,2024-02-01,5,placed,\n")

    assert counts(run) == (0, 1, 1, 0)
    order = Order.objects.get(external_id="1")
    assert (order.amount, order.status, order.promised_on) == (Decimal("11.00"), "delivered", None)
    assert run.examples["changed"][0]["changes"] == {
        "amount": ["10.00", "11.00"],
        "promised_on": ["2024-02-05", None],
    }


def test_columns_a_file_does_not_have_stay_as_they_are(tmp_path: Path) -> None:
    load("accounts", tmp_path, "external_id,name,segment,region\nA,Alpha,Retail,North\n")

    run = load("accounts", tmp_path, "external_id,name,segment\nA,Alpha,Wholesale\n")

    assert counts(run) == (0, 1, 0, 0)
    assert Account.objects.values_list("segment", "region").get() == ("Wholesale", "North")


def test_unknown_accounts_are_refused_with_their_line(tmp_path: Path) -> None:
    load("accounts", tmp_path, "external_id,name\nA,Alpha\n")

    run = load("orders", tmp_path, ORDERS)

    assert counts(run) == (2, 0, 0, 1)
    assert reasons(run)[0][:2] == (3, "customer")
    assert "no known account" in reasons(run)[0][2]
    assert run.rejected.get().raw == ["B", "2024-02-01", "20.50"]


def test_sources_with_the_same_ids_stay_apart(tmp_path: Path) -> None:
    for source in ("shop", "till"):
        load(
            "orders",
            tmp_path,
            "order id,customer,date,amount\n1,A,2024-01-31,10\n",
            source=source,
            create_accounts=True,
        )

    assert Account.objects.filter(external_id="A").count() == 2
    assert sorted(Order.objects.values_list("record_source", "account__record_source")) == [
        ("shop", "shop"),
        ("till", "till"),
    ]


def test_a_preview_says_the_same_and_does_nothing(tmp_path: Path) -> None:
    preview = load("orders", tmp_path, ORDERS + "C,2024-02-30,1\n", dry=True, create_accounts=True)

    assert preview.state == ImportState.PREVIEWED
    assert (counts(preview), preview.accounts_created) == ((3, 0, 0, 1), 2)
    assert not Order.objects.exists()
    assert not Account.objects.exists()
    real = load("orders", tmp_path, ORDERS + "C,2024-02-30,1\n", create_accounts=True)
    assert counts(real) == counts(preview)
    assert preview.examples["created"][0] == {
        "line": 2,
        "values": {"account": "A", "ordered_at": "2024-01-31 00:00", "amount": "10.00"},
    }


def test_all_or_nothing_keeps_nothing_but_the_reasons(tmp_path: Path) -> None:
    run = load("orders", tmp_path, ORDERS + "C,2024-02-30,1\n", create_accounts=True, all_or_nothing=True)

    assert run.state == ImportState.FAILED
    assert run.message == "1 of 4 rows were refused, so none was imported (all or nothing)."
    assert not Order.objects.exists()
    assert run.rejected.count() == 1


def test_times_without_a_zone_are_the_companys(tmp_path: Path) -> None:
    Company.objects.update_or_create(pk=1, defaults={"time_zone": "Asia/Kolkata"})
    cache.clear()
    rows = "A,2024-01-31 10:00,1\nB,2024-01-31T10:00:00Z,1\nC,2024-01-31,1\nD,31 Jan 2024 10:00,1\n"
    load("orders", tmp_path, "customer,date,amount\n" + rows, create_accounts=True)
    cache.clear()

    moments = dict(Order.objects.values_list("account__external_id", "ordered_at"))
    utc = dt.UTC
    assert moments == {
        "A": dt.datetime(2024, 1, 31, 4, 30, tzinfo=utc),
        "B": dt.datetime(2024, 1, 31, 10, 0, tzinfo=utc),
        "C": dt.datetime(2024, 1, 30, 18, 30, tzinfo=utc),
        "D": dt.datetime(2024, 1, 31, 4, 30, tzinfo=utc),
    }


def test_money_without_a_currency_is_the_accounts_then_the_companys(tmp_path: Path) -> None:
    ExchangeRate.objects.create(currency="CHF", rate=Decimal("1.05"))
    load("accounts", tmp_path, "external_id,name,currency\nA,Alpha,CHF\nB,Beta,\n")

    load(
        "orders",
        tmp_path,
        "external_id,account,ordered_at,amount,currency\n1,A,2024-01-31,1,\n2,B,2024-01-31,1,\n3,B,2024-01-31,1,chf\n",
    )

    assert dict(Order.objects.values_list("external_id", "currency")) == {"1": "CHF", "2": "EUR", "3": "CHF"}


def test_owners_are_found_by_email_and_unknown_ones_refused(tmp_path: Path) -> None:
    rep = UserFactory(email="rep@ours.example")
    body = "external_id,name,original_salesperson,account_manager\nA,Alpha,REP@ours.example,\nB,Beta,who@ours.example,\n"

    run = load("accounts", tmp_path, body)

    assert Account.objects.get().original_salesperson == rep
    assert reasons(run) == [(3, "original_salesperson", "is nobody's e-mail here; add that person first")]
    again = load("accounts", tmp_path, "external_id,name,original_salesperson\nA,Alpha,\n")
    assert counts(again) == (0, 0, 1, 0)
    assert Account.objects.get().original_salesperson == rep


def test_parents_may_come_later_in_the_file(tmp_path: Path) -> None:
    run = load(
        "accounts",
        tmp_path,
        "external_id,name,parent\nB,Beta,A\nA,Alpha,\nC,Gamma,B\nD,Delta,nobody\nE,Eta,D\n",
    )

    assert counts(run) == (3, 0, 0, 2)
    assert dict(Account.objects.values_list("external_id", "parent__external_id")) == {
        "A": None,
        "B": "A",
        "C": "B",
    }
    again = load("accounts", tmp_path, "external_id,name,parent\nB,Beta,A\nA,Alpha,\nC,Gamma,B\n")
    assert counts(again) == (0, 0, 3, 0)


def test_contacts_are_known_by_id_then_by_email(tmp_path: Path) -> None:
    load("accounts", tmp_path, "external_id,name\nA,Alpha\nB,Beta\n")
    load(
        "contacts", tmp_path, "external_id,account,name,email\n1,A,Ann,ann@a.example\n2,B,Ann,ann@a.example\n"
    )

    run = load(
        "contacts",
        tmp_path,
        "external_id,account,name,email,role\n9,A,Ann Smith,ANN@a.example,champion\n8,B,Bob,bob@b.example,\n",
    )

    assert counts(run) == (1, 1, 0, 0)
    assert Contact.objects.filter(account__external_id="A").values_list(
        "external_id", "name", "role"
    ).get() == ("1", "Ann Smith", "champion")


def test_every_kind_comes_in_and_comes_in_once(tmp_path: Path) -> None:
    UserFactory(email="rep@ours.example")
    files = {
        "accounts": "external_id,name\nA,Alpha\n",
        "contacts": "external_id,account,name,marketing_consent\n1,A,Ann,yes\n",
        "products": "sku,name,unit_price\nP1,Pen,1.50\nP2,Pad,2\n",
        "orders": "external_id,account,ordered_at,amount\nO1,A,2024-01-31,5\n",
        "order_lines": "order,sku,quantity,unit_price\nO1,P1,2,1.50\nO1,P1,1,1.50\nO1,P2,1,2.00\n",
        "contracts": "external_id,account,starts_on,ends_on,annual_value,auto_renews\nK1,A,2024-01-01,2024-12-31,1200,no\n",
        "interactions": "account,happened_at,kind,contact,user,subject\nA,2024-02-01 10:00,call,1,rep@ours.example,Hello\nA,2024-02-01 10:00,call,1,rep@ours.example,Again\n",
        "issues": "external_id,account,opened_at,severity,description\nI1,A,2024-02-01,high,Late\n",
        "promises": "account,text,made_by,made_on,due_on\nA,A call,rep@ours.example,2024-02-01,2024-02-08\n",
        "enquiries": "external_id,contact,received_at,next_step\nE1,1,2024-02-01,Answer\n",
    }
    assert set(files) == set(KINDS)
    for kind, body in files.items():
        run = load(kind, tmp_path, body)
        assert (run.rows_created, run.rows_rejected) == (body.count("\n") - 1, 0), (kind, reasons(run))
    for kind, body in files.items():
        assert counts(load(kind, tmp_path, body)) == (0, 0, body.count("\n") - 1, 0), kind
    assert Product.objects.count() == 2
    assert OrderLine.objects.count() == 3
    assert Contract.objects.get().annual_value == Decimal("1200.00")
    assert Interaction.objects.filter(contact__name="Ann").count() == 2
    assert Issue.objects.get().severity == "high"
    assert Promise.objects.get().status == "open"
    assert Enquiry.objects.get().account.external_id == "A"


def test_what_a_contact_was_for_is_never_guessed_and_never_wiped(tmp_path: Path) -> None:
    load("accounts", tmp_path, "external_id,name\nA,Alpha\n")
    head, rows = "account,happened_at,kind,external_id", ("call,1", "ticket,2", "call,3")
    without = "".join(f"A,2024-02-01 10:00,{row}\n" for row in rows)
    load("interactions", tmp_path, f"{head}\n{without}")
    said = Interaction.objects.order_by("external_id").values_list("message_class", flat=True)
    assert list(said) == ["", "service", ""]
    classes = zip(rows, ("promotion", "", "nonsense"), strict=True)
    run = load(
        "interactions",
        tmp_path,
        f"{head},message_class\n" + "".join(f"A,2024-02-01 10:00,{row},{name}\n" for row, name in classes),
    )
    assert run.rows_rejected == 1
    assert list(said.all()) == ["promotion", "service", ""]


def test_references_are_checked_row_by_row(tmp_path: Path) -> None:
    load("accounts", tmp_path, "external_id,name\nA,Alpha\nB,Beta\n")
    load("contacts", tmp_path, "external_id,account,name\n1,A,Ann\n")

    run = load(
        "enquiries",
        tmp_path,
        "external_id,account,contact,received_at\n1,B,1,2024-01-01\n2,,,2024-01-01\n3,A,9,2024-01-01\n4,,1,2024-01-01\n",
    )
    lines = load("order_lines", tmp_path, "order,sku,quantity,unit_price\nX,Y,1,1\n")

    assert [(line, column, reason.split(";")[0]) for line, column, reason in reasons(run)] == [
        (2, "contact", "is a contact of another account"),
        (3, "", "has neither account nor contact"),
        (4, "contact", "is no known contact"),
    ]
    assert counts(run) == (1, 0, 0, 3)
    assert (
        reasons(lines) == [(2, "sku", "is no known product; import the products first")]
        or "no known order" in reasons(lines)[0][2]
    )


def test_records_in_memory_take_the_same_door() -> None:
    rows = [
        {"external_id": "1", "account": "A", "ordered_at": "2024-01-31", "amount": Decimal("5.10")},
        {
            "external_id": "2",
            "account": "A",
            "ordered_at": dt.datetime(2024, 1, 31, 10, tzinfo=dt.UTC),
            "amount": 7,
        },
        {"external_id": "3", "account": "A", "ordered_at": "2024-01-31", "amount": 1e308},
    ]

    run = import_rows("orders", rows, source="api", create_accounts=True)

    assert counts(run) == (2, 0, 0, 1)
    assert reasons(run)[0][:2] == (3, "amount")
    assert sorted(Order.objects.values_list("amount", flat=True)) == [Decimal("5.10"), Decimal("7.00")]


def test_records_with_an_unknown_field_are_refused() -> None:
    with pytest.raises(IngestError, match="accounts have no field colour"):
        import_rows("accounts", [{"external_id": "1", "name": "A", "colour": "red"}], source="api")

    assert not ImportRun.objects.exists()


def test_what_was_done_is_on_record(tmp_path: Path) -> None:
    run = load("orders", tmp_path, ORDERS, create_accounts=True)

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject_id, entry.detail["rows"]) == ("import_records", run.pk, 3)
    assert Order.objects.filter(import_run=run).count() == 3


def test_a_database_that_refuses_leaves_one_sentence_and_nothing_else(tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_order ADD CONSTRAINT no_tens CHECK (amount <> 10) NOT VALID")

    with pytest.raises(IngestError, match="nothing was imported"):
        load("orders", tmp_path, ORDERS, create_accounts=True)

    assert ImportRun.objects.get().state == ImportState.FAILED
    assert not Account.objects.exists()


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(
    lambda text: text.strip()
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.uuids(), NAMES), min_size=1, max_size=8))
def test_whatever_is_exported_comes_in_as_it_was(tmp_path: Path, rows: list[tuple[Any, str]]) -> None:
    """Export safe against formulas, import, export again: the second import changes nothing."""
    source = str(uuid.uuid4())
    header = ["external_id", "name"]
    table = [[str(number), " ".join(name.split())] for number, name in rows]
    body = "".join(csv_lines(header, table))

    run = load("accounts", tmp_path, body, source=source)
    kept = {
        str(number): name
        for number, name in Account.objects.values_list("external_id", "name").filter(import_run=run)
    }
    again = load(
        "accounts", tmp_path, "".join(csv_lines(header, [list(row) for row in kept.items()])), source=source
    )

    wanted = {number: unicodedata.normalize("NFC", name) for number, name in table}
    assert kept == {number: name for number, name in wanted.items() if number in kept}
    assert run.rows_created + run.rows_unchanged + run.rows_rejected == len(rows)
    assert (again.rows_created, again.rows_changed, again.rows_unchanged) == (0, 0, len(kept))
