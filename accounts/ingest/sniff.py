"""Files as tables of text cells, whatever their wrapping: CSV in any common form, gzip, xlsx; rows from memory.

A table is read as a stream, as often as wanted, with the line number of every row; memory does not grow with
the file. Nothing here knows what the cells mean. Files that would fill memory or disk when unpacked are refused.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from xml.etree.ElementTree import ParseError

from accounts.ingest.errors import IngestError

BATCH = 20_000
SAMPLE = 256 * 1024
MAX_LINE = 16 * 1024**2
MAX_RECORD_LINES = 500
# A gzip of order rows unpacks to 4-12 times its size, one of zeros to 1,030 times.
MAX_RATIO = 150
RATIO_FREE = 64 * 1024**2
MAX_SHEET_BYTES = 4 * 1024**3
MAX_SHEET_STRINGS = 256 * 1024**2
DELIMITERS = ",;\t|"
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that is no row at all."""

    line: int
    text: str
    reason: str


@dataclass(slots=True)
class RawBatch:
    """Rows with the line each begins on, and the lines that could not be taken apart."""

    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


class Table(Protocol):
    """What every source of rows offers. `is_padded`: short rows only lack empty cells at their end."""

    name: str
    is_padded: bool
    bytes_total: int
    bytes_read: int

    @property
    def describes(self) -> str:
        """What it was recognised as, in a few words."""
        ...

    def batches(self, size: int = BATCH) -> Iterator[RawBatch]:
        """All rows from the beginning, empty ones left out, about `size` at a time."""
        ...


# Telling what a file is ---------------------------------------------------------------------------------------

_REFUSED = (
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls) or one with a password"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)


def open_table(path: Path, name: str = "", encoding: str = "") -> Table:
    """The table in the file at `path`, called `name` by the person; IngestError when it holds none."""
    name = name or path.name
    if path.is_dir():
        raise IngestError(f"{name} is a folder; name the file itself.")
    try:
        with path.open("rb") as handle:
            magic = handle.read(16)
    except FileNotFoundError:
        raise IngestError(f"There is no file {path}.") from None
    except OSError as problem:
        raise IngestError(f"{name} cannot be read: {problem.strerror}.") from None
    if magic.startswith(b"PK\x03\x04"):
        return SheetTable(path, name)
    _refuse_known(magic, name)
    return CsvTable.sniffed(path, name, is_gzip=magic.startswith(b"\x1f\x8b"), encoding=encoding)


def _refuse_known(magic: bytes, name: str) -> None:
    for start, what in _REFUSED:
        if magic.startswith(start):
            raise IngestError(f"{name} is {what}; save the table as CSV or .xlsx and import that.")


