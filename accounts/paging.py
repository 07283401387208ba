"""Keyset paging: the next page starts after the last row shown, so page 1,000 costs as much as page 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class Page:
    """Some rows of a longer list; urls keep every other part of the query string."""

    rows: Sequence[Any]
    size: int
    next_url: str
    first_url: str
    range_text: str


def query_url(query: dict[str, str], **changes: str) -> str:
    """The query string with some parts changed ("" removes one) and paging started anew unless it is given."""
    merged = {key: value for key, value in query.items() if key != "after"} | changes
    return "?" + urlencode({key: value for key, value in merged.items() if value != ""})


def make_page(rows: Sequence[Any], size: int, query: dict[str, str], cursor: str, range_text: str) -> Page:
    """`rows` holds one more than `size` when there is a next page; `cursor` names the last row shown."""
    return Page(
        rows=rows[:size],
        size=size,
        next_url=query_url(query, after=cursor) if len(rows) > size else "",
        first_url=query_url(query) if query.get("after") else "",
        range_text=range_text,
    )
