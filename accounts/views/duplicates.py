"""Accounts that may be one customer: looked at by a person, merged, kept apart, taken back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import selectors_duplicates as selectors
from accounts.models import AccountMerge, DuplicatePair
from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from accounts.services import merging
from accounts.services.duplicates import find_duplicates

PAGE = 50


@never_cache
@require_GET
@require_role(*ADMINISTRATORS)
def duplicates(request: SignedIn) -> HttpResponse:
    """Pairs to look at, the most certain first, or what was merged."""
    shows_merges = request.GET.get("state") == "merged"
    page = request.GET.get("page", "1")
    number = int(page) if page.isdecimal() and 0 < len(page) < 7 else 1
    rows = selectors.merges_made() if shows_merges else selectors.waiting_pairs()
    begin = (max(number, 1) - 1) * PAGE
    shown: list[Any] = list(rows[begin : begin + PAGE + 1])
    context = {
        "pairs": [] if shows_merges else [(pair, selectors.evidence_of(pair)) for pair in shown[:PAGE]],
        "merges": shown[:PAGE] if shows_merges else [],
        "shows_merges": shows_merges,
        "waiting": selectors.waiting_pairs().count(),
        "next": number + 1 if len(shown) > PAGE else None,
    }
    return render(request, "accounts/duplicates/list.html", context)


@require_POST
@require_role(*ADMINISTRATORS)
def look_for_duplicates(request: SignedIn) -> HttpResponse:
    """Look through all accounts now instead of in the night."""
    found = find_duplicates()
    words = f"{found:,} pairs to look at." if found != 1 else "One pair to look at."
    messages.success(request, words if found else "No two accounts look like one customer.")
    return redirect("accounts:duplicates")


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def duplicate(request: SignedIn, pk: int) -> HttpResponse:
    """Both accounts side by side, and what keeping either would do; `keep` merges, `apart` says they are two."""
    pair = get_object_or_404(
        DuplicatePair.objects.visible_to(request.user).select_related("first", "second"), pk=pk
    )
    if request.method == "POST":
        return _decide(request, pair)
    context = {
        "pair": pair,
        "evidence": selectors.evidence_of(pair),
        "sides": selectors.sides_of(pair),
    }
    return render(request, "accounts/duplicates/pair.html", context)


def _decide(request: SignedIn, pair: DuplicatePair) -> HttpResponse:
    chosen = request.POST.get("keep", "")
    ids = {str(pair.first_id): pair.second_id, str(pair.second_id): pair.first_id}
    if chosen in ids:
        try:
            merge = merging.merge_accounts(int(chosen), ids[chosen], request.user)
        except merging.MergeError as problem:
            messages.error(request, str(problem))
            return redirect("accounts:duplicate", pair.pk)
        messages.success(
            request, f"{merge.gone_name} is part of {merge.kept} now. It can be taken back here."
        )
        return redirect("accounts:duplicates")
    if "apart" in request.POST:
        merging.keep_apart(pair, request.user)
        messages.success(
            request, f"{pair.first} and {pair.second} stay two customers; nobody is asked again."
        )
        return redirect("accounts:duplicates")
    messages.error(request, "Say which one is kept, or that they are two customers.")
    return redirect("accounts:duplicate", pair.pk)


@require_POST
@require_role(*ADMINISTRATORS)
def undo_merge(request: SignedIn, pk: int) -> HttpResponse:
    """Make them two accounts again."""
    merge = get_object_or_404(AccountMerge, pk=pk)
    try:
        merging.undo_merge(merge.pk, request.user)
    except merging.MergeError as problem:
        messages.error(request, str(problem))
    else:
        messages.success(
            request,
            f"{merge.gone_name} is an account of its own again. What came since stays with {merge.kept}.",
        )
    return redirect(f"{reverse('accounts:duplicates')}?state=merged")
