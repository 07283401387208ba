"""The collective pulse: how our own company does, and what is being done about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.paging import query_url
from accounts.permissions import LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.forms.meetings import ImprovementForm
from pulsecheck.selectors.collective import (
    KINDS,
    Choice,
    actions_by_cause,
    collective_pulse,
    count_pulses,
    point_of,
    pulses_behind,
    themes_by_code,
)
from pulsecheck.services.actions import agree_action
from pulsecheck.views.chips import Chip, Option


@require_GET
def collective(request: SignedIn) -> HttpResponse:
    """Shares of low pulses against their limits; the pulses behind them only of accounts the reader sees."""
    themes = themes_by_code()
    return _show(request, Choice.from_query(request.GET.dict(), themes), themes)


def _show(
    request: SignedIn, choice: Choice, themes: Mapping[str, str], form: ImprovementForm | None = None
) -> HttpResponse:
    today = company_today()
    pulse = collective_pulse(choice, today, themes)
    context = {
        "choice": choice,
        "pulse": pulse,
        "theme_name": themes.get(choice.theme, ""),
        "where": f"{choice.kind} {choice.value}" if choice.kind else "the whole company",
        "chips": _chips(choice, themes, today),
        "behind": pulses_behind(request.user, choice, pulse.since, today),
        "form": form or ImprovementForm(auto_id="improve_%s"),
        "running": actions_by_cause([choice.cause]).get(choice.cause, []),
        "is_asked": bool(form) or "improve" in request.GET,
        "may_improve": has_role(request.user, *LEADERS),
        "today": today,
    }
    return render(request, "pulsecheck/collective.html", context, status=422 if form else 200)


def _chips(choice: Choice, themes: Mapping[str, str], today: dt.date) -> list[Chip]:
    query = choice.query
    theme = [
        Option(name, query_url(query, theme=code) or "?", code == choice.theme)
        for code, name in [("", "Any theme"), *themes.items()]
    ]
    places = sorted(where for where in count_pulses(today) if where[0] != "company")
    where = [Option("Whole company", query_url(query, kind="", value="") or "?", not choice.kind)]
    where += [
        Option(
            f"{kind.capitalize()} {value}",
            query_url(query, kind=kind, value=value),
            (kind, value) == choice.slice,
        )
        for kind, value in places
    ]
    by = [Option(label, query_url(query, by=code), code == choice.by) for code, label in KINDS.items()]
    shown = f"{choice.kind.capitalize()} {choice.value}" if choice.kind else "Whole company"
    return [
        Chip(themes.get(choice.theme, "Any theme"), bool(choice.theme), options=theme),
        Chip(shown, bool(choice.kind), options=where),
        Chip(f"Compare {KINDS[choice.by].lower()}", False, options=by),
    ]


@require_POST
@require_role(*LEADERS)
def improve(request: SignedIn) -> HttpResponse:
    """Agree an improvement because of what is measured; the figures of the moment are kept with it."""
    themes = themes_by_code()
    choice = Choice.from_query(request.POST.dict(), themes)
    form = ImprovementForm(request.POST, auto_id="improve_%s")
    if not form.is_valid():
        return _show(request, choice, themes, form)
    seen = point_of(choice, company_today(), themes)
    path = reverse("pulsecheck:collective") + seen.query
    finding = {
        "says": seen.says,
        "share": seen.point.share,
        "upper": seen.point.limits and seen.point.limits.upper,
        "size": seen.point.group.size,
        "path": path,
    }
    try:
        made = agree_action(request.user, cause=seen.cause, finding=finding, **form.cleaned_data)
    except CareError as problem:
        form.add_error(None, str(problem))
        return _show(request, choice, themes, form)
    assert made.follow_up_on is not None
    messages.success(
        request, f"Agreed: {made.owner} does it. On {day_words(made.follow_up_on)} you see whether it helped."
    )
    return redirect(path)
