"""ETags: a reader is told when nothing has changed, a writer when somebody else was quicker (RFC 9110, 8.8.3 and 13.1).

The ETag is a hash of the answer itself, so it changes exactly when something changes that this caller would see.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponseBase, HttpResponseNotModified
from django.utils.http import parse_etags
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

KEPT_HEADERS = ("Cache-Control", "Vary", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


class Outdated(APIException):
    status_code = 412
    default_detail = (
        "Somebody changed this record since you read it (If-Match). Read it again, then decide anew."
    )
    default_code = "outdated"


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def not_modified_or(request: Request, response: Response) -> HttpResponseBase | None:
    """After rendering: give the answer its ETag; instead of it 304 where the reader has it already."""
    etag = response["ETag"] = etag_of(response.content)
    known = [one.removeprefix("W/") for one in parse_etags(request.headers.get("If-None-Match", ""))]
    if etag not in known and known != ["*"]:
        return None
    answer = HttpResponseNotModified(headers={"ETag": etag})
    for name in KEPT_HEADERS:
        if name in response:
            answer[name] = response[name]
    return answer


def refuse_if_outdated(view: Any, request: Request, pk: int) -> None:
    """Inside the transaction of a change: 412 unless the record still is what the caller read. The row is locked first, so
    that of two who read the same one is refused."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        return
    list(view.queryset.model._default_manager.select_for_update().filter(pk=pk).values_list("pk"))
    now = etag_of(JSONRenderer().render(view.retrieve(request, pk=pk).data))
    if wanted.strip() != "*" and now not in parse_etags(wanted):
        raise Outdated
