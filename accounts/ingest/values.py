"""From the text of a cell to the canonical text that the database reads, or to the reason why not.

Canonical: dates `YYYY-MM-DD`, moments ISO 8601 with their offset from UTC, numbers with a point and no grouping,
`t`/`f`, codes in their own case, text trimmed and in Unicode NFC, None for an empty cell. A reader remembers what it has read
(cells repeat), up to a limit, so that memory does not grow with the file.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import Enum
from zoneinfo import ZoneInfo

from accounts.ingest.schema import Column, Type

REMEMBERED = 50_000
LATEST_YEAR = 2200
EMPTY_WORDS = frozenset({"null", "none", "n/a", "na", "#n/a", "\\n", "-", "--"})


class DateOrder(Enum):
    """Which part of 03/04/2024 is the month."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


class NumberStyle(Enum):
    """Which sign separates the decimals."""

    POINT = "point"
    COMMA = "comma"


@dataclass(frozen=True, slots=True)
class Reading:
    """What has to be known to read a file: the company's zone for times without one, the last day that has
    begun there (later ones are in the future), and the currencies with a known rate."""

    zone: ZoneInfo
    today: dt.date
    currencies: frozenset[str]


@dataclass(frozen=True, slots=True)
class Bad:
    """A cell that cannot be taken, and why (to be read after the value: "'x' <reason>")."""

    value: str
    reason: str


Cell = str | None | Bad


class CellReader(dict[str, Cell]):
    """Reads the cells of one column; `has_bad` tells whether a Bad was ever among the answers."""

    def __init__(self, column: Column) -> None:
        super().__init__()
        self.column = column
        self.has_bad = False

    def __missing__(self, text: str) -> Cell:
        value = self._read(text)
        if type(value) is Bad:
            self.has_bad = True
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = value
        return value

    def _read(self, text: str) -> Cell:
        clean = clean_text(text)
        if isinstance(clean, Bad):
            return clean
        if not clean or (self.blank_words and clean.lower() in EMPTY_WORDS):
            return Bad(text, "is empty, but every row needs it") if self.column.required else None
        try:
            return self.parse(clean)
        except ValueError as problem:
            return Bad(text, str(problem))

    blank_words = True

    def parse(self, text: str) -> str:
        """The canonical form of a trimmed, not empty `text`; ValueError says why there is none."""
        raise NotImplementedError


# Text ---------------------------------------------------------------------------------------------------------

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"
_BROKEN_BYTES = re.compile("[\ud800-\udfff]")


_GUARDED = re.compile(r"'+[=+\-@\t\r\n]")


def unguard_cell(text: str) -> str:
    """`text` without the apostrophe that our exports put before what a spreadsheet would calculate."""
    return text[1:] if _GUARDED.match(text) else text


def clean_text(text: str) -> str | Bad:
    """`text` trimmed and normalised; control characters and unreadable bytes are refused, not dropped."""
    if text.isascii() and text.isprintable():
        return unguard_cell(text.strip()) if text[:1] in "' " or text[-1:] == " " else text
    clean = unguard_cell(repair_bytes(text).strip().strip(_INVISIBLE).strip())
    if found := _CONTROL.search(clean):
        return Bad(text, f"contains a control character ({_name_control(found.group())}); remove it")
    if "\ufffd" in clean:
        return Bad(text, "contains bytes that are no text in any encoding tried; save the file as UTF-8")
    return clean if clean.isascii() else unicodedata.normalize("NFC", clean)


