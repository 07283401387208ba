"""Two parents: who of the two owners of an account is missing, and who has not spoken with the customer for long."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Account, Interaction, RoleSwap, User
from accounts.models.account import LifecycleStage, MemberRole
from accounts.paging import Page, make_page
from accounts.permissions import LEADERS, has_role
from accounts.selectors import attach_people, get_company, keep_if_large
from pulsecheck.models import PulseCheck
from pulsecheck.selectors.lists import PAGE_SIZE, ListFilters

# Days without a word of theirs after which an owner is a silent parent.
SILENT_DAYS = {"sales": 180, "operations": 90}
FIELDS = {"sales": "original_salesperson", "operations": "account_manager"}
STATES = {
    "": "An owner is missing",
    "silent": "An owner is silent",
    "one": "One person is both",
    "all": "All",
}


# Rows in the order of the list among which silent ones are looked for first.
FEW_HUNDRED = 500
# More silent accounts than this are found at once in the order of the list; fewer are remembered.
MOST_LOOKED_FOR = 2000


def _gone() -> list[int]:
    """Our people who cannot sign in any more, by number: so their accounts are found by index, not one by one."""
    return list(User.objects.filter(is_active=False).order_by().values_list("pk", flat=True))


def _missing(role: str, gone: list[int]) -> Q:
    field = FIELDS[role]
    return Q(**{field: None}) | Q(**{f"{field}__in": gone})


def _one(gone: list[int]) -> Q:
    return Q(original_salesperson=F("account_manager")) & ~Q(original_salesperson__in=gone)


def _spoke(role: str, now: dt.datetime) -> Q:
    """The owner spoke with them lately, or took their pulse."""
    since, person = now - dt.timedelta(days=SILENT_DAYS[role]), OuterRef(FIELDS[role])
    talks = Interaction.objects.filter(account=OuterRef("pk"), user=person, happened_at__gte=since)
    pulses = PulseCheck.objects.filter(account=OuterRef("pk"), taken_by=person, taken_at__gte=since)
    return Q(Exists(talks)) | Q(Exists(pulses))


def silent(role: str, now: dt.datetime, gone: list[int]) -> Q:
    """There is an owner, the customer has been one for long enough, and the owner has not spoken with them."""
    since = get_company().local_date(now) - dt.timedelta(days=SILENT_DAYS[role])
    old_enough = Q(became_customer_on__lte=since)
    is_recorded = Q(Exists(Interaction.objects.filter(account=OuterRef("pk"))))
    is_there = Q(**{f"{FIELDS[role]}__isnull": False}) & ~Q(**{f"{FIELDS[role]}__in": gone})
    return old_enough & is_recorded & is_there & ~_spoke(role, now)


def _silent_page(
    user: User, filters: ListFilters, rows: QuerySet[Account], now: dt.datetime
) -> list[Account]:
    """The first of `rows` of which an owner is silent. Where many are, a few hundred rows hold enough of them; where few
    are, they have to be looked for."""
    gone = _gone()
    condition = silent("sales", now, gone) | silent("operations", now, gone)
    found, is_page = _among_first(rows, condition, FEW_HUNDRED)
    if is_page:
        return found
    looked = _look(user, filters.whose, condition, now.date())
    if len(looked) <= MOST_LOOKED_FOR:
        return list(rows.filter(condition, pk__any_of=looked)[: PAGE_SIZE + 1])
    found, is_page = _among_first(rows, condition, 10 * FEW_HUNDRED)
    return found if is_page else list(rows.filter(condition)[: PAGE_SIZE + 1])


def _among_first(rows: QuerySet[Account], condition: Q, most: int) -> tuple[list[Account], bool]:
    """Those among the first rows, and whether they are the page: it is full, or there are no more rows."""
    first = list(rows.values_list("pk", flat=True)[:most])
    found = list(rows.filter(condition, pk__any_of=first)[: PAGE_SIZE + 1])
    return found, len(found) > PAGE_SIZE or len(first) < most


def _look(user: User, whose: str, condition: Q, today: dt.date) -> list[int]:
    """Accounts of which an owner is silent, not many more than `MOST_LOOKED_FOR`. Looking through a large book takes
    long, so which may be is kept for a while; whether they still are is asked every time."""

    def look() -> tuple[list[int], int]:
        customers = _customers(user, whose).order_by()
        found = customers.filter(condition).values_list("pk", flat=True)[: MOST_LOOKED_FOR + 1]
        return list(found), customers.count()

    return keep_if_large("silent-owners", user, whose, (today,), look, lambda looked: looked[1])[0]


def _customers(user: User, whose: str) -> QuerySet[Account]:
    """One's own are always among those one sees."""
    customers = Account.objects.filter(lifecycle_stage=LifecycleStage.CUSTOMER)
    return customers.looked_after_by(user) if whose == "mine" else customers.visible_to(user)


