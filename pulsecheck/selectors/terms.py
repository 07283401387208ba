"""Which contracts hide a surprise: terms nobody explained, or the customer never acknowledged."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.models import Contract, Disclosure, Term, User
from accounts.paging import Page
from accounts.selectors import keep_if_large, of_visible_accounts
from pulsecheck.selectors.lists import ListFilters, keyset_page, named

STATES = {
    "": "Not explained",
    "unacknowledged": "Not acknowledged",
    "done": "Explained and acknowledged",
    "all": "All running",
}
UNEXPLAINED = Q(terms_disclosed_on=None)
UNACKNOWLEDGED = Q(terms_disclosed_on__isnull=False, terms_acknowledged_on=None)
DONE = Q(terms_disclosed_on__isnull=False, terms_acknowledged_on__isnull=False)


def running(today: dt.date) -> Q:
    """Contracts that run or are to begin, and were not cancelled."""
    return Q(ends_on__gte=today, cancelled_on=None)


def _whose(user: User, whose: str, today: dt.date) -> QuerySet[Contract]:
    seen = of_visible_accounts(Contract.objects.filter(running(today)), user)
    if whose == "mine":
        return seen.filter(Q(account__original_salesperson=user) | Q(account__account_manager=user))
    return seen


def contract_page(user: User, filters: ListFilters, today: dt.date) -> Page:
    """Running contracts by the day they end, so that what has to be decided soon comes first; one query."""
    conditions = {"": UNEXPLAINED, "unacknowledged": UNACKNOWLEDGED, "done": DONE, "all": Q()}
    rows = named(_whose(user, filters.whose, today), filters.text).filter(conditions[filters.state])
    told = Disclosure.objects.filter(contract=OuterRef("pk"), term__is_active=True).order_by()
    explained = Coalesce(Subquery(told.values("contract").annotate(n=Count("pk")).values("n")), 0)
    related = rows.select_related("account", "terms_disclosed_by").annotate(explained=explained)
    return keyset_page(related, filters, "ends_on", parse=dt.date.fromisoformat)


@dataclass(frozen=True)
class TermCounts:
    """Running contracts: all, those with terms left to explain, and those explained but not acknowledged."""

    running: int
    unexplained: int
    unacknowledged: int


def count_contracts(user: User, whose: str, today: dt.date) -> TermCounts:
    """What stands above the list; one query."""
    return keep_if_large(
        "contracts", user, whose, (today,), lambda: _counted(user, whose, today), lambda c: c.running
    )


def _counted(user: User, whose: str, today: dt.date) -> TermCounts:
    return TermCounts(
        **_whose(user, whose, today)
        .order_by()
        .aggregate(
            running=Count("pk"),
            unexplained=Count("pk", filter=UNEXPLAINED),
            unacknowledged=Count("pk", filter=UNACKNOWLEDGED),
        )
    )


@dataclass(frozen=True)
class TermRow:
    """One term, and how it was explained for a contract."""

    term: Term
    disclosure: Disclosure | None


def terms_of(contract: Contract) -> list[TermRow]:
    """All terms that count, and those that counted when they were explained; two queries."""
    told = {
        row.term_id: row
        for row in contract.disclosures.select_related("term", "explained_by", "explained_to")
    }
    terms = Term.objects.filter(Q(is_active=True) | Q(pk__in=told))
    return [TermRow(term, told.get(term.pk)) for term in terms]
