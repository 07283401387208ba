"""Two owners and a retention team: alarms over all customers, and who looks after one of them."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Account, AccountMember, RoleSwap
from accounts.permissions import CARERS, LEADERS, SignedIn, require_role
from accounts.selectors import company_today
from pulsecheck.forms.teams import EventForm, ManagerForm, MemberForm, SwapForm
from pulsecheck.selectors import owners
from pulsecheck.selectors.lists import ListFilters
from pulsecheck.services import owners as services
from pulsecheck.views.chips import list_chips
from pulsecheck.views.deeds import Bound, Deed, deed_forms, do_deed, record_page, visible

RELATED = ("original_salesperson", "account_manager")


@require_GET
@require_role(*CARERS)
def owner_list(request: SignedIn) -> HttpResponse:
    """Customers that miss one of their two parents."""
    filters = ListFilters.from_query(request.GET.dict(), request.user, owners.STATES)
    context = {
        "page": owners.owner_page(request.user, filters),
        "counts": owners.count_owners(request.user, filters.whose),
        "silent_days": owners.SILENT_DAYS,
        "filters": filters,
        "chips": list_chips(filters, owners.STATES),
    }
    return render(request, "pulsecheck/owners.html", context)


@require_GET
@require_role(*CARERS)
def account_team(request: SignedIn, pk: int) -> HttpResponse:
    return _show(request, visible(request, Account, pk, *RELATED))


def _show(request: SignedIn, row: Account, bound: Bound | None = None) -> HttpResponse:
    owners.attach_alarms([row], timezone.now())
    context = {
        "account": row,
        "swap": owners.current_swap(row, company_today()),
        "members": row.members.select_related("user"),
        "changes": row.owner_changes.select_related("from_user", "to_user")[:20],
        "news": row.events.select_related("noted_by")[:20],
        "may_choose": owners.may_choose_owners(request.user),
        "forms": deed_forms(
            request,
            row,
            bound,
            add_member=MemberForm,
            change_manager=ManagerForm,
            swap_roles=SwapForm,
            note_event=EventForm,
        ),
    }
    return record_page(request, "pulsecheck/team.html", context, bound)


def _show_for(request: SignedIn, row: Any, bound: Bound) -> HttpResponse:
    return _show(request, row, bound)


def _place(row: Any) -> str:
    account = row if isinstance(row, Account) else row.account
    return reverse("pulsecheck:team", args=[account.pk])


DEEDS = {
    "add_member": Deed(
        Account,
        services.add_member,
        "On the team. They see the account from now on.",
        _place,
        MemberForm,
        _show_for,
        related=RELATED,
    ),
    "remove_member": Deed(AccountMember, services.remove_member, "Off the team.", _place),
    "change_manager": Deed(
        Account,
        services.change_manager,
        "Saved. The next planned contact is theirs.",
        _place,
        ManagerForm,
        _show_for,
        roles=LEADERS,
        related=RELATED,
    ),
    "swap_roles": Deed(
        Account,
        services.swap_roles,
        "Swapped. The salesperson looks in until then.",
        _place,
        SwapForm,
        _show_for,
        related=RELATED,
    ),
    "end_swap": Deed(
        RoleSwap,
        services.end_swap,
        "Back to their own roles.",
        _place,
        related=("account__original_salesperson", "account__account_manager"),
    ),
    "note_event": Deed(Account, services.note_event, "Noted.", _place, EventForm, _show_for, related=RELATED),
}


@require_POST
def act(request: SignedIn, pk: int, deed: str) -> HttpResponse:
    """Do one of DEEDS."""
    return do_deed(request, pk, deed, DEEDS)
