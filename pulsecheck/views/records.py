"""Promises, issues, enquiries and the fine print: their lists, one record, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Contract, Enquiry, Issue, Promise
from accounts.permissions import CARERS, SignedIn, require_role
from accounts.selectors import company_today, get_company
from accounts.services import enquiries as enquiry_services
from accounts.services import issues as issue_services
from accounts.services import promises as promise_services
from accounts.services import terms as term_services
from accounts.services.errors import RecordError
from accounts.views.back import go_back
from pulsecheck.forms.records import (
    AcknowledgeTermsForm,
    AnswerForm,
    ChangeIssueForm,
    DeedForm,
    ExplainTermsForm,
    ResolveIssueForm,
    TellCustomerForm,
    WhyForm,
)
from pulsecheck.selectors import enquiries, issues, promises, terms
from pulsecheck.selectors.lists import ListFilters
from pulsecheck.selectors.triggers import office_hours
from pulsecheck.views.chips import list_chips

Bound = dict[str, forms.Form]


# ── lists ──────────────────────────────────────────────────────────────
@require_GET
@require_role(*CARERS)
def promise_list(request: SignedIn) -> HttpResponse:
    """The promise ledger."""
    filters = ListFilters.from_query(request.GET.dict(), request.user, promises.STATES)
    today = company_today()
    context = {
        "page": promises.promise_page(request.user, filters, today),
        "counts": promises.count_promises(request.user, filters.whose, today),
        "filters": filters,
        "chips": list_chips(filters, promises.STATES),
        "today": today,
    }
    return render(request, "pulsecheck/promises.html", context)


@require_GET
@require_role(*CARERS)
def promise_records(request: SignedIn) -> HttpResponse:
    """How everybody keeps their word."""
    records = promises.promise_records(request.user, company_today())
    return render(request, "pulsecheck/promise_records.html", {"records": records})


@require_GET
@require_role(*CARERS)
def issue_list(request: SignedIn) -> HttpResponse:
    """The issue log."""
    menus = issues.issue_menus()
    filters = ListFilters.from_query(request.GET.dict(), request.user, issues.STATES, menus)
    today = company_today()
    context = {
        "page": issues.issue_page(request.user, filters, today),
        "counts": issues.count_issues(request.user, filters.whose, today),
        "filters": filters,
        "chips": list_chips(filters, issues.STATES, menus),
        "today": today,
    }
    return render(request, "pulsecheck/issues.html", context)


@require_GET
@require_role(*CARERS)
def enquiry_list(request: SignedIn) -> HttpResponse:
    """What customers ask, and for how long it has waited."""
    filters = ListFilters.from_query(request.GET.dict(), request.user, enquiries.STATES)
    context = {
        "page": enquiries.enquiry_page(request.user, filters),
        "counts": enquiries.count_enquiries(request.user, filters.whose),
        "company": get_company(),
        "filters": filters,
        "chips": list_chips(filters, enquiries.STATES),
        "today": company_today(),
    }
    return render(request, "pulsecheck/enquiries.html", context)


@require_GET
@require_role(*CARERS)
def fine_print(request: SignedIn) -> HttpResponse:
    """Contracts that hold a surprise."""
    filters = ListFilters.from_query(request.GET.dict(), request.user, terms.STATES)
    today = company_today()
    context = {
        "page": terms.contract_page(request.user, filters, today),
        "counts": terms.count_contracts(request.user, filters.whose, today),
        "filters": filters,
        "chips": list_chips(filters, terms.STATES),
        "today": today,
    }
    return render(request, "pulsecheck/fine_print.html", context)


# ── one record ─────────────────────────────────────────────────────────
RELATED: dict[type[Model], tuple[str, ...]] = {
    Promise: ("account",),
    Issue: ("account", "owner", "told_by"),
    Enquiry: ("account", "contact", "owner", "responded_by", "next_step_owner"),
    Contract: ("account", "terms_disclosed_by"),
}


def _visible(request: SignedIn, model: type[Any], pk: int) -> Any:
    rows = model.objects.visible_to(request.user).select_related(*RELATED[model])
    return get_object_or_404(rows, pk=pk)


def _forms(request: SignedIn, row: Any, bound: Bound | None, **kinds: type[DeedForm]) -> Bound:
    fresh = {name: kind(row=row, user=request.user, auto_id=f"{name}_%s") for name, kind in kinds.items()}
    return fresh | (bound or {})


def _page(request: SignedIn, template: str, context: dict[str, Any], bound: Bound | None) -> HttpResponse:
    return render(request, template, context | {"today": company_today()}, status=422 if bound else 200)


@require_GET
@require_role(*CARERS)
def issue(request: SignedIn, pk: int) -> HttpResponse:
    return _show_issue(request, _visible(request, Issue, pk))


def _show_issue(request: SignedIn, row: Issue, bound: Bound | None = None) -> HttpResponse:
    made = _forms(
        request,
        row,
        bound,
        change_issue=ChangeIssueForm,
        resolve_issue=ResolveIssueForm,
        tell_customer=TellCustomerForm,
        reopen_issue=WhyForm,
    )
    context = {"issue": row, "story": issues.issue_story(row), "forms": made}
    return _page(request, "pulsecheck/issue.html", context, bound)


@require_GET
@require_role(*CARERS)
def enquiry(request: SignedIn, pk: int) -> HttpResponse:
    return _show_enquiry(request, _visible(request, Enquiry, pk))


def _show_enquiry(request: SignedIn, row: Enquiry, bound: Bound | None = None) -> HttpResponse:
    context = {
        "enquiry": row,
        "clock": enquiries.clock_of(row, timezone.now(), office_hours()),
        "company": get_company(),
        "forms": _forms(request, row, bound, answer_enquiry=AnswerForm),
    }
    return _page(request, "pulsecheck/enquiry.html", context, bound)


@require_GET
@require_role(*CARERS)
def contract_terms(request: SignedIn, pk: int) -> HttpResponse:
    return _show_terms(request, _visible(request, Contract, pk))


def _show_terms(request: SignedIn, row: Contract, bound: Bound | None = None) -> HttpResponse:
    rows = terms.terms_of(row)
    context = {
        "contract": row,
        "terms": rows,
        "left": [r for r in rows if r.disclosure is None],
        "to_acknowledge": [r for r in rows if r.disclosure and r.disclosure.acknowledged_on is None],
        "forms": _forms(
            request, row, bound, explain_terms=ExplainTermsForm, acknowledge_terms=AcknowledgeTermsForm
        ),
    }
    return _page(request, "pulsecheck/contract_terms.html", context, bound)


# ── what is done about one ─────────────────────────────────────────────
Shown = Callable[[SignedIn, Any, Bound], HttpResponse]


@dataclass(frozen=True)
class Deed:
    """Something done about a record: on which rows, by which service, with which form, and what is said then. Without
    a page to show the form on again, its first fault is said as a message."""

    model: type[Any]
    service: Callable[..., Any]
    said: str
    form: type[DeedForm] | None = None
    show: Shown | None = None
    anchor: str = ""


def _change_issue(row: Issue, user: Any, **changed: Any) -> Issue:
    return issue_services.change_issue(row, user, changed)


DEEDS = {
    "keep_promise": Deed(
        Promise, promise_services.keep_promise, "Promise kept. Thank you.", anchor="promises"
    ),
    "break_promise": Deed(
        Promise,
        lambda row, user, reason: promise_services.break_promise(row, user, reason),
        "Noted as broken. Tell the customer before they find out.",
        WhyForm,
        anchor="promises",
    ),
    "share_promise": Deed(Promise, promise_services.share_promise, "Changed.", anchor="promises"),
    "change_issue": Deed(Issue, _change_issue, "Saved.", ChangeIssueForm, _show_issue),
    "resolve_issue": Deed(
        Issue,
        issue_services.resolve_issue,
        "Solved. Now tell the customer: it is closed once they know.",
        ResolveIssueForm,
        _show_issue,
    ),
    "tell_customer": Deed(
        Issue, issue_services.tell_customer, "The loop is closed. Thank you.", TellCustomerForm, _show_issue
    ),
    "reopen_issue": Deed(
        Issue,
        issue_services.reopen_issue,
        "Open again. It counts as another issue from today on.",
        WhyForm,
        _show_issue,
    ),
    "answer_enquiry": Deed(
        Enquiry,
        enquiry_services.answer_enquiry,
        "Answered. The clock has stopped.",
        AnswerForm,
        _show_enquiry,
    ),
    "finish_enquiry_step": Deed(Enquiry, enquiry_services.finish_enquiry_step, "Done.", show=_show_enquiry),
    "explain_terms": Deed(
        Contract, term_services.explain_terms, "Noted: no surprise there.", ExplainTermsForm, _show_terms
    ),
    "acknowledge_terms": Deed(
        Contract,
        term_services.acknowledge_terms,
        "Noted: they know what they signed.",
        AcknowledgeTermsForm,
        _show_terms,
    ),
}
PAGES: dict[type[Model], str] = {
    Issue: "pulsecheck:issue",
    Enquiry: "pulsecheck:enquiry",
    Contract: "pulsecheck:contract_terms",
}


@require_POST
@require_role(*CARERS)
def act(request: SignedIn, pk: int, deed: str) -> HttpResponse:
    """Do one of DEEDS about a record the person sees."""
    what = DEEDS[deed]
    row = _visible(request, what.model, pk)
    said = {}
    if what.form is not None:
        form = what.form(request.POST, row=row, user=request.user, auto_id=f"{deed}_%s")
        if not form.is_valid():
            return _refuse(request, what, row, {deed: form})
        said = form.cleaned_data
    try:
        what.service(row, request.user, **said)
    except RecordError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, what.said)
    return go_back(request, _page_of(what, row))


def _page_of(what: Deed, row: Any) -> str:
    if what.model in PAGES:
        return reverse(PAGES[what.model], args=[row.pk])
    return f"{reverse('retention:account', args=[row.account_id])}#{what.anchor}"


def _refuse(request: SignedIn, what: Deed, row: Any, bound: Bound) -> HttpResponse:
    if what.show is not None:
        return what.show(request, row, bound)
    for form in bound.values():
        messages.error(request, f"{row}: {next(iter(form.errors.values()))[0]}")
    return go_back(request, _page_of(what, row))
