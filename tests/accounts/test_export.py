"""What is taken away can be brought back: the same records, unchanged; nothing hidden, no formula."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.ingest.load import ImportOptions, import_file, start_import
from accounts.ingest.merge import MODELS
from accounts.ingest.schema import KINDS
from accounts.models import Account, ChurnReason, Contract
from tests.factories import (
    AccountFactory,
    Cast,
    ContactFactory,
    ContractFactory,
    EnquiryFactory,
    InteractionFactory,
    IssueFactory,
    OrderFactory,
    OrderLineFactory,
    ProductFactory,
    PromiseFactory,
    make_cast,
)


@pytest.fixture
def cast(committed_db: None) -> Cast:
    return make_cast()


def fill(cast: Cast) -> None:
    """A record of every kind with everything a spreadsheet could spoil, all of one source."""
    odd = AccountFactory(
        name="=HYPERLINK(\"x\")", segment="'+quoted", region="- minus", parent=cast.account, account_manager=cast.teammate,
        original_salesperson=cast.owner, acquisition_cost="1234567890123456.78", became_customer_on="2020-02-29", country="Österreich 🇦🇹",
    )  # fmt: skip
    contact = ContactFactory(
        account=odd, name="@Ann", phone="+49 40 123", is_active=False, left_on="2025-01-31"
    )
    order = OrderFactory(account=odd, amount="-12.30", cost="0.01", status="returned")
    OrderLineFactory(
        order=order,
        product=ProductFactory(name='Cups, "big"and small', unit_price="9.95"),
        quantity="1.250",
    )
    ContractFactory(account=odd, churn_reason=ChurnReason.objects.earliest("pk"), cancelled_on="2026-01-01")
    InteractionFactory(account=odd, contact=contact, user=cast.owner, subject="=1+1", note="two\nlines")
    IssueFactory(account=odd, owner=cast.owner, description="-no")
    PromiseFactory(account=odd, made_by=cast.owner, text="A list")
    EnquiryFactory(account=odd, contact=contact, owner=cast.owner)
    for model in MODELS.values():
        if hasattr(model, "record_source"):
            model._default_manager.update(record_source="file")


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_what_comes_back_changes_nothing(cast: Cast, client: Client, tmp_path: Path, form: str) -> None:
    fill(cast)
    client.force_login(cast.administrator)
    for kind in KINDS:
        path = tmp_path / f"{kind}.{form}"
        path.write_bytes(content(client.get(f"/exports/{kind}.{form}?source=file")))
        run = start_import(
            kind, source="file", file_name=path.name, options=ImportOptions(dates="", numbers="point")
        )
        run = import_file(run, path)
        count = MODELS[kind]._default_manager.count()
        outcome = (run.rows_created, run.rows_changed, run.rows_rejected, run.rows_unchanged)
        assert outcome == (0, 0, 0, count), (kind, [str(one) for one in run.rejected.all()], run.examples)


def test_only_what_one_sees(cast: Cast, client: Client) -> None:
    fill(cast)
    hidden = AccountFactory(name="Gasthof Linde")
    OrderLineFactory(order=OrderFactory(account=hidden, external_id="HIDDEN"))
    ContractFactory(account=hidden, external_id="HIDDEN")
    client.force_login(cast.owner)
    for kind in KINDS:
        told = content(client.get(f"/exports/{kind}.csv")).decode()
        assert "HIDDEN" not in told
        assert "Gasthof Linde" not in told
    assert "Hotel Seeblick" in content(client.get("/exports/accounts.csv")).decode()
    client.force_login(cast.stranger)
    assert "Hotel Seeblick" not in content(client.get("/exports/accounts.csv")).decode()


def test_rows_come_from_a_cursor(
    cast: Cast, client: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    Account.objects.bulk_create(
        AccountFactory.build(external_id=f"X{n}", name=f"Account {n}") for n in range(2500)
    )
    client.force_login(cast.administrator)
    with django_assert_max_num_queries(8):
        told = content(client.get("/exports/accounts.csv"))
    assert told.count(b"\r\n") == 1 + Account.objects.count()
    assert not Contract.objects.exists()


def test_there_is_no_other_kind(cast: Cast, client: Client) -> None:
    client.force_login(cast.administrator)
    assert client.get("/exports/secrets.csv").status_code == 404
    assert "Order lines" in client.get("/exports/").content.decode()
    assert io.BytesIO(content(client.get("/exports/orders.xlsx"))).getvalue()[:2] == b"PK"
