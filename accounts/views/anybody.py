"""Pages that need no sign-in: whoever has the link may open them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from accounts.limits import address_of, calls_in_this_minute, seconds_left
from accounts.selectors import get_company

Page = Callable[..., HttpResponse]


def for_anybody(view: Page) -> Page:
    """A page for people outside: no sign-in, at most so many calls a minute from one address over all such pages, kept by
    no cache and no search engine, its address told to no other site. It needs no CSRF token: whoever has the link may
    answer, a session plays no part, and telephones that refuse cookies can answer too."""

    @wraps(view)
    def limited(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        if calls_in_this_minute(f"public-{address_of(request)}") > settings.PUBLIC_CALLS_PER_MINUTE:
            answer = render(request, "too_many.html", {"company": get_company().name}, status=429)
            answer["Retry-After"] = str(int(seconds_left()) + 1)
        else:
            answer = view(request, *args, **kwargs)
        answer["X-Robots-Tag"] = "noindex, nofollow"
        answer["Referrer-Policy"] = "no-referrer"
        return answer

    return csrf_exempt(login_not_required(never_cache(limited)))