def repair_bytes(text: str) -> str:
    """Bytes that were no UTF-8 arrive as lone surrogates; they are what Windows-1252 makes of them."""
    if text.isascii() or not _BROKEN_BYTES.search(text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("cp1252")
    except UnicodeError:
        return text.encode("utf-8", "replace").decode("utf-8")


def _name_control(char: str) -> str:
    return "NUL" if char == "\0" else f"code {ord(char)}"


class TextReader(CellReader):
    """Text of limited length; a line break inside becomes a space, except in long texts."""

    blank_words = False

    def __missing__(self, text: str) -> Cell:
        is_plain = text and len(text) <= self.column.max_length and text.isascii() and text.isprintable()
        if is_plain and text[0] not in "' " and text[-1] != " ":
            return text
        return super().__missing__(text)

    def parse(self, text: str) -> str:
        if self.column.type is not Type.LONG_TEXT:
            text = " ".join(text.split())
        if len(text) > self.column.max_length:
            raise ValueError(
                f"is {len(text):,} characters long; {self.column.name} takes {self.column.max_length:,}"
            )
        return text


_EMAIL = re.compile(r"[^@\s,;<>()\"]+@(localhost|[^@\s,;<>()\".]+(\.[^@\s,;<>()\".]+)+)")


class EmailReader(CellReader):
    def parse(self, text: str) -> str:
        if not _EMAIL.fullmatch(text) or len(text) > self.column.max_length:
            raise ValueError("is no e-mail address")
        return text.lower()


class ChoiceReader(CellReader):
    def parse(self, text: str) -> str:
        code = re.sub(r"[\s-]+", "_", text.lower())
        code = SPELLINGS.get(code, code)
        if code not in self.column.choices:
            raise ValueError(f"is not one of {', '.join(self.column.choices)}")
        return code


SPELLINGS = {
    "canceled": "cancelled", "shipped": "delivered", "complete": "delivered", "completed": "delivered",
    "e_mail": "email", "mail": "email", "phone": "call", "phone_call": "call", "outbound": "out", "inbound": "in",
    "outgoing": "out", "incoming": "in", "refunded": "returned",
}  # fmt: skip


class BooleanReader(CellReader):
    def parse(self, text: str) -> str:
        word = text.lower()
        if word in {"true", "t", "yes", "y", "1", "x", "ja", "oui"}:
            return "t"
        if word in {"false", "f", "no", "n", "0", "nein", "non"}:
            return "f"
        raise ValueError("is neither yes nor no")


class CurrencyReader(CellReader):
    signs = {"€": "EUR", "£": "GBP"}

    def __init__(self, column: Column, known: frozenset[str]) -> None:
        super().__init__(column)
        self.known = known

    def parse(self, text: str) -> str:
        code = self.signs.get(text, text.upper())
        if code not in self.known:
            known = ", ".join(sorted(self.known))
            raise ValueError(
                f"is a currency without an exchange rate here (known: {known}); set its rate in the settings first"
            )
        return code


# Numbers ------------------------------------------------------------------------------------------------------

_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u202f\u2009'’](?=\d{3}(?!\d))")
_PLAIN = re.compile(r"-?[0-9]{1,11}(\.[0-9]{1,2})?")
_NUMBER = {
    NumberStyle.POINT: re.compile(r"(\d{1,3}(?:,\d{2,3})*,\d{3}|\d+)?(?:\.(\d*))?"),
    NumberStyle.COMMA: re.compile(r"(\d{1,3}(?:\.\d{2,3})*\.\d{3}|\d+)?(?:,(\d*))?"),
}


def bare_number(text: str) -> tuple[str, str]:
    """Sign and the rest of a number: `(1,5)`, `1,5-`, `−1,5` and `-1,5` are all negative; grouping blanks go."""
    text = text.replace("\u2212", "-").strip()
    if text.startswith("(") and text.endswith(")"):
        text = "-" + text[1:-1].strip()
    elif text.endswith("-"):
        text = "-" + text[:-1].strip()
    sign = "-" if text.startswith("-") else ""
    return sign, _SPACES.sub("", text.removeprefix("-").removeprefix("+").strip())


class NumberReader(CellReader):
    """Decimal numbers with `places` decimals (more are rounded half up) and `digits` before them."""

    def __init__(self, column: Column, style: NumberStyle | None, *, digits: int, places: int) -> None:
        super().__init__(column)
        self.style = style
        self.digits = digits
        self.unit = Decimal(1).scaleb(-places)

    def __missing__(self, text: str) -> Cell:
        if self.style is not NumberStyle.COMMA and _PLAIN.fullmatch(text) and self._allowed(text):
            self._remember(text)
            return text
        return super().__missing__(text)

    def _remember(self, text: str) -> None:
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = text

    def _allowed(self, text: str) -> bool:
        return (self.style is not None or "." not in text) and not (
            self.column.not_negative and text[0] == "-"
        )

    def parse(self, text: str) -> str:
        sign, rest = bare_number(text)
        if not any(char.isdigit() for char in rest):
            raise ValueError("is no number")
        value = self._decimal(sign, rest)
        if abs(value) >= Decimal(10) ** self.digits:
            raise ValueError(f"has more than {self.digits} digits before the decimals")
        if self.column.not_negative and value < 0:
            raise ValueError("is negative, which this column does not allow")
        return f"{value.quantize(self.unit, ROUND_HALF_UP):f}"

    def _decimal(self, sign: str, rest: str) -> Decimal:
        if re.fullmatch(r"[\d.,]+[eE][+-]?\d+", rest):
            raise ValueError("is in scientific notation; write the number in full")
        if re.search(r"[^\d.,]", rest):
            raise ValueError("is no plain number; leave out currency signs, units and words")
        style = self.style or NumberStyle.POINT
        if self.style is None and not rest.isdigit():
            raise ValueError("can be read in two ways; say whether decimals follow a point or a comma")
        found = _NUMBER[style].fullmatch(rest)
        if not found:
            raise ValueError(f"does not fit the column, whose decimals follow a {style.value}")
        whole = re.sub(r"[.,]", "", found.group(1) or "0")
        try:
            return Decimal(f"{sign}{whole}.{found.group(2) or '0'}")
        except InvalidOperation:
            raise ValueError("is no number") from None


class IntegerReader(CellReader):
    """Whole numbers up to 32,767 (PostgreSQL smallint)."""

    def parse(self, text: str) -> str:
        if not re.fullmatch(r"-?[0-9]{1,9}(\.0+)?", text):
            raise ValueError("is no whole number")
        value = int(text.split(".")[0])
        if value < 0 or value > 32_767:
            raise ValueError("is outside 0 to 32,767")
        return str(value)


# Dates --------------------------------------------------------------------------------------------------------

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar", "feb february februar", "mar march mär maerz märz mrz", "apr april", "may mai",
            "jun june juni", "jul july juli", "aug august", "sep sept september", "oct october okt oktober",
            "nov november", "dec december dez dezember",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
ISO_DATE = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})")
COMPACT_DATE = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")
NUMERIC_DATE = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})")
_DAY_NAME_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[\s.-]*([^\W\d_]{3,9})\.?[\s,.-]*(\d{4}|\d{2})")
_MONTH_NAME_DAY = re.compile(r"([^\W\d_]{3,9})\.?\s*(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_WEEKDAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+", re.IGNORECASE)
_TIME = re.compile(
    r"[T\s,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp])?(?(5)\.?[Mm]\.?)"
    r"\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
)


