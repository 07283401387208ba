"""One account with everything known about it, and what can be done about it there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Account, Contact, Order, User
from accounts.permissions import CARERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from accounts.services import care
from accounts.views.back import go_back
from pulsecheck.errors import CareError
from pulsecheck.forms.records import RECORDS, Menus
from pulsecheck.selectors.owners import attach_alarms
from retention.forms import DismissForm, PutOffForm
from retention.selectors.account import KINDS, AccountFacts, account_facts, timeline
from retention.selectors.frame import latest_run
from retention.selectors.health import health_of_account
from retention.selectors.runs import sums_are_margin
from retention.services import today as today_services
from retention.templatetags.mainstay import rhythm_words
from retention.views.why import why_card

EVENTS = 12


@require_GET
def account(request: SignedIn, pk: int) -> HttpResponse:
    """The 360 page."""
    return _show(request, _visible_account(request.user, pk))


def _visible_account(user: User, pk: int) -> Account:
    return get_object_or_404(Account.objects.visible_to(user), pk=pk)


def _show(request: SignedIn, shown: Account, bound: dict[str, forms.Form] | None = None) -> HttpResponse:
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
        "health": health_of_account(shown, run),
        "today": today,
        "as_of": run.as_of if run else today,
        "about": _about(shown),
        "alarms": shown.alarms,  # type: ignore[attr-defined]
        "can_act": has_role(request.user, *CARERS),
        "won_by": _first_name(shown.original_salesperson),
        "pulse_url": reverse("pulsecheck:log_pulse", args=[shown.pk]),
        "open_step": next((p for p in facts.pulses if p.next_step_done_at is None), None),
        "kind": kind,
        "kinds": KINDS,
        "events": events if shows_all else events[:EVENTS],
        "has_more_events": not shows_all and len(events) > EVENTS,
        "quarters": by_quarter(facts.orders),
        "composer": _composer(request, shown, bound or {}),
    }
    context |= _score_words(facts) | {"card": why_card(request.user, facts, request.GET.get("since", ""))}
    return render(request, "retention/account.html", context, status=422 if bound else 200)


@dataclass(frozen=True)
class ComposerForm:
    """One kind of record that can be written on the page."""

    form: forms.Form
    page: str
    icon: str
    title: str
    label: str
    hint: str
    is_open: bool


# kind of record: address, icon, what it is called, its button, what happens with it then
COMPOSER = {
    "interaction": ("retention:log_interaction", "phone", "Log a call, mail or meeting", "Save", ""),
    "promise": (
        "retention:make_promise",
        "heart-handshake",
        "Make a promise",
        "Promise it",
        "It stands on Today until it is kept.",
    ),
    "issue": (
        "retention:open_issue",
        "alert-circle",
        "Open an issue",
        "Open the issue",
        "Without a day it is due in a week.",
    ),
    "enquiry": (
        "retention:log_enquiry",
        "help-circle",
        "Note a question",
        "Start the clock",
        "It counts in business hours.",
    ),
}


def _composer(request: SignedIn, shown: Account, bound: dict[str, forms.Form]) -> list[ComposerForm]:
    """The forms of the page; one is open when something is wrong with it or the address asks for it."""
    made, menus = [], Menus(shown)
    for kind, words in COMPOSER.items():
        fresh = RECORDS[kind](account=shown, user=request.user, menus=menus, auto_id=f"{kind}_%s")
        form = bound.get(kind) or fresh
        asked = kind == "interaction" and "log" in request.GET
        made.append(ComposerForm(form, *words, is_open=kind in bound or (asked and not bound)))
    return made


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
@require_POST
@require_role(*CARERS)
def write_record(request: SignedIn, pk: int, kind: str) -> HttpResponse:
    """Write down one of RECORDS about an account the person sees."""
    shown = _visible_account(request.user, pk)
    form = RECORDS[kind](request.POST, account=shown, user=request.user, auto_id=f"{kind}_%s")
    if not form.is_valid():
        return _show(request, shown, {kind: form})
    form.write()
    messages.success(request, form.said)
    return _back(request, shown.pk, form.place)


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
