"""What the page on how we treat customers may say: figures worked out from records, and what customers agreed to.

Nothing here names a customer who did not agree, and no figure rests on fewer than `LEAST` records.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Count, F, Q
from django.utils import timezone

from accounts.models import Account, Enquiry, Issue, Order
from accounts.models.account import LifecycleStage
from accounts.models.commerce import OrderStatus
from pulsecheck.models import ProofPage, Reference
from pulsecheck.selectors.products import held_back
from retention.models import KpiValue
from retention.templatetags.mainstay import percent

LEAST = 30
LEAST_DELIVERIES = 12
MOST_REFERENCES = 40
KEEP_SECONDS = 600
YEAR = dt.timedelta(days=365)
# name of the fact -> (name of the KPI, sentence about its share)
OF_KPIS = {
    "stayed": ("gross_revenue_retention", "of the revenue our customers brought a year ago stayed with us"),
    "on_time": ("on_time_delivery_rate", "of our deliveries came on the promised day or before"),
    "promises": ("promise_kept_rate", "of what we promised a customer was done by the day we had said"),
    "asked": ("pulse_coverage", "of our customers were asked how we do"),
}
NAMES = {
    "tenure": "How long customers stay",
    "stayed": "Revenue that stayed",
    "on_time": "Deliveries on time",
    "promises": "Promises kept",
    "asked": "Customers asked how we do",
    "issues": "How long complaints take",
    "answers": "How long answers take",
}


@dataclass(frozen=True)
class Fact:
    """A figure, what it says, and what it rests on."""

    name: str
    figure: str
    says: str
    rests_on: str


@dataclass(frozen=True)
class Voucher:
    """A customer who agreed, as far as they agreed. `who` is the name, or the kind of customer and the region."""

    who: str
    quote: str
    since: int | None
    on_time: str


def company_facts(today: dt.date) -> dict[str, Fact]:
    """Every figure that rests on enough records; kept for ten minutes, so that a page anybody may open costs nothing."""
    key = f"proof-facts-{today}"
    facts: dict[str, Fact] | None = cache.get(key)
    if facts is None:
        found = [*_of_kpis(), *_tenure(today), *_issues(), *_answers()]
        facts = {fact.name: fact for fact in found}
        cache.set(key, facts, KEEP_SECONDS)
    return facts


def _of_kpis() -> Iterable[Fact]:
    names = {kpi: name for name, (kpi, _) in OF_KPIS.items()}
    rows = KpiValue.objects.filter(name__in=names, slice_kind="company", is_provisional=False)
    for row in rows.order_by("name", "-period_end", "period_start").distinct("name"):
        if row.value is not None and row.accounts >= LEAST:
            name = names[row.name]
            yield Fact(
                name,
                percent(row.value),
                OF_KPIS[name][1],
                f"{row.accounts:,} customers, {_span(row.period_start, row.period_end)}",
            )


def _span(start: dt.date, end: dt.date) -> str:
    if (start.year, start.month) == (end.year, end.month):
        return f"{end:%B %Y}"
    return f"{start:%B %Y} to {end:%B %Y}"


def _tenure(today: dt.date) -> Iterable[Fact]:
    since = Account.objects.filter(
        lifecycle_stage=LifecycleStage.CUSTOMER,
        became_customer_on__isnull=False,
        became_customer_on__lte=today,
    ).order_by("became_customer_on")
    count = since.count()
    if count >= LEAST:
        middle = since.values_list("became_customer_on", flat=True)[count // 2]
        assert middle is not None
        years = (today - middle).days / 365.25
        yield Fact(
            "tenure", f"{years:.1f} years", "is how long half of our customers have been with us, or longer",
            f"{count:,} customers",
        )  # fmt: skip


def _issues() -> Iterable[Fact]:
    closed = Issue.objects.filter(resolved_at__gte=timezone.now() - YEAR)
    took = closed.annotate(took=F("resolved_at") - F("opened_at")).order_by("took")
    count = took.count()
    if count >= LEAST:
        days = took.values_list("took", flat=True)[count // 2].total_seconds() / 86400
        yield Fact(
            "issues", _days(days), "is within what half of all complaints were settled",
            f"{count:,} complaints settled in the last twelve months",
        )  # fmt: skip


def _answers() -> Iterable[Fact]:
    answered = Enquiry.objects.filter(responded_at__gte=timezone.now() - YEAR)
    took = answered.annotate(took=F("responded_at") - F("received_at")).order_by("took")
    count = took.count()
    if count >= LEAST:
        hours = took.values_list("took", flat=True)[count // 2].total_seconds() / 3600
        figure = f"{max(1, round(hours))} hours" if hours < 48 else _days(hours / 24)
        yield Fact(
            "answers", figure, "is within what half of all questions were answered",
            f"{count:,} questions answered in the last twelve months",
        )  # fmt: skip


def _days(days: float) -> str:
    return "1 day" if round(days) <= 1 else f"{round(days)} days"


def facts_of(page: ProofPage, today: dt.date) -> list[Fact]:
    """The figures this page shows, of those that rest on enough records."""
    known = company_facts(today)
    return [known[name] for name in NAMES if name in page.facts and name in known]


def vouchers(today: dt.date) -> list[Voucher]:
    """Customers whose consent is in force and who are well: nobody with a complaint of theirs open is held up as happy."""
    rows = Reference.objects.in_force(today).select_related("account").order_by("-agreed_on", "pk")
    public = [row for row in rows[: 2 * MOST_REFERENCES] if row.is_public]
    unwell = held_back([row.account_id for row in public], today)
    shown = [row for row in public if row.account_id not in unwell][:MOST_REFERENCES]
    punctual = on_time_of([row.account_id for row in shown if row.shows_on_time], today)
    return [_voucher(row, punctual.get(row.account_id, "")) for row in shown]


def _voucher(row: Reference, on_time: str) -> Voucher:
    account = row.account
    kind = ", ".join(part for part in (account.segment or account.industry, account.region) if part)
    since = account.became_customer_on.year if row.shows_since and account.became_customer_on else None
    return Voucher(
        account.name if row.shows_name else kind or "A customer",
        row.quote,
        since,
        on_time if row.shows_on_time else "",
    )


def on_time_of(account_ids: Sequence[int], today: dt.date) -> dict[int, str]:
    """Share of deliveries of the last year that came in time, where there were enough; one query."""
    rows = Order.objects.filter(
        account__in=account_ids, promised_on__range=(today - YEAR, today), delivered_on__isnull=False
    ).exclude(status=OrderStatus.CANCELLED)
    counted = (
        rows.order_by()
        .values_list("account")
        .annotate(of=Count("pk"), good=Count("pk", filter=Q(delivered_on__lte=F("promised_on"))))
    )
    return {pk: percent(good / of) for pk, of, good in counted if of >= LEAST_DELIVERIES}
