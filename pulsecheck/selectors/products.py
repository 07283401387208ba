"""Who has bought what, what to talk about next, and when not to talk about buying at all."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Exists, OuterRef, Q

from accounts.models import Account, Issue, Product, Promise, User
from accounts.models.account import LifecycleStage
from accounts.models.care import PromiseStatus
from accounts.paging import Page, make_page
from accounts.permissions import LEADERS, has_role
from accounts.selectors import company_today
from pulsecheck.models import Handback, Holding, ProductStep, ProductStudy, PulseCheck
from pulsecheck.models.pulses import LOW
from pulsecheck.next_product import Step, Suggestion, by_product, suggest
from pulsecheck.risk import latest_risks

PAGE_SIZE = 50
MOST_SERIES = 8
OTHER = "Other products"
BROKEN_DAYS = 90
UNWELL = {"at_risk": "at risk", "quiet": "quiet", "watch": "being watched", "lost": "lost"}
WHOSE = {"mine": "Mine", "all": "All I see"}


# ── when not to sell ───────────────────────────────────────────────────
def held_back(account_ids: Iterable[int], today: dt.date) -> dict[int, list[str]]:
    """For each account that is not well: why nothing should be suggested to it now, in words. Five queries for any
    number of accounts."""
    ids, reasons = list(account_ids), defaultdict(list)
    for pk, risk in latest_risks(ids).items():
        if risk.tier in UNWELL:
            reasons[pk].append(f"it is {UNWELL[risk.tier]}")
    for pk in Handback.objects.unfinished().filter(account__in=ids).values_list("account", flat=True):
        reasons[pk].append("it is handed back")
    issues = Issue.objects.filter(account__in=ids, resolved_at=None).order_by().values_list("account")
    for pk, count in issues.annotate(count=Count("pk")):
        reasons[pk].append("an issue is open" if count == 1 else f"{count} issues are open")
    for pk, text in _unkept(ids, today).items():
        reasons[pk].append(text)
    pulses = PulseCheck.objects.filter(account__in=ids).order_by("account", "-taken_at", "-pk")
    for pk, score in pulses.distinct("account").values_list("account", "score"):
        if score <= LOW:
            reasons[pk].append(f"the last pulse was {score} of 6")
    return dict(reasons)


def _unkept(ids: Sequence[int], today: dt.date) -> dict[int, str]:
    overdue = Q(status=PromiseStatus.OPEN, due_on__lt=today)
    broken = Q(status=PromiseStatus.BROKEN, due_on__gte=today - dt.timedelta(days=BROKEN_DAYS))
    rows = Promise.objects.filter(overdue | broken, account__in=ids).order_by("due_on")
    return {
        pk: "a promise was broken" if status == PromiseStatus.BROKEN else "a promise is overdue"
        for pk, status in rows.values_list("account", "status")
    }


# ── the matrix ─────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Series:
    """A series of products, and how many customers bought of it."""

    name: str
    products: list[Product]


@dataclass(frozen=True)
class Next:
    """A product to talk about, and the measured step behind it; `in_series`: the next one of a series they buy."""

    product: Product
    step: Step
    after: Product
    in_series: bool


@dataclass(frozen=True)
class Row:
    """One account: for each series how many of its products it bought, what could be next, and why not now."""

    account: Account
    bought: dict[str, int]
    next: Next | None
    held_back: list[str]


@dataclass(frozen=True)
class Filters:
    """What the reader asked for, as it stands in the url. `without` names a series the accounts do not buy yet."""

    whose: str = "mine"
    without: str = ""
    text: str = ""
    after: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str], user: User) -> Filters:
        """Leaders and marketing look at everybody's unless they ask for their own."""
        keys = ("whose", "without", "q", "after")
        kept = {k: query[k].strip() for k in keys if query.get(k, "").strip() and "\0" not in query[k]}
        standard = "all" if has_role(user, *LEADERS, "marketing") else "mine"
        return cls(
            whose=kept["whose"] if kept.get("whose") in WHOSE else standard,
            without=kept.get("without", ""),
            text=kept.get("q", ""),
            after=kept.get("after", ""),
            query=kept,
        )


def catalogue() -> dict[int, Product]:
    """Every product that somebody bought; by id."""
    sold = Product.objects.filter(Exists(Holding.objects.filter(product=OuterRef("pk"))))
    return {product.pk: product for product in sold}


def series_of(products: Mapping[int, Product]) -> list[Series]:
    """The series of these products, those with most products first."""
    found: dict[str, list[Product]] = defaultdict(list)
    for product in products.values():
        found[product.series or OTHER].append(product)
    ordered = sorted(found.items(), key=lambda item: (item[0] == OTHER, -len(item[1]), item[0]))
    return [Series(name, sorted(items, key=lambda p: p.name)) for name, items in ordered]


