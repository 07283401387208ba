"""Pulse checks: who is due, writing one down, leaving one out, putting one off."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Account
from accounts.permissions import CARERS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from pulsecheck import services
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.forms.fields import in_a_week
from pulsecheck.forms.pulses import PulseForm, SkipForm, SnoozeForm
from pulsecheck.models import Handback, PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.selectors.audits import audits_to_ask
from pulsecheck.selectors.insights import insights_for
from pulsecheck.selectors.pulse_history import history_page, pulse_trend, standing_of, theme_counts
from pulsecheck.selectors.pulses import Filters, coverage, due_page, open_steps
from pulsecheck.selectors.surveys import surveys_of
from pulsecheck.selectors.triggers import poorest_pulse
from pulsecheck.services.touchpoints import unsnooze_touchpoint
from pulsecheck.views.chips import pulse_chips


@require_GET
@require_role(*CARERS)
def due(request: SignedIn) -> HttpResponse:
    """Who is to be looked in on, the most overdue first."""
    filters = Filters.from_query(request.GET.dict(), request.user)
    today = company_today()
    page = due_page(request.user, filters, today)
    context = {
        "page": page,
        "bring": insights_for([row.account for row in page.rows], today),
        "coverage": coverage(request.user, filters.whose, today, timezone.now()),
        "steps": open_steps(request.user),
        "drawn": audits_to_ask(request.user, today),
        "filters": filters,
        "chips": pulse_chips(filters, is_leader=has_role(request.user, *LEADERS)),
        "today": today,
    }
    return render(request, "pulsecheck/due.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def log_pulse(request: SignedIn, pk: int) -> HttpResponse:
    """The form that takes half a minute."""
    account = get_object_or_404(Account.objects.visible_to(request.user), pk=pk)
    form = PulseForm(request.POST or None, account=account, user=request.user)
    if request.method == "POST" and form.is_valid():
        pulse = services.log_pulse_check(account, request.user, form.entry())
        messages.success(request, _said(pulse))
        return redirect("pulsecheck:pulse_due")
    context = {
        "form": form,
        "account": account,
        "planned": account.touchpoints.filter(state=TouchpointState.PLANNED).first(),
        "standing": standing_of(account, company_today()),
        "last": account.pulse_checks.select_related("taken_by", "next_step_owner").first(),
        "issues": list(account.issues.filter(resolved_at=None)[:3]),
        "more_open": any(form[name].errors or form[name].value() for name in MORE),
        "today": company_today(),
    }
    return render(request, "pulsecheck/log_pulse.html", context, status=422 if form.errors else 200)


# What stands folded away below the short form.
MORE = ("grievance", "grievance_owner", "grievance_due_on", "insight_shared", "opportunity")


@require_GET
def history(request: SignedIn, pk: int) -> HttpResponse:
    """Everything this customer told us, the newest first."""
    account = get_object_or_404(Account.objects.visible_to(request.user), pk=pk)
    context = {
        "account": account,
        "page": history_page(account, request.GET.dict()),
        "standing": standing_of(account, company_today()),
        "trend": pulse_trend(account),
        "themes": theme_counts(account),
        "surveys": surveys_of(account),
        "now": timezone.now(),
        "today": company_today(),
        "may_act": has_role(request.user, *CARERS),
    }
    return render(request, "pulsecheck/pulses.html", context)


def _said(pulse: PulseCheck) -> str:
    """What writing it down led to, in a sentence or three."""
    parts = [f"Pulse of {pulse.account.name} written down."]
    if pulse.issue:
        parts.append("An issue is open.")
    opened = Handback.objects.unfinished().filter(account=pulse.account).select_related("salesperson").first()
    if pulse.score <= poorest_pulse() and opened is not None:
        parts.append(f"It is handed back to {opened.salesperson or 'nobody yet'}.")
    planned = Touchpoint.objects.filter(account=pulse.account, state=TouchpointState.PLANNED).first()
    if planned is not None:
        parts.append(f"The next one is due on {day_words(planned.due_on)}.")
    return " ".join(parts)


def _touchpoint(request: SignedIn, pk: int) -> Touchpoint:
    return get_object_or_404(Touchpoint.objects.visible_to(request.user).select_related("account"), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def skip(request: SignedIn, pk: int) -> HttpResponse:
    """Leave a contact out, with the reason."""
    touchpoint = _touchpoint(request, pk)
    form = SkipForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.skip_touchpoint(touchpoint, request.user, form.cleaned_data["reason"])
        messages.success(request, f"Left out. {_next_words(touchpoint)}")
        return redirect("pulsecheck:pulse_due")
    return _ask(request, touchpoint, form, "Leave this pulse check out", "Leave it out")


def _next_words(touchpoint: Touchpoint) -> str:
    planned = Touchpoint.objects.filter(account=touchpoint.account, state=TouchpointState.PLANNED).first()
    return f"The next one is due on {day_words(planned.due_on)}." if planned else ""


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def snooze(request: SignedIn, pk: int) -> HttpResponse:
    """Put a contact off, with the reason."""
    touchpoint = _touchpoint(request, pk)
    form = SnoozeForm(request.POST or None, initial={"until": in_a_week()})
    if request.method == "POST" and form.is_valid():
        try:
            moved = services.snooze_touchpoint(touchpoint, request.user, **form.cleaned_data)
        except CareError as problem:
            form.add_error("until", str(problem))
        else:
            undo = "undo:" + reverse("pulsecheck:unsnooze", args=[moved.pk])
            messages.success(request, f"Put off until {day_words(moved.due_on)}.", extra_tags=undo)
            return redirect("pulsecheck:pulse_due")
    return _ask(request, touchpoint, form, "Put this pulse check off", "Put it off")


def _ask(request: SignedIn, touchpoint: Touchpoint, form: forms.Form, title: str, label: str) -> HttpResponse:
    context = {"touchpoint": touchpoint, "form": form, "title": title, "label": label}
    return render(request, "pulsecheck/touchpoint.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*CARERS)
def unsnooze(request: SignedIn, pk: int) -> HttpResponse:
    """Take a putting-off back."""
    unsnooze_touchpoint(_touchpoint(request, pk), request.user)
    messages.success(request, "Back on its day.")
    return redirect("pulsecheck:pulse_due")


@require_POST
@require_role(*CARERS)
def finish_step(request: SignedIn, pk: int) -> HttpResponse:
    """The next step of a pulse check is done."""
    pulse = get_object_or_404(PulseCheck.objects.visible_to(request.user), pk=pk)
    services.complete_next_step(pulse, request.user)
    messages.success(request, "Done.")
    return redirect("pulsecheck:pulse_due")
