"""One account with everything known about it, and what can be done about it there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from accounts.forms import InteractionForm, IssueForm, PromiseForm
from accounts.models import Account, Contact, Contract, Enquiry, Issue, Order, Promise, User
from accounts.permissions import CARERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from accounts.services import care
from pulsecheck.errors import CareError
from retention.forms import DismissForm, PutOffForm
from retention.selectors.account import KINDS, AccountFacts, account_facts, timeline
from retention.selectors.frame import latest_run
from retention.selectors.health import health_of_account
from retention.selectors.runs import sums_are_margin
from retention.services import today as today_services
from retention.templatetags.mainstay import rhythm_words
from retention.views.why import why_card

SILENT_DAYS = 90
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
        "alarm": _alarm(facts),
        "can_act": has_role(request.user, *CARERS),
        "won_by": _first_name(shown.original_salesperson),
        "pulse_url": reverse("pulsecheck:log_pulse", args=[shown.pk]),
        "open_step": next((p for p in facts.pulses if p.next_step_done_at is None), None),
        "kind": kind,
        "open_form": "interaction" if "log" in request.GET else "",
        "kinds": KINDS,
        "events": events if shows_all else events[:EVENTS],
        "has_more_events": not shows_all and len(events) > EVENTS,
        "quarters": by_quarter(facts.orders),
        "forms": {
            "interaction": InteractionForm(account=shown, auto_id="log_%s"),
            "promise": PromiseForm(auto_id="promise_%s"),
            "issue": IssueForm(auto_id="issue_%s"),
        }
        | (bound or {}),
    }
    context |= _score_words(facts) | {"card": why_card(request.user, facts, request.GET.get("since", ""))}
    return render(request, "retention/account.html", context, status=422 if bound else 200)


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


def _alarm(facts: AccountFacts) -> str:
    """What is wrong with how the account is looked after, in one sentence."""
    won, care_by = facts.account.original_salesperson, facts.account.account_manager
    if not (won and won.is_active) and not (care_by and care_by.is_active):
        return "Nobody of ours is responsible for this account."
    if not (care_by and care_by.is_active):
        return "Only sales looks after this account: it needs an account manager."
    if not (won and won.is_active):
        return "Whoever won this account is gone: it needs somebody from sales."
    last = facts.last_contact_at
    if last and (timezone.now() - last).days > SILENT_DAYS:
        return f"Nobody has spoken with them for {(timezone.now() - last).days} days."
    return ""


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
def log_interaction(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible_account(request.user, pk)
    form = InteractionForm(request.POST, account=shown, auto_id="log_%s")
    if not form.is_valid():
        return _show(request, shown, {"interaction": form})
    data = form.cleaned_data
    care.log_interaction(
        shown,
        request.user,
        kind=data["kind"],
        subject=data["subject"],
        contact=data["contact"],
        happened_at=_moment(data["happened_on"]),
    )
    messages.success(request, "Written down. It counts as contact from now on.")
    return _back(request, shown.pk, "timeline")


def _moment(day: dt.date | None) -> dt.datetime | None:
    """Midday of a past day; None (now) for today."""
    if day is None or day == timezone.localdate():
        return None
    return dt.datetime.combine(day, dt.time(12), timezone.get_current_timezone())


@require_POST
@require_role(*CARERS)
def make_promise(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible_account(request.user, pk)
    form = PromiseForm(request.POST, auto_id="promise_%s")
    if not form.is_valid():
        return _show(request, shown, {"promise": form})
    care.make_promise(shown, request.user, **form.cleaned_data)
    messages.success(request, "Promised. Both owners see it until it is kept.")
    return _back(request, shown.pk, "promises")


@require_POST
@require_role(*CARERS)
def open_issue(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible_account(request.user, pk)
    form = IssueForm(request.POST, auto_id="issue_%s")
    if not form.is_valid():
        return _show(request, shown, {"issue": form})
    care.open_issue(shown, request.user, **form.cleaned_data)
    messages.success(request, "The issue is open and yours.")
    return _back(request, shown.pk, "issues")


def _act(
    request: SignedIn,
    rows: QuerySet[Any],
    pk: int,
    service: Callable[[Any, User], Model],
    said: str,
    anchor: str,
) -> HttpResponse:
    """One click on a row of an account the person sees."""
    row = get_object_or_404(rows, pk=pk)
    service(row, request.user)
    messages.success(request, said)
    return _back(request, row.account_id, anchor)


@require_POST
@require_role(*CARERS)
def keep_promise(request: SignedIn, pk: int) -> HttpResponse:
    rows = Promise.objects.visible_to(request.user)
    return _act(request, rows, pk, care.keep_promise, "Promise kept. Thank you.", "promises")


@require_POST
@require_role(*CARERS)
def resolve_issue(request: SignedIn, pk: int) -> HttpResponse:
    rows = Issue.objects.visible_to(request.user)
    return _act(request, rows, pk, care.resolve_issue, "Issue solved. Tell the customer.", "issues")


@require_POST
@require_role(*CARERS)
def answer_enquiry(request: SignedIn, pk: int) -> HttpResponse:
    rows = Enquiry.objects.visible_to(request.user)
    return _act(request, rows, pk, care.answer_enquiry, "Answered. The clock has stopped.", "timeline")


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
    rows = Contact.objects.visible_to(request.user)
    return _act(request, rows, pk, care.mark_contact_left, "Noted. Find out who follows.", "people")


@require_POST
@require_role(*CARERS)
def disclose_terms(request: SignedIn, pk: int) -> HttpResponse:
    rows = Contract.objects.visible_to(request.user)
    return _act(
        request, rows, pk, care.disclose_terms, "Noted: the fine print was explained today.", "contracts"
    )


def _back(request: SignedIn, pk: int, anchor: str) -> HttpResponse:
    return go_back(request, f"{reverse('retention:account', args=[pk])}#{anchor}")


def go_back(request: SignedIn, default: str) -> HttpResponse:
    """To the page of ours that the form was on ("back"), else to `default`."""
    back = request.POST.get("back", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_ours else default)
