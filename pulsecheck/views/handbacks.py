"""Handbacks: the list, the briefing, and what is done about one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Account
from accounts.permissions import CARERS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today
from pulsecheck import services
from pulsecheck.errors import CareError, HandbackConflict
from pulsecheck.forms.handbacks import (
    AttemptForm,
    CloseForm,
    DeclineForm,
    NewHandbackForm,
    ReassignForm,
    SettleReasonForm,
    SignForm,
    ThanksForm,
)
from pulsecheck.models import Handback
from pulsecheck.models.handbacks import HandbackState, HandbackTrigger
from pulsecheck.risk import RiskSnapshot, latest_risks
from pulsecheck.selectors.handbacks import (
    Filters,
    briefing,
    count_handbacks,
    handback_page,
    is_late,
    settlements_of,
)
from pulsecheck.selectors.staff import can_take_over
from pulsecheck.views.chips import handback_chips

Forms = dict[str, forms.Form]


@require_GET
@require_role(*CARERS)
def handbacks(request: SignedIn) -> HttpResponse:
    """The list, what is due first on top."""
    filters = Filters.from_query(request.GET.dict(), request.user)
    today = company_today()
    context = {
        "page": handback_page(request.user, filters),
        "counts": count_handbacks(request.user, filters.whose, today),
        "filters": filters,
        "chips": handback_chips(filters, is_leader=has_role(request.user, *LEADERS)),
        "today": today,
    }
    return render(request, "pulsecheck/handbacks.html", context)


@require_GET
@require_role(*CARERS)
def handback(request: SignedIn, pk: int) -> HttpResponse:
    """The briefing of one handback."""
    return _show(request, _visible(request, pk))


def _visible(request: SignedIn, pk: int) -> Handback:
    related = (
        "account__original_salesperson",
        "account__account_manager",
        "salesperson",
        "churn_reason",
        "closed_by",
        "counter_signer",
    )
    return get_object_or_404(Handback.objects.visible_to(request.user).select_related(*related), pk=pk)


def _show(
    request: SignedIn, shown: Handback, bound: Forms | None = None, status: int | None = None
) -> HttpResponse:
    """The page; `bound` holds a form that was not right, which stays open with its errors."""
    staff = [person for person in can_take_over() if person.pk != shown.salesperson_id]
    blank: Forms = {
        "decline": DeclineForm(auto_id="decline_%s"),
        "reassign": ReassignForm(staff=staff, auto_id="reassign_%s"),
        "attempt": AttemptForm(auto_id="attempt_%s"),
        "close": CloseForm(auto_id="close_%s"),
        "sign": SignForm(auto_id="sign_%s"),
        "settle": SettleReasonForm(auto_id="settle_%s"),
        "thanks": ThanksForm(auto_id="thanks_%s"),
    }
    is_leader = has_role(request.user, *LEADERS)
    brief = briefing(shown, company_today())
    context = {
        "handback": shown,
        "account": shown.account,
        "brief": brief,
        "is_late": is_late(shown, timezone.now()),
        "has_thanked": any(said.by_id == request.user.pk for said in brief.thanks),
        "forms": blank | (bound or {}),
        "today": company_today(),
        "is_mine": shown.salesperson_id == request.user.pk,
        "is_open": shown.state == HandbackState.OPEN,
        "is_closed": shown.state == HandbackState.CLOSED,
        "is_leader": is_leader,
        "is_signer": shown.counter_signer_id == request.user.pk and shown.counter_signed_at is None,
        "settlements": settlements_of(shown) if services.is_disputed(shown) else [],
        "may_settle": services.may_settle(shown, request.user),
        "may_close": services.may_close(shown, request.user),
        "sees_account": Account.objects.visible_to(request.user).filter(pk=shown.account_id).exists(),
    }
    return render(request, "pulsecheck/handback.html", context, status=status or (422 if bound else 200))


def _do(request: SignedIn, pk: int, act: Callable[[], object], said: str) -> HttpResponse:
    """One act; when somebody was faster the page says so with 409."""
    try:
        act()
    except CareError as problem:
        messages.error(request, str(problem))
        status = 409 if isinstance(problem, HandbackConflict) else 422
        return _show(request, _visible(request, pk), status=status)
    messages.success(request, said)
    # Whoever gave it away may not see it any more.
    is_seen = Handback.objects.visible_to(request.user).filter(pk=pk).exists()
    return redirect("pulsecheck:handback", pk) if is_seen else redirect("pulsecheck:handbacks")


@require_POST
@require_role(*CARERS)
def accept(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    # Who the page said has it (0 = nobody): it may have gone to somebody else since.
    told = request.POST.get("given_to", "")
    if told.isdecimal() and len(told) < 18:
        shown.salesperson_id = int(told) or None
    said = f"{shown.account.name} is yours. Call them, and write down what came of it."
    return _do(request, pk, lambda: services.accept_handback(shown, request.user), said)


@require_POST
@require_role(*CARERS)
def decline(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = DeclineForm(request.POST, auto_id="decline_%s")
    if not form.is_valid():
        return _show(request, shown, {"decline": form})
    reason = form.cleaned_data["reason"]
    said = "Declined. It has gone to the next in line."
    return _do(request, pk, lambda: services.decline_handback(shown, request.user, reason), said)


@require_POST
@require_role(*LEADERS)
def reassign(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = ReassignForm(request.POST, staff=can_take_over(), auto_id="reassign_%s")
    if not form.is_valid():
        return _show(request, shown, {"reassign": form})
    to, note = form.cleaned_data["to"], form.cleaned_data["note"]
    said = f"{to.name} has it now, and has been told."
    return _do(request, pk, lambda: services.reassign_handback(shown, to, request.user, note), said)


@require_POST
@require_role(*CARERS)
def log_attempt(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = AttemptForm(request.POST, auto_id="attempt_%s")
    if not form.is_valid():
        return _show(request, shown, {"attempt": form})
    data = form.cleaned_data
    return _do(request, pk, lambda: services.log_attempt(shown, request.user, **data), "Written down.")


@require_POST
@require_role(*CARERS)
def close(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = CloseForm(request.POST, auto_id="close_%s")
    if not form.is_valid():
        return _show(request, shown, {"close": form})
    data = form.cleaned_data
    return _do(
        request, pk, lambda: services.close_handback(shown, request.user, **data), "Closed. Thank you."
    )


@require_POST
@require_role(*CARERS)
def sign(request: SignedIn, pk: int) -> HttpResponse:
    """The other owner says whether they see a loss on both sides the same way."""
    shown = _visible(request, pk)
    form = SignForm(request.POST, auto_id="sign_%s")
    if not form.is_valid():
        return _show(request, shown, {"sign": form})
    agrees, note = form.cleaned_data["agrees"] == "yes", form.cleaned_data["note"]
    said = "Signed. Thank you." if agrees else f"Noted, and {shown.closed_by} has been told."
    return _do(
        request,
        pk,
        lambda: services.counter_sign(shown, request.user, agrees=agrees, note=note),
        said,
    )


@require_POST
@require_role(*CARERS)
def settle(request: SignedIn, pk: int) -> HttpResponse:
    """Why they left, after the owners disagreed."""
    shown = _visible(request, pk)
    form = SettleReasonForm(request.POST, auto_id="settle_%s")
    if not form.is_valid():
        return _show(request, shown, {"settle": form})
    data = form.cleaned_data
    return _do(
        request,
        pk,
        lambda: services.settle_reason(shown, request.user, **data),
        "Settled. Both have been told.",
    )


@require_POST
@require_role(*CARERS)
def thank(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = ThanksForm(request.POST, auto_id="thanks_%s")
    if not form.is_valid():
        return _show(request, shown, {"thanks": form})
    words = form.cleaned_data["words"]
    return _do(request, pk, lambda: services.say_thanks(shown, request.user, words), "Thanked everybody.")


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def new(request: SignedIn) -> HttpResponse:
    """A person hands an account back, with the reason; one that is handed back already is shown instead."""
    text = request.GET.get("account", "")
    if not text.isdecimal() or len(text) > 18:
        raise Http404
    account = get_object_or_404(Account.objects.visible_to(request.user), pk=int(text))
    unfinished = Handback.objects.unfinished().filter(account=account).first()
    if unfinished is not None:
        messages.info(request, "This account is handed back already; here it is.")
        return redirect("pulsecheck:handback", unfinished.pk)
    form = NewHandbackForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        risk = _with_reason(account, form.cleaned_data["reason"])
        opened = services.open_handback(account, risk, HandbackTrigger.MANUAL, request.user)
        messages.success(
            request, f"Handed back to {opened.salesperson or 'nobody yet: no one could take it'}."
        )
        return redirect("pulsecheck:handback", opened.pk)
    context = {"form": form, "account": account}
    return render(request, "pulsecheck/new_handback.html", context, status=422 if form.errors else 200)


def _with_reason(account: Account, reason: str) -> RiskSnapshot:
    """What the last run knew, led by what a person says."""
    known = latest_risks([account.pk]).get(account.pk) or RiskSnapshot(currency=account.currency)
    said = {"factor": "person", "sentence": reason, "points": 0}
    return replace(known, reasons=[said, *known.reasons])
