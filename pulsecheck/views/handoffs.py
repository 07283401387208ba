"""From sales to service: handing a won deal over, its onboarding list, and the guide to the departments."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Account, Department, Handoff, OnboardingItem, OnboardingStep
from accounts.permissions import ADMINISTRATORS, CARERS, SignedIn, has_role, require_role
from accounts.selectors import company_today, get_company
from accounts.services import handoffs as services
from accounts.services.audit import write_audit
from pulsecheck.forms.teams import DepartmentForm, HandoffForm, OnboardingItemForm, ReceiveForm
from pulsecheck.selectors import handoffs
from pulsecheck.selectors.lists import ListFilters
from pulsecheck.services.touchpoints import plan_next
from pulsecheck.views.chips import list_chips
from pulsecheck.views.deeds import Bound, Deed, deed_forms, do_deed, record_page, visible

RELATED = ("account", "handed_by", "handed_to", "contact")
MOST_MISSING = 10


@require_GET
@require_role(*CARERS)
def handoff_list(request: SignedIn) -> HttpResponse:
    """Won deals on their way from sales to service, and new customers nobody handed over."""
    filters = ListFilters.from_query(request.GET.dict(), request.user, handoffs.STATES)
    today = company_today()
    missing = handoffs.without_handoff(request.user, filters.whose, today)
    context = {
        "page": handoffs.handoff_page(request.user, filters, today),
        "counts": handoffs.count_handoffs(request.user, filters.whose, today),
        "missing": missing.select_related("original_salesperson")[:MOST_MISSING],
        "filters": filters,
        "chips": list_chips(filters, handoffs.STATES),
        "today": today,
    }
    return render(request, "pulsecheck/handoffs.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def hand_over(request: SignedIn, pk: int) -> HttpResponse:
    """The deal is won: what service has to know, the team, the promises."""
    account = get_object_or_404(Account.objects.visible_to(request.user), pk=pk)
    form = HandoffForm(request.POST or None, account=account, user=request.user)
    if request.method == "POST" and form.is_valid():
        handoff = services.hand_over(account, request.user, form.won())
        plan_next(handoff.account, company_today())
        messages.success(
            request, f"Handed over to {handoff.handed_to}. Every step of the onboarding has an owner."
        )
        return redirect("pulsecheck:handoff", handoff.pk)
    context = {"account": account, "form": form, "items": OnboardingItem.objects.filter(is_active=True)}
    return render(request, "pulsecheck/hand_over.html", context, status=422 if form.errors else 200)


@require_GET
@require_role(*CARERS)
def handoff(request: SignedIn, pk: int) -> HttpResponse:
    return _show(request, visible(request, Handoff, pk, *RELATED))


def _show(request: SignedIn, row: Handoff, bound: Bound | None = None) -> HttpResponse:
    steps = list(row.steps.select_related("owner", "done_by"))
    context = {
        "handoff": row,
        "steps": steps,
        "n_done": sum(step.done_at is not None for step in steps),
        "members": row.account.members.select_related("user"),
        "promises": row.account.promises.select_related("made_by")[:10],
        "forms": deed_forms(request, row, bound, receive_handoff=ReceiveForm),
    }
    return record_page(request, "pulsecheck/handoff.html", context, bound)


def _place(row: Any) -> str:
    return reverse("pulsecheck:handoff", args=[row.handoff_id if isinstance(row, OnboardingStep) else row.pk])


DEEDS = {
    "receive_handoff": Deed(
        Handoff, services.receive_handoff, "Received.", _place, ReceiveForm, _show, related=RELATED
    ),
    "finish_onboarding_step": Deed(
        OnboardingStep, services.finish_onboarding_step, "Done.", _place, related=("handoff__account",)
    ),
}


@require_POST
def act(request: SignedIn, pk: int, deed: str) -> HttpResponse:
    """Do one of DEEDS."""
    return do_deed(request, pk, deed, DEEDS)


# ── the guide ──────────────────────────────────────────────────────────
@require_GET
def guide(request: SignedIn) -> HttpResponse:
    """How the departments work: for everybody who is new."""
    context = {
        "chapters": handoffs.guide(),
        "items": OnboardingItem.objects.filter(is_active=True),
        "company": get_company(),
        "may_change": has_role(request.user, *ADMINISTRATORS),
    }
    return render(request, "pulsecheck/guide.html", context)


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def department(request: SignedIn, pk: int) -> HttpResponse:
    """Other words about a department."""
    row = get_object_or_404(Department, pk=pk)
    form = DepartmentForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        write_audit(request.user, "change_department", form.save(), role=row.role)
        messages.success(request, "Saved.")
        return redirect("pulsecheck:guide")
    context = {"form": form, "title": row.get_role_display(), "back": "pulsecheck:guide"}
    return render(request, "accounts/settings/form.html", context, status=422 if form.errors else 200)


@require_GET
@require_role(*ADMINISTRATORS)
def onboarding(request: SignedIn) -> HttpResponse:
    """The checklist every new customer goes through."""
    return render(request, "pulsecheck/onboarding.html", {"items": OnboardingItem.objects.all()})


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def onboarding_item(request: SignedIn, pk: int | None = None) -> HttpResponse:
    """A new step of the checklist, or one to change."""
    row = get_object_or_404(OnboardingItem, pk=pk) if pk else OnboardingItem()
    form = OnboardingItemForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        services.save_onboarding_item(request.user, form.save(commit=False))
        messages.success(request, "Saved. Customers under way keep the list they began with.")
        return redirect("pulsecheck:onboarding")
    title = "A step of the checklist" if pk else "Add a step"
    context = {"form": form, "title": title, "back": "pulsecheck:onboarding"}
    return render(request, "accounts/settings/form.html", context, status=422 if form.errors else 200)