def matrix_page(user: User, filters: Filters, products: Mapping[int, Product]) -> Page:
    """A page of customers by name with what they bought; a fixed number of queries however long the book is."""
    accounts = Account.objects.visible_to(user).filter(lifecycle_stage=LifecycleStage.CUSTOMER)
    if filters.whose == "mine":
        accounts = accounts.filter(Q(original_salesperson=user) | Q(account_manager=user))
    if filters.text:
        accounts = accounts.filter(name__icontains=filters.text)
    if filters.without:
        of_series = [p.pk for p in products.values() if (p.series or OTHER) == filters.without]
        accounts = accounts.exclude(pk__in=Holding.objects.filter(product__in=of_series).values("account"))
    name, _, number = filters.after.rpartition("~")
    if name and number.isdecimal() and len(number) < 19:
        accounts = accounts.filter(name__gte=name).filter(Q(name__gt=name) | Q(name=name, pk__gt=int(number)))
    found = list(accounts.order_by("name", "pk")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    cursor = f"{shown[-1].name}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    rows = rows_for(shown, products)
    page = make_page(found, PAGE_SIZE, filters.query, cursor, words)
    return Page(rows, page.size, page.next_url, page.first_url, page.range_text)


def rows_for(accounts: Sequence[Account], products: Mapping[int, Product]) -> list[Row]:
    """What these accounts bought and could buy next."""
    ids = [account.pk for account in accounts]
    held: dict[int, dict[int, dt.date]] = defaultdict(dict)
    holdings = Holding.objects.filter(account__in=ids).order_by()
    for pk, product, first_on in holdings.values_list("account", "product", "first_on"):
        held[pk][product] = first_on
    steps = _steps_from({product for history in held.values() for product in history})
    reasons = held_back(ids, company_today())
    return [
        Row(
            account,
            _by_series(held[account.pk], products),
            _next(suggest(held[account.pk], steps), products),
            reasons.get(account.pk, []),
        )
        for account in accounts
    ]


def _by_series(history: Iterable[int], products: Mapping[int, Product]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for pk in history:
        if pk in products:
            counts[products[pk].series or OTHER] += 1
    return dict(counts)


def _steps_from(products: Iterable[int]) -> dict[int, list[Step]]:
    rows = ProductStep.objects.filter(bought__in=list(products)).values_list(
        "bought", "following", "buyers", "followers"
    )
    return by_product(Step(*row) for row in rows)


def _next(found: Sequence[Suggestion], products: Mapping[int, Product]) -> Next | None:
    return next((_named(s, products) for s in found if s.product in products), None)


def _named(suggestion: Suggestion, products: Mapping[int, Product]) -> Next:
    product, after = products[suggestion.product], products[suggestion.step.bought]
    return Next(product, suggestion.step, after, bool(product.series) and product.series == after.series)


# ── one account ────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Cell:
    """A product of a series: the holding when bought, the support when it is a possible next one, else a gap."""

    product: Product
    holding: Holding | None
    next: Next | None


@dataclass(frozen=True)
class AccountProducts:
    """The matrix of one account: its series with every product, the best suggestions, and why not now."""

    series: list[tuple[str, int, list[Cell]]]
    suggestions: list[Next]
    held_back: list[str]
    bought: int
    study: ProductStudy | None


def account_products(account: Account, most: int = 3) -> AccountProducts:
    """What the account bought, gaps, and what others like it bought next; ten queries."""
    holdings = {h.product_id: h for h in Holding.objects.filter(account=account)}
    products = catalogue()
    steps = _steps_from(holdings)
    history = {pk: h.first_on for pk, h in holdings.items()}
    found = [
        _named(s, products) for s in suggest(history, steps, most=len(products) or 1) if s.product in products
    ]
    by_id = {item.product.pk: item for item in found}
    series = [
        (
            group.name,
            sum(p.pk in holdings for p in group.products),
            [Cell(p, holdings.get(p.pk), by_id.get(p.pk)) for p in group.products],
        )
        for group in series_of(products)
    ]
    return AccountProducts(
        sorted(series, key=lambda item: -item[1]),
        found[:most],
        held_back([account.pk], company_today()).get(account.pk, []),
        len(holdings),
        latest_study(),
    )


def latest_study() -> ProductStudy | None:
    """How far what customers bought is worked out, and how good suggestions were; None before the first night."""
    return ProductStudy.objects.first()
