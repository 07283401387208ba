"""What the care loop wrote down is taken away by whoever may see it, with what people read, and no formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from openpyxl import load_workbook

from accounts.models import Disclosure, Term
from pulsecheck.exports import TABLES
from pulsecheck.models import PulseTheme
from tests.factories import (
    AbsenceFactory,
    ActionFactory,
    AuditPickFactory,
    Cast,
    ContractFactory,
    HandbackAttemptFactory,
    HandbackFactory,
    HandoffFactory,
    InsightFactory,
    PulseCheckFactory,
    ReferenceFactory,
    SurveyAnswerFactory,
    TouchpointFactory,
    date_ago,
    make_cast,
)

OF_OUR_OWN = {"insights", "absences"}  # seen by colleagues who do not see the account


@pytest.fixture
def cast(committed_db: None) -> Cast:
    return make_cast()


def fill(cast: Cast) -> None:
    """A row in every table about the account of the cast."""
    account = cast.account
    handback = HandbackFactory(account=account, salesperson=cast.owner)
    HandbackAttemptFactory(handback=handback, user=cast.owner, note="=1+1")
    TouchpointFactory(account=account, assignee=cast.owner)
    pulse = PulseCheckFactory(account=account, taken_by=cast.owner, note='=HYPERLINK("x")')
    pulse.themes.set(PulseTheme.objects.filter(code__in=["price", "delivery"]))
    SurveyAnswerFactory(survey__account=account, account=account)
    AuditPickFactory(account=account)
    HandoffFactory(account=account)
    Disclosure.objects.create(
        contract=ContractFactory(account=account),
        term=Term.objects.earliest("pk"),
        explained_on=date_ago(3),
        explained_by=cast.owner,
    )
    ActionFactory(account=account, owner=cast.owner)
    ReferenceFactory(account=account)
    InsightFactory()
    AbsenceFactory(person=cast.owner, substitute=cast.teammate)


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def taken(client: Client, name: str) -> list[dict[str, str]]:
    text = content(client.get(f"/exports/care/{name}.csv")).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", TABLES)
def test_a_row_is_taken_away_and_strangers_get_none(cast: Cast, client: Client, name: str) -> None:
    fill(cast)
    table = TABLES[name]
    assert len(set(table.header)) == len(table.paths), table.header
    client.force_login(cast.owner)
    (row,) = taken(client, name)
    assert list(row) == table.header
    book = load_workbook(io.BytesIO(content(client.get(f"/exports/care/{name}.xlsx"))))
    assert [cell.value for cell in book.active[1]] == table.header
    assert book.active.max_row == 2
    client.force_login(cast.stranger)
    if name not in OF_OUR_OWN:
        assert taken(client, name) == []


def test_people_accounts_and_themes_are_named(cast: Cast, client: Client) -> None:
    fill(cast)
    client.force_login(cast.owner)
    (handback,) = taken(client, "handbacks")
    assert handback["account"] == cast.account.external_id
    assert handback["account_name"] == cast.account.name
    assert handback["salesperson"] == cast.owner.email
    (pulse,) = taken(client, "pulse_checks")
    assert set(pulse["theme_codes"].split()) == {"price", "delivery"}
    assert pulse["note"].startswith("'="), "a spreadsheet would work it out"
    (attempt,) = taken(client, "handback_attempts")
    assert attempt["handback"] == handback["id"]


def test_a_check_with_two_themes_is_one_row_and_one_without_is_there(cast: Cast, client: Client) -> None:
    fill(cast)
    PulseCheckFactory(account=cast.account, taken_by=cast.owner)
    client.force_login(cast.owner)
    assert [len(row["theme_codes"].split()) for row in taken(client, "pulse_checks")] == [2, 0]


def test_what_we_agree_among_ourselves_is_not_for_marketing(cast: Cast, client: Client) -> None:
    fill(cast)
    client.force_login(cast.marketing)
    page = client.get("/exports/").content.decode()
    for name, table in TABLES.items():
        is_open = cast.marketing.role in table.roles
        assert client.get(f"/exports/care/{name}.csv").status_code == (200 if is_open else 404)
        assert (f"/exports/care/{name}.csv" in page) == is_open
    assert {name for name, table in TABLES.items() if cast.marketing.role not in table.roles} == {
        "handoffs", "disclosures", "actions", "absences",
    }  # fmt: skip


def test_there_is_no_other_table(cast: Cast, client: Client) -> None:
    client.force_login(cast.administrator)
    assert client.get("/exports/care/secrets.csv").status_code == 404


def test_rows_come_from_a_cursor(
    cast: Cast, client: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    TouchpointFactory.create_batch(
        30, account=cast.account, assignee=cast.owner, state="done", finished_on=date_ago(1)
    )
    client.force_login(cast.administrator)
    with django_assert_max_num_queries(8):
        assert len(taken(client, "touchpoints")) == 30
