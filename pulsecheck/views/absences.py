"""Who is away, and who stands in."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Absence, User
from accounts.permissions import CARERS, SignedIn, require_role
from accounts.selectors import company_today
from pulsecheck.errors import CareError
from pulsecheck.forms.touchpoints import AbsenceForm
from pulsecheck.selectors.calendar import absences_noted_by
from pulsecheck.selectors.staff import can_take_over
from pulsecheck.services.absences import end_absence, note_absence


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def absences(request: SignedIn) -> HttpResponse:
    """Absences that run or come, and a form to note one."""
    substitutes = User.objects.filter(pk__in=[person.pk for person in can_take_over()])
    form = AbsenceForm(
        request.POST or None,
        people=absences_noted_by(request.user),
        substitutes=substitutes,
        initial={"person": request.user.pk},
    )
    if request.method == "POST" and form.is_valid():
        try:
            absence = note_absence(request.user, **form.cleaned_data)
        except CareError as problem:
            form.add_error("starts_on", str(problem))
        else:
            messages.success(request, _said(absence))
            return redirect("pulsecheck:absences")
    today = company_today()
    known = Absence.objects.visible_to(request.user).select_related("person", "substitute")
    context = {
        "form": form,
        "rows": known.filter(ends_on__gte=today)[:200],
        "past": known.filter(ends_on__lt=today).order_by("-ends_on")[:10],
        "mine": {person.pk for person in absences_noted_by(request.user)},
        "today": today,
    }
    return render(request, "pulsecheck/calendar/absences.html", context, status=422 if form.errors else 200)


def _said(absence: Absence) -> str:
    who = absence.person.name
    if absence.substitute is not None:
        return f"Noted. {absence.substitute} stands in for {who} and has their contacts of these days."
    return f"Noted. Contacts of {who} were moved out of these days where that was possible."


@require_POST
@require_role(*CARERS)
def end(request: SignedIn, pk: int) -> HttpResponse:
    """Somebody is back, or does not go."""
    mine = Absence.objects.visible_to(request.user).filter(person__in=absences_noted_by(request.user))
    absence = get_object_or_404(mine.select_related("person__team"), pk=pk)
    end_absence(absence, request.user)
    messages.success(request, f"{absence.person.name} is there again; the contacts follow.")
    return redirect("pulsecheck:absences")
