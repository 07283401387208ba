"""Bodies that are lists of records: one JSON object a line (NDJSON), or CSV with a header."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser

Row = dict[str, Any]


class Rows(list[Row]):
    """What such a body holds; options of the call stand in its query."""


def _text(stream: IO[bytes]) -> str:
    try:
        return stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise ParseError(f"The body is not UTF-8: {fault.reason} at byte {fault.start}.") from None


class NdjsonParser(BaseParser):
    """One object a line; empty lines are passed over (github.com/ndjson/ndjson-spec, 3.1)."""

    media_type = "application/x-ndjson"

    def parse(  # type: ignore[override]  # a list, not a mapping
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Rows:
        lines = [line for line in _text(stream).split("\n") if line.strip()]
        return Rows(_object(line, position) for position, line in enumerate(lines))


def _object(line: str, position: int) -> Row:
    try:
        row = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as fault:
        raise ValidationError({f"rows.{position}": f"This line is not JSON: {fault}."}) from None
    if not isinstance(row, dict):
        raise ValidationError({f"rows.{position}": "Each line has to be an object."})
    return row


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class CsvParser(BaseParser):
    """Comma-separated with a header of our column names (RFC 4180); an empty cell is an empty value."""

    media_type = "text/csv"

    def parse(  # type: ignore[override]  # a list, not a mapping
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Rows:
        lines = csv.reader(io.StringIO(_text(stream), newline=""), strict=True)
        try:
            header = next(lines, [])
            return Rows(_records(header, lines))
        except csv.Error as fault:
            raise ParseError(f"Line {lines.line_num} is not CSV: {fault}.") from None


def _records(header: list[str], lines: Iterator[list[str]]) -> Iterator[Row]:
    if len(set(header)) < len(header):
        raise ValidationError({"rows": "A column stands twice in the header."})
    for position, cells in enumerate(cells for cells in lines if cells):
        if len(cells) != len(header):
            reason = f"This line has {len(cells)} cells, the header {len(header)}."
            raise ValidationError({f"rows.{position}": reason})
        yield dict(zip(header, cells, strict=True))
