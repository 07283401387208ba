"""The score itself: what it predicts, how good it was, what it rests on; and an administrator's way back to an
earlier model."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.permissions import ADMINISTRATORS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import get_company
from retention.forms import PinForm
from retention.models import FittedModel
from retention.models.scores import Clock
from retention.scoring.errors import ScoringError
from retention.selectors.model_page import (
    Version,
    evidence_of_version,
    factor_changes,
    find_version,
    matured_runs,
    missed_lines,
    model_page,
    pin_in_force,
    raised_flags,
    versions,
)
from retention.selectors.model_words import NO_SIGNAL, STAGE_SAYS, STAGES, WORDS, flag_sentence
from retention.services.rollback import pin_model, release_model
from retention.templatetags.mainstay import number, percent

WINDOWS = {
    "week": "in a working week",
    "day": "in a day; in a week they could call more than a quarter of all customers",
    "share": "a quarter of the customers; your people could call more of them in a day",
}


@require_GET
def model(request: SignedIn) -> HttpResponse:
    """For everybody; accounts are named to those who may see them."""
    page = model_page()
    if page is None:
        import_url = reverse("accounts:imports") if has_role(request.user, *LEADERS) else ""
        return render(request, "retention/model.html", {"page": None, "import_url": import_url})
    missed, hidden = missed_lines(page.newest, request.user)
    context = {
        "page": page,
        "stage": STAGES[page.model.stage] if page.model.has_signal else "No usable signal",
        "stage_says": STAGE_SAYS.get(page.model.stage, "") if page.model.has_signal else NO_SIGNAL,
        "window": WINDOWS[page.newest.at_capacity["window"]] if page.newest else "",
        "missed": missed,
        "hidden": hidden,
        "matured": matured_runs(),
        "flags": [(flag, flag_sentence(flag)) for flag in raised_flags()],
        "versions": versions(page.model, page.pin),
        "words": WORDS,
        "currency": get_company().currency,
        "may_pin": has_role(request.user, *ADMINISTRATORS),
    }
    return render(request, "retention/model.html", context)


@require_GET
def version(request: SignedIn, pk: int) -> HttpResponse:
    """One fitted model beside the one in use, or beside `?with=`."""
    return _render_version(request, pk, PinForm())


def _render_version(request: SignedIn, pk: int, form: PinForm) -> HttpResponse:
    page, pin = model_page(), pin_in_force()
    current = page.model if page else None
    shown = find_version(pk, current, pin)
    if shown is None:
        raise Http404
    beside = _beside(request, shown, current)
    context: dict[str, Any] = {
        "version": shown,
        "beside": beside,
        "stage": _stage(shown.model),
        "others": [one for one in versions(current, pin) if one.model.pk != shown.model.pk],
        "pin": pin,
        "form": form,
        "may_pin": has_role(request.user, *ADMINISTRATORS),
    }
    if beside is not None:
        context |= {"rows": _differences(shown, beside), "factors": factor_changes(shown, beside)}
    return render(request, "retention/model_version.html", context, status=422 if form.errors else 200)


def _beside(request: SignedIn, shown: Version, current: FittedModel | None) -> Version | None:
    """The version to compare with: the one asked for, else the one in use."""
    wanted = request.GET.get("with", "")
    pk = int(wanted) if wanted.isdecimal() else current.pk if current else None
    if pk is None or pk == shown.model.pk:
        return None
    other = find_version(pk, current, pin_in_force())
    if other is None and wanted:
        raise Http404
    return other


def _stage(fitted: FittedModel) -> str:
    return STAGES[fitted.stage] if fitted.has_signal else "No usable signal"


def _differences(shown: Version, beside: Version) -> list[tuple[str, str, str, str]]:
    """(label, of this one, of the other, word) of what can be said of both."""
    return [
        (label, said(shown), said(beside), word)
        for label, word, said in (
            ("Fitted on orders up to", "", lambda v: f"{v.model.as_of.day} {v.model.as_of:%b %Y}"),
            ("Stage", "", lambda v: _stage(v.model)),
            ("Days ahead", "left", lambda v: number(v.model.horizon_days)),
            ("Order", "auc", lambda v: percent(v.figures.get("auc"), 1)),
            ("Surprise", "log_loss", lambda v: _decimals(v.figures.get("log_loss"))),
            ("Off by, points", "ece", lambda v: _points(v.figures.get("ece"))),
            ("Customers", "", lambda v: _customers(v)),
        )
    ]


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _customers(shown: Version) -> str:
    evidence = evidence_of_version(shown)
    return number(evidence.facts.get("customers")) if evidence else "–"


@require_POST
@require_role(*ADMINISTRATORS)
def pin(request: SignedIn, pk: int) -> HttpResponse:
    """Use this fitted model until somebody says otherwise."""
    chosen = get_object_or_404(FittedModel, pk=pk, clock=Clock.REPEAT)
    form = PinForm(request.POST)
    if not form.is_valid():
        return _render_version(request, pk, form)
    try:
        pin_model(request.user, chosen, form.cleaned_data["reason"])
    except ScoringError:
        form.add_error(None, "This version of Mainstay can no longer read that model. Choose a newer one.")
        return _render_version(request, pk, form)
    messages.success(request, "Pinned. From the next score run on this model is used, until it is released.")
    return redirect(reverse("retention:model") + "#versions")


@require_POST
@require_role(*ADMINISTRATORS)
def release(request: SignedIn) -> HttpResponse:
    """Fit a fresh model with every run again."""
    if release_model(request.user):
        messages.success(request, "Released. The next score run fits a fresh model.")
    else:
        messages.info(request, "No model was pinned.")
    return redirect(reverse("retention:model") + "#versions")
