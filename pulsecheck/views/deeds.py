"""One way to do something about a record: find it among those the person sees, check the form, call the service, say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render

from accounts.permissions import CARERS, SignedIn, has_role
from accounts.selectors import company_today
from accounts.services.errors import RecordError
from accounts.views.back import go_back
from pulsecheck.forms.records import DeedForm

Bound = dict[str, forms.Form]
Shown = Callable[[SignedIn, Any, Bound], HttpResponse]


def visible(request: SignedIn, model: type[Any], pk: int, *related: str) -> Any:
    """A row the person may see, or the 404 of a row that is not there."""
    rows = model.objects.visible_to(request.user)
    return get_object_or_404(rows.select_related(*related) if related else rows, pk=pk)


def deed_forms(request: SignedIn, row: Any, bound: Bound | None, **kinds: type[DeedForm]) -> Bound:
    """A form for everything that can be done on a page; `bound` are those with faults."""
    fresh = {name: kind(row=row, user=request.user, auto_id=f"{name}_%s") for name, kind in kinds.items()}
    return fresh | (bound or {})


def record_page(
    request: SignedIn, template: str, context: dict[str, Any], bound: Bound | None
) -> HttpResponse:
    """The page of one record; 422 when a form on it has faults."""
    return render(request, template, context | {"today": company_today()}, status=422 if bound else 200)


@dataclass(frozen=True)
class Deed:
    """Something done about a record: on which rows, by which service, with which form, what is said then and where the
    person goes. Without a page to show the form on again, its first fault is said as a message."""

    model: type[Any]
    service: Callable[..., Any]
    said: str
    place: Callable[[Any], str]
    form: type[DeedForm] | None = None
    show: Shown | None = None
    roles: tuple[str, ...] = CARERS
    related: tuple[str, ...] = ("account",)


def do_deed(request: SignedIn, pk: int, deed: str, deeds: Mapping[str, Deed]) -> HttpResponse:
    """Do one of `deeds` about a record the person sees; their role has to allow it."""
    what = deeds[deed]
    if not has_role(request.user, *what.roles):
        raise Http404
    row = visible(request, what.model, pk, *what.related)
    said = {}
    if what.form is not None:
        form = what.form(request.POST, row=row, user=request.user, auto_id=f"{deed}_%s")
        if not form.is_valid():
            return _refuse(request, what, row, {deed: form})
        said = form.cleaned_data
    place = what.place(row)
    try:
        what.service(row, request.user, **said)
    except RecordError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, what.said)
    return go_back(request, place)


def _refuse(request: SignedIn, what: Deed, row: Model, bound: Bound) -> HttpResponse:
    if what.show is not None:
        return what.show(request, row, bound)
    for form in bound.values():
        messages.error(request, f"{row}: {next(iter(form.errors.values()))[0]}")
    return go_back(request, what.place(row))
