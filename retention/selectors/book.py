"""The book of accounts: filtered, sorted, a page at a time, with everything a row of the lists shows.

A page takes the same handful of queries whether the book holds a thousand accounts or a hundred thousand: the rows come
off an index in the order shown, the rest is fetched for the fifty accounts of the page at once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.core.cache import cache
from django.db.models import Count, F, FloatField, Q, QuerySet, Sum
from django.db.models.functions import Cast, NullIf, TruncDate

from accounts.models import Account, Contract, Order, User
from accounts.models.commerce import OrderStatus
from accounts.paging import Page, make_page
from accounts.selectors import attach_people, get_company
from pulsecheck.models import Handback, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import Score, ScoreRun, Tier
from retention.models.scores import RISKY_TIERS
from retention.selectors.frame import run_stamp

PAGE_SIZE = 50
RENEWAL_DAYS = 90
YEAR = 365
MENU_SECONDS = 300
TOTALS_SECONDS = 120
LONGEST_WHY = 90  # characters of the reasons in a row of a list
LARGEST = 10**15  # of a figure in a cursor

FACTORS = {
    "pattern": "Silence",
    "rhythm": "Buying rhythm",
    "frequency": "Order frequency",
    "spend": "Spend",
    "returns": "Returns",
    "season": "Season",
    "delivery": "Deliveries",
    "service": "Service",
    "relationship": "Relationship",
    "pulse": "Pulse checks",
    "promises": "Promises",
    "stability": "Change of people",
    "contract": "Contract",
    "renewal": "Renewal",
    "loyalty": "Loyalty",
    "kind": "Kind of customer",
    "other": "Everything else",
}


@dataclass(frozen=True)
class Sort:
    """An order of the list: the score's column, whether large comes first, how its value is read back from a url."""

    label: str
    column: str
    is_descending: bool
    read: type


SORTS = {
    "money": Sort("Most money at risk", "revenue_at_risk_company", True, Decimal),
    "risk": Sort("Most likely to leave", "churn_probability", True, float),
    "name": Sort("Name", "account__name", False, str),
}
WHOSE = {
    "": "All I see",
    "won": "Won by me",
    "care": "Looked after by me",
    "team": "My team",
}


