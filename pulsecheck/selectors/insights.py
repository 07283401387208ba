"""The insight library: what may be told to whom, what was made of it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Count, Q, QuerySet

from accounts.models import Account
from accounts.paging import Page, make_page
from pulsecheck.models import Insight, PulseCheck
from pulsecheck.models.insights import Reaction
from pulsecheck.selectors.lists import behind

PAGE_SIZE = 50
MOST_OFFERED = 6
WHICH = {"": "Valid now", "later": "From later on", "over": "Over or withdrawn", "all": "All"}
KEYS = ("which", "industry", "q", "after")


@dataclass(frozen=True)
class Told:
    """How often an insight was brought along, and how often it was useful to them."""

    times: int = 0
    useful: int = 0

    @property
    def worth(self) -> float:
        """0..1 for ranking: the share that found it useful, two unknown listeners added so that one answer decides nothing."""
        return (self.useful + 1) / (self.times + 2)


@dataclass(frozen=True)
class Filters:
    """What the reader asked for; values that make no sense are left out."""

    which: str = ""
    industry: str = ""
    text: str = ""
    after: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Filters:
        kept = {k: query[k].strip() for k in KEYS if query.get(k, "").strip() and "\0" not in query[k]}
        return cls(
            which=kept["which"] if kept.get("which") in WHICH else "",
            industry=kept.get("industry", ""),
            text=kept.get("q", ""),
            after=kept.get("after", ""),
            query=kept,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return bool(set(self.query) - {"after"})


def insight_page(filters: Filters, today: dt.date) -> Page:
    """A page of the library, the newest first; three queries however long it is."""
    chosen = _chosen(filters, today).select_related("written_by")
    rows = behind(chosen, filters.after, "valid_from", newest_first=True, parse=dt.date.fromisoformat)
    found = list(rows[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    attach_told(shown)
    cursor = f"{shown[-1].valid_from.isoformat()}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, filters.query, cursor, words)


def _chosen(filters: Filters, today: dt.date) -> QuerySet[Insight]:
    rows = Insight.objects.all()
    if filters.which == "":
        rows = rows.valid_on(today)
    elif filters.which == "later":
        rows = rows.filter(withdrawn_at=None, valid_from__gt=today)
    elif filters.which == "over":
        rows = rows.filter(Q(withdrawn_at__isnull=False) | Q(valid_until__lt=today))
    if filters.industry:
        rows = rows.filter(Q(industries__contains=[filters.industry]) | Q(industries=[]))
    if filters.text:
        rows = rows.filter(Q(title__icontains=filters.text) | Q(text__icontains=filters.text))
    return rows


def attach_told(insights: Iterable[Insight]) -> None:
    """Give each insight its `told`."""
    rows = list(insights)
    told = _told([row.pk for row in rows])
    for row in rows:
        row.told = told.get(row.pk, Told())  # type: ignore[attr-defined]


def _told(ids: list[int]) -> dict[int, Told]:
    useful = Count("pk", filter=Q(insight_reaction=Reaction.USEFUL))
    found = PulseCheck.objects.filter(insight__in=ids).order_by().values_list("insight")
    return {pk: Told(times, good) for pk, times, good in found.annotate(times=Count("pk"), useful=useful)}


def reactions_to(insight: Insight) -> list[tuple[str, int]]:
    """Every reaction in words with how often it was had."""
    counted = dict(
        PulseCheck.objects.filter(insight=insight)
        .order_by()
        .values_list("insight_reaction")
        .annotate(times=Count("pk"))
    )
    return [(str(label), counted.get(code, 0)) for code, label in Reaction.choices]


def insights_for(accounts: Iterable[Account], today: dt.date) -> dict[int, list[Insight]]:
    """What to bring along to each account, best first, by account id; two or three queries for any number of accounts.

    Valid on `today`, of the account's industry or of all, and never told to that account before. What is about their own
    industry comes before what is for everybody; then what others found useful; then what is over soonest.
    """
    rows = list(accounts)
    library = list(Insight.objects.valid_on(today).order_by("valid_until", "pk"))
    if not library or not rows:
        return {account.pk: [] for account in rows}
    attach_told(library)
    known = _told_to([account.pk for account in rows])
    return {account.pk: _ranked(library, account.industry, known[account.pk]) for account in rows}


def _told_to(account_ids: list[int]) -> dict[int, set[int]]:
    """Which insights each account has been told, whoever told them."""
    known: dict[int, set[int]] = defaultdict(set)
    told = PulseCheck.objects.filter(account__in=account_ids, insight__isnull=False).order_by()
    for account, insight in told.values_list("account", "insight"):
        known[account].add(insight)
    return known


def _ranked(library: list[Insight], industry: str, known: set[int]) -> list[Insight]:
    fitting = [
        insight
        for insight in library
        if insight.pk not in known and (not insight.industries or industry in insight.industries)
    ]
    fitting.sort(
        key=lambda insight: (
            not insight.industries,
            -insight.told.worth,  # type: ignore[attr-defined]
            insight.valid_until,
            insight.pk,
        )
    )
    return fitting[:MOST_OFFERED]