_PLAIN_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)")


def split_time(text: str) -> tuple[str, re.Match[str] | None]:
    """The day part of `text` and the match of its time part, if it has one."""
    for found in _TIME.finditer(text):
        if found.end() == len(text):
            return text[: found.start()], found
    return text, None


def _year(text: str) -> int:
    """Two-digit years are 1970 to 2069."""
    year = int(text)
    return year if len(text) == 4 else year + (1900 if year >= 70 else 2000)


def read_day(text: str, order: DateOrder | None) -> dt.date:
    """The day that `text` names; `order` settles 03/04/2024, and dotted dates are day-first unless told otherwise."""
    if found := ISO_DATE.fullmatch(text):
        return _day(int(found.group(1)), int(found.group(3)), int(found.group(4)))
    if found := NUMERIC_DATE.fullmatch(text):
        return _numeric_day(found, order)
    if found := COMPACT_DATE.fullmatch(text):
        return _day(*(int(part) for part in found.groups()))
    if text.replace(".", "", 1).isdigit() and len(text.split(".")[0]) == 5:
        raise ValueError("looks like a spreadsheet's day number; format the column as a date and save again")
    return _named_day(_WEEKDAY.sub("", text))


def _numeric_day(found: re.Match[str], order: DateOrder | None) -> dt.date:
    first, second, year = int(found.group(1)), int(found.group(3)), _year(found.group(4))
    if order is None and (found.group(2) == "." or first == second):
        order = DateOrder.DAY_FIRST
    if order is None:
        raise ValueError("can be read in two ways; say whether the day or the month comes first")
    if order is DateOrder.MONTH_FIRST:
        first, second = second, first
    if second > 12 >= first:
        raise ValueError(
            f"is no date when the {'day' if order is DateOrder.DAY_FIRST else 'month'} comes first, as in the rest of the column"
        )
    return _day(year, second, first)


def _named_day(text: str) -> dt.date:
    if found := _DAY_NAME_MONTH.fullmatch(text):
        day, name, year = found.groups()
    elif found := _MONTH_NAME_DAY.fullmatch(text):
        name, day, year = found.groups()
    else:
        raise ValueError("is no date; write it as 2024-01-31")
    month = MONTHS.get(name.lower()) or MONTHS.get(name.lower()[:3])
    if not month:
        raise ValueError("is no date; write it as 2024-01-31")
    return _day(_year(year), month, int(day))


def _day(year: int, month: int, day: int) -> dt.date:
    try:
        return dt.date(year, month, day)
    except ValueError:
        raise ValueError("is a date that does not exist") from None


