"""The insight library: what may be told to customers, by industry, and what they made of it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Role
from accounts.permissions import LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today, menu_of
from pulsecheck.forms.insights import InsightForm
from pulsecheck.models import Insight
from pulsecheck.selectors.insights import (
    Filters,
    attach_told,
    insight_page,
    reactions_to,
)
from pulsecheck.services.insights import restore_insight, save_insight, withdraw_insight
from pulsecheck.views.chips import insight_chips

# Marketing knows the industries; managers know what is worth telling. Everybody reads.
WRITERS = (*LEADERS, Role.MARKETING)


@require_GET
def insights(request: SignedIn) -> HttpResponse:
    """What is there, the newest first."""
    filters = Filters.from_query(request.GET.dict())
    context = {
        "page": insight_page(filters, company_today()),
        "filters": filters,
        "chips": insight_chips(filters, menu_of("industry")),
        "today": company_today(),
        "may_write": has_role(request.user, *WRITERS),
    }
    return render(request, "pulsecheck/insights.html", context)


@require_GET
def insight(request: SignedIn, pk: int) -> HttpResponse:
    """One insight to read, and what customers made of it."""
    found = get_object_or_404(Insight.objects.select_related("written_by"), pk=pk)
    attach_told([found])
    context = {
        "insight": found,
        "reactions": reactions_to(found),
        "today": company_today(),
        "may_write": has_role(request.user, *WRITERS),
    }
    return render(request, "pulsecheck/insight.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def new_insight(request: SignedIn) -> HttpResponse:
    """Add one to the library."""
    return _edit(request, Insight(), "Add an insight", reverse("pulsecheck:insights"))


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def edit_insight(request: SignedIn, pk: int) -> HttpResponse:
    """Other words, industries or days."""
    found = get_object_or_404(Insight, pk=pk)
    return _edit(request, found, "Change an insight", reverse("pulsecheck:insight", args=[pk]))


def _edit(request: SignedIn, insight: Insight, title: str, back: str) -> HttpResponse:
    form = InsightForm(request.POST or None, instance=insight)
    if request.method == "POST" and form.is_valid():
        saved = save_insight(form.save(commit=False), request.user)
        messages.success(request, "Saved. It is offered where it fits.")
        return redirect("pulsecheck:insight", saved.pk)
    context = {"form": form, "title": title, "back": back}
    return render(request, "pulsecheck/insight_form.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*WRITERS)
def withdraw(request: SignedIn, pk: int) -> HttpResponse:
    """Nobody is offered it any more."""
    found = withdraw_insight(get_object_or_404(Insight, pk=pk), request.user)
    undo = "undo:" + reverse("pulsecheck:restore_insight", args=[found.pk])
    messages.success(request, "Withdrawn. Nobody is offered it any more.", extra_tags=undo)
    return redirect("pulsecheck:insight", found.pk)


@require_POST
@require_role(*WRITERS)
def restore(request: SignedIn, pk: int) -> HttpResponse:
    """Offer it again."""
    found = restore_insight(get_object_or_404(Insight, pk=pk), request.user)
    messages.success(request, "Back in the library.")
    return redirect("pulsecheck:insight", found.pk)
