"""What monitors ask without signing in: is the process up, can it serve."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from retention.selectors.status import find_broker_fault, find_database_fault


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nobody else, so that a database that is down does not get the web server restarted."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """503 while the database is away. A broker that is away is named but does not take the pages off line."""
    database, broker = find_database_fault(), find_broker_fault()
    state = {"database": "down" if database else "ok", "broker": "down" if broker else "ok"}
    return JsonResponse(state, status=503 if database else 200)
