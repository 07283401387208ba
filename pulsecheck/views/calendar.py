"""The calendar of contacts, one contact, and how far everybody is."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.paging import query_url
from accounts.permissions import CARERS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from pulsecheck import services
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.forms.touchpoints import MoveForm
from pulsecheck.models import Touchpoint
from pulsecheck.selectors.calendar import Filters, get_calendar, people_of
from pulsecheck.selectors.coverage import coverage_by_person
from pulsecheck.selectors.touchpoints import explain_touchpoint
from pulsecheck.views.chips import calendar_chips

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@require_GET
@require_role(*CARERS)
def calendar(request: SignedIn) -> HttpResponse:
    """A month or a week of contacts, and what is overdue."""
    today = company_today()
    filters = Filters.from_query(request.GET.dict(), request.user, today)
    is_leader = has_role(request.user, *LEADERS)
    query = filters.query
    context = {
        "shown": get_calendar(request.user, filters, today),
        "filters": filters,
        "chips": calendar_chips(filters, is_leader=is_leader),
        "people": people_of(request.user).only("name")[:300] if is_leader else (),
        "weekdays": WEEKDAYS,
        "before_url": query_url(query, on=filters.before.isoformat()),
        "after_url": query_url(query, on=filters.after.isoformat()),
        "today_url": query_url(query, on=""),
        "week_query": query_url(query, view="week", on=""),
        "query": query_url(query),
        "today": today,
    }
    return render(request, "pulsecheck/calendar.html", context)


def _planned(request: SignedIn, pk: int) -> Touchpoint:
    rows = Touchpoint.objects.visible_to(request.user).select_related("account", "assignee")
    return get_object_or_404(rows, pk=pk)


@require_GET
@require_role(*CARERS)
def touchpoint(request: SignedIn, pk: int) -> HttpResponse:
    """One contact: why it is due then, and everything that can be done with it."""
    found = _planned(request, pk)
    return _touchpoint_page(request, found, MoveForm(initial={"to": max(found.due_on, company_today())}))


def _touchpoint_page(request: SignedIn, found: Touchpoint, form: MoveForm) -> HttpResponse:
    context = {
        "touchpoint": found,
        "why": explain_touchpoint(found, company_today()),
        "form": form,
        "today": company_today(),
    }
    return render(request, "pulsecheck/calendar/touchpoint.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*CARERS)
def move(request: SignedIn, pk: int) -> HttpResponse:
    """Put a contact on another day; from the calendar (its filters are in the query) back to it."""
    found = _planned(request, pk)
    form = MoveForm(request.POST)
    is_from_calendar = bool(request.GET)
    problem = ""
    if form.is_valid():
        try:
            moved = services.move_touchpoint(found, request.user, **form.cleaned_data)
        except CareError as refusal:
            problem = str(refusal)
            form.add_error("to", problem)
        else:
            undo = "undo:" + reverse("pulsecheck:unsnooze", args=[moved.pk])
            said = f"{moved.account.name} is now due on {moved.due_on:%A}, {day_words(moved.due_on)}."
            messages.success(request, said, extra_tags=undo if moved.snoozed_from else "")
    if is_from_calendar:
        if form.errors:
            messages.error(request, problem or "Choose a day.")
        known = Filters.from_query(request.GET.dict(), request.user, company_today())
        return redirect(reverse("pulsecheck:calendar") + query_url(known.query))
    return _touchpoint_page(request, found, form) if form.errors else redirect("pulsecheck:touchpoint", pk=pk)


@require_GET
@require_role(*CARERS)
def coverage(request: SignedIn) -> HttpResponse:
    """By person: customers asked within a year, what is late, what is due, and who is away."""
    today = company_today()
    rows = coverage_by_person(request.user, today, timezone.now())
    totals = {
        name: sum(getattr(row, name) for row in rows) for name in ("customers", "covered", "overdue", "due")
    }
    share = totals["covered"] / totals["customers"] if totals["customers"] else None
    too_full = [row.person.name for row in rows if row.person and row.full_days]
    context = {"rows": rows, "totals": totals, "share": share, "today": today, "too_full": too_full}
    return render(request, "pulsecheck/calendar/coverage.html", context)
