"""The random audit: how often we take an account for healthy that is not."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.permissions import ADMINISTRATORS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from pulsecheck.selectors.audits import WHICH, audit_page, audit_per_week, audit_weeks, false_green
from pulsecheck.services.audits import change_audit_size
from pulsecheck.views.chips import one_menu


class SizeForm(forms.Form):
    """How many accounts are drawn a week."""

    per_week = forms.IntegerField(
        min_value=0,
        max_value=200,
        label="Accounts a week",
        help_text="0 stops drawing. From the next week on.",
    )


@require_GET
def audit(request: SignedIn) -> HttpResponse:
    """The measured rate, the weeks behind it, and who was drawn."""
    return _show(request, SizeForm(initial={"per_week": audit_per_week()}))


def _show(request: SignedIn, form: SizeForm) -> HttpResponse:
    today, query = company_today(), request.GET.dict()
    which = query.get("which", "")
    context = {
        "rate": false_green(today),
        "weeks": audit_weeks(today),
        "page": audit_page(request.user, query, today),
        "chips": one_menu(query, "which", list(WHICH.items()), which if which in WHICH else ""),
        "which": which,
        "today": today,
        "per_week": audit_per_week(),
        "form": form if has_role(request.user, *ADMINISTRATORS) else None,
    }
    return render(request, "pulsecheck/audit.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*ADMINISTRATORS)
def audit_size(request: SignedIn) -> HttpResponse:
    """Draw more or fewer."""
    form = SizeForm(request.POST)
    if not form.is_valid():
        return _show(request, form)
    change_audit_size(form.cleaned_data["per_week"], request.user)
    messages.success(request, "Saved. It counts from the next week on.")
    return redirect("pulsecheck:audit")
