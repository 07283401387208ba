"""Records of connected systems that could be any of several accounts or contacts: a person says which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts import selectors_crm as selectors
from accounts.crm.errors import CrmError
from accounts.forms_crm import DecisionForm
from accounts.models import Connection, Quarantine
from accounts.models.crm import Decision
from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from accounts.services import connecting as services
from accounts.views.connections import connection_or_404

PAGE = 50


@never_cache
@require_GET
@require_role(*ADMINISTRATORS)
def quarantine(request: SignedIn, pk: int) -> HttpResponse:
    """What waits for a decision, or was decided."""
    connection = connection_or_404(request, pk)
    decided = request.GET.get("state") == "decided"
    after = request.GET.get("after", "")
    rows = selectors.quarantined(connection, decided=decided)
    if after.isdigit() and not decided:
        rows = rows.filter(pk__gt=int(after[:18]))
    shown = list(rows[: PAGE + 1])
    told = selectors.mapped_rows([one.raw for one in shown[:PAGE]])
    context = {
        "connection": connection,
        "rows": [(one, told.get(one.raw_id, {})) for one in shown[:PAGE]],
        "decided": decided,
        "after": shown[PAGE - 1].pk if len(shown) > PAGE and not decided else None,
        "waiting": selectors.standing_of(connection).waiting,
    }
    return render(request, "accounts/connections/quarantine.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def decide(request: SignedIn, pk: int) -> HttpResponse:
    """One record beside those of ours that it could be."""
    one = get_object_or_404(
        Quarantine.objects.select_related("raw__connection", "account", "contact").filter(
            raw__connection__in=Connection.objects.visible_to(request.user)
        ),
        pk=pk,
    )
    search = request.GET.get("q", "").replace("\0", "").strip()
    candidates = selectors.candidates_of(one, search)
    form = DecisionForm(request.POST or None, records=[found.record.pk for found in candidates])
    if request.method == "POST" and form.is_valid():
        return _settle(request, one, form.cleaned_data["choice"], candidates)
    row = selectors.mapped_rows([one.raw]).get(one.raw_id, {})
    context: dict[str, Any] = {
        "one": one,
        "noun": one.get_kind_display(),
        "connection": one.raw.connection,
        "row": row,
        "facts": selectors.labelled(row),
        "candidates": candidates,
        "form": form,
        "text": search,
        "is_taken_in": services.is_taken_in(one),
        "is_decided": one.decision != Decision.WAITING,
    }
    return render(request, "accounts/connections/decide.html", context, status=422 if form.errors else 200)


def _settle(
    request: SignedIn, one: Quarantine, choice: str, candidates: Sequence[selectors.Candidate]
) -> HttpResponse:
    """Keep the decision, and go on to the next record."""
    name = selectors.mapped_rows([one.raw]).get(one.raw_id, {}).get("name", one.raw.source_id)
    record = next((found.record for found in candidates if str(found.record.pk) == choice), None)
    try:
        services.settle_record(one.pk, request.user, record=record, is_new=choice == DecisionForm.NEW)
    except CrmError as problem:
        messages.error(request, str(problem))
        return redirect("accounts:decide", one.pk)
    if record is not None:
        messages.success(request, f"{name} is {record.name}. It is taken in with the next sync.")
    elif choice == DecisionForm.NEW:
        messages.success(request, f"{name} becomes a new {one.get_kind_display()} with the next sync.")
    else:
        messages.success(request, f"{name} is left out.")
    following = selectors.quarantined(one.raw.connection).filter(pk__gt=one.pk).first()
    if following is not None:
        return redirect("accounts:decide", following.pk)
    return redirect("accounts:quarantine", one.raw.connection_id)
