"""My retention: one's own figures and the records behind them; and what a manager sees of closed months."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import Role
from accounts.permissions import LEADERS, SignedIn, require_role
from accounts.selectors import company_today
from retention.kpis.expected import PRECISION
from retention.selectors.own import (
    BY_NAME,
    CLOSES_AFTER_DAYS,
    LEAST,
    MEASURES,
    MOST_LINES,
    RETENTION,
    SPAN_DAYS,
    STRONG,
    closed_until,
    next_closing,
    own_page,
    own_records,
    own_span,
    team_rows,
)

PEOPLE_WITH_ACCOUNTS = (Role.SALES_REP, Role.ACCOUNT_MANAGER)
RULES = {
    "least": LEAST,
    "strong": STRONG,
    "span_days": SPAN_DAYS,
    "precision": PRECISION * 100,
    "closes_after": CLOSES_AFTER_DAYS,
}


@require_GET
@require_role(*PEOPLE_WITH_ACCOUNTS)
def my_retention(request: SignedIn) -> HttpResponse:
    """One's own figures: whoever asks sees nobody else's."""
    today = company_today()
    shown = own_page(request.user, today)
    weakest = shown.weakest
    help_url = reverse(weakest.measure.page) + weakest.measure.query if weakest else ""
    context = {
        "shown": shown,
        "retention": BY_NAME[RETENTION],
        "help_url": help_url,
        "closed": closed_until(today),
        "next_closing": next_closing(today),
        "today": today,
        **RULES,
    }
    return render(request, "retention/my_retention.html", context)


@require_GET
@require_role(*PEOPLE_WITH_ACCOUNTS)
def my_records(request: SignedIn, name: str) -> HttpResponse:
    """The records behind one of one's own figures."""
    measure = BY_NAME.get(name)
    if measure is None:
        raise Http404
    span = own_span(company_today())
    is_before = "before" in request.GET
    records, share = own_records(request.user, measure, span.before if is_before else span)
    context = {
        "measure": measure,
        "records": records,
        "share": share,
        "is_before": is_before,
        "most": MOST_LINES,
        "today": company_today(),
        **RULES,
    }
    return render(request, "retention/my_records.html", context)


@require_GET
@require_role(*LEADERS)
def team_retention(request: SignedIn) -> HttpResponse:
    """The people one leads, over closed months."""
    today = company_today()
    context = {
        "rows": team_rows(request.user, today),
        "measures": [measure for measure in MEASURES if measure.name != RETENTION],
        "closed": closed_until(today),
        "next_closing": next_closing(today),
        "today": today,
        **RULES,
    }
    return render(request, "retention/team_retention.html", context)
