"""Reads that pages and jobs share."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, F, Func, IntegerField, Q, QuerySet, Subquery
from django.utils import timezone

from accounts.models import (
    Account,
    Company,
    Contract,
    ExchangeRate,
    ImportRun,
    Order,
    RejectedRow,
    Role,
    Team,
    User,
)
from accounts.models.account import visible_accounts

COMPANY_KEY = "company"
MENU_SECONDS = 300
LARGE, FIGURE_SECONDS = 5_000, 120
Figures = TypeVar("Figures")


def get_company() -> Company:
    """The one company; made from the settings on first use and cached for a minute in this process."""
    company = cache.get(COMPANY_KEY)
    if company is None:
        company = stored_company()
        cache.set(COMPANY_KEY, company, 60)
    return company


def stored_company() -> Company:
    """The row itself, for those who change it."""
    return Company.objects.get_or_create(pk=1, defaults={"time_zone": settings.TIME_ZONE})[0]


def company_today() -> dt.date:
    """Today in the company's time zone."""
    return get_company().local_date(timezone.now())


def day_begins(day: dt.date) -> dt.datetime:
    """The moment at which `day` begins for the company."""
    return dt.datetime.combine(day, dt.time(), get_company().zone)


def keep_if_large(
    name: str,
    user: User,
    whose: str,
    parts: tuple[Any, ...],
    make: Callable[[], Figures],
    rows: Callable[[Figures], int],
    large: int | None = None,
    seconds: int = FIGURE_SECONDS,
) -> Figures:
    """The figures that `make` adds up over the rows `user` sees (`whose` = "all") or has. Those over more than `large`
    rows (5,000) are kept for `seconds`: adding so many up for every page is dear, and nobody sees one more or less.
    Fewer are always counted anew. `parts` are what else the figures depend on; `rows` says over how many they are."""
    sees_all = whose == "all" and visible_accounts(user) is None
    return keep_figures((name, None if sees_all else user.pk, whose, parts), make, rows, large, seconds)


def keep_figures(
    asked: tuple[Any, ...],
    make: Callable[[], Figures],
    rows: Callable[[Figures], int],
    large: int | None = None,
    seconds: int = FIGURE_SECONDS,
) -> Figures:
    """The same of figures that everybody reads alike; `asked` says what they are and all they depend on."""
    key = "figures-" + hashlib.sha256(repr(asked).encode()).hexdigest()  # words people type are part of it
    found: Figures | None = cache.get(key)
    if found is None:
        found = make()
        if rows(found) > (LARGE if large is None else large):
            cache.set(key, found, seconds)
    return found


def get_exchange_rates() -> dict[str, Decimal]:
    """Known currencies: code -> value of one unit in the company's currency (its own is 1)."""
    rates = {rate.currency: rate.rate for rate in ExchangeRate.objects.all()}
    return rates | {get_company().currency: Decimal(1)}


def currencies_in_use() -> set[str]:
    """Currencies of records other than the company's own."""
    found: set[str] = set()
    for model in (Account, Contract, Order):
        found.update(model.objects.order_by().values_list("currency", flat=True).distinct())
    return found - {get_company().currency}


def unknown_currencies() -> set[str]:
    """Currencies that records or refused rows of imports are in, and that have no exchange rate."""
    refused = (
        RejectedRow.objects.filter(column="currency", run__in=ImportRun.objects.order_by("-pk")[:20])
        .order_by()
        .values_list("value", flat=True)
        .distinct()[:50]
    )
    codes = {value.strip().upper() for value in refused}
    return (currencies_in_use() | {code for code in codes if len(code) == 3 and code.isalpha()}) - set(
        get_exchange_rates()
    )


def attach_people(*named: tuple[Sequence[Any], Sequence[str]]) -> None:
    """Fill in whom records name: for each group of records the fields (`owner`, `made_by`) that refer to people of ours.

    One query for all groups, without the columns that only signing in needs; joining them to every list reads each person
    as often as they are named.
    """
    places = [(record, field) for records, fields in named for record in records for field in fields]
    ids = {getattr(record, f"{field}_id") for record, field in places} - {None}
    found = User.objects.only("name", "email", "is_active", "left_on").in_bulk(ids)
    for record, field in places:
        setattr(record, field, found.get(getattr(record, f"{field}_id")))


def people(text: str = "", *, with_former: bool = True) -> QuerySet[User]:
    """Everybody of ours with the number of accounts they won and look after, those who sign in first."""
    staff = User.objects.select_related("team").annotate(
        won=Count("accounts_won", distinct=True), cares_for=Count("accounts_managed", distinct=True)
    )
    if not with_former:
        staff = staff.filter(is_active=True)
    if text:
        staff = staff.filter(Q(name__icontains=text) | Q(email__icontains=text))
    return staff.order_by("-is_active", "name", "pk")


def carers() -> QuerySet[User]:
    """Everybody who is here and cares for accounts."""
    roles = [Role.SALES_REP, Role.ACCOUNT_MANAGER, Role.MANAGER, Role.ADMINISTRATOR]
    return User.objects.filter(is_active=True, left_on=None, role__in=roles)


def successors(user: User) -> QuerySet[User]:
    """Who can take over accounts from `user`."""
    return carers().exclude(pk=user.pk)


def teams() -> QuerySet[Team]:
    """Teams with their manager and how many people of each may sign in."""
    active = Q(members__is_active=True)
    return Team.objects.select_related("manager").annotate(people=Count("members", filter=active))


def of_visible_accounts(rows: QuerySet[Any], user: User) -> QuerySet[Any]:
    """What `visible_to` says, said so that PostgreSQL starts from the accounts: for a page of the orders of somebody who
    sees few of many, 20 ms instead of seconds (it would walk through everybody's orders until fifty are theirs)."""
    if visible_accounts(user) is None:
        return rows
    return rows.filter(account__in=Account.objects.visible_to(user).order_by())


def count_of(rows: QuerySet[Any]) -> Subquery:
    """How many `rows` there are of the outer row, which they name by OuterRef: an annotation that PostgreSQL works out for
    the rows of a page alone. A `Count` over a join groups the whole table before the page is cut from it."""
    # A plain function: Django's own aggregate would group by the row, and say nothing where there is none.
    counted = rows.order_by().annotate(n=Func(F("pk"), function="COUNT", output_field=IntegerField()))
    return Subquery(counted.values("n"))


def record_sources() -> list[str]:
    """Where accounts come from: files and systems."""
    found = Account.objects.order_by("record_source").values_list("record_source", flat=True).distinct()
    return list(found[:50])


def values_in_use(column: str) -> list[str]:
    """What stands in `column` ("segment", "industry") of the accounts, by name; the first 200."""
    named = Account.objects.exclude(**{column: ""}).order_by(column)
    return list(named.values_list(column, flat=True).distinct()[:200])


def menu_of(column: str) -> list[str]:
    """`values_in_use` for a menu above a list; kept for a few minutes because they hardly change."""
    key = f"menu-{column}"
    found = cache.get(key)
    if found is None:
        found = values_in_use(column)
        cache.set(key, found, MENU_SECONDS if found else 5)
    return list(found)
