"""Where a person is sent once a small form is done."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.permissions import SignedIn


def go_back(request: SignedIn, default: str) -> HttpResponse:
    """To the page of ours that the form was on ("back"), else to `default`."""
    back = request.POST.get("back", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_ours else default)
