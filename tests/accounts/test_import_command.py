"""import_records as a person or a script runs it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account, Order

pytestmark = pytest.mark.django_db


def run(*arguments: str | Path) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("import_records", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text("Customer,Booked,Sum,Colour\nA,2024-01-31,1\nB,2024-01-31,x,red\nB,2024-01-31,2,red\n")
    return path


MAPPING = ("--map", "Customer=account,Booked=ordered_at,Sum=amount")


def test_counts_are_printed_at_the_end_and_refused_rows_before(orders: Path) -> None:
    out, err = run("orders", orders, "--create-accounts", *MAPPING)

    assert "Imported 3 orders from orders.csv" in out
    assert "1 new, 0 changed, 0 unchanged, 2 refused, 1 accounts created" in out
    assert err.splitlines() == ["line 2: has 3 cells where the header has 4", "line 3, Sum 'x': is no number"]


def test_again_changes_nothing_and_says_so(orders: Path) -> None:
    run("orders", orders, "--create-accounts", *MAPPING)
    assert "Nothing changed." in run("orders", orders, "--create-accounts", *MAPPING)[0]


def test_dry_run_writes_nothing(orders: Path) -> None:
    out, _ = run("orders", orders, "--create-accounts", "--dry-run", *MAPPING)

    assert out.startswith("Would import 3 orders")
    assert not Order.objects.exists()
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("orders", "nowhere.csv"), "There is no file nowhere.csv"),
        (("invoices", "{orders}"), "There is no record kind 'invoices'; use one of accounts, contacts"),
        (
            ("orders", "{orders}"),
            "no column for ordered_at: found 'Customer', 'Booked', 'Sum', 'Colour'",
        ),
        (
            ("orders", "{orders}", "--map", "Client=account"),
            "has no column 'Client', which the mapping names",
        ),
        (
            ("orders", "{orders}", "--map", "Customer=client"),
            "'client' (for 'Customer') is no column of orders",
        ),
        (("orders", "{orders}", "--map", "Customer"), "is not of the form 'Their Column=our_column'"),
        (
            ("orders", "{orders}", "--map", "Customer=account,Sum=account"),
            "Two columns are mapped to account",
        ),
        (("orders", "{orders}", *MAPPING, "--source", " "), "The source needs a name"),
        (
            ("orders", "{orders}", *MAPPING, "--all-or-nothing"),
            "3 of 3 rows were refused, so none was imported",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(orders: Path, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*(argument.replace("{orders}", str(orders)) for argument in arguments))

    assert sentence in str(refused.value)
    assert not Order.objects.exists()