class DateReader(CellReader):
    """Days; a time behind the day is dropped."""

    def __init__(self, column: Column, order: DateOrder | None, reading: Reading) -> None:
        super().__init__(column)
        self.order = order
        self.zone = reading.zone
        self.last = (
            reading.today + dt.timedelta(days=1) if column.not_future else dt.date(LATEST_YEAR, 12, 31)
        )

    def parse(self, text: str) -> str:
        return self.check(read_day(split_time(text)[0], self.order)).isoformat()

    def check(self, day: dt.date) -> dt.date:
        """`day`, when it can be a date of this column at all."""
        if day > self.last:
            raise ValueError(
                "is in the future" if self.column.not_future else f"is later than the year {LATEST_YEAR}"
            )
        if day.year < self.column.earliest_year:
            raise ValueError(f"is before {self.column.earliest_year}, which cannot be right here")
        return day


class TimeReader(DateReader):
    """Moments; a time without a zone is the company's, a day alone is its midnight there."""

    def __init__(self, column: Column, order: DateOrder | None, reading: Reading) -> None:
        super().__init__(column, order, reading)
        self.offsets: dict[str, str] = {}

    def __missing__(self, text: str) -> Cell:
        """Nearly every order has a moment of its own, but few days occur: what a day means is worked out once."""
        if found := _PLAIN_MOMENT.fullmatch(text):
            day, time = found.groups()
            offset = self.offsets.get(day)
            if offset is None:
                offset = self.offsets[day] = self._offset_of(day)
            if offset:
                return f"{day} {time}{offset}"
        return super().__missing__(text)

    def _offset_of(self, text: str) -> str:
        """The offset from UTC in the company's zone all through that day; empty when it changes that day, or when
        the day is none that can be taken."""
        try:
            day = self.check(dt.date.fromisoformat(text))
        except ValueError:
            return ""
        around = (
            dt.datetime.combine(day, dt.time()) + dt.timedelta(hours=hour) for hour in (-3, 0, 12, 24, 27)
        )
        offsets = {moment.replace(tzinfo=self.zone).isoformat()[19:] for moment in around}
        return offsets.pop() if len(offsets) == 1 else ""

    def parse(self, text: str) -> str:
        moment = self._quick(text) or self._slow(text)
        self.check(moment.date())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        try:
            return moment.astimezone(dt.UTC).isoformat(" ")
        except OverflowError:
            raise ValueError("is a date that does not exist") from None

    @staticmethod
    def _quick(text: str) -> dt.datetime | None:
        if text[4:5] != "-" or text[7:8] != "-" or (len(text) > 10 and text[10] not in "T "):
            return None
        try:
            return dt.datetime.fromisoformat(text)
        except ValueError:
            return None

    def _slow(self, text: str) -> dt.datetime:
        head, time = split_time(text)
        day = read_day(head, self.order)
        return dt.datetime.combine(day, *_clock(time)) if time else dt.datetime.combine(day, dt.time())


def _clock(found: re.Match[str]) -> tuple[dt.time, dt.tzinfo | None]:
    hour, minute, second, fraction, half, zone = found.groups()
    hours = int(hour)
    if half:
        if not 1 <= hours <= 12:
            raise ValueError("has a time of day that does not exist")
        hours = hours % 12 + (12 if half in "pP" else 0)
    try:
        time = dt.time(hours, int(minute), int(second or 0), int((fraction or "0").ljust(6, "0")[:6]))
    except ValueError:
        raise ValueError("has a time of day that does not exist") from None
    return time, _offset(zone)


def _offset(text: str | None) -> dt.tzinfo | None:
    if not text:
        return None
    if text[0] not in "+-":
        return dt.UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    if minutes >= 24 * 60:
        raise ValueError("has a time zone that does not exist")
    return dt.timezone(dt.timedelta(minutes=minutes if text[0] == "+" else -minutes))


# One reader for each column -----------------------------------------------------------------------------------

Style = DateOrder | NumberStyle | None


def reader_for(column: Column, style: Style, reading: Reading) -> CellReader:
    """The reader of `column` in a file whose dates or numbers are written in `style`."""
    order = style if isinstance(style, DateOrder) else None
    numbers = style if isinstance(style, NumberStyle) else None
    makers: dict[Type, Callable[[], CellReader]] = {
        Type.TEXT: lambda: TextReader(column),
        Type.LONG_TEXT: lambda: TextReader(column),
        Type.EMAIL: lambda: EmailReader(column),
        Type.DATE: lambda: DateReader(column, order, reading),
        Type.TIME: lambda: TimeReader(column, order, reading),
        Type.MONEY: lambda: NumberReader(column, numbers, digits=16, places=2),
        Type.NUMBER: lambda: NumberReader(column, numbers, digits=11, places=3),
        Type.INTEGER: lambda: IntegerReader(column),
        Type.BOOLEAN: lambda: BooleanReader(column),
        Type.CURRENCY: lambda: CurrencyReader(column, reading.currencies),
        Type.CHOICE: lambda: ChoiceReader(column),
    }
    return makers[column.type]()
