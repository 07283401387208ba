"""Customers who vouch for us, the links to pages that show it, and that page itself, which needs no sign-in."""

from __future__ import annotations

import datetime as dt

from csp.decorators import csp_replace
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.links import read_key
from accounts.models import Account, Role
from accounts.permissions import CARERS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today, get_company
from accounts.views.anybody import for_anybody
from pulsecheck.errors import CareError
from pulsecheck.forms.references import ConsentForm, ProofPageForm, RevokeForm
from pulsecheck.models import ProofPage, Reference
from pulsecheck.selectors.lists import ListFilters, keyset_page
from pulsecheck.selectors.products import held_back
from pulsecheck.services import references as services
from retention.selectors.proof import NAMES, company_facts, facts_of, vouchers

PUBLISHERS = (*LEADERS, Role.MARKETING)
MOST = 200


@require_GET
def references(request: SignedIn) -> HttpResponse:
    """Who vouches for us, to what extent, until when; and the public pages."""
    today = company_today()
    standing = Reference.objects.visible_to(request.user).filter(revoked_at=None)
    filters = ListFilters.from_query(request.GET.dict(), request.user, {})
    page = keyset_page(
        standing.select_related("account", "noted_by"), filters, "until", parse=dt.date.fromisoformat
    )
    rows = page.rows
    unwell = held_back([row.account_id for row in rows], today)
    is_publisher = has_role(request.user, *PUBLISHERS)
    context = {
        "rows": [(row, unwell.get(row.account_id, [])) for row in rows],
        "page": page,
        "pages": list(ProofPage.objects.select_related("created_by")[:MOST]) if is_publisher else [],
        "is_publisher": is_publisher,
        "may_note": has_role(request.user, *CARERS),
        "names": NAMES,
        "today": today,
    }
    return render(request, "retention/references.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def consent(request: SignedIn, pk: int) -> HttpResponse:
    """Note what an account agreed to."""
    account = get_object_or_404(Account.objects.visible_to(request.user), pk=pk)
    form = ConsentForm(request.POST or None, account=account)
    if request.method == "POST" and form.is_valid():
        try:
            services.note_consent(account, request.user, **form.consent())
        except CareError as problem:
            form.add_error(None, str(problem))
        else:
            messages.success(request, f"Noted. {account.name} vouches for us, for nothing more than that.")
            return redirect("retention:references")
    context = {
        "form": form,
        "account": account,
        "people": list(account.contacts.filter(is_active=True)),
        "now": Reference.objects.filter(account=account, revoked_at=None).first(),
        "unwell": held_back([account.pk], company_today()).get(account.pk, []),
    }
    return render(request, "retention/consent.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*CARERS)
def revoke(request: SignedIn, pk: int) -> HttpResponse:
    """They took it back."""
    reference = get_object_or_404(Reference.objects.visible_to(request.user), pk=pk)
    form = RevokeForm(request.POST)
    # Whatever is wrong with the reason: a customer who takes consent back is not shown a moment longer.
    revoked = services.revoke_consent(
        reference, request.user, form.cleaned_data["reason"] if form.is_valid() else ""
    )
    for fault in form.errors.get("reason", ()):
        messages.error(request, f"The reason was not kept: {fault}")
    messages.success(request, f"{revoked.account} is gone from every page.")
    return redirect("retention:references")


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*PUBLISHERS)
def new_proof_page(request: SignedIn) -> HttpResponse:
    """Choose what a public page shows; each figure stands there as it would be seen."""
    today = company_today()
    known = company_facts(today)
    choices = [(name, f"{known[name].figure} {known[name].says}") for name in NAMES if name in known]
    form = ProofPageForm(request.POST or None, facts=choices)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.make_proof_page(request.user, **form.cleaned_data)
        except CareError as problem:
            form.add_error(None, str(problem))
        else:
            messages.success(
                request, f"The link for {made.title} works from now on. Look at it before you send it."
            )
            return redirect("retention:references")
    context = {
        "form": form,
        "missing": [label for name, label in NAMES.items() if name not in known],
        "vouchers": vouchers(today),
    }
    return render(request, "retention/new_proof_page.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*PUBLISHERS)
def turn_proof_page(request: SignedIn, pk: int) -> HttpResponse:
    page = get_object_or_404(ProofPage, pk=pk)
    turned = services.turn_proof_page(page, request.user, on=request.POST.get("to", "") == "on")
    said = "It has a new link; the old one stays off." if turned.is_on else "The link leads nowhere now."
    messages.success(request, said)
    return redirect("retention:references")


# Nothing runs on it, nothing is sent from it; styles, fonts and pictures are our own.
@csp_replace(
    {
        "default-src": ["'none'"],
        "script-src": ["'none'"],
        "connect-src": ["'none'"],
        "form-action": ["'none'"],
    }
)
@for_anybody
@require_GET
def proof_page(request: HttpRequest, token: str) -> HttpResponse:
    """How we treat customers, for whoever has the link. Off, run out and never there look the same."""
    today = company_today()
    page = ProofPage.objects.filter(token=read_key(ProofPage.LINK, token)).first()
    if page is None or not page.is_open(today):
        raise Http404
    context = {
        "company": get_company().name,
        "facts": facts_of(page, today),
        "vouchers": vouchers(today) if page.shows_references else [],
        "today": today,
    }
    return render(request, "retention/proof_page.html", context)
