"""Promises, issues, enquiries and the fine print: their lists, one record, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.links import read_key
from accounts.models import Account, Contract, Enquiry, Issue, Promise, PromisePage
from accounts.permissions import CARERS, SignedIn, require_role
from accounts.selectors import company_today, get_company
from accounts.services import enquiries as enquiry_services
from accounts.services import issues as issue_services
from accounts.services import promises as promise_services
from accounts.services import terms as term_services
from accounts.views.anybody import for_anybody
from pulsecheck.forms.records import (
    AcknowledgeTermsForm,
    AnswerForm,
    ChangeIssueForm,
    ExplainTermsForm,
    ResolveIssueForm,
    ShareForm,
    TellCustomerForm,
    WhyForm,
)
from pulsecheck.selectors import enquiries, issues, promises, terms
from pulsecheck.selectors.lists import ListFilters
from pulsecheck.selectors.triggers import office_hours
from pulsecheck.views.chips import list_chips
from pulsecheck.views.deeds import Bound, Deed, deed_forms, do_deed, record_page, visible

RELATED: dict[type[Model], tuple[str, ...]] = {
    Promise: ("account",),
    Issue: ("account", "owner", "told_by"),
    Enquiry: ("account", "contact", "owner", "responded_by", "next_step_owner"),
    Contract: ("account", "terms_disclosed_by"),
}


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


@for_anybody
@require_GET
def promised(request: HttpRequest, token: str) -> HttpResponse:
    """What we promised a customer, for whoever there has the link."""
    key = read_key(PromisePage.LINK, token)
    page = get_object_or_404(PromisePage.objects.select_related("account"), token=key)
    context = {
        "account": page.account,
        "promises": page.account.promises.filter(is_shared=True).order_by("-due_on", "-pk")[:50],
        "company": get_company().name,
        "today": company_today(),
    }
    return render(request, "pulsecheck/promised.html", context)


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


@require_GET
@require_role(*CARERS)
def issue(request: SignedIn, pk: int) -> HttpResponse:
    return _show_issue(request, visible(request, Issue, pk, *RELATED[Issue]))


def _show_issue(request: SignedIn, row: Issue, bound: Bound | None = None) -> HttpResponse:
    made = deed_forms(
        request,
        row,
        bound,
        change_issue=ChangeIssueForm,
        resolve_issue=ResolveIssueForm,
        tell_customer=TellCustomerForm,
        reopen_issue=WhyForm,
    )
    context = {"issue": row, "story": issues.issue_story(row), "forms": made}
    return record_page(request, "pulsecheck/issue.html", context, bound)


@require_GET
@require_role(*CARERS)
def enquiry(request: SignedIn, pk: int) -> HttpResponse:
    return _show_enquiry(request, visible(request, Enquiry, pk, *RELATED[Enquiry]))


def _show_enquiry(request: SignedIn, row: Enquiry, bound: Bound | None = None) -> HttpResponse:
    context = {
        "enquiry": row,
        "clock": enquiries.clock_of(row, timezone.now(), office_hours()),
        "company": get_company(),
        "forms": deed_forms(request, row, bound, answer_enquiry=AnswerForm),
    }
    return record_page(request, "pulsecheck/enquiry.html", context, bound)


@require_GET
@require_role(*CARERS)
def contract_terms(request: SignedIn, pk: int) -> HttpResponse:
    return _show_terms(request, visible(request, Contract, pk, *RELATED[Contract]))


def _show_terms(request: SignedIn, row: Contract, bound: Bound | None = None) -> HttpResponse:
    rows = terms.terms_of(row)
    context = {
        "contract": row,
        "terms": rows,
        "left": [r for r in rows if r.disclosure is None],
        "to_acknowledge": [r for r in rows if r.disclosure and r.disclosure.acknowledged_on is None],
        "forms": deed_forms(
            request, row, bound, explain_terms=ExplainTermsForm, acknowledge_terms=AcknowledgeTermsForm
        ),
    }
    return record_page(request, "pulsecheck/contract_terms.html", context, bound)


# ── what is done about one ─────────────────────────────────────────────
def _change_issue(row: Issue, user: Any, **changed: Any) -> Issue:
    return issue_services.change_issue(row, user, changed)


def _on_account(row: Promise | Account) -> str:
    pk = row.pk if isinstance(row, Account) else row.account_id
    return f"{reverse('retention:account', args=[pk])}#promises"


def _on_page(name: str) -> Callable[[Any], str]:
    return lambda row: reverse(name, args=[row.pk])


ISSUE, ENQUIRY = _on_page("pulsecheck:issue"), _on_page("pulsecheck:enquiry")
TERMS = _on_page("pulsecheck:contract_terms")
DEEDS = {
    "keep_promise": Deed(Promise, promise_services.keep_promise, "Promise kept. Thank you.", _on_account),
    "break_promise": Deed(
        Promise,
        lambda row, user, reason: promise_services.break_promise(row, user, reason),
        "Noted as broken. Tell the customer before they find out.",
        _on_account,
        WhyForm,
    ),
    "open_promise_page": Deed(
        Account,
        promise_services.open_promise_page,
        "Send them the link: it shows what you chose to show.",
        _on_account,
        related=(),
    ),
    "close_promise_page": Deed(
        Account, promise_services.close_promise_page, "The link works no longer.", _on_account, related=()
    ),
    "share_promise": Deed(Promise, promise_services.share_promise, "Changed.", _on_account, ShareForm),
    "change_issue": Deed(
        Issue, _change_issue, "Saved.", ISSUE, ChangeIssueForm, _show_issue, related=RELATED[Issue]
    ),
    "resolve_issue": Deed(
        Issue,
        issue_services.resolve_issue,
        "Solved. Now tell the customer: it is closed once they know.",
        ISSUE,
        ResolveIssueForm,
        _show_issue,
        related=RELATED[Issue],
    ),
    "tell_customer": Deed(
        Issue,
        issue_services.tell_customer,
        "The loop is closed. Thank you.",
        ISSUE,
        TellCustomerForm,
        _show_issue,
        related=RELATED[Issue],
    ),
    "reopen_issue": Deed(
        Issue,
        issue_services.reopen_issue,
        "Open again. It counts as another issue from today on.",
        ISSUE,
        WhyForm,
        _show_issue,
        related=RELATED[Issue],
    ),
    "answer_enquiry": Deed(
        Enquiry,
        enquiry_services.answer_enquiry,
        "Answered. The clock has stopped.",
        ENQUIRY,
        AnswerForm,
        _show_enquiry,
        related=RELATED[Enquiry],
    ),
    "finish_enquiry_step": Deed(
        Enquiry,
        enquiry_services.finish_enquiry_step,
        "Done.",
        ENQUIRY,
        show=_show_enquiry,
        related=RELATED[Enquiry],
    ),
    "explain_terms": Deed(
        Contract,
        term_services.explain_terms,
        "Noted: no surprise there.",
        TERMS,
        ExplainTermsForm,
        _show_terms,
        related=RELATED[Contract],
    ),
    "acknowledge_terms": Deed(
        Contract,
        term_services.acknowledge_terms,
        "Noted: they know what they signed.",
        TERMS,
        AcknowledgeTermsForm,
        _show_terms,
        related=RELATED[Contract],
    ),
}


@require_POST
def act(request: SignedIn, pk: int, deed: str) -> HttpResponse:
    """Do one of DEEDS."""
    return do_deed(request, pk, deed, DEEDS)
