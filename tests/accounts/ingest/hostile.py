"""Files that come from the real world at its worst, and what has to become of each.

Every file is an orders file unless it says otherwise. `taken` is the number of rows that come in, `refused` the
line and part of the reason of each row that does not; `error` is part of the sentence when the file is refused
as a whole.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openpyxl import Workbook

HEADER = "customer,date,amount\n"
GOOD = "A,2024-01-31,10.00\n"


@dataclass(frozen=True)
class Hostile:
    name: str
    make: Callable[[], bytes]
    taken: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    error: str = ""
    kind: str = "orders"
    options: dict[str, Any] = field(default_factory=dict)
    suffix: str = ".csv"


def text(body: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    return lambda: body.encode(encoding)


def rows(body: str) -> Callable[[], bytes]:
    """Rows below the usual header."""
    return text(HEADER + body)


def workbook(*lines: list[Any], name: str = "Sheet") -> Callable[[], bytes]:
    def make() -> bytes:
        book, out = Workbook(), io.BytesIO()
        assert book.active is not None
        book.active.title = name
        for line in lines:
            book.active.append(line)
        book.save(out)
        return out.getvalue()

    return make


def archive(**members: bytes) -> Callable[[], bytes]:
    def make() -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
            for name, content in members.items():
                pack.writestr(name.replace("__", "/").replace("_", "."), content)
        return out.getvalue()

    return make


def gzip_bomb() -> bytes:
    return gzip.compress(HEADER.encode() + b"A,2024-01-31,1.00\n" * 6_000_000, 6)


def sheet_bomb() -> bytes:
    return archive(xl__workbook_xml=b"<workbook/>", xl__worksheets__sheet1_xml=b"0" * 100_000_000)()


FILES = [
    # Encodings
    Hostile("utf-8 with byte order mark", text("\ufeff" + HEADER + GOOD), 1),
    Hostile("utf-16 little endian with mark", lambda: b"\xff\xfe" + (HEADER + GOOD).encode("utf-16-le"), 1),
    Hostile("utf-16 big endian with mark", lambda: b"\xfe\xff" + (HEADER + GOOD).encode("utf-16-be"), 1),
    Hostile("utf-16 without mark", text(HEADER + GOOD, "utf-16-le"), 1),
    Hostile("windows-1252", text(HEADER + "Müller & Söhne,2024-01-31,10\n", "cp1252"), 1),
    Hostile(
        "windows-1252 far behind plain text",
        lambda: (HEADER + GOOD.replace("A", "A%d") * 1 % 1).encode()
        + b"".join(b"B%d,2024-01-31,1.00\n" % i for i in range(20_000))
        + "Jürgen,2024-01-31,1.00\n".encode("cp1252"),
        20_002,
    ),
    Hostile("a wrong encoding is told", rows(GOOD), error="is no encoding", options={"encoding": "klingon"}),
    # Separators, quotes, line ends
    Hostile("semicolons", text("customer;date;amount\nA;2024-01-31;10,00\nB;2024-01-31;1.234,56\n"), 2),
    Hostile("tabs", text("customer\tdate\tamount\nA\t2024-01-31\t10\n"), 1),
    Hostile("pipes", text("customer|date|amount\nA|2024-01-31|10\n"), 1),
    Hostile("excel's sep line", text("sep=;\ncustomer;date;amount\nA;2024-01-31;10\n"), 1),
    Hostile("single quotes", text("'customer','date','amount'\n'A, Ltd','2024-01-31','10'\n'B','2024-01-31','1'\n"), 2),
    Hostile("backslash before quotes", text('"customer","date","amount"\n"A \\"x\\" B","2024-01-31","10"\n'), 1),
    Hostile("windows line ends", text((HEADER + GOOD).replace("\n", "\r\n")), 1),
    Hostile("old mac line ends", text((HEADER + GOOD).replace("\n", "\r")), 1),
    Hostile("mixed line ends", text("customer,date,amount\r\nA,2024-01-31,1\nB,2024-01-31,1\r\n\nC,2024-01-31,1"), 3),
    Hostile("line break inside quotes", rows('"A\nB",2024-01-31,10\nC,2024-01-31,10\n'), 2),
    Hostile("unclosed quote", rows(GOOD + '"B,2024-01-31,1\nC,2024-01-31,1\n'), 2, [(3, "never closed")]),
    Hostile("unclosed quote at the end", rows(GOOD + '"B,2024-01-31,1'), 1, [(3, "never closed")]),
    Hostile("quote in the middle", rows('"A"x,2024-01-31,1\nB 5" pipe,2024-01-31,1\n'), 1, [(2, "quote in the middle")]),
    Hostile(
        "600 lines with a stray quote each",
        rows("".join(f'"A{i},2024-01-31,1\n' for i in range(600))),
        0,
        [(i + 2, "quote") for i in range(600)],
    ),
    # Broken bytes
    Hostile("NUL in a cell", rows("A\0B,2024-01-31,10\n" + GOOD), 1, [(2, "NUL")]),
    Hostile("control characters", rows("A\x07B,2024-01-31,10\nC\x1bD,2024-01-31,1\n"), 0, [(2, "control"), (3, "control")]),
    Hostile("only NULs", lambda: b"\0" * 5_000, error="is empty"),
    Hostile("a program", lambda: b"\x7fELF" + bytes(range(256)) * 20, error="is a program"),
    Hostile("random bytes", lambda: bytes((i * 7919 >> 3) % 256 for i in range(20_000)), error="is no text file"),
    Hostile("a picture", lambda: b"\x89PNG\r\n\x1a\n" + b"x" * 100, error="is a picture"),
    Hostile("a PDF", lambda: b"%PDF-1.7\n" + b"x" * 100, error="is a PDF"),
    Hostile("an old Excel file", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, error="old Excel"),
    # Shape
    Hostile("nothing at all", lambda: b"", error="is empty"),
    Hostile("only blanks", text(" \n\n\t\n"), error="is empty"),
    Hostile("header only", text(HEADER), 0),
    Hostile("no header", text("A,2024-01-31,10\nB,2024-01-31,10\n"), error="no column for account, ordered_at, amount"),
    Hostile("foreign header", text("foo,bar\n1,2\n"), error="found 'foo', 'bar'"),
    Hostile("web page", text("<!doctype html><html><body><p>Not found</p></body></html>\n"), error="no column for"),
    Hostile("duplicate header", text("customer,date,amount,Amount\nA,2024-01-31,1,2\n"), error="twice (columns 3 and 4)"),
    Hostile("duplicate header of no interest", text("customer,date,amount,x,x\nA,2024-01-31,1,2,3\n"), 1),
    Hostile("title above the header", text("Orders of January\n\ncustomer,date,amount\nA,2024-01-31,1\n"), 1),
    Hostile("short and long rows", rows("A,2024-01-31\nB,2024-01-31,1,2\nC,2024-01-31,1,\n"), 1, [(2, "2 cells"), (3, "4 cells")]),
    Hostile("empty rows between", rows("\n,,\nA,2024-01-31,1\n , ,\n"), 1),
    Hostile("columns without a name", text("customer,,date,amount,\nA,x,2024-01-31,1,y\n"), 1),
    Hostile(
        "a cell of a megabyte", rows("x" * 1_000_000 + ",2024-01-31,1\n" + GOOD), 1, [(2, "more than 131,072 characters")]
    ),
    Hostile("a name too long", rows("x" * 300 + ",2024-01-31,1\n"), 0, [(2, "300 characters long")]),
    Hostile("one line of 20 MB", text("customer,date,amount" + "x" * 20_000_000), error="line of more than 16 MB"),
    # Amounts
    Hostile("comma before decimals", text("customer;date;amount\nA;2024-01-31;1.234,56\nB;2024-01-31;-3,5\n"), 2),
    Hostile("ambiguous amounts", rows("A,2024-01-31,1.234\n"), error="--numbers point or --numbers comma"),
    Hostile("ambiguous amounts, told", rows("A,2024-01-31,1.234\n"), 1, options={"numbers": "point"}),
    Hostile(
        "no numbers",
        rows("A,2024-01-31,NaN\nB,2024-01-31,inf\nC,2024-01-31,1e308\nD,2024-01-31,-Infinity\nE,2024-01-31,ten\nF,2024-01-31,\n"),
        0,
        [(2, "no number"), (3, "no number"), (4, "scientific"), (5, "no number"), (6, "no number"), (7, "is empty")],
    ),
    Hostile("too large", rows("A,2024-01-31," + "9" * 17 + "\nB,2024-01-31," + "9" * 16 + "\n"), 1, [(2, "more than 16 digits")]),
    Hostile("negative, zero, brackets", rows("A,2024-01-31,-5.50\nA,2024-01-31,0\nA,2024-01-31,(3.20)\nA,2024-01-31,7-\n"), 4),
    Hostile("currency signs in amounts", rows("A,2024-01-31,€5.50\nA,2024-01-31,5 EUR\n"), 0, [(2, "currency signs"), (3, "currency signs")]),
    Hostile(
        "mixed currencies",
        text("customer,date,amount,currency\nA,2024-01-31,1,EUR\nA,2024-01-31,2,chf\nA,2024-01-31,3,XYZ\nA,2024-01-31,4,\n"),
        2,
        [(3, "without an exchange rate"), (4, "without an exchange rate")],
    ),
    # Dates
    Hostile("day first", rows("A,31/01/2024,1\nB,01/02/2024,1\n"), 2),
    Hostile("month first", rows("A,01/31/2024,1\nB,02/01/2024,1\n"), 2),
    Hostile("day or month first", rows("A,01/02/2024,1\n"), error="--dates day-first or --dates month-first"),
    Hostile("day or month first, told", rows("A,01/02/2024,1\n"), 1, options={"dates": "day-first"}),
    Hostile("both orders in one column", rows("A,31/01/2024,1\nB,01/31/2024,1\n"), error="mixes both ways"),
    Hostile("dotted dates", rows("A,01.02.2024,1\nB,1.2.24,1\n"), 2),
    Hostile("days that do not exist", rows("A,2024-02-30,1\nB,2023-02-29,1\nC,2024-13-01,1\n"), 0, [(2, "does not exist"), (3, "does not exist"), (4, "does not exist")]),
    Hostile("1900 and the future", rows("A,1900-01-01,1\nB,2999-01-01,1\nC,9999-12-31,1\n"), 0, [(2, "before 1950"), (3, "future"), (4, "future")]),
    Hostile("day numbers of a spreadsheet", rows("A,45322,1\n"), 0, [(2, "spreadsheet's day number")]),
    Hostile("times and zones", rows("A,2024-01-31T10:00:00Z,1\nB,2024-01-31 10:00:00+02:00,1\nC,31 Jan 2024 5:30 PM,1\nD,2024-01-31 25:00,1\n"), 3, [(5, "time of day that does not exist")]),
    # People write in every script
    Hostile("right to left, emoji, combining marks", rows("شركة النور,2024-01-31,1\n🎉 Party,2024-01-31,1\nMu\u0308ller,2024-01-31,1\n"), 3),
    Hostile("formulas as names", rows('"=HYPERLINK(""http://x"")",2024-01-31,1\n+1,2024-01-31,1\n@x,2024-01-31,1\n'), 3),
    Hostile("scripts as names", rows("<script>alert(1)</script>,2024-01-31,1\n'; DROP TABLE accounts_account;--,2024-01-31,1\n"), 2),
    # Ids
    Hostile("the same id, different rows", text("order,customer,date,amount\n1,A,2024-01-31,1\n1,A,2024-01-31,2\n"), 1, [(2, "comes again in line 3")]),
    Hostile("the same row twice", text("order,customer,date,amount\n1,A,2024-01-31,1\n1,A,2024-01-31,1\n"), 2),
    Hostile("the same row twice, without ids", rows(GOOD + GOOD), 2),
    Hostile("contract that ends before it starts", text("external_id,account,starts_on,ends_on,annual_value\n1,A,2024-02-01,2024-01-01,5\n2,A,2024-01-01,2024-12-31,-5\n"), 0, [(2, "before the contract starts"), (3, "negative")], kind="contracts"),
    Hostile("accounts with a lost parent", text("external_id,name,parent\n1,A,1\n2,B,9\n3,C,2\n4,D,5\n5,E,\n"), 2, [(2, "the account itself"), (3, "neither a known account"), (4, "neither a known account")], kind="accounts"),
    Hostile("accounts that are each other's parents", text("external_id,name,parent\n1,A,2\n2,B,3\n3,C,1\n4,D,1\n5,E,6\n6,F,\n"), 2, [(2, "below the account itself"), (3, "below the account itself"), (4, "below the account itself"), (5, "below the account itself")], kind="accounts"),
    # Packed
    Hostile("gzip", lambda: gzip.compress((HEADER + GOOD).encode()), 1, suffix=".csv.gz"),
    Hostile("gzip cut off", lambda: gzip.compress((HEADER + GOOD * 100).encode())[:-12], error="damaged or cut off", suffix=".csv.gz"),
    Hostile("gzip in gzip", lambda: gzip.compress(gzip.compress(b"x")), error="packed twice", suffix=".gz"),
    Hostile("gzip bomb", gzip_bomb, error="unpacks to more than", suffix=".csv.gz"),
    Hostile("zip that is no workbook", archive(a_csv=b"customer,date,amount"), error="is a zip archive"),
    Hostile("workbook bomb", sheet_bomb, error="too much for a workbook", suffix=".xlsx"),
    Hostile("workbook cut off", lambda: workbook(["customer", "date", "amount"])()[:-40], error="damaged", suffix=".xlsx"),
    Hostile("workbook without sheets", archive(xl__workbook_xml=b"<workbook/>"), error="damaged", suffix=".xlsx"),
    Hostile(
        "workbook with real cells",
        workbook(["customer", "date", "amount"], [1001, dt.datetime(2024, 1, 31, 10), 1.234], [None, None, None], ["B", dt.date(2024, 2, 1), 5]),
        2,
        suffix=".xlsx",
    ),
    Hostile("workbook with bad cells", workbook(["customer", "date", "amount"], ["A", "soon", 1], ["B", dt.date(2024, 1, 1)]), 0, [(2, "no date"), (3, "is empty")], suffix=".xlsx"),
]  # fmt: skip
