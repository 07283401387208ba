"""Which column is which: our names, common names, guesses, and the words when it does not work out."""

from __future__ import annotations

import pytest

from accounts.ingest.errors import IngestError
from accounts.ingest.headers import find_layout, guess_kind, parse_mapping, suggest
from accounts.ingest.schema import KINDS
from accounts.ingest.sniff import RawBatch


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("customer,date,amount", "orders"),
        ("customer_id,order_id,ordered_at,amount,quantity,n_products", "orders"),
        ("Invoice No;Customer ID;Invoice Date;Total", "orders"),
        ("Kundennummer;Bestelldatum;Betrag", "orders"),
        ("CustomerID,InvoiceDate,GrandTotal", "orders"),
        ("external_id,name,segment,region", "accounts"),
        ("Customer ID,Customer Name,Industry,Country", "accounts"),
        ("external_id,account,name,email,phone", "contacts"),
        ("sku,name,unit_price", "products"),
        ("order,sku,quantity,unit_price", "order_lines"),
        ("external_id,account,starts_on,ends_on,annual_value", "contracts"),
        ("account,happened_at,kind,subject", "interactions"),
        ("external_id,account,opened_at,severity,description", "issues"),
        ("account,text,made_by,made_on,due_on", "promises"),
        ("external_id,contact,received_at,responded_at", "enquiries"),
    ],
)
def test_kinds_are_guessed_from_the_header(header: str, kind: str) -> None:
    names = header.replace(";", ",").split(",")
    assert guess_kind(names) == kind
    assert set(KINDS[kind].required) <= set(suggest(names, KINDS[kind]).values())


def test_a_mapping_is_read_from_text() -> None:
    assert parse_mapping("Their Column=account, Sum = amount") == {"Their Column": "account", "Sum": "amount"}
    assert parse_mapping('"Sum, net=amount",a=b=cost') == {"Sum, net": "amount", "a=b": "cost"}


def test_what_is_told_goes_before_what_is_guessed() -> None:
    batch = RawBatch([["Customer", "Date", "Amount", "Net"]], [1])
    layout = find_layout(batch, KINDS["orders"], {"Net": "amount"}, "x.csv")
    assert layout.positions == {"account": 0, "ordered_at": 1, "amount": 3}
    assert layout.ignored == ("Amount",)


def test_without_guessing_a_column_left_out_stays_out() -> None:
    batch = RawBatch([["Customer", "Date", "Amount", "Status"]], [1])
    mapping = {"Customer": "account", "Date": "ordered_at", "Amount": "amount"}
    assert find_layout(batch, KINDS["orders"], mapping, "x.csv", guess=False).ignored == ("Status",)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_our_own_names_are_always_understood(kind) -> None:
    layout = find_layout(RawBatch([list(kind.names)], [1]), kind, {}, "x.csv")
    assert [layout.positions[name] for name in kind.names] == list(range(len(kind.names)))


def test_an_unusable_header_names_what_is_there_and_what_is_wanted() -> None:
    with pytest.raises(IngestError) as refused:
        find_layout(RawBatch([["a", "b"]], [1]), KINDS["contacts"], {}, "x.csv")
    assert "found 'a', 'b'" in str(refused.value)
    assert "contacts want external_id, account, name" in str(refused.value)