def detect_encoding(sample: bytes, name: str) -> str:
    """Encoding of a text that begins with `sample`. Bytes that are no UTF-8 further on are repaired cell by cell."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if sample.startswith(mark):
            return encoding
    zeros = sample.count(0)
    if zeros > 0.2 * len(sample):
        return _unmarked_utf16(sample, name)
    if (
        zeros > 0.05 * len(sample) + 4
        or len(re.findall(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]", sample)) > 0.05 * len(sample) + 4
    ):
        raise IngestError(f"{name} is no text file; save the table as CSV or .xlsx and import that.")
    try:
        sample[: max(len(sample) - 4, 1)].decode("utf-8")
    except UnicodeDecodeError as problem:
        # The last bytes may be half a character; anything earlier is another encoding.
        return "utf-8" if problem.start >= len(sample) - 8 and len(sample) >= SAMPLE else "cp1252"
    return "utf-8"


def _unmarked_utf16(sample: bytes, name: str) -> str:
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 4 * even:
        return "utf-16-le"
    if even > 4 * odd:
        return "utf-16-be"
    raise IngestError(f"{name} is no text file; save the table as CSV or .xlsx and import that.")


# CSV ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dialect:
    delimiter: str
    quote: str = '"'
    escape: str | None = None
    skip_lines: int = 0

    def reader(self, lines: Iterable[str], strict: bool = True) -> Any:
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, escapechar=self.escape, strict=strict
        )


def detect_dialect(sample: str) -> Dialect:
    """Delimiter and quote of the text that begins with `sample`."""
    lines = [line for line in re.split(r"\r\n|\r|\n", sample)[:60] if line.strip()]
    if lines and (told := re.fullmatch(r'"?sep=(.)"?', lines[0].strip("\ufeff").rstrip(), re.IGNORECASE)):
        return Dialect(told.group(1), skip_lines=1)
    text = "\n".join(lines[:-1] if len(lines) > 20 else lines)
    quote = "'" if _wrapped(text, "'") > 2 * _wrapped(text, '"') + 2 else '"'
    escape = "\\" if '""' not in text and re.search(r'[^,;\t|\\]\\"[^,;\t|\r\n]', text) else None
    candidates = [Dialect(delimiter, quote, escape) for delimiter in DELIMITERS]
    return max(candidates, key=lambda dialect: _fit(dialect, text))


def _wrapped(text: str, quote: str) -> int:
    return len(re.findall(rf"(?:^|[,;\t|]){quote}[^{quote}\n]*{quote}(?=$|[,;\t|])", text, re.MULTILINE))


def _fit(dialect: Dialect, text: str) -> tuple[float, int]:
    """Share of rows as wide as the widest common one, then how wide; one column fits nothing."""
    try:
        widths = [len(row) for row in dialect.reader(io.StringIO(text, newline=""), strict=False) if row]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return (
            (0.1, max(widths))
            if widths and max(widths) > 1 and widths.count(1) < len(widths) / 2
            else (0.0, 0)
        )
    return widths.count(widths[0]) / len(widths), widths[0]


class _Guard(io.RawIOBase):
    """Bytes of the table, unpacked; refuses what would unpack without end or has no line breaks."""

    def __init__(self, path: Path, name: str, is_gzip: bool) -> None:
        super().__init__()
        self.name = name
        self.raw: BinaryIO = path.open("rb")
        self.inner: Any = gzip.GzipFile(fileobj=self.raw) if is_gzip else self.raw
        self.is_gzip = is_gzip
        self.unpacked = 0
        self.since_break = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block: bytes = self.inner.read(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise IngestError(
                f"{self.name} is damaged or cut off in the middle; compress it again."
            ) from None
        self._check(block)
        buffer[: len(block)] = block
        return len(block)

    def _check(self, block: bytes) -> None:
        self.unpacked += len(block)
        if self.is_gzip and self.unpacked > RATIO_FREE and self.unpacked > MAX_RATIO * self.raw.tell():
            raise IngestError(
                f"{self.name} unpacks to more than {MAX_RATIO} times its size, which no list of records does."
            )
        last = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self.since_break = len(block) - last if last >= 0 else self.since_break + len(block)
        if self.since_break > MAX_LINE:
            raise IngestError(
                f"{self.name} has a line of more than {MAX_LINE // 1024**2} MB, so it is no table."
            )

    def close(self) -> None:
        if not self.closed:
            self.inner.close()
            self.raw.close()
        super().close()


class CsvTable:
    """A text file with one record a line (or several, inside quotes)."""

    is_padded = False

    def __init__(self, path: Path, name: str, is_gzip: bool, encoding: str, dialect: Dialect) -> None:
        self.path = path
        self.name = name
        self.is_gzip = is_gzip
        self.encoding = encoding
        self.dialect = dialect
        self.bytes_total = path.stat().st_size
        self.bytes_read = 0

    @classmethod
    def sniffed(cls, path: Path, name: str, *, is_gzip: bool, encoding: str = "") -> CsvTable:
        """The table with encoding, delimiter and quote found out from its beginning."""
        with _Guard(path, name, is_gzip) as guard:
            sample = io.BufferedReader(guard, SAMPLE).read(SAMPLE)
        if not sample.strip(b"\xef\xbb\xbf\xfe\xff\x00 \t\r\n"):
            raise IngestError(f"{name} is empty.")
        if is_gzip:
            _refuse_known(sample, name)
            if sample.startswith((b"PK\x03\x04", b"\x1f\x8b")):
                raise IngestError(f"{name} is packed twice; unpack it once and import what is inside.")
        found = encoding or detect_encoding(sample, name)
        try:
            text = sample.decode(found, "replace")
        except LookupError:
            raise IngestError(
                f"'{encoding}' is no encoding; use one such as utf-8, utf-16 or cp1252."
            ) from None
        return cls(path, name, is_gzip, found, detect_dialect(text))

    @property
    def describes(self) -> str:
        mark = DELIMITER_NAMES.get(self.dialect.delimiter, f"'{self.dialect.delimiter}'")
        return f"{self.encoding.removesuffix('-sig').upper()} text, {mark} between columns"

    def _text(self) -> tuple[io.TextIOWrapper, _Guard]:
        guard = _Guard(self.path, self.name, self.is_gzip)
        errors = "surrogateescape" if self.encoding.startswith("utf-8") else "replace"
        text = io.TextIOWrapper(io.BufferedReader(guard, 1 << 20), self.encoding, errors, newline="")
        return text, guard

    def batches(self, size: int = BATCH) -> Iterator[RawBatch]:
        text, guard = self._text()
        with text:
            for _ in range(self.dialect.skip_lines):
                text.readline()
            for batch in RecordReader(text, self.dialect, 1 + self.dialect.skip_lines).batches(size):
                self.bytes_read = guard.raw.tell()
                yield batch
            self.bytes_read = self.bytes_total


class RecordReader:
    """Rows of a CSV text. A line whose quotes do not work out is reported and reading goes on at the next line,
    so that one stray quote costs one line, not the rest of the file."""

    def __init__(self, text: Iterable[str], dialect: Dialect, first_line: int = 1) -> None:
        self.source = iter(text)
        self.dialect = dialect
        self.line = first_line
        self.again: deque[str] = deque()
        self.pending: list[str] = []

    def _feed(self) -> Iterator[str]:
        """The lines to read; those of the record being read are kept, in case it has to be given up."""
        while self.again:
            self.pending.append(self.again.popleft())
            if len(self.pending) > MAX_RECORD_LINES:
                return
            yield self.pending[-1]
        pending = self.pending
        for line in self.source:
            pending.append(line)
            if len(pending) > MAX_RECORD_LINES:
                return
            yield line

    def batches(self, size: int) -> Iterator[RawBatch]:
        batch = RawBatch()
        while not self._fill(batch, size):
            yield batch
            batch = RawBatch()
        if batch.rows or batch.broken:
            yield batch

    def _fill(self, batch: RawBatch, size: int) -> bool:
        """Read until `batch` is full (False) or the text has ended (True)."""
        reader = getattr(self, "_reader", None) or self._restart()
        while len(batch.rows) < size and len(batch.broken) < size:
            try:
                if self._read_some(reader, batch, size):
                    return True
            except csv.Error as problem:
                self._give_up(batch, str(problem))
                reader = self._restart()
        return False

    def _restart(self) -> Any:
        self._base = self.line
        self._reader = self.dialect.reader(self._feed())
        return self._reader

    def _read_some(self, reader: Any, batch: RawBatch, size: int) -> bool:
        rows, lines, base, pending = batch.rows, batch.lines, self._base, self.pending
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                rows.append(row)
                lines.append(self.line)
            self.line = base + reader.line_num
            pending.clear()
            if len(rows) >= size:
                return False
        return True

    def _give_up(self, batch: RawBatch, problem: str) -> None:
        """Report the line the broken record began on, and put the others back."""
        first, *rest = self.pending or [""]
        batch.broken.append(Broken(self.line, first.rstrip("\r\n"), _quote_trouble(problem)))
        self.again.extendleft(reversed(rest))
        self.pending.clear()
        self.line += 1


def _quote_trouble(problem: str) -> str:
    if "field larger" in problem:
        return f"has a value of more than {csv.field_size_limit():,} characters"
    if "end of data" in problem:
        return "opens a quote that is never closed"
    return "has a quote in the middle of a value; double it or remove it"


# Spreadsheets -------------------------------------------------------------------------------------------------


class SheetTable:
    """The first sheet with content of an .xlsx file."""

    is_padded = True

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.sheet = ""
        self.bytes_total = path.stat().st_size
        self.bytes_read = 0
        self._check_archive()

    @property
    def describes(self) -> str:
        return f"Excel sheet '{self.sheet}'" if self.sheet else "Excel workbook"

    def _check_archive(self) -> None:
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except zipfile.BadZipFile:
            raise self._damaged() from None
        if not any(member.filename == "xl/workbook.xml" for member in members):
            raise IngestError(
                f"{self.name} is a zip archive, not a table; unpack it and import the file inside."
            )
        unpacked = sum(member.file_size for member in members)
        strings = sum(member.file_size for member in members if "sharedStrings" in member.filename)
        is_bomb = unpacked > RATIO_FREE and unpacked > MAX_RATIO * max(self.bytes_total, 1)
        if is_bomb or unpacked > MAX_SHEET_BYTES or strings > MAX_SHEET_STRINGS:
            raise IngestError(
                f"{self.name} unpacks to {unpacked // 1024**2:,} MB, too much for a workbook; save it as CSV."
            )

    def _damaged(self) -> IngestError:
        return IngestError(f"{self.name} is damaged and cannot be opened; save it again as .xlsx or CSV.")

    def batches(self, size: int = BATCH) -> Iterator[RawBatch]:
        from openpyxl import load_workbook  # 100 ms that only spreadsheets need to pay
        from openpyxl.utils.exceptions import InvalidFileException

        try:
            book = load_workbook(self.path, read_only=True, data_only=True, keep_links=False)
            try:
                yield from self._rows_of(book, size)
            finally:
                book.close()
        except (
            InvalidFileException,
            zipfile.BadZipFile,
            zlib.error,
            ParseError,
            KeyError,
            ValueError,
            EOFError,
            TypeError,
        ):
            raise self._damaged() from None

    def _rows_of(self, book: Any, size: int) -> Iterator[RawBatch]:
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            batch = RawBatch()
            for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
                row = [sheet_text(cell) for cell in cells]
                if any(row):
                    batch.rows.append(row)
                    batch.lines.append(number)
                if len(batch.rows) >= size:
                    self.sheet = sheet.title
                    yield batch
                    batch = RawBatch()
            if batch.rows:
                self.sheet = sheet.title
                yield batch
            if self.sheet:
                break
        self.bytes_read = self.bytes_total


def sheet_text(value: Any) -> str:
    """A spreadsheet's cell as text that reads only one way: ISO dates, a point before decimals."""
    if isinstance(value, str):  # nearly all of them
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _float_text(value: float) -> str:
    text = f"{value:.15g}"
    if "e" in text or "n" in text:
        return text if abs(value) >= 1e15 or value != value else f"{value:.10f}".rstrip("0").rstrip(".")
    # 1.234 in a text file could be a thousand; a fourth decimal says that it is not.
    return text + "0" if "." in text and len(text.split(".")[1]) == 3 else text


# Rows that are in memory already ------------------------------------------------------------------------------


class RowsTable:
    """Records from the API or a CRM as a table: one row each, numbered from 1, header = all their keys."""

    is_padded = False
    describes = "records"
    bytes_total = 0
    bytes_read = 0

    def __init__(self, rows: Sequence[Mapping[str, Any]], name: str = "the records") -> None:
        self.name = name
        self.header = list(dict.fromkeys(key for row in rows for key in row))
        self.cells = [[sheet_text(row.get(key)) for key in self.header] for row in rows]

    def batches(self, size: int = BATCH) -> Iterator[RawBatch]:
        yield RawBatch([self.header], [0])
        for start in range(0, len(self.cells), size):
            part = self.cells[start : start + size]
            yield RawBatch(part, list(range(start + 1, start + 1 + len(part))))
