"""A person's own API tokens: make one, see its secret once, revoke it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import ApiTokenForm
from accounts.models import ApiToken
from accounts.permissions import SignedIn
from accounts.services import tokens as services


@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: SignedIn) -> HttpResponse:
    """The tokens of whoever looks. A new one is shown in the answer to its form and never again."""
    form, secret = ApiTokenForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        secret = services.issue_token(request.user, **form.cleaned_data)
        form = ApiTokenForm()
    mine = ApiToken.objects.filter(user=request.user)
    return render(request, "accounts/tokens.html", {"form": form, "secret": secret, "tokens": mine})


@require_POST
def revoke_token(request: SignedIn, pk: int) -> HttpResponse:
    """Whoever it acts for may revoke it, nobody else knows of it."""
    token = get_object_or_404(ApiToken, pk=pk, user=request.user)
    services.revoke_token(token, request.user)
    messages.success(request, f"The token {token.name} no longer works.")
    return redirect("accounts:tokens")
