"""Search: a page, and the same answers for the palette."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.permissions import SignedIn
from retention.context import menu_entries
from retention.selectors import search as selector

PALETTE_ROWS = 6


@require_GET
def search(request: SignedIn) -> HttpResponse:
    """Everything that matches ?q=."""
    text = request.GET.get("q", "").strip()
    context = {
        "search_text": text,
        "found": selector.search(request.user, text),
        "pages": _pages(request, text) if text else [],
    }
    return render(request, "retention/search.html", context)


@require_GET
def suggest(request: SignedIn) -> JsonResponse:
    """The best few answers for the palette: groups of {label, hint, href}."""
    text = request.GET.get("q", "").strip()
    found = selector.search(request.user, text, PALETTE_ROWS)
    groups = [
        {"title": "Accounts", "rows": [_account_row(a) for a in found.accounts]},
        {"title": "People", "rows": [_contact_row(c) for c in found.contacts]},
        {"title": "Pages", "rows": _pages(request, text)},
    ]
    return JsonResponse({"groups": [group for group in groups if group["rows"]]})


def _account_row(account: Any) -> dict[str, str]:
    return {
        "label": account.name,
        "hint": account.segment,
        "href": reverse("retention:account", args=[account.pk]),
    }


def _contact_row(contact: Any) -> dict[str, str]:
    href = reverse("retention:account", args=[contact.account_id]) + "#people"
    return {"label": contact.name, "hint": contact.account.name, "href": href}


def _pages(request: SignedIn, text: str) -> list[dict[str, str]]:
    """Entries of the menu whose name holds `text`; all of them for no text."""
    entries = menu_entries(request)
    return [
        {"label": e["label"], "hint": "", "href": e["path"]}
        for e in entries
        if text.lower() in e["label"].lower()
    ]
