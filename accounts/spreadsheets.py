"""Tables to take away: CSV and XLSX in which no cell can act as a formula. Plain Python."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

import xlsxwriter

# What spreadsheet programs read as the beginning of a formula, or as white space before one.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_text(value: str) -> str:
    """Text that no spreadsheet program will calculate: a leading apostrophe where it would begin a formula.
    An import takes exactly that apostrophe away again, so text that has one of its own gets a second."""
    return "'" + value if value.lstrip("'").startswith(FORMULA_STARTS) else value


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return value


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The table as CSV, a line at a time; starts with a byte order mark so that Excel reads it as UTF-8."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(header)
    yield _drain(buffer)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        yield _drain(buffer)


def _drain(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def write_xlsx(file: IO[bytes], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The table as an Excel workbook, row by row, so memory does not grow with it."""
    book = xlsxwriter.Workbook(
        file, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    sheet = book.add_worksheet()
    bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(header) - 1, 18)
    sheet.write_row(0, 0, header, bold)
    for number, row in enumerate(rows, start=1):
        for column, value in enumerate(row):
            if isinstance(value, dt.date):
                sheet.write_datetime(number, column, value, day)
            elif isinstance(value, str):
                # A text in a workbook is never calculated; but an import takes an apostrophe before a sign away.
                sheet.write_string(number, column, safe_text(value) if value.startswith("'") else value)
            elif isinstance(value, Decimal | int | float):
                sheet.write_number(number, column, float(value))
    book.close()
