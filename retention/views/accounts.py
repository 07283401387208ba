"""The list of all accounts."""

from __future__ import annotations

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from accounts.permissions import LEADERS, SignedIn, has_role
from accounts.selectors import company_today, get_company
from retention.selectors import book
from retention.selectors.accounts import count_accounts
from retention.selectors.frame import latest_run
from retention.views.at_risk import export_scores
from retention.views.chips import make_chips, sort_links


@require_GET
def accounts(request: SignedIn) -> HttpResponse:
    """Every account the person sees: by name, or led by the scores when sorted or filtered by them."""
    run, today = latest_run(), company_today()
    filters = book.Filters.from_query(request.GET.dict(), default_sort="name")
    by_score = run is not None and (filters.sort != "name" or bool(filters.tier) or bool(filters.reason))
    if run is not None and by_score:
        page = book.score_page(run, filters, request.user, risky=False)
    else:
        page = book.account_page(run, filters, request.user, today)
    context = {
        "page": page,
        "filters": filters,
        "chips": make_chips(filters, request.user, run, risky=False),
        "sorts": sort_links(filters),
        "count": count_accounts(request.user),
        "currency": get_company().currency,
        "export_query": urlencode({k: v for k, v in filters.query.items() if k != "after"}),
        "run": run,
        "first_step": reverse("accounts:imports") if has_role(request.user, *LEADERS) else "",
        "today": today,
    }
    return render(request, "retention/accounts.html", context)


@require_GET
def export(request: SignedIn, form: str) -> HttpResponseBase:
    """The scored accounts under the same filters, as CSV or XLSX."""
    run = latest_run()
    if run is None:
        raise Http404
    return export_scores(request, run, form, f"accounts-{run.as_of}", risky=False)
