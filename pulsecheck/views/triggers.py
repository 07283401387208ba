"""What opens handbacks, how right it was, and the settings of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.permissions import ADMINISTRATORS, CARERS, SignedIn, has_role, require_role
from pulsecheck.forms.triggers import BudgetForm, PolicyForm, RuleForm
from pulsecheck.models import TriggerRule
from pulsecheck.selectors.staff import can_take_over, get_staff
from pulsecheck.selectors.triggers import (
    MEASURED_DAYS,
    get_handback_policy,
    load_of_people,
    recent_false_alarms,
    trigger_records,
)
from pulsecheck.services import triggers as services


@require_GET
@require_role(*CARERS)
def triggers(request: SignedIn) -> HttpResponse:
    """How often each trigger was right, and what those it was wrong about had in common."""
    context = {
        "records": trigger_records(),
        "alarms": recent_false_alarms(request.user),
        "days": MEASURED_DAYS,
        "may_set": has_role(request.user, *ADMINISTRATORS),
    }
    return render(request, "pulsecheck/triggers.html", context)


@require_POST
@require_role(*ADMINISTRATORS)
def unmute(request: SignedIn, pk: int) -> HttpResponse:
    rule = services.unmute(get_object_or_404(TriggerRule, pk=pk), request.user)
    messages.success(request, f"“{rule}” speaks again from tonight; it is measured anew.")
    return redirect("pulsecheck:triggers")


@dataclass
class Parts:
    """The three forms of the page; the one that was sent is bound."""

    rules: list[RuleForm]
    policy: PolicyForm
    budgets: BudgetForm


def _parts(request: SignedIn, part: str) -> Parts:
    def sent(name: str) -> Any:
        return request.POST if part == name else None

    loads = load_of_people(get_staff(), can_take_over())
    return Parts(
        [RuleForm(sent("rules"), rule=rule, auto_id="rule_%s") for rule in TriggerRule.objects.all()],
        PolicyForm(sent("policy"), instance=get_handback_policy(), auto_id="policy_%s"),
        BudgetForm(sent("budgets"), loads=loads, auto_id="budget_%s"),
    )


def _save(request: SignedIn, part: str, parts: Parts) -> bool:
    """False when something is not right; every field says what."""
    if part == "rules":
        wrong = [form for form in parts.rules if not form.is_valid()]  # every one is looked at
        if wrong:
            return False
        for form in parts.rules:
            services.save_rule(form.rule, form.change(), request.user)
    elif part == "policy":
        if not parts.policy.is_valid():
            return False
        services.save_handback_policy(parts.policy.save(commit=False), request.user)
    else:
        if not parts.budgets.is_valid():
            return False
        services.save_budgets(parts.budgets.budgets(), request.user)
    return True


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*ADMINISTRATORS)
def settings(request: SignedIn) -> HttpResponse:
    """Triggers, office hours and deadlines, budgets."""
    part = request.POST.get("part", "") if request.method == "POST" else ""
    part = part if part in {"rules", "policy", "budgets"} else ""
    parts = _parts(request, part)
    if part and _save(request, part, parts):
        messages.success(request, "Saved. It counts from the next handback on.")
        return redirect("pulsecheck:handback_settings")
    context = {"parts": parts, "records": trigger_records()}
    return render(request, "pulsecheck/handback_settings.html", context, status=422 if part else 200)
