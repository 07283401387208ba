"""Inbox and preferences: one's own, nobody else's."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.permissions import SignedIn
from notifications import services
from notifications.forms import PreferenceForm
from notifications.models import Channel
from notifications.selectors import inbox_of, unread_count

PAGE = 50


@require_GET
def inbox(request: SignedIn) -> HttpResponse:
    """Messages, newest first; the next page begins below the last one shown."""
    only_unread = request.GET.get("show") == "unread"
    found = inbox_of(request.user, only_unread=only_unread)
    if (before := request.GET.get("before", "")).isdecimal():
        found = found.filter(pk__lt=min(int(before), 2**63 - 1))
    rows = list(found[: PAGE + 1])
    context = {
        "rows": rows[:PAGE],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "only_unread": only_unread,
        "unread": unread_count(request.user),
    }
    return render(request, "notifications/inbox.html", context)


@require_POST
def read(request: SignedIn, pk: int) -> HttpResponse:
    """Mark as read and go where the message leads."""
    message = services.mark_read(request.user, pk)
    if message is None:
        raise Http404
    is_ours = message.path and url_has_allowed_host_and_scheme(message.path, allowed_hosts=None)
    return redirect(message.path if is_ours else "notifications:inbox")


@require_POST
def read_all(request: SignedIn) -> HttpResponse:
    count = services.mark_all_read(request.user)
    messages.success(request, f"{count} marked as read." if count else "Everything was read already.")
    return redirect("notifications:inbox")


@require_http_methods(["GET", "POST"])
def preferences(request: SignedIn) -> HttpResponse:
    form = PreferenceForm(request.user, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        services.save_preferences(request.user, form.wanted)
        messages.success(request, "Saved.")
        return redirect("notifications:preferences")
    return render(request, "notifications/preferences.html", {"form": form, "channels": Channel.labels})
