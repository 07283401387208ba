"""Every order that a list of the API offers has an index, where there are many rows: none reads the whole table."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.api.base import Resource

# So few that they are sorted in no time: our own people and lists, and what somebody of ours wrote by hand.
FEW = {
    "absences", "actions", "audit-picks", "churn-reasons", "imports", "insights", "meetings", "products", "pulse-themes", "references",
    "teams", "users", "webhook-calls", "webhooks",
}  # fmt: skip
INDEXES = "SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexdef NOT LIKE %s"


def offered() -> Iterator[tuple[str, str, str]]:
    """Address, table and column of every order."""
    for address, view in lists(get_resolver()):
        table = view.queryset.model._meta
        for sort in view.sorts:
            yield address, table.db_table, table.get_field(sort).column


def lists(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, type[Resource]]]:
    for pattern in resolver.url_patterns:
        address = f"{before}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from lists(pattern, address)
        elif is_list(pattern):
            yield address, pattern.callback.cls  # type: ignore[attr-defined]


def is_list(pattern: URLPattern) -> bool:
    view = getattr(pattern.callback, "cls", None)
    actions = getattr(pattern.callback, "actions", None) or {}
    return view is not None and issubclass(view, Resource) and actions.get("get") == "list"


def test_every_order_has_an_index(db: None) -> None:
    asked = {(table, column) for address, table, column in offered() if address.split("/")[2] not in FEW}
    assert {("accounts_order", "updated_at"), ("retention_score", "churn_probability")} <= asked
    missing = {(table, column) for table, column in asked if not has_index(table, column)}
    assert missing == set()


def has_index(table: str, column: str) -> bool:
    """One of all rows that begins with the column, or with the day where a list is always of one day."""
    with connection.cursor() as cursor:
        cursor.execute(INDEXES, [table, "% WHERE %"])
        orders = [row[0].partition(" USING ")[2].partition("(")[2] for row in cursor.fetchall()]
    return any(
        order.removeprefix("as_of, ").startswith((f"{column},", f"{column} ", f"{column})"))
        for order in orders
    )
