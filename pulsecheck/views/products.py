"""The product matrix: what each customer bought, what is missing, and what to talk about next."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.models import Account
from accounts.paging import query_url
from accounts.permissions import SignedIn
from pulsecheck.selectors.products import (
    MOST_SERIES,
    WHOSE,
    Filters,
    account_products,
    catalogue,
    latest_study,
    matrix_page,
    series_of,
)
from pulsecheck.views.chips import Chip, Option


@require_GET
def products(request: SignedIn) -> HttpResponse:
    """Customers against series of products."""
    filters = Filters.from_query(request.GET.dict(), request.user)
    known = catalogue()
    series = series_of(known)
    without = [("", "Any"), *((s.name, s.name) for s in series)]
    context = {
        "page": matrix_page(request.user, filters, known),
        "series": series[:MOST_SERIES],
        "more_series": max(0, len(series) - MOST_SERIES),
        "filters": filters,
        "whose": [
            Option(label, query_url(filters.query, whose=code), code == filters.whose)
            for code, label in WHOSE.items()
        ],
        "chip": Chip(
            f"Without {filters.without}" if filters.without else "Without",
            bool(filters.without),
            options=[
                Option(label, query_url(filters.query, without=code) or "?", code == filters.without)
                for code, label in without
            ],
        ),
        "study": latest_study(),
    }
    return render(request, "pulsecheck/products.html", context)


@require_GET
def products_of(request: SignedIn, pk: int) -> HttpResponse:
    """The matrix of one account."""
    account = get_object_or_404(Account.objects.visible_to(request.user), pk=pk)
    context = {"account": account, "matrix": account_products(account)}
    return render(request, "pulsecheck/account_products.html", context)
