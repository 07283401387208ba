"""Message mix: how much of what customers hear from us informs, helps or sells, and the messages behind it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Account, Interaction, Role
from accounts.permissions import CARERS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from pulsecheck.forms.records import ClassForm
from pulsecheck.message_mix import LEAST, WINDOW_DAYS
from pulsecheck.selectors.lists import ListFilters, Menus
from pulsecheck.selectors.messages import (
    CLASSES,
    GROUPS,
    STATES,
    account_page,
    message_page,
    mix_by,
    mix_of,
    slice_menus,
    whole_of,
)
from pulsecheck.services.messages import say_class
from pulsecheck.views.chips import list_chips, one_menu
from pulsecheck.views.deeds import Deed, do_deed, visible

KINDS = {"": "All messages", **CLASSES}
RULE: dict[str, Any] = {"least": LEAST, "window_days": WINDOW_DAYS}


@require_GET
@require_role(*LEADERS, Role.MARKETING)
def message_mix(request: SignedIn) -> HttpResponse:
    """By team or segment, most promotion first."""
    by = request.GET.get("by", "")
    by = by if by in GROUPS else "team"
    parts = mix_by(request.user, by)
    choices = [(code, label) for code, (label, _) in GROUPS.items()]
    context = {
        "by": by,
        "parts": parts,
        "whole": whole_of(parts),
        "chips": one_menu({"by": by}, "by", choices, by),
        **RULE,
    }
    return render(request, "pulsecheck/message_mix.html", context)


@require_GET
def accounts(request: SignedIn) -> HttpResponse:
    """Accounts by what they hear, most promotion first."""
    menus = slice_menus()
    filters = ListFilters.from_query(request.GET.dict(), request.user, STATES, menus)
    context = {
        "page": account_page(request.user, filters),
        "filters": filters,
        "chips": list_chips(filters, STATES, menus),
        "leads": has_role(request.user, *LEADERS, Role.MARKETING),
        **RULE,
    }
    return render(request, "pulsecheck/message_accounts.html", context)


@require_GET
def sent(request: SignedIn) -> HttpResponse:
    """The messages themselves."""
    menus = slice_menus()
    filters = _filters(request, menus)
    context = {
        "page": message_page(request.user, filters, company_today()),
        "filters": filters,
        "chips": list_chips(filters, KINDS, menus),
        "classes": CLASSES,
        "may_say": has_role(request.user, *CARERS),
        **RULE,
    }
    return render(request, "pulsecheck/messages.html", context)


@require_GET
def messages_of(request: SignedIn, pk: int) -> HttpResponse:
    """What one account heard, and the messages themselves."""
    account, today = visible(request, Account, pk), company_today()
    filters = _filters(request, {})
    context = {
        "account": account,
        "mix": mix_of(account, today),
        "page": message_page(request.user, filters, today, account),
        "filters": filters,
        "chips": one_menu(filters.query, "state", list(KINDS.items()), filters.state),
        "may_say": has_role(request.user, *CARERS),
        **RULE,
    }
    return render(request, "pulsecheck/account_messages.html", context)


def _filters(request: SignedIn, menus: Menus) -> ListFilters:
    return ListFilters.from_query(request.GET.dict(), request.user, KINDS, menus)


def _messages_of(row: Interaction) -> str:
    return reverse("pulsecheck:account_messages", args=[row.account_id])


DEEDS = {"say_class": Deed(Interaction, say_class, "Said. It counts from now on.", _messages_of, ClassForm)}


@require_POST
def act(request: SignedIn, pk: int, deed: str) -> HttpResponse:
    """Do one of DEEDS."""
    return do_deed(request, pk, deed, DEEDS)