def owner_page(user: User, filters: ListFilters) -> Page:
    """Customers by name; a fixed number of queries. Each row carries its `alarms` in words."""
    now = timezone.now()
    rows = _customers(user, filters.whose)
    if filters.state == "":
        gone = _gone()
        rows = rows.filter(_missing("sales", gone) | _missing("operations", gone))
    elif filters.state == "one":
        rows = rows.filter(_one(_gone()))
    if filters.text:
        rows = rows.filter(name__icontains=filters.text)
    name, _, number = filters.after.rpartition("~")
    if name and number.isdecimal():
        rows = rows.filter(Q(name__gt=name) | Q(name=name, pk__gt=int(number[:18])))
    rows = rows.order_by("name", "pk")
    if filters.state == "silent":
        found = _silent_page(user, filters, rows, now)
    else:
        found = list(rows[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    attach_people((shown, tuple(FIELDS.values())))
    attach_alarms(shown, now)
    cursor = f"{shown[-1].name}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, filters.query, cursor, words)


@dataclass(frozen=True)
class Alarm:
    """What is wrong with how one owner looks after an account. `role` is sales or operations."""

    role: str
    text: str


def last_words(accounts: list[Account]) -> dict[tuple[int, int | None], dt.datetime]:
    """When each of our people (None: nobody is named) last spoke with each account or took its pulse; two queries."""
    ids = [account.pk for account in accounts]
    talks = Interaction.objects.filter(account__in=ids).order_by()
    pulses = PulseCheck.objects.filter(account__in=ids).order_by()
    found = {(a, u): at for a, u, at in talks.values_list("account", "user").annotate(Max("happened_at"))}
    for account, user, at in pulses.values_list("account", "taken_by").annotate(Max("taken_at")):
        found[account, user] = max(at, found.get((account, user), at))
    return found


def attach_alarms(accounts: list[Account], now: dt.datetime) -> None:
    """Give every account its `alarms` and `spoke`: role to when that owner last spoke with them."""
    words = last_words(accounts)
    ids = [account.pk for account in accounts]
    standing_in = _sales_members(ids)
    newest: dict[int, dt.datetime] = {}
    for (pk, _), at in words.items():
        newest[pk] = max(at, newest.get(pk, at))
    for account in accounts:
        spoke = {role: words.get((account.pk, getattr(account, f"{FIELDS[role]}_id"))) for role in FIELDS}
        account.spoke = spoke  # type: ignore[attr-defined]
        account.standing_in = standing_in.get(account.pk, "")  # type: ignore[attr-defined]
        found = vacancies(account, standing_in.get(account.pk, ""))
        account.alarms = found + silences(account, spoke, newest.get(account.pk), now)  # type: ignore[attr-defined]


def _sales_members(ids: list[int]) -> dict[int, str]:
    """Who of sales is on the team of which account."""
    rows = User.objects.filter(
        memberships__account__in=ids, memberships__role=MemberRole.SALES, is_active=True
    ).order_by("-pk")
    return dict(rows.values_list("memberships__account", "name"))


def vacancies(account: Account, standing_in: str) -> list[Alarm]:
    """An owner is missing, or one person is both; in words. Somebody of sales on the team stands in for who won it."""
    won, care = account.original_salesperson, account.account_manager
    has_won, has_care = bool(won and won.is_active), bool(care and care.is_active)
    if not has_won and not has_care:
        return [Alarm("sales", "Nobody of ours is responsible for this account.")]
    if not has_care:
        return [Alarm("operations", "Only sales looks after this account: it needs an account manager.")]
    if not has_won and not standing_in:
        return [Alarm("sales", "Whoever won this account is gone: it needs somebody from sales.")]
    if won == care:
        return [Alarm("operations", f"{care} is both owners at once: a second pair of eyes is missing.")]
    return []


def silences(
    account: Account, spoke: dict[str, dt.datetime | None], newest: dt.datetime | None, now: dt.datetime
) -> list[Alarm]:
    """Who has not spoken with the customer for long; nothing where no conversation is on record at all."""
    if newest is None:
        return []
    days = (now - newest).days
    if days > SILENT_DAYS["operations"]:
        return [Alarm("operations", f"Nobody has spoken with them for {days} days.")]
    said = [_silence(account, role, spoke[role], now) for role in FIELDS]
    return [alarm for alarm in said if alarm]


def _silence(account: Account, role: str, last: dt.datetime | None, now: dt.datetime) -> Alarm | None:
    """That an owner who is here has not spoken with the customer for long, or never with one who is no new one."""
    person: User | None = getattr(account, FIELDS[role])
    since, most = account.became_customer_on, SILENT_DAYS[role]
    if person is None or not person.is_active:
        return None
    if last is not None:
        days = (now - last).days
        return Alarm(role, f"{person} has not spoken with them for {days} days.") if days > most else None
    is_new = since is None or (get_company().local_date(now) - since).days < most
    return None if is_new else Alarm(role, f"{person} has never spoken with them, as far as is on record.")


@dataclass(frozen=True)
class OwnerCounts:
    """Customers: all, those without a salesperson or an account manager, those where one person is both."""

    customers: int
    no_sales: int
    no_manager: int
    one: int


def count_owners(user: User, whose: str) -> OwnerCounts:
    """What stands above the list; two queries."""
    return keep_if_large(
        "owners", user, whose, (), lambda: _counted(user, whose), lambda counts: counts.customers
    )


def _counted(user: User, whose: str) -> OwnerCounts:
    gone = _gone()
    return OwnerCounts(
        **_customers(user, whose)
        .order_by()
        .aggregate(
            customers=Count("pk"),
            no_sales=Count("pk", filter=_missing("sales", gone)),
            no_manager=Count("pk", filter=_missing("operations", gone)),
            one=Count("pk", filter=_one(gone)),
        )
    )


def current_swap(account: Account, today: dt.date) -> RoleSwap | None:
    """The two owners have swapped roles for now."""
    swaps = account.role_swaps.filter(begins_on__lte=today, ends_on__gte=today)
    return swaps.select_related("started_by").first()


def may_choose_owners(user: User) -> bool:
    """Managers and administrators say who looks after an account."""
    return has_role(user, *LEADERS)
