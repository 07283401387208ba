"""Taking an import back: exactly as it was, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.ingest.errors import IngestError
from accounts.ingest.undo import undo_import
from accounts.models import Account, Contact, Order
from accounts.models.imports import ImportState
from tests.accounts.test_import import load
from tests.factories import HandbackFactory, ScoreFactory, TouchpointFactory, UserFactory

pytestmark = pytest.mark.django_db
ACCOUNTS = "external_id,name,segment\nA,Alpha,Retail\nB,Beta,Retail\n"


def rows() -> list[dict[str, Any]]:
    return list(Account.objects.order_by("pk").values())


def test_created_and_changed_rows_are_as_before(tmp_path: Path) -> None:
    load("accounts", tmp_path, ACCOUNTS)
    before = rows()
    run = load(
        "accounts", tmp_path, "external_id,name,segment\nA,Alpha & Co,Wholesale\nB,Beta,Retail\nC,Gamma,\n"
    )

    undone = undo_import(run.pk, UserFactory())

    assert undone.state == ImportState.UNDONE
    assert undone.undone_at is not None
    assert rows() == before


def test_accounts_made_by_an_orders_file_go_with_it(tmp_path: Path) -> None:
    run = load("orders", tmp_path, "customer,date,amount\nA,2024-01-31,1\n", create_accounts=True)
    ScoreFactory(account=Account.objects.get())
    TouchpointFactory(account=Account.objects.get(), state="planned")

    undo_import(run.pk)

    assert not Order.objects.exists()
    assert not Account.objects.exists()


def test_imports_are_undone_last_first(tmp_path: Path) -> None:
    first = load("accounts", tmp_path, ACCOUNTS)
    second = load("accounts", tmp_path, "external_id,name\nA,Alpha & Co\n")

    with pytest.raises(
        IngestError, match=f"1 account of this import came again in import {second.pk}; undo that one first"
    ):
        undo_import(first.pk)

    assert Account.objects.count() == 2
    undo_import(second.pk)
    undo_import(first.pk)
    assert not Account.objects.exists()


def test_what_hangs_on_created_rows_keeps_them(tmp_path: Path) -> None:
    run = load("accounts", tmp_path, ACCOUNTS)
    load("contacts", tmp_path, "external_id,account,name\n1,A,Ann\n")

    with pytest.raises(IngestError, match="1 contact recorded since belong to accounts of this import"):
        undo_import(run.pk)

    assert (Account.objects.count(), Contact.objects.count()) == (2, 1)


def test_work_of_people_keeps_them_too(tmp_path: Path) -> None:
    run = load("accounts", tmp_path, ACCOUNTS)
    HandbackFactory(account=Account.objects.first())

    with pytest.raises(IngestError, match="cannot be undone as a whole"):
        undo_import(run.pk)


def test_rows_edited_by_hand_are_not_overwritten(tmp_path: Path) -> None:
    load("accounts", tmp_path, ACCOUNTS)
    run = load("accounts", tmp_path, "external_id,name\nA,Alpha & Co\n")
    account = Account.objects.get(external_id="A")
    account.region = "North"
    account.save()

    with pytest.raises(IngestError, match="1 account of this import were edited since"):
        undo_import(run.pk)


@pytest.mark.parametrize("kind", ["preview", "twice"])
def test_only_a_finished_import_can_be_undone(tmp_path: Path, kind: str) -> None:
    run = load("accounts", tmp_path, ACCOUNTS, dry=kind == "preview")
    if kind == "twice":
        undo_import(run.pk)

    with pytest.raises(IngestError, match="Only a finished import can be undone"):
        undo_import(run.pk)
