"""What the lists of promises, issues, enquiries and contracts have in common: filters in the url, keyset paging."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Role, User
from accounts.paging import Page, make_page
from accounts.permissions import LEADERS, has_role

PAGE_SIZE = 50
WHOSE = {"mine": "Mine", "all": "All I see"}
Menus = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class ListFilters:
    """What the reader asked for, as it stands in the url; values that make no sense are left out. `chosen` holds
    further menus by name."""

    whose: str = "mine"
    state: str = ""
    text: str = ""
    after: str = ""
    chosen: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(
        cls, query: Mapping[str, str], user: User, states: Mapping[str, str], menus: Menus | None = None
    ) -> ListFilters:
        """Leaders and marketing look at everybody's unless they ask for their own."""
        keys = ("whose", "state", "q", "after", *(menus or {}))
        kept = {k: query[k].strip() for k in keys if query.get(k, "").strip() and "\0" not in query[k]}
        chosen = {
            name: kept[name] if kept.get(name) in dict(options) else ""
            for name, options in (menus or {}).items()
        }
        standard = "all" if has_role(user, *LEADERS, Role.MARKETING) else "mine"
        return cls(
            whose=kept["whose"] if kept.get("whose") in WHOSE else standard,
            state=kept["state"] if kept.get("state") in states else "",
            text=kept.get("q", ""),
            after=kept.get("after", ""),
            chosen=chosen,
            query=kept,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return bool(set(self.query) - {"after"})


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' says no time zone.")
    return moment


def behind(
    rows: QuerySet[Any],
    cursor: str,
    by: str,
    *,
    newest_first: bool = False,
    parse: Callable[[str], Any] = _moment,
) -> QuerySet[Any]:
    """`rows` in the order of the column `by`, behind the one that `cursor` names ("value~pk"); a cursor that makes no
    sense starts from the top."""
    sign, way = ("-", "lt") if newest_first else ("", "gt")
    ordered = rows.order_by(f"{sign}{by}", f"{sign}pk")
    text, _, number = cursor.rpartition("~")
    try:
        value, last = parse(text), int(number)
    except ValueError:
        return ordered
    beyond = Q(**{f"{by}__{way}": value}) | Q(**{by: value, f"pk__{way}": last})
    return ordered.filter(**{f"{by}__{way}e": value}).filter(beyond)


def keyset_page(
    rows: QuerySet[Any],
    filters: ListFilters,
    by: str,
    *,
    newest_first: bool = False,
    parse: Callable[[str], Any] = _moment,
    write: Callable[[Any], str] = lambda value: value.isoformat(),
) -> Page:
    """A page of `rows` in the order of the column `by`, behind the row that the url names; one query."""
    ordered = behind(rows, filters.after, by, newest_first=newest_first, parse=parse)
    found = list(ordered[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    cursor = f"{write(getattr(shown[-1], by))}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, filters.query, cursor, words)


def named(rows: QuerySet[Any], text: str, path: str = "account") -> QuerySet[Any]:
    """Rows of accounts whose name holds `text`."""
    return rows.filter(**{f"{path}__name__icontains": text}) if text else rows
