"""The health scorecard: its weights in the settings, and where it, the model and the last pulse disagree."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.permissions import ADMINISTRATORS, CARERS, SignedIn, require_role
from accounts.selectors import get_company, values_in_use
from pulsecheck.errors import CareError
from retention.forms import HealthForm, SettleForm
from retention.models import Disagreement, HealthWeights
from retention.selectors import disagreements as disputes
from retention.selectors.health import weights_for, weights_in_force
from retention.selectors.health_preview import preview_weights, suggest
from retention.services.disagreements import settle_disagreement
from retention.services.health import save_health_weights
from retention.tasks import rescore_health

PAGE = "retention/settings/health.html"


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def health_weights(request: SignedIn) -> HttpResponse:
    """The weights for ?segment=, what they would change, and what outcomes suggest, before anything is saved."""
    segment, segments = request.GET.get("segment", ""), values_in_use("segment")
    if segment and segment not in segments:
        raise Http404
    in_force = weights_in_force()
    now = weights_for(in_force, segment)
    action = request.POST.get("action", "")
    context: dict[str, Any] = {"segment": segment, "segments": segments, "in_force": in_force, "now": now}
    if action == "follow" and segment in in_force and segment:
        return _saved(request, HealthWeights(segment=segment, follows_all=True, **now.by_factor))
    if action == "suggest":
        context["suggestion"] = suggestion = suggest(segment)
        form = HealthForm(suggestion.weights or now.by_factor)
    else:
        form = HealthForm(request.POST or now.by_factor)
    is_valid = form.is_valid()
    if is_valid and action == "save" and form.cleaned_data == now.by_factor and segment in in_force:
        messages.info(request, "Nothing to save: these weights are in force.")
    elif is_valid and action == "save":
        return _saved(request, HealthWeights(segment=segment, **form.cleaned_data))
    draft = HealthWeights(segment=segment, **form.cleaned_data) if is_valid and request.POST else None
    context |= {
        "form": form,
        "preview": preview_weights(segment, draft) if is_valid else None,
        "previewed": draft is not None,
        "history": HealthWeights.objects.select_related("created_by").order_by("-pk")[:20],
    }
    return render(request, PAGE, context, status=200 if is_valid else 422)


def _saved(request: SignedIn, weights: HealthWeights) -> HttpResponse:
    saved = save_health_weights(request.user, weights)
    rescore_health.delay()
    messages.success(request, "Saved. The newest scores get their health anew within a minute.")
    query = f"?{urlencode({'segment': saved.segment})}" if saved.segment else ""
    return redirect(reverse("retention:health_weights") + query)


@require_GET
@require_role(*CARERS)
def disagreements(request: SignedIn) -> HttpResponse:
    """Accounts to be judged, and who has been right so far."""
    return _disagreements(request)


def _disagreements(request: SignedIn, form: SettleForm | None = None) -> HttpResponse:
    shown = disputes.disputes_of(request.user)
    context = {
        "disputes": shown,
        "waiting": disputes.count_to_settle(request.user),
        "settled": disputes.settled_lately(request.user),
        "tallies": disputes.who_was_right(request.user),
        "currency": get_company().currency,
        "form": form,
    }
    return render(request, "retention/disagreements.html", context, status=422 if form else 200)


@require_POST
@require_role(*CARERS)
def settle(request: SignedIn, pk: int) -> HttpResponse:
    """Who is right."""
    row = get_object_or_404(Disagreement.objects.visible_to(request.user).select_related("account"), pk=pk)
    form = SettleForm(request.POST, row=row)
    if not form.is_valid():
        return _disagreements(request, form)
    try:
        settle_disagreement(row, request.user, **form.cleaned_data)
    except CareError as refusal:
        messages.error(request, f"{row.account.name}: {refusal}")
    else:
        messages.success(
            request,
            f"{row.account.name}: noted. What really happens is compared with it in {row.horizon_days} days.",
        )
    return redirect("retention:disagreements")
