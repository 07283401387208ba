"""Rows of a table as columns of canonical text, and the rows that were refused with line, column, value and reason.

Works on batches column by column, so that the cost of a repeated cell is one dictionary look-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from accounts.ingest.errors import IngestError
from accounts.ingest.headers import Layout, find_layout
from accounts.ingest.schema import Column, Kind, Type, columns_of
from accounts.ingest.sniff import RawBatch, Table
from accounts.ingest.styles import Evidence, settle
from accounts.ingest.values import Bad, Cell, DateOrder, NumberStyle, Reading, Style, reader_for, repair_bytes

SHOWN = 500
MAX_KEPT_CELL = 100_000


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not taken: where, which cell, why, and the row as it stood in the file."""

    line: int
    column: str
    value: str
    reason: str
    raw: list[str]


@dataclass(slots=True)
class Batch:
    """Good rows by column (our names, canonical text or None), the line of each, their raw cells, and the refused."""

    lines: list[int] = field(default_factory=list)
    columns: dict[str, list[str | None]] = field(default_factory=dict)
    raw: list[list[str]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person said about a file; empty means: find out. Without `guess`, unmapped columns stay out."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    guess: bool = True
    dates: DateOrder | None = None
    numbers: NumberStyle | None = None


class Parser:
    """Reads one table as records of one kind. Making it looks at the header and at how the file writes dates and
    numbers (IngestError, AmbiguousColumn); `batches` then streams the rows."""

    def __init__(self, table: Table, kind: Kind, reading: Reading, choices: Choices | None = None) -> None:
        self.table = table
        self.kind = kind
        choices = choices or Choices()
        first = next(iter(table.batches(200)), RawBatch())
        if not first.rows and first.broken:
            raise IngestError(
                f"{table.name} cannot be read: line {first.broken[0].line} {first.broken[0].reason}."
            )
        self.layout: Layout = find_layout(first, kind, choices.mapping, table.name, guess=choices.guess)
        self.columns = columns_of(kind, list(self.layout.positions))
        self.styles = self._settle_styles(choices)
        self.readers = {
            column.name: reader_for(column, self.styles.get(column.name), reading) for column in self.columns
        }

    def _settle_styles(self, choices: Choices) -> dict[str, Style]:
        """Told styles as told; the others from the columns, reading only as far as needed."""
        told: dict[str, Style] = {}
        evidence: list[Evidence] = []
        for column in self.columns:
            family = style_family(column)
            choice: Style = choices.dates if family is DateOrder else choices.numbers
            if family is not None and choice is not None:
                told[column.name] = choice
            elif family is not None:
                evidence.append(Evidence(column))
        self._gather(evidence)
        return told | settle(evidence)

    def _gather(self, evidence: list[Evidence]) -> None:
        for batch in self._data() if evidence else ():
            for one in evidence:
                index = self.layout.positions[one.column.name]
                one.observe(row[index] for row in batch.rows if len(row) > index)
            if all(one.is_settled for one in evidence):
                return

    def _data(self) -> Iterator[RawBatch]:
        """The raw batches without header and anything above it."""
        for batch in self.table.batches():
            start = 0
            while start < len(batch.lines) and batch.lines[start] <= self.layout.line:
                start += 1
            if start:
                batch = RawBatch(batch.rows[start:], batch.lines[start:], batch.broken)
            yield batch

    def batches(self) -> Iterator[Batch]:
        """All records of the table, in the order of the file."""
        for raw in self._data():
            yield self.parse(raw)

    def parse(self, raw: RawBatch) -> Batch:
        """The records of one batch of rows."""
        out = Batch()
        for broken in raw.broken:
            out.rejected.append(
                Rejected(broken.line, "", broken.text[:SHOWN], broken.reason, keep([broken.text]))
            )
        rows, lines = self._whole_rows(raw, out)
        cells = {name: self._read(name, rows) for name in self.readers}
        bad = self._bad_rows(cells, lines, rows, out)
        if bad:
            good = [i for i in range(len(rows)) if i not in bad]
            rows, lines = [rows[i] for i in good], [lines[i] for i in good]
            cells = {name: [column[i] for i in good] for name, column in cells.items()}
        out.lines, out.raw = lines, rows
        out.columns = cells  # type: ignore[assignment]  # the Bad ones were just taken out
        out.rejected.sort(key=lambda one: one.line)
        return out

    def _read(self, name: str, rows: list[list[str]]) -> list[Cell]:
        return list(map(self.readers[name].__getitem__, map(itemgetter(self.layout.positions[name]), rows)))

    def _whole_rows(self, raw: RawBatch, out: Batch) -> tuple[list[list[str]], list[int]]:
        """The rows as wide as the header; blank ones are dropped, ragged ones refused (or mended when only
        empty cells are missing or too many)."""
        width = len(self.layout.header)
        if set(map(len, raw.rows)) <= {width} and not any(not row[0] and not any(row) for row in raw.rows):
            return raw.rows, raw.lines
        rows, lines = [], []
        for row, line in zip(raw.rows, raw.lines, strict=True):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) < width and self.table.is_padded:
                row = row + [""] * (width - len(row))
            if len(row) < width or any(cell.strip() for cell in row[width:]):
                reason = f"has {len(row)} cells where the header has {width}"
                out.rejected.append(Rejected(line, "", "", reason, keep(row)))
                continue
            rows.append(row[:width])
            lines.append(line)
        return rows, lines

    def _bad_rows(
        self, cells: dict[str, list[Cell]], lines: list[int], rows: list[list[str]], out: Batch
    ) -> set[int]:
        """Report every row with a bad cell (the first one of the row) and return their indices."""
        bad: dict[int, tuple[str, Bad]] = {}
        for name, column in cells.items():
            if self.readers[name].has_bad:
                for index, value in enumerate(column):
                    if type(value) is Bad:
                        bad.setdefault(index, (name, value))
        for index, (name, value) in bad.items():
            header = self.layout.theirs[name]
            shown = printable(value.value[:SHOWN])
            out.rejected.append(Rejected(lines[index], header, shown, value.reason, keep(rows[index])))
        for index in self._lacking(cells, len(rows)):
            if index not in bad:
                reason = f"has neither {' nor '.join(self.kind.one_of)}"
                out.rejected.append(Rejected(lines[index], "", "", reason, keep(rows[index])))
                bad[index] = ("", Bad("", reason))
        return set(bad)

    def _lacking(self, cells: dict[str, list[Cell]], count: int) -> list[int]:
        given = [cells[name] for name in self.kind.one_of if name in cells]
        return [i for i in range(count) if all(column[i] is None for column in given)] if given else []


def style_family(column: Column) -> type[DateOrder] | type[NumberStyle] | None:
    """Which kind of style the cells of `column` are written in."""
    if column.type in {Type.DATE, Type.TIME}:
        return DateOrder
    return NumberStyle if column.type in {Type.MONEY, Type.NUMBER} else None


def printable(text: str) -> str:
    """`text` as a database and a page can hold it: NUL shown as a sign, broken bytes repaired."""
    return repair_bytes(text).replace("\0", "\u2400")


def keep(row: list[str]) -> list[str]:
    """The cells of a refused row as they are stored for the file to mend."""
    return [printable(cell[:MAX_KEPT_CELL]) for cell in row]
