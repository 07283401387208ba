"""The page for a fault of ours, and the one for a database that is away for a moment."""

import sys
from http import HTTPStatus

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.views.defaults import server_error as fault_page

RETRY_AFTER_SECONDS = 5
# SQLSTATE classes: connection lost (08), too many connections (53), server going down or coming up (57P).
AWAY = ("08", "53", "57P")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while it handles the exception: 503 and Retry-After when PostgreSQL is away, else 500."""
    is_api = request.path.startswith("/api/")
    if not _database_is_away(sys.exc_info()[1]):
        return _problem(500, "This is a fault of ours; it was noted.") if is_api else fault_page(request)
    if is_api:
        answer = _problem(503, "The database is away for a moment; try again.")
    else:
        answer = HttpResponse(loader.get_template("503.html").render(), status=503)
    answer["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _problem(code: int, detail: str) -> HttpResponse:
    problem = {"type": "about:blank", "title": HTTPStatus(code).phrase, "status": code, "detail": detail}
    return JsonResponse(problem, status=code, content_type="application/problem+json")


def _database_is_away(failure: BaseException | None) -> bool:
    if isinstance(failure, InterfaceError):
        return True
    if not isinstance(failure, OperationalError):
        return False
    state = getattr(failure.__cause__, "pgcode", None)
    return state is None or state.startswith(AWAY)
