"""Settings: what leaving means, where the tiers begin, how often we look in; and the way to all other settings."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods
from kombu.exceptions import OperationalError

from accounts.models.account import BillingMode
from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from accounts.selectors import company_today, get_company, values_in_use
from pulsecheck.cadence import Policies
from pulsecheck.selectors.load import preview_cadence
from pulsecheck.selectors.plan import stored_policies
from pulsecheck.services.policies import save_cadence
from pulsecheck.tasks import plan
from retention.forms import CadenceForm, DefinitionForm, TierForm
from retention.models import Definition, TierPolicy
from retention.selectors import thresholds
from retention.selectors.definitions import definition_for, definitions_in_force, tier_policy_in_force
from retention.selectors.settings import settings_overview
from retention.services.definitions import save_definition
from retention.services.tiers import save_tier_policy

log = logging.getLogger(__name__)
MODES = {BillingMode.REPEAT.value: "Repeat purchase", BillingMode.CONTRACT.value: "Contract"}


@require_GET
@require_role(*ADMINISTRATORS)
def index(request: SignedIn) -> HttpResponse:
    """Everything that can be set, and what needs a look."""
    return render(request, "retention/settings/index.html", {"sections": settings_overview()})


@require_GET
@require_role(*ADMINISTRATORS)
def definitions(request: SignedIn) -> HttpResponse:
    """What is in force, what could be said apart, and every version there was."""
    in_force = definitions_in_force()
    context = {
        "in_force": sorted(in_force.values(), key=lambda row: (row.segment, row.billing_mode)),
        "history": Definition.objects.select_related("created_by").order_by("-created_at", "-pk")[:100],
        "segments": values_in_use("segment"),
        "modes": MODES,
    }
    return render(request, "retention/settings/definitions.html", context)


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def definition(request: SignedIn) -> HttpResponse:
    """A new version for ?segment= and ?mode=, with what it would change before it is saved."""
    segment, mode = request.GET.get("segment", ""), request.GET.get("mode", BillingMode.REPEAT.value)
    if mode not in MODES or (segment and segment not in values_in_use("segment")):
        raise Http404
    now = definition_for(definitions_in_force(), segment, mode)
    draft = Definition(segment=segment, billing_mode=mode)
    for name in ("horizon_days", "inactive_floor_days", "inactive_ceiling_days", "grace_days"):
        setattr(draft, name, getattr(now, name))
    form = DefinitionForm(request.POST or None, instance=draft)
    if request.method == "POST" and form.is_valid() and request.POST.get("action") == "save":
        saved = save_definition(request.user, form.save(commit=False))
        messages.success(request, f"Version {saved.version} is in force from the next score run.")
        return redirect("retention:definitions")
    changes = [] if form.errors else thresholds.preview_definition(form.instance)
    title = f"{segment or 'All segments'}, {MODES[mode].lower()}"
    return _with_preview(request, form, "definition", changes, {"title": title, "now": now})


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def tiers(request: SignedIn) -> HttpResponse:
    """The thresholds, with the book by tier before and after, before anything is saved."""
    now = tier_policy_in_force()
    draft = TierPolicy(**{name: getattr(now, name) for name in TierForm.Meta.fields})
    form = TierForm(request.POST or None, instance=draft)
    if request.method == "POST" and form.is_valid() and request.POST.get("action") == "save":
        changed = save_tier_policy(request.user, form.save(commit=False))
        messages.success(request, f"Saved. {changed:,} accounts changed their tier.")
        return redirect("retention:tiers")
    changes = thresholds.tiers_now()
    if request.method == "POST":
        changes = [] if form.errors else thresholds.preview_tiers(form.instance)
    history = TierPolicy.objects.select_related("created_by").order_by("-pk")[:20]
    return _with_preview(request, form, "tiers", changes, {"history": history})


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def cadence(request: SignedIn) -> HttpResponse:
    """Days between pulse checks per tier and group, with the work they make for whom."""
    form = CadenceForm(request.POST or None)
    is_valid = request.method == "POST" and form.is_valid()
    if is_valid and request.POST.get("action") == "save":
        save_cadence(request.user, form.policies, form.occasions)
        messages.success(request, f"Saved. {_plan_anew()}")
        return redirect("retention:cadence")
    load = [] if form.errors else thresholds.cadence_load(form.policies if is_valid else stored_policies())
    context = {
        "load": load,
        "total_before": sum(row.before for row in load),
        "total_after": sum(row.after for row in load),
        "people": thresholds.pulse_takers(),
        "preview": preview_cadence(Policies(form.policies, form.occasions), company_today())
        if is_valid
        else None,
        "tier_fields": [form[name] for name in form.keys if not form.is_special(name)],
        "special_fields": [form[name] for name in form.keys if form.is_special(name)],
        "currency": get_company().currency,
        "form": form,
    }
    return render(request, "retention/settings/cadence.html", context, status=422 if form.errors else 200)


def _plan_anew() -> str:
    """Ask a worker to bring the plan up to date; when it will be."""
    try:
        plan.delay_on_commit()
    except OperationalError as problem:
        log.warning("The broker does not answer (%s); the plan of contacts waits for the night.", problem)
        return "The planned contacts follow tonight."
    return "The planned contacts follow within a minute."


def _with_preview(
    request: SignedIn, form: Any, page: str, changes: list[thresholds.Change], context: dict[str, Any]
) -> HttpResponse:
    moved = sum(abs(row.after - row.before) for row in changes) // 2
    context |= {"form": form, "changes": changes, "moved": moved, "currency": get_company().currency}
    context["previewed"] = request.method == "POST"
    return render(request, f"retention/settings/{page}.html", context, status=422 if form.errors else 200)
