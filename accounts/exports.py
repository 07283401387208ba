"""Records as tables with the columns of the import files, so that what was taken away can be brought back unchanged.

Rows come from a cursor of the database, so memory does not grow with the table; who sees what is decided by the queryset.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from accounts.ingest.merge import MODELS
from accounts.ingest.schema import Column, Kind
from accounts.models import Account, Product, User
from accounts.models.account import visible_accounts
from accounts.selectors import of_visible_accounts

BATCH = 2_000
REFERS = {
    "accounts": "external_id",
    "contacts": "external_id",
    "orders": "external_id",
    "products": "sku",
    "users": "email",
    "churn_reasons": "code",
}
# More digits than this a workbook cannot hold as a number.
EXACT_DIGITS = 15


def visible_records(kind: Kind, user: User, source: str = "") -> QuerySet[Any]:
    """The records of a kind that `user` may see, all of them or those of one record source, in the order they came."""
    model = MODELS[kind.name]
    rows = _seen(model._default_manager.all(), user)
    if source:
        is_line = kind.name == "order_lines"
        rows = rows.filter(**{"order__record_source" if is_line else "record_source": source})
    return rows.order_by("pk")


def _seen(rows: QuerySet[Any], user: User) -> QuerySet[Any]:
    if rows.model is Account:
        return Account.objects.visible_to(user)
    if rows.model is Product or visible_accounts(user) is None:
        return rows
    if any(field.name == "account" for field in rows.model._meta.get_fields()):
        return of_visible_accounts(rows, user)
    return rows.filter(order__account__in=Account.objects.visible_to(user).order_by())


def record_rows(kind: Kind, rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """A row of cells for each record, in the order of the columns of its kind."""
    return cells_of(rows, [_path(kind, column) for column in kind.columns])


def cells_of(rows: QuerySet[Any], paths: Sequence[str]) -> Iterator[list[Any]]:
    """What stands at `paths` ("account__name") of each row, as an import or a spreadsheet reads it."""
    for cells in rows.values_list(*paths).iterator(chunk_size=BATCH):
        yield [_cell(cell) for cell in cells]


def asked_source(query: Mapping[str, str]) -> str:
    """The record source that an address asks for; "" = all of them."""
    source = query.get("source", "")
    return source if source.isprintable() else ""


def _path(kind: Kind, column: Column) -> str:
    """Where the value of a column is, from the record."""
    if not column.refers_to:
        return column.name
    field = "product" if column.name == "sku" else column.name
    return f"{field}__{REFERS[column.refers_to]}"


def _cell(value: Any) -> Any:
    """As an import reads it: moments with their offset, truth as words, numbers with all their digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if hasattr(value, "as_tuple") and len(value.as_tuple().digits) > EXACT_DIGITS:
        return str(value)
    return value
