"""The contacts of one person as a feed for calendar programs."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.permissions import CARERS, SignedIn, require_role
from accounts.selectors import get_company
from pulsecheck.icalendar import Event, calendar_file
from pulsecheck.models import CalendarFeed, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.services.feeds import make_feed, open_feed, revoke_feed

MOST = 1000


@require_GET
@require_role(*CARERS)
def settings(request: SignedIn) -> HttpResponse:
    """Whether there is an address, and how to get one."""
    return _page(request, "")


@never_cache
@require_POST
@require_role(*CARERS)
def new_address(request: SignedIn) -> HttpResponse:
    """Make an address; it is shown in this answer and never again."""
    secret = make_feed(request.user)
    return _page(request, request.build_absolute_uri(reverse("pulsecheck:feed", args=[secret])))


def _page(request: SignedIn, address: str) -> HttpResponse:
    feed = CalendarFeed.objects.filter(user=request.user).first()
    return render(request, "pulsecheck/calendar/feed.html", {"feed": feed, "address": address})


@require_POST
@require_role(*CARERS)
def revoke(request: SignedIn) -> HttpResponse:
    """The address leads nowhere from now on."""
    revoke_feed(request.user)
    messages.success(request, "The address no longer works.")
    return redirect("pulsecheck:feed_settings")


@never_cache
@login_not_required
@require_GET
def feed(request: HttpRequest, secret: str) -> HttpResponse:
    """The next contacts of whoever the address belongs to; what they see of an account and no more."""
    found = open_feed(secret)
    if found is None:
        raise Http404
    mine = Touchpoint.objects.visible_to(found.user).filter(
        state=TouchpointState.PLANNED, assignee=found.user
    )
    rows = mine.select_related("account").order_by("due_on", "pk")[:MOST]
    events = [
        Event(
            uid=f"contact-{row.pk}@{request.get_host()}",
            day=row.due_on,
            title=f"Pulse check: {row.account.name}",
            text=f"{row.reason}.",
            url=request.build_absolute_uri(reverse("pulsecheck:touchpoint", args=[row.pk])),
            changed_at=row.updated_at,
        )
        for row in rows
    ]
    text = calendar_file(f"{get_company().name}: pulse checks", events)
    answer = HttpResponse(text, content_type="text/calendar; charset=utf-8")
    answer["Content-Disposition"] = 'inline; filename="pulse-checks.ics"'
    return answer
