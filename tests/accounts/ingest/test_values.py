"""One cell at a time: what is taken, in which form, and what is refused with which words."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.ingest.schema import KINDS, Column, Type
from accounts.ingest.values import Bad, DateOrder, NumberStyle, Reading, reader_for, unguard_cell
from accounts.spreadsheets import safe_text

BERLIN = Reading(ZoneInfo("Europe/Berlin"), dt.date(2026, 6, 30), frozenset({"EUR", "CHF"}))
POINT, COMMA = NumberStyle.POINT, NumberStyle.COMMA


def read(type_: Type, text: str, style: Any = None, **column: Any) -> Any:
    answer = reader_for(Column("x", type_, **column), style, BERLIN)[text]
    return answer.reason if isinstance(answer, Bad) else answer


@pytest.mark.parametrize(
    ("text", "style", "value"),
    [
        ("12", None, "12"),
        ("12.5", POINT, "12.5"),
        ("1,234.56", POINT, "1234.56"),
        ("12,34,567.89", POINT, "1234567.89"),
        ("1.234,56", COMMA, "1234.56"),
        ("1.234", COMMA, "1234.00"),
        ("1 234,56", COMMA, "1234.56"),
        ("1'234.50", POINT, "1234.50"),
        ("\u2212 5.00", POINT, "-5.00"),
        ("(5.00)", POINT, "-5.00"),
        ("5.00-", POINT, "-5.00"),
        ("+5", POINT, "5.00"),
        (".5", POINT, "0.50"),
        ("1.005", POINT, "1.01"),
        ("'-5.00", POINT, "-5.00"),
    ],
)
def test_amounts(text: str, style: NumberStyle | None, value: str) -> None:
    assert read(Type.MONEY, text, style) == value


@pytest.mark.parametrize(
    ("text", "style", "why"),
    [
        ("12,50", POINT, "does not fit the column"),
        ("1.2.3", POINT, "does not fit the column"),
        ("12.50", COMMA, "does not fit the column"),
        ("1.234", None, "two ways"),
        ("1e5", POINT, "scientific"),
        ("NaN", POINT, "no number"),
        ("$5", POINT, "currency signs"),
        ("1" * 17, POINT, "more than 16 digits"),
        ("--5", POINT, "no plain number"),
    ],
)
def test_amounts_refused(text: str, style: NumberStyle | None, why: str) -> None:
    assert why in read(Type.MONEY, text, style)


@given(st.decimals(-(10**15), 10**15, places=2))
def test_every_amount_survives_both_styles(value: Decimal) -> None:
    english = f"{value:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert Decimal(read(Type.MONEY, english, POINT)) == value
    assert Decimal(read(Type.MONEY, german, COMMA)) == value


@pytest.mark.parametrize(
    ("text", "order", "value"),
    [
        ("2024-01-31", None, "2024-01-31"),
        ("2024/1/31", None, "2024-01-31"),
        ("20240131", None, "2024-01-31"),
        ("31.01.2024", None, "2024-01-31"),
        ("03.04.24", None, "2024-04-03"),
        ("04/04/2024", None, "2024-04-04"),
        ("3/4/2024", DateOrder.DAY_FIRST, "2024-04-03"),
        ("3/4/2024", DateOrder.MONTH_FIRST, "2024-03-04"),
        ("03-04-99", DateOrder.DAY_FIRST, "1999-04-03"),
        ("31 January 2024", None, "2024-01-31"),
        ("Jan 31, 2024", None, "2024-01-31"),
        ("31-Mär-24", None, "2024-03-31"),
        ("Wed, 31 Jan 2024", None, "2024-01-31"),
        ("2024-01-31 00:00:00", None, "2024-01-31"),
        ("2024-02-29", None, "2024-02-29"),
        ("null", None, None),
    ],
)
def test_dates(text: str, order: DateOrder | None, value: str | None) -> None:
    assert read(Type.DATE, text, order) == value


@pytest.mark.parametrize(
    ("text", "order", "why"),
    [
        ("2023-02-29", None, "does not exist"),
        ("03/04/2024", None, "two ways"),
        ("31/01/2024", DateOrder.MONTH_FIRST, "month comes first"),
        ("0000-00-00", None, "does not exist"),
        ("1899-12-30", None, "before 1950"),
        ("2026-07-05", None, "future"),
        ("45322", None, "spreadsheet's day number"),
        ("yesterday", None, "no date"),
    ],
)
def test_dates_refused(text: str, order: DateOrder | None, why: str) -> None:
    assert why in read(Type.DATE, text, order, not_future=True)


def moment(text: str) -> dt.datetime:
    answer = read(Type.TIME, text)
    assert isinstance(answer, str)
    return dt.datetime.fromisoformat(answer)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-31 10:00:00", "2024-01-31 09:00"),
        ("2024-07-31 10:00", "2024-07-31 08:00"),
        ("2024-01-31T10:00:00Z", "2024-01-31 10:00"),
        ("2024-01-31T10:00:00.250+05:30", "2024-01-31 04:30:00.250000"),
        ("2024-01-31", "2024-01-30 23:00"),
        ("31.01.2024 5:30 PM", "2024-01-31 16:30"),
        ("31.01.2024, 12:05 am", "2024-01-30 23:05"),
        ("2024-03-31 01:30", "2024-03-31 00:30"),
        ("2024-03-31 03:30", "2024-03-31 01:30"),
        ("2024-10-27 12:00", "2024-10-27 11:00"),
    ],
)
def test_moments(text: str, utc: str) -> None:
    assert moment(text) == dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC)


@given(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2026, 6, 1)))
def test_the_quick_way_and_the_slow_way_agree(local: dt.datetime) -> None:
    """Days in which the offset changes are read with care, all others with one offset for the day."""
    local = local.replace(microsecond=0)
    expected = local.replace(tzinfo=BERLIN.zone).astimezone(dt.UTC)
    assert moment(f"{local:%Y-%m-%d %H:%M:%S}") == expected


@pytest.mark.parametrize(
    ("type_", "text", "column", "value"),
    [
        (Type.TEXT, "  a   b ", {}, "a b"),
        (Type.TEXT, "a\nb", {}, "a b"),
        (Type.LONG_TEXT, "a\nb", {"max_length": 9}, "a\nb"),
        (Type.TEXT, "Mu\u0308ller", {}, "Müller"),
        (Type.TEXT, "\ufeffA\u200b", {}, "A"),
        (Type.TEXT, "null", {}, "null"),
        (Type.TEXT, "'=1+1", {}, "=1+1"),
        (Type.EMAIL, " Ann@Example.COM ", {}, "ann@example.com"),
        (Type.BOOLEAN, "Yes", {}, "t"),
        (Type.BOOLEAN, "0", {}, "f"),
        (Type.CURRENCY, "chf", {}, "CHF"),
        (Type.CURRENCY, "€", {}, "EUR"),
        (Type.CHOICE, "Decision Maker", {"choices": ("decision_maker",)}, "decision_maker"),
        (Type.CHOICE, "Canceled", {"choices": ("cancelled",)}, "cancelled"),
        (Type.INTEGER, "30", {}, "30"),
        (Type.NUMBER, "1.5", {}, None),
    ],
)
def test_other_cells(type_: Type, text: str, column: dict[str, Any], value: str | None) -> None:
    style = POINT if type_ is Type.NUMBER else None
    assert read(type_, text, style, **column) == (value if type_ is not Type.NUMBER else "1.5")


@pytest.mark.parametrize(
    ("type_", "text", "why"),
    [
        (Type.EMAIL, "ann@", "no e-mail"),
        (Type.EMAIL, "a b@c.d", "no e-mail"),
        (Type.BOOLEAN, "maybe", "neither yes nor no"),
        (Type.CURRENCY, "USD", "without an exchange rate"),
        (Type.INTEGER, "1.5", "no whole number"),
        (Type.INTEGER, "99999", "outside"),
        (Type.TEXT, "a\x00b", "NUL"),
        (Type.TEXT, "a\x9db", "control"),
        (Type.TEXT, "\ufffd", "no text in any encoding"),
    ],
)
def test_other_cells_refused(type_: Type, text: str, why: str) -> None:
    assert why in read(type_, text)


@given(st.sampled_from([column for kind in KINDS.values() for column in kind.columns]), st.text(max_size=60))
def test_no_cell_makes_a_reader_stumble(column: Column, text: str) -> None:
    answer = reader_for(column, None, BERLIN)[text]
    assert answer is None or isinstance(answer, str | Bad)


@given(st.text())
def test_guarded_cells_come_back_as_they_were(text: str) -> None:
    assert unguard_cell(safe_text(text)) == text