@dataclass(frozen=True)
class Filters:
    """What the reader asked for, as it stands in the url; unknown values are left out."""

    whose: str = ""
    tier: str = ""
    segment: str = ""
    reason: str = ""
    text: str = ""
    sort: str = "money"
    after: str = ""
    has_renewal: bool = False
    misses_owner: bool = False
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str], default_sort: str = "money") -> Filters:
        kept = {k: query[k].strip() for k in QUERY_KEYS if query.get(k, "").strip() and "\0" not in query[k]}
        tier = kept.get("tier", "")
        return cls(
            whose=kept["whose"] if kept.get("whose") in WHOSE else "",
            tier=tier if tier in {*Tier.values, "all"} else "",
            segment=kept.get("segment", ""),
            reason=kept.get("reason", ""),
            text=kept.get("q", ""),
            sort=kept["sort"] if kept.get("sort") in SORTS else default_sort,
            after=kept.get("after", ""),
            has_renewal=kept.get("renewal") == "90",
            misses_owner=kept.get("owner") == "missing",
            query=kept,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return bool(set(self.query) - {"sort", "after"})


QUERY_KEYS = ("whose", "tier", "segment", "reason", "renewal", "owner", "q", "sort", "after")


@dataclass(frozen=True)
class Row:
    """One account of a list."""

    account: Account
    score: Score | None
    handback: Handback | None
    touchpoint: Touchpoint | None
    order_days: Sequence[int]

    @property
    def change(self) -> float | None:
        """Percentage points since the run a month before."""
        if self.score is None or self.score.previous_probability is None:
            return None
        return (self.score.churn_probability - self.score.previous_probability) * 100

    @property
    def why(self) -> str:
        return why(self.score, longest=LONGEST_WHY) if self.score else "Not scored yet"


@dataclass(frozen=True)
class Totals:
    """What the accounts shown add up to, in the company's currency."""

    accounts: int
    value: Decimal
    revenue_at_risk: Decimal


def why(score: Score, most: int = 2, longest: int = 0) -> str:
    """The strongest reasons for leaving, as sentences; of a quiet account first how long it has been silent.

    "Everything else together" is no reason anybody can talk about. Where `longest` (characters) is given, the second
    reason is left out when both are longer: a row of a list has no room for a paragraph."""
    named = [r for r in score.reasons if r["factor"] != "other"]
    strongest = sorted(named, key=lambda r: -r["points"])[:most]
    speaking = [r["sentence"].rstrip(". ") for r in strongest if r["points"] >= 1]
    if score.tier == Tier.QUIET or not speaking:
        silence = _silence(score)
        speaking = [silence, *[s for s in speaking if s != silence]][:most] if silence else speaking
    while longest and len(speaking) > 1 and sum(map(len, speaking)) > longest:
        speaking.pop()
    return ". ".join(speaking) + "." if speaking else "No single reason stands out."


def _silence(score: Score) -> str:
    since, gap = score.days_since_last_order, score.usual_gap_days
    if since is None:
        return ""
    last = "Last order today" if since == 0 else f"Last order {since} day{'s' if since != 1 else ''} ago"
    return f"{last}; usually every {max(round(gap), 1)} days" if gap else last


# ── which accounts ─────────────────────────────────────────────────────
def account_condition(filters: Filters, user: User, today: dt.date, prefix: str = "") -> Q:
    """The part of `filters` that is about the account itself, reached by `prefix`."""
    condition = Q()
    if filters.text:
        condition &= Q(**{f"{prefix}name__icontains": filters.text})
    if filters.segment:
        condition &= Q(**{f"{prefix}segment": filters.segment})
    if filters.has_renewal:
        condition &= Q(**{f"{prefix}pk__in": _renewing(today)})
    if filters.misses_owner:
        condition &= _owner_missing(prefix)
    return condition & _whose(filters.whose, user, prefix)


def _renewing(today: dt.date) -> QuerySet[Contract, int]:
    soon = today + dt.timedelta(days=RENEWAL_DAYS)
    return Contract.objects.filter(ends_on__range=(today, soon), cancelled_on=None).values_list(
        "account_id", flat=True
    )


def _owner_missing(prefix: str) -> Q:
    gone = list(User.objects.filter(is_active=False).values_list("pk", flat=True))
    both = (f"{prefix}original_salesperson", f"{prefix}account_manager")
    nobody = Q(**{f"{both[0]}": None}) | Q(**{f"{both[1]}": None})
    return nobody | Q(**{f"{both[0]}__in": gone}) | Q(**{f"{both[1]}__in": gone})


def _whose(whose: str, user: User, prefix: str) -> Q:
    if whose == "won":
        return Q(**{f"{prefix}original_salesperson": user})
    if whose == "care":
        return Q(**{f"{prefix}account_manager": user})
    if whose == "team":
        team = (
            list(User.objects.filter(team=user.team_id).values_list("pk", flat=True)) if user.team_id else []
        )
        staff = {user.pk, *team, *user.managed_staff_ids}
        won, care = f"{prefix}original_salesperson__in", f"{prefix}account_manager__in"
        return Q(**{won: staff}) | Q(**{care: staff})
    return Q()


def scores_of(run: ScoreRun, filters: Filters, user: User, *, risky: bool) -> QuerySet[Score]:
    """Scores of `run` that `user` may see and asked for; `risky` keeps to at risk, quiet and watch by default."""
    scores = Score.objects.visible_to(user).filter(as_of=run.as_of)
    if filters.tier and filters.tier != "all":
        scores = scores.filter(tier=filters.tier)
    elif risky and filters.tier != "all":
        scores = scores.filter(tier__in=RISKY_TIERS)
    if filters.reason:
        scores = scores.filter(main_factor=filters.reason)
    return scores.filter(account_condition(filters, user, run.as_of, "account__"))


# ── pages of rows ──────────────────────────────────────────────────────
def score_page(run: ScoreRun, filters: Filters, user: User, *, risky: bool) -> Page:
    """A page of the book in the order of `filters.sort`, led by the scores."""
    sort = SORTS[filters.sort]
    scores = after_cursor(scores_of(run, filters, user, risky=risky), sort, filters.after, "account_id")
    direction = "-" if sort.is_descending else ""
    found = list(
        scores.select_related("account").order_by(direction + sort.column, "account_id")[: PAGE_SIZE + 1]
    )
    shown = found[:PAGE_SIZE]
    rows = make_rows([(score.account, score) for score in shown], run.as_of)
    last = f"{_value(shown[-1], sort.column)}~{shown[-1].account_id}" if shown else ""
    return _page(rows, len(found), last, filters)


def account_page(run: ScoreRun | None, filters: Filters, user: User, today: dt.date) -> Page:
    """A page of all accounts by name, scored or not."""
    accounts = Account.objects.visible_to(user).filter(account_condition(filters, user, today))
    sort = Sort("Name", "name", False, str)
    found = list(after_cursor(accounts, sort, filters.after, "id").order_by("name", "id")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    scores = _scores_by_account(run, shown)
    rows = make_rows([(account, scores.get(account.pk)) for account in shown], run.as_of if run else today)
    last = f"{shown[-1].name}~{shown[-1].pk}" if shown else ""
    return _page(rows, len(found), last, filters)


def _page(rows: list[Row], found: int, last: str, filters: Filters) -> Page:
    more = [None] if found > PAGE_SIZE else []
    text = f"{len(rows)} shown" if more or filters.after else f"All {len(rows)} shown"
    return make_page([*rows, *more], PAGE_SIZE, filters.query, last, text)


def _value(score: Score, column: str) -> Any:
    return score.account.name if column == "account__name" else getattr(score, column)


def after_cursor(rows: QuerySet[Any], sort: Sort, cursor: str, key: str) -> QuerySet[Any]:
    """Rows behind the one that `cursor` ("value~id") names; a cursor that makes no sense starts from the top."""
    text, _, number = cursor.rpartition("~")
    try:
        value, last = sort.read(text), int(number)
    except (ValueError, InvalidOperation):
        return rows
    if not isinstance(value, str) and not (math.isfinite(value) and abs(value) < LARGEST):
        return rows
    beyond = "lt" if sort.is_descending else "gt"
    behind = Q(**{f"{sort.column}__{beyond}": value}) | Q(**{sort.column: value, f"{key}__gt": last})
    # The first condition says nothing new, but PostgreSQL can start its index scan there.
    return rows.filter(**{f"{sort.column}__{beyond}e": value}).filter(behind)


def _scores_by_account(run: ScoreRun | None, accounts: Sequence[Account]) -> dict[int, Score]:
    if run is None:
        return {}
    scores = Score.objects.filter(as_of=run.as_of, account__in=[a.pk for a in accounts])
    return {score.account_id: score for score in scores}


def make_rows(pairs: Sequence[tuple[Account, Score | None]], as_of: dt.date) -> list[Row]:
    """Rows with what belongs beside each account: five queries for however many."""
    accounts = [account for account, _ in pairs]
    ids = [account.pk for account in accounts]
    attach_people((accounts, ("original_salesperson", "account_manager")))
    handbacks = {h.account_id: h for h in Handback.objects.unfinished().filter(account__in=ids)}
    planned = Touchpoint.objects.filter(account__in=ids, state=TouchpointState.PLANNED)
    touchpoints = {t.account_id: t for t in planned}
    days = order_days(ids, as_of)
    return [
        Row(account, score, handbacks.get(account.pk), touchpoints.get(account.pk), days.get(account.pk, ()))
        for account, score in pairs
    ]


def order_days(account_ids: Sequence[int], as_of: dt.date) -> dict[int, list[int]]:
    """For each account the days before `as_of` on which it bought in the last year; one query for all."""
    zone = get_company().zone
    begin = dt.datetime.combine(as_of - dt.timedelta(days=YEAR), dt.time(), zone)
    end = dt.datetime.combine(as_of + dt.timedelta(days=1), dt.time(), zone)
    found = (
        Order.objects.filter(account__in=account_ids, ordered_at__gte=begin, ordered_at__lt=end, amount__gt=0)
        .exclude(status=OrderStatus.CANCELLED)
        .order_by()
        .values("account_id")
        .annotate(days=ArrayAgg(TruncDate("ordered_at", tzinfo=zone), distinct=True))
        .values_list("account_id", "days")
    )
    return {account: [(as_of - day).days for day in days] for account, days in found}


# ── what it adds up to, and the menus ──────────────────────────────────
def totals(run: ScoreRun, filters: Filters, user: User, *, risky: bool) -> Totals:
    """Accounts, what they are expected to buy in a year, and how much of that is at risk. Scores change only with a run,
    so the sums are kept for some minutes: adding up a large book is the dearest part of the page."""
    narrowed = sorted((k, v) for k, v in filters.query.items() if k not in {"sort", "after"})
    text = f"{run_stamp(run)}-{user.pk}-{user.role}-{risky}-{narrowed}"
    key = "totals-" + hashlib.sha256(text.encode()).hexdigest()
    found: Totals | None = cache.get(key)
    if found is None:
        found = _add_up(scores_of(run, filters, user, risky=risky))
        cache.set(key, found, TOTALS_SECONDS)
    return found


def _add_up(scores: QuerySet[Score]) -> Totals:
    worth = Cast(F("revenue_at_risk_company"), FloatField()) / NullIf(F("churn_probability"), 0.0)
    found = scores.order_by().aggregate(
        accounts=Count("pk"), value=Sum(worth), revenue_at_risk=Sum("revenue_at_risk_company")
    )
    value = Decimal(found["value"] or 0).quantize(Decimal("0.01"))
    return Totals(found["accounts"], value, found["revenue_at_risk"] or Decimal(0))


def reason_choices(run: ScoreRun) -> list[tuple[str, str]]:
    """Main factors among the scores of `run`: (code, words); kept for a few minutes."""
    key = f"factors-{run.pk}"
    found = cache.get(key)
    if found is None:
        named = Score.objects.filter(as_of=run.as_of).exclude(main_factor="").order_by("main_factor")
        found = list(named.values_list("main_factor", flat=True).distinct())
        cache.set(key, found, MENU_SECONDS if found else 5)
    return [(code, factor_words(code)) for code in found]


def factor_words(code: str) -> str:
    """A factor as a person reads it."""
    return FACTORS.get(code, code.replace("_", " ").capitalize())


# ── export ─────────────────────────────────────────────────────────────
EXPORT_HEADER = (
    "account",
    "name",
    "segment",
    "tier",
    "churn_probability",
    "change_points",
    "revenue_at_risk",
    "currency",
    "expected_value_12m",
    "why",
    "days_since_last_order",
    "usual_gap_days",
    "won_by",
    "looked_after_by",
    "health_score",
)


def export_rows(scores: QuerySet[Score], filters: Filters) -> Iterator[tuple[Any, ...]]:
    """Everything the list shows, not only its first page, read in pieces."""
    sort = SORTS[filters.sort]
    direction = "-" if sort.is_descending else ""
    ordered = scores.select_related("account", "account__original_salesperson", "account__account_manager")
    for score in ordered.order_by(direction + sort.column, "account_id").iterator(chunk_size=2000):
        yield _export_row(score)


def _export_row(score: Score) -> tuple[Any, ...]:
    account, before = score.account, score.previous_probability
    won, care = account.original_salesperson, account.account_manager
    return (
        account.external_id,
        account.name,
        account.segment,
        score.tier,
        round(score.churn_probability, 4),
        None if before is None else round((score.churn_probability - before) * 100, 1),
        score.revenue_at_risk,
        score.currency,
        score.expected_value_12m,
        why(score),
        score.days_since_last_order,
        score.usual_gap_days,
        won.name if won else None,
        care.name if care else None,
        score.health_score,
    )
