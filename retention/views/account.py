"""One account with everything known about it, and what can be done about it there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from accounts.models import Account, Contact, Order, User
from accounts.permissions import CARERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from accounts.selectors_duplicates import merged_into
from accounts.services import care
from accounts.views.back import go_back
from pulsecheck.errors import CareError
from pulsecheck.forms.records import RECORDS
from pulsecheck.selectors.messages import stored_mix
from pulsecheck.selectors.owners import attach_alarms
from retention.datasets import load_records
from retention.forms import DismissForm, PutOffForm
from retention.selectors.account import KINDS, AccountFacts, account_facts, timeline
from retention.selectors.frame import latest_run
from retention.selectors.health import health_of_account
from retention.selectors.runs import sums_are_margin
from retention.services import today as today_services
from retention.templatetags.mainstay import rhythm_words
from retention.views.composer import Writing, begin_writing, composer_of
from retention.views.why import why_card

EVENTS = 12


@require_GET
def account(request: SignedIn, pk: int) -> HttpResponse:
    """The 360 page; `write` in its address opens the form for a record of that kind."""
    try:
        shown = _visible_account(request.user, pk)
    except Http404:
        if (kept := merged_into(request.user, pk)) is None:
            raise
        return redirect("retention:account", kept.pk)
    kind = request.GET.get("write", "")
    return _show(request, shown, begin_writing(request, shown, kind) if kind in RECORDS else None)


def _visible_account(user: User, pk: int) -> Account:
    return get_object_or_404(Account.objects.visible_to(user).select_related("message_mix"), pk=pk)


def _show(request: SignedIn, shown: Account, writing: Writing | None = None) -> HttpResponse:
    """The page; `writing` is the form that is open on it."""
    run, today = latest_run(), company_today()
    facts = account_facts(shown, run, today)
    attach_alarms([shown], timezone.now())
    kind = request.GET.get("kind", "")
    kind = kind if kind in KINDS else ""
    shows_all = "all" in request.GET
    events = timeline(facts, kind, 100 if shows_all else EVENTS)
    context = {
        "account": shown,
        "facts": facts,
        "today": today,
        "as_of": run.as_of if run else today,
        "about": _about(shown),
        "alarms": shown.alarms,  # type: ignore[attr-defined]
        "mix": stored_mix(shown),
        "can_act": has_role(request.user, *CARERS),
        "won_by": _first_name(shown.original_salesperson),
        "pulse_url": reverse("pulsecheck:log_pulse", args=[shown.pk]),
        "open_step": next((p for p in facts.pulses if p.next_step_done_at is None), None),
        "kind": kind,
        "kinds": KINDS,
        "events": events if shows_all else events[:EVENTS],
        "has_more_events": not shows_all and len(events) > EVENTS,
        "quarters": by_quarter(facts.orders),
        "composer": composer_of(shown, writing),
    }
    context |= _score_words(facts) | _scored_again(request, facts)
    refused = writing is not None and bool(writing.form.errors)
    return render(request, "retention/account.html", context, status=422 if refused else 200)


def _scored_again(request: SignedIn, facts: AccountFacts) -> dict[str, Any]:
    """The cards for which the account is scored again, from its records read once."""
    if facts.run is None:
        return {"card": None, "health": None}
    records = load_records(facts.run.as_of, only=np.array([facts.account.pk], dtype=np.int64))
    return {
        "card": why_card(request.user, facts, records, request.GET.get("since", "")),
        "health": health_of_account(facts.account, facts.run, records),
    }


def _first_name(user: User | None) -> str:
    return user.name.split()[0] if user and user.is_active and user.name else ""


def _about(shown: Account) -> list[str]:
    """Segment, place, since when and how won, as far as known."""
    since = shown.became_customer_on
    parts = [
        shown.segment or shown.industry,
        shown.region or shown.country,
        f"customer since {since:%B %Y}" if since else "",
        f"won by {shown.original_salesperson}" if shown.original_salesperson else "",
        f"through {shown.source}" if shown.source else "",
    ]
    return [part for part in parts if part]


def _score_words(facts: AccountFacts) -> dict[str, Any]:
    """The change beside the probability, and the rhythm in words."""
    score, change = facts.score, facts.change
    if score is None:
        return {"rhythm_text": ""}
    return {
        "score": score,
        "sums_are_margin": sums_are_margin(facts.run),
        "change_points": (change.after - change.before) * 100 if change else None,
        "rhythm_text": rhythm_words(score.days_since_last_order, score.usual_gap_days),
    }


@dataclass
class Quarter:
    """What was bought in three months."""

    name: str
    orders: int = 0
    amount: Decimal = Decimal(0)


def by_quarter(orders: Sequence[Order]) -> list[Quarter]:
    """Orders (newest first) summed by calendar quarter."""
    quarters: dict[str, Quarter] = {}
    for order in orders:
        day = timezone.localtime(order.ordered_at)
        name = f"{day.year}, {dt.date(2000, (day.month - 1) // 3 * 3 + 1, 1):%b} to {dt.date(2000, (day.month + 2) // 3 * 3, 1):%b}"
        quarter = quarters.setdefault(name, Quarter(name))
        quarter.orders += order.amount > 0
        quarter.amount += order.amount
    return list(quarters.values())


# ── writes ─────────────────────────────────────────────────────────────
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "POST"])
@require_role(*CARERS)
def write_record(request: SignedIn, pk: int, kind: str) -> HttpResponse:
    """The form for one of RECORDS about an account the person sees, and what it writes down."""
    shown = _visible_account(request.user, pk)
    if request.method == "POST":
        return _write(request, shown, kind)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(f"{reverse('retention:account', args=[pk])}?write={kind}#write")
    context = {"account": shown, "composer": composer_of(shown, begin_writing(request, shown, kind))}
    return render(request, "retention/parts/composer.html", context)


def _write(request: SignedIn, shown: Account, kind: str) -> HttpResponse:
    writing = begin_writing(request, shown, kind)
    if not writing.form.is_valid():
        return _show(request, shown, writing)
    writing.form.write()
    messages.success(request, writing.form.said)
    return _back(request, shown.pk, writing.form.place)


@require_POST
@require_role(*CARERS)
def put_off(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible_account(request.user, pk)
    form = PutOffForm(request.POST)
    if not form.is_valid():
        return _refuse(request, shown, form)
    until, reason = form.cleaned_data["until"], form.cleaned_data["reason"]
    try:
        today_services.put_off(shown, request.user, until, reason)
    except CareError as refusal:
        messages.error(request, f"{shown.name}: {refusal}")
    else:
        messages.success(request, f"{shown.name} comes back on {until.day} {until:%B}.")
    return _back(request, shown.pk, "next")


@require_POST
@require_role(*CARERS)
def dismiss(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible_account(request.user, pk)
    form = DismissForm(request.POST)
    if not form.is_valid():
        return _refuse(request, shown, form)
    try:
        today_services.dismiss_account(shown, request.user, form.cleaned_data["reason"])
    except CareError as refusal:
        messages.error(request, f"{shown.name}: {refusal}")
    else:
        messages.success(
            request, f"{shown.name} is noted as a false alarm. It counts in how good the warnings are."
        )
    return _back(request, shown.pk, "next")


def _refuse(request: SignedIn, shown: Account, form: forms.Form) -> HttpResponse:
    """Say what is missing, on the page the small form was on."""
    first = next(iter(form.errors.values()))[0]
    messages.error(request, f"{shown.name}: {first}")
    return _back(request, shown.pk, "next")


@require_POST
@require_role(*CARERS)
def contact_left(request: SignedIn, pk: int) -> HttpResponse:
    contact = get_object_or_404(Contact.objects.visible_to(request.user), pk=pk)
    care.mark_contact_left(contact, request.user)
    messages.success(request, "Noted. Find out who follows.")
    return _back(request, contact.account_id, "people")


def _back(request: SignedIn, pk: int, anchor: str) -> HttpResponse:
    return go_back(request, f"{reverse('retention:account', args=[pk])}#{anchor}")
