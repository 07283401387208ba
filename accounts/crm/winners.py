"""Who won the accounts of a connection that have no original salesperson: whoever won the first order that says so.

Some thousand accounts at a time, saved before the next are looked at: a worker that takes over goes on with those that
still have nobody. Who stands there already stays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, When

from accounts.crm.intake import Lookups, through_the_door
from accounts.crm.linking import aliases_of
from accounts.crm.mapping import Mapper
from accounts.models import Account, Connection, Order, RawRecord
from accounts.models.commerce import OrderStatus
from accounts.models.crm import Linkable

ACCOUNTS_AT_ONCE = 5_000
ORDERS_AT_ONCE = 5_000


def name_winners(
    connection: Connection,
    stream: str,
    mapper: Mapper,
    since: dt.datetime | None = None,
    still_here: Callable[[], None] = lambda: None,
) -> int:
    """Name them where an order was taken in from `since` on (None: everywhere); how many accounts got somebody.
    `still_here` is called before each few thousand."""
    lacking = _lacking(connection, stream, since)
    changed = after = 0
    while accounts := list(lacking.filter(pk__gt=after)[:ACCOUNTS_AT_ONCE]):
        after = accounts[-1][0]
        winners = _winners(connection, stream, mapper, [pk for pk, _, _ in accounts], still_here)
        rows = [
            {"external_id": known_as, "name": name, "original_salesperson": winners[pk]}
            for pk, known_as, name in accounts
            if pk in winners
        ]
        if rows:
            still_here()
            changed += through_the_door(connection, "accounts", rows).rows_changed
    return changed


def _lacking(
    connection: Connection, stream: str, since: dt.datetime | None
) -> QuerySet[Account, tuple[int, str, str]]:
    """Id, id over there, and name of the accounts of a connection that nobody is named for."""
    source = connection.record_source
    aliases = aliases_of(Linkable.ACCOUNTS, source).filter(account=OuterRef("pk"))
    accounts = Account.objects.filter(Q(record_source=source) | Exists(aliases), original_salesperson=None)
    if since is not None:
        came = _landed(connection, stream).filter(applied_at__gte=since)
        orders = Order.objects.filter(record_source=source, external_id__in=came.values("source_id"))
        accounts = accounts.filter(pk__in=orders.values("account"))
    own = When(record_source=source, then=F("external_id"))
    known_as = Case(own, default=Subquery(aliases.order_by("pk").values("external_id")[:1]))
    return accounts.order_by("pk").values_list("pk", known_as, "name")


def _landed(connection: Connection, stream: str) -> QuerySet[RawRecord]:
    return RawRecord.objects.filter(connection=connection, stream=stream, deleted_at=None, problem="")


def _winners(
    connection: Connection,
    stream: str,
    mapper: Mapper,
    accounts: Sequence[int],
    still_here: Callable[[], None],
) -> dict[int, str]:
    """Account -> who won its first order that says so. Nearly always that is its first order, so the others are read
    only where it says nothing."""
    won = Order.objects.filter(record_source=connection.record_source, amount__gte=0)
    won = won.exclude(status=OrderStatus.CANCELLED).order_by("account", "ordered_at", "external_id")
    winners: dict[int, str] = {}
    for first_only in (True, False):
        orders = won.filter(account__in=[pk for pk in accounts if pk not in winners])
        orders = orders.distinct("account") if first_only else orders
        for part in _parts(orders.values_list("account", "external_id")):
            still_here()
            said = _said(connection, stream, mapper, [order for _, order in part])
            for account, order in part:
                if order in said:
                    winners.setdefault(account, said[order])
    return winners


def _parts(orders: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    told = list(orders)
    for begin in range(0, len(told), ORDERS_AT_ONCE):
        yield told[begin : begin + ORDERS_AT_ONCE]


def _said(connection: Connection, stream: str, mapper: Mapper, orders: Sequence[str]) -> dict[str, str]:
    """Order -> the salesperson that its record names, of those whom we know."""
    rows = _landed(connection, stream).filter(source_id__in=orders).values_list("source_id", "payload")
    payloads = {order: payload for order, payload in rows if mapper.takes(payload)}
    if isinstance(mapper.lookup, Lookups):
        mapper.lookup.prepare(one for payload in payloads.values() for one in mapper.refers(payload))
    people = {order: mapper.text("salesperson", payload) for order, payload in payloads.items()}
    return {order: person for order, person in people.items() if person}
