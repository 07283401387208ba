"""The accounts that may leave, most money first; what is shown can be taken away and acted on as one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from accounts.downloads import table_response
from accounts.models import Account, User
from accounts.permissions import CARERS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today, get_company
from accounts.services.care import assign_account_manager
from accounts.views.back import go_back
from retention.models import ScoreRun
from retention.selectors import book
from retention.selectors.account import staff_for
from retention.selectors.at_risk import at_risk_figures
from retention.selectors.frame import latest_run
from retention.services.today import hand_back, plan_pulses
from retention.views.chips import make_chips, sort_links

MOST_AT_ONCE = 200


@require_GET
@require_role(*CARERS)
def at_risk(request: SignedIn) -> HttpResponse:
    """The list, with what it adds up to."""
    run = latest_run()
    filters = book.Filters.from_query(request.GET.dict())
    context: dict[str, Any] = {"run": run, "filters": filters, "currency": get_company().currency}
    if run is None:
        return render(request, "retention/at_risk.html", context)
    context |= {
        "page": book.score_page(run, filters, request.user, risky=True),
        "totals": book.totals(run, filters, request.user, risky=True),
        "figures": at_risk_figures(request.user, run),
        "chips": make_chips(filters, request.user, run, risky=True),
        "sorts": sort_links(filters),
        "export_query": urlencode({k: v for k, v in filters.query.items() if k != "after"}),
        "today": company_today(),
        "staff": staff_for(request.user) if has_role(request.user, *LEADERS) else [],
    }
    return render(request, "retention/at_risk.html", context)


@require_GET
@require_role(*CARERS)
def export(request: SignedIn, form: str) -> HttpResponseBase:
    """Everything the list shows under the same filters, as CSV or XLSX."""
    run = latest_run()
    if run is None:
        raise Http404
    return export_scores(request, run, form, f"at-risk-{run.as_of}", risky=True)


def export_scores(request: SignedIn, run: ScoreRun, form: str, name: str, *, risky: bool) -> HttpResponseBase:
    """The filtered book as a file."""
    filters = book.Filters.from_query(request.GET.dict())
    scores = book.scores_of(run, filters, request.user, risky=risky)
    return table_response(name, form, book.EXPORT_HEADER, book.export_rows(scores, filters))


@require_POST
@require_role(*CARERS)
def act(request: SignedIn) -> HttpResponse:
    """One action on every ticked account that the person sees."""
    picked = [int(pk) for pk in request.POST.getlist("pick") if pk.isdecimal() and len(pk) < 18][
        :MOST_AT_ONCE
    ]
    chosen = list(Account.objects.visible_to(request.user).filter(pk__in=picked))
    action = ACTIONS.get(request.POST.get("action", ""))
    if action is None or not chosen:
        messages.warning(request, "Tick at least one account first.")
    else:
        action(request, chosen)
    return go_back(request, reverse("retention:at_risk"))


def _hand_back(request: SignedIn, chosen: list[Account]) -> None:
    handbacks = hand_back(chosen, request.user)
    to = sorted({str(handback.salesperson or "nobody yet") for handback in handbacks})
    messages.success(request, f"{_counted(len(handbacks))} handed back to {', '.join(to[:4])}.")


def _plan_pulse(request: SignedIn, chosen: list[Account]) -> None:
    planned = plan_pulses(chosen, request.user)
    had = len(chosen) - planned
    also = f" {_counted(had)} had one already." if had else ""
    messages.success(request, f"Pulse checks planned for {_counted(planned)}.{also}")


def _assign(request: SignedIn, chosen: list[Account]) -> None:
    person = User.objects.filter(pk=_number(request.POST.get("user", "")), is_active=True).first()
    if not has_role(request.user, *LEADERS) or person is None:
        messages.warning(request, "Choose the person who looks after them from now on.")
        return
    changed = assign_account_manager(chosen, person, request.user)
    messages.success(request, f"{person} looks after {_counted(changed)} more from now on.")


ACTIONS = {"hand_back": _hand_back, "plan_pulse": _plan_pulse, "assign": _assign}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 18 else 0


def _counted(n: int) -> str:
    return f"{n} account{'s' if n != 1 else ''}"
