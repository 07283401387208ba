"""Settings: the company, its currencies, its reasons for losing customers, and the terms to explain."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.forms import ChurnReasonForm, CompanyForm, ExchangeRateForm, TermForm
from accounts.models import ChurnReason, ExchangeRate, Term
from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from accounts.selectors import currencies_in_use, get_company, stored_company, unknown_currencies
from accounts.services import company as services
from accounts.services import terms as term_services
from accounts.services.company import CompanyError


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def company(request: SignedIn) -> HttpResponse:
    """Name, currency, time zone, holidays."""
    form = CompanyForm(request.POST or None, instance=stored_company())
    if request.method == "POST" and form.is_valid():
        try:
            services.change_company(request.user, form.cleaned_data)
        except CompanyError as problem:
            form.add_error("currency", str(problem))
        else:
            messages.success(request, "Saved. Figures follow with the next score run.")
            return redirect("accounts:company")
    context = {"form": form, "title": "Company", "back": "retention:settings"}
    return render(request, "accounts/settings/form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def rates(request: SignedIn) -> HttpResponse:
    """The rates, what is missing, and a form to add one."""
    form = ExchangeRateForm(request.POST or None, initial={"currency": request.GET.get("currency", "")[:3]})
    if request.method == "POST" and form.is_valid():
        row = services.save_exchange_rate(request.user, **form.cleaned_data)
        messages.success(request, f"{row}. Figures follow with the next score run.")
        return redirect("accounts:rates")
    used = currencies_in_use()
    context = {
        "rates": [(row, row.currency in used) for row in ExchangeRate.objects.all()],
        "unknown": sorted(unknown_currencies()),
        "own": get_company().currency,
        "form": form,
    }
    return render(request, "accounts/settings/rates.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def rate(request: SignedIn, pk: int) -> HttpResponse:
    row = get_object_or_404(ExchangeRate, pk=pk)
    form = ExchangeRateForm(request.POST or None, row=row)
    if request.method == "POST" and form.is_valid():
        changed = services.save_exchange_rate(request.user, row.currency, form.cleaned_data["rate"])
        messages.success(request, f"{changed}. Figures follow with the next score run.")
        return redirect("accounts:rates")
    context = {"form": form, "title": f"Exchange rate of {row.currency}", "back": "accounts:rates"}
    return render(request, "accounts/settings/form.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*ADMINISTRATORS)
def delete_rate(request: SignedIn, pk: int) -> HttpResponse:
    row = get_object_or_404(ExchangeRate, pk=pk)
    try:
        services.delete_exchange_rate(request.user, row)
    except CompanyError as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, f"The rate of {row.currency} is gone.")
    return redirect("accounts:rates")


@require_GET
@require_role(*ADMINISTRATORS)
def churn_reasons(request: SignedIn) -> HttpResponse:
    return render(request, "accounts/settings/churn_reasons.html", {"reasons": ChurnReason.objects.all()})


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def churn_reason(request: SignedIn, pk: int | None = None) -> HttpResponse:
    """A new reason, or one to change."""
    found = get_object_or_404(ChurnReason, pk=pk) if pk else ChurnReason()
    form = ChurnReasonForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        services.save_churn_reason(request.user, form.save(commit=False))
        messages.success(request, "Saved.")
        return redirect("accounts:churn_reasons")
    title = found.name if pk else "Add a churn reason"
    context = {"form": form, "title": title, "back": "accounts:churn_reasons"}
    return render(request, "accounts/settings/form.html", context, status=422 if form.errors else 200)


@require_GET
@require_role(*ADMINISTRATORS)
def terms(request: SignedIn) -> HttpResponse:
    """What has to be explained with every contract."""
    return render(request, "accounts/settings/terms.html", {"terms": Term.objects.all()})


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def term(request: SignedIn, pk: int | None = None) -> HttpResponse:
    """A new term, or one to change."""
    found = get_object_or_404(Term, pk=pk) if pk else Term()
    form = TermForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        term_services.save_term(request.user, form.save(commit=False))
        messages.success(request, "Saved.")
        return redirect("accounts:terms")
    context = {"form": form, "title": found.name if pk else "Add a term", "back": "accounts:terms"}
    return render(request, "accounts/settings/form.html", context, status=422 if form.errors else 200)
