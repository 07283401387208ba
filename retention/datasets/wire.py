"""Rows of the database as arrays, by binary COPY: the wire that every reader of this package uses."""

from __future__ import annotations

import datetime as dt
import io
import struct

import numpy as np
from django.db import connection
from numpy.typing import NDArray

EPOCH = dt.date(1970, 1, 1)
LAST_ID = 2**62

_HEADER_BYTES = 19  # signature, flags, length of the extension area
_COUNT_BYTES, _LENGTH_BYTES = 2, 4


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
    count, odd = divmod(len(data) - _HEADER_BYTES - _COUNT_BYTES, row.itemsize)
    if odd or struct.unpack("!h", data[-2:])[0] != -1:
        raise ValueError("A column was NULL or of another width than stated.")
    return np.frombuffer(data, dtype=row, count=count, offset=_HEADER_BYTES)
