"""Rows of the database as arrays, by binary COPY: the wire that every reader of this package uses."""

from __future__ import annotations

import datetime as dt
import io
import struct
from dataclasses import dataclass

import numpy as np
from django.db import connection
from numpy.typing import NDArray

EPOCH = dt.date(1970, 1, 1)
LAST_ID = 2**62

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # then no flags and no extension
_HEADER_BYTES = len(_SIGNATURE)
_END = struct.pack("!h", -1)  # the field count of a row that does not come
_GROUP = np.dtype([("fields", ">i2"), ("key_length", ">i4"), ("key", ">i8"), ("length", ">i4")])


def day_number(day: dt.date) -> int:
    """Days since 1970-01-01, as the scoring engine counts."""
    return (day - EPOCH).days


def date_of(number: int) -> dt.date:
    """The date of a day number."""
    return EPOCH + dt.timedelta(days=int(number))


def copy_to_array(query: str, columns: dict[str, str]) -> NDArray[np.void]:
    """Result of `query` as a structured array, through `COPY (FORMAT BINARY)`.

    Parameters
    ----------
    query : SQL that selects exactly `columns`, none of them NULL; it must not contain untrusted text
    columns : name -> numpy type of the wire format, big-endian (">i8", ">i4", ">f8")
    """
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name}_length", ">i4"), (name, kind)]
    row = np.dtype(fields)
    sink = io.BytesIO()
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", sink)
    data = sink.getbuffer()
    count, odd = divmod(len(data) - _HEADER_BYTES - len(_END), row.itemsize)
    if odd or data[-len(_END) :] != _END:
        raise ValueError("A column was NULL or of another width than stated.")
    return np.frombuffer(data, dtype=row, count=count, offset=_HEADER_BYTES)


def copy_from_array(table: str, rows: NDArray[np.void]) -> None:
    """Append rows to a table through `COPY (FORMAT BINARY)`.

    Parameters
    ----------
    table : a name of our own, never text from outside
    rows : structured array; its fields are columns of the table of the same width ("<i8" bigint, "<i4" integer, "<i2"
        smallint, "<f8" float8, "V.." bytea), none of them NULL
    """
    names = rows.dtype.names
    assert names is not None, "rows have named columns"
    fields: list[tuple[str, str] | tuple[str, np.dtype]] = [("fields", ">i2")]
    for name in names:
        fields += [(f"{name}_length", ">i4"), (name, rows.dtype[name].newbyteorder(">"))]
    wire = np.empty(len(rows), dtype=fields)
    wire["fields"] = len(names)
    for name in names:
        wire[f"{name}_length"] = rows.dtype[name].itemsize
        wire[name] = rows[name]
    data = _SIGNATURE + wire.tobytes() + _END
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)", io.BytesIO(data))


@dataclass(frozen=True)
class Groups:
    """Rows of many keys: (G,) the keys, (G,) how many rows each has, (N,) the rows, those of a key together."""

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    rows: NDArray[np.void]

    def key_of_rows(self) -> NDArray[np.int64]:
        """(N,) the key of every row."""
        return np.repeat(self.keys, self.counts)


class _Messages:
    """A file to COPY into that keeps what the server sends apart: one message for every row of the result."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.write = self.received.append


def copy_groups(query: str, columns: dict[str, str]) -> Groups:
    """Result of `query` with the rows of each key packed together by `packed`.

    The driver spends its time by rows of the result, so that twenty orders of a customer in one cost a twentieth.

    Parameters
    ----------
    query : SQL that selects a bigint and `packed(...)`, grouped by the bigint; it must not contain untrusted text
    columns : as in `copy_to_array`, of what is packed
    """
    sink, row = _Messages(), np.dtype(list(columns.items()))
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", sink)
    messages = sink.received
    messages[0] = messages[0][_HEADER_BYTES:]
    if messages.pop() != _END:
        raise ValueError("The database sent something else than it was asked for.")
    heads = np.frombuffer(b"".join([message[: _GROUP.itemsize] for message in messages]), dtype=_GROUP)
    data = b"".join([message[_GROUP.itemsize :] for message in messages])
    counts, odd = np.divmod(heads["length"].astype(np.int64), row.itemsize)
    if odd.any():
        raise ValueError("A packed column is of another width than stated.")
    return Groups(heads["key"].astype(np.int64), counts, np.frombuffer(data, dtype=row))


def packed(*sent: str) -> str:
    """SQL that packs columns of the rows of a group into one value, each given as the bytes the wire knows it by, such
    as `int8send(amount)`. A row in which one of them is NULL would be left out."""
    return f"string_agg({' || '.join(sent)}, '')"
