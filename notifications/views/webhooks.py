"""Addresses of other programs that are told what happens: who is told of what, and what became of each call."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.crm.errors import CrmError
from accounts.paging import make_page
from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from notifications.forms import WebhookForm
from notifications.models import WebhookDelivery, WebhookSubscription
from notifications.selectors import deliveries_of, webhook_subscriptions
from notifications.services import webhooks as services

PAGE = 50


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def webhooks(request: SignedIn) -> HttpResponse:
    """All of them, and a form for one more. A new secret is shown in the answer to the form and never again."""
    form, secret = WebhookForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        try:
            _, secret = services.subscribe(request.user, **form.cleaned_data)
            form = WebhookForm()
        except CrmError as refusal:
            form.add_error("url", str(refusal))
    context = {"form": form, "secret": secret, "subscriptions": webhook_subscriptions()}
    return render(request, "notifications/webhooks.html", context)


@require_GET
@require_role(*ADMINISTRATORS)
def webhook(request: SignedIn, pk: int) -> HttpResponse:
    """One of them with the calls made and to be made, the newest first."""
    return _webhook(request, _found(pk))


@require_POST
@require_role(*ADMINISTRATORS)
def change_webhook(request: SignedIn, pk: int) -> HttpResponse:
    """Another name, address or choice of events."""
    subscription, form = _found(pk), WebhookForm(request.POST)
    if form.is_valid():
        try:
            services.change_subscription(subscription, request.user, **form.cleaned_data)
        except CrmError as refusal:
            form.add_error("url", str(refusal))
        else:
            messages.success(request, "Saved.")
            return redirect("notifications:webhook", pk)
    return _webhook(request, subscription, form=form)


@never_cache
@require_POST
@require_role(*ADMINISTRATORS)
def rotate_webhook(request: SignedIn, pk: int) -> HttpResponse:
    """A new secret, shown in this answer and never again."""
    subscription = _found(pk)
    secret = services.rotate_secret(subscription, request.user)
    subscription.refresh_from_db()
    return _webhook(request, subscription, secret=secret)


@require_POST
@require_role(*ADMINISTRATORS)
def turn_webhook(request: SignedIn, pk: int) -> HttpResponse:
    """On or off."""
    subscription = _found(pk)
    services.turn_subscription(subscription, request.user, is_on=not subscription.is_active)
    messages.success(
        request, "It is told again." if subscription.is_active else "Nothing more is sent there."
    )
    return redirect("notifications:webhook", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def test_webhook(request: SignedIn, pk: int) -> HttpResponse:
    """Send a test."""
    services.send_test(_found(pk))
    messages.success(request, "A test is on its way; it shows below within half a minute.")
    return redirect("notifications:webhook", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def delete_webhook(request: SignedIn, pk: int) -> HttpResponse:
    """Gone with its log."""
    subscription = _found(pk)
    services.unsubscribe(subscription, request.user)
    messages.success(request, f"{subscription.name} is told nothing more.")
    return redirect("notifications:webhooks")


@require_POST
@require_role(*ADMINISTRATORS)
def replay_delivery(request: SignedIn, pk: int) -> HttpResponse:
    """Send one call again."""
    delivery = get_object_or_404(WebhookDelivery, pk=pk)
    services.replay(delivery, request.user)
    messages.success(request, "It is sent once more.")
    return redirect("notifications:webhook", delivery.subscription_id)


def _found(pk: int) -> WebhookSubscription:
    return get_object_or_404(WebhookSubscription, pk=pk)


def _webhook(
    request: SignedIn, subscription: WebhookSubscription, *, secret: str = "", form: WebhookForm | None = None
) -> HttpResponse:
    query = request.GET.dict()
    rows = deliveries_of(subscription, query.get("after", ""), PAGE + 1)
    cursor = str(rows[PAGE - 1].pk) if len(rows) > PAGE else ""
    context = {
        "subscription": subscription,
        "secret": secret,
        "form": form or WebhookForm.of(subscription),
        "page": make_page(rows, PAGE, query, cursor, ""),
    }
    return render(request, "notifications/webhook.html", context)
