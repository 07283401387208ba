"""Calls of connected systems that say something changed. Each connection has an address of its own that nobody guesses.

What is said is a hint and no more: the record is read again. So a call that is repeated, late or out of order does no
harm, and one that is forged can at most ask for what would be read anyway; it is refused all the same.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.crm.errors import CrmError
from accounts.crm.protocol import WebhookCall
from accounts.limits import address_of, calls_in_this_minute, seconds_left
from accounts.models import Connection
from accounts.services.crm import take_webhook
from accounts.tasks import ring_syncs

LARGEST_CALL = 1024**2  # bytes; systems send ids, or one record

log = logging.getLogger(__name__)


@csrf_exempt
@login_not_required
@never_cache
@require_POST
def webhook(request: HttpRequest, key: str) -> HttpResponse:
    """Note what a genuine call names. Unknown addresses do not exist, whoever calls; what is not genuine is told so
    and nothing else."""
    connection = Connection.objects.filter(hook_key=key).first()
    if connection is None:
        if calls_in_this_minute(f"hooks-{address_of(request)}") > settings.PUBLIC_CALLS_PER_MINUTE:
            return _too_many()
        raise Http404
    if calls_in_this_minute(f"hook-{connection.pk}") > settings.CRM_WEBHOOKS_PER_MINUTE:
        return _too_many()
    body = _body(request)
    if body is None:
        return HttpResponse("The call is too large.", status=413, content_type="text/plain")
    try:
        found = take_webhook(connection, _call(request, body))
    except CrmError as problem:
        log.warning("A webhook of connection %s was refused: %s", connection.pk, problem)
        return HttpResponse("This call is not genuine.", status=400, content_type="text/plain")
    if found and not connection.is_paused:
        ring_syncs()
    return HttpResponse(status=204)


def _too_many() -> HttpResponse:
    answer = HttpResponse("Too many calls; try again in a minute.", status=429, content_type="text/plain")
    answer["Retry-After"] = str(int(seconds_left()) + 1)
    return answer


def _body(request: HttpRequest) -> bytes | None:
    """The body as it came; None when it is too large, without reading more of it than is allowed."""
    body: bytes = request.read(LARGEST_CALL + 1)
    return body if len(body) <= LARGEST_CALL else None


def _call(request: HttpRequest, body: bytes) -> WebhookCall:
    """The call as it is signed: with the address that the system was given, whatever proxies made of it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    url = f"{settings.BASE_URL.rstrip('/')}{request.get_full_path()}"
    return WebhookCall(str(request.method), url, headers, body)
