"""One effect however often a call is repeated: the caller sends the same Idempotency-Key with each repetition."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.problems import KeyReused
from accounts.api.versions import refuse_if_outdated
from accounts.models import IdempotentCall

HEADER = "Idempotency-Key"
KEPT = dt.timedelta(days=2)
Action = Callable[..., Response]


def idempotent(action: Action) -> Action:
    """A writing action that answers a repetition with the first answer and does nothing.

    Effect and answer are written in one transaction; a repetition that arrives meanwhile waits for it. A refused
    call leaves nothing behind, so the same key may be used for the corrected one.
    """

    @wraps(action)
    def answered(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            with transaction.atomic():
                return _act(action, view, request, args, kwargs)
        _check(key)
        with transaction.atomic():
            call, is_new = _claim(request, key)
            if not is_new:
                return _repeat(call, request)
            response = _act(action, view, request, args, kwargs)
            call.status = response.status_code
            call.answer = _kept(response)
            call.save(update_fields=["status", "answer"])
            return response

    answered.is_idempotent = True  # type: ignore[attr-defined]
    return answered


def _kept(response: Response) -> Any:
    """The answer as it is kept; what must not be shown twice (a secret) is left out."""
    if response.data is None:
        return None
    answer = json.loads(JSONRenderer().render(response.data))
    for name in getattr(response, "kept_without", ()):
        answer.pop(name)
    return answer


def _act(
    action: Action, view: Any, request: Request, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Response:
    """The action itself, unless the record is no longer what the caller read."""
    if "pk" in kwargs and hasattr(view, "retrieve"):
        refuse_if_outdated(view, request, kwargs["pk"])
    return action(view, request, *args, **kwargs)


def _check(key: str) -> None:
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise ValidationError({HEADER: "Use 1 to 255 printable characters."})


def _claim(request: Request, key: str) -> tuple[IdempotentCall, bool]:
    """The row of this key; waits while another transaction holds the same key."""
    IdempotentCall.objects.filter(user=caller(request), created_at__lt=timezone.now() - KEPT).delete()
    fingerprint = _fingerprint(request)
    IdempotentCall.objects.bulk_create(
        [IdempotentCall(user=caller(request), key=key, fingerprint=fingerprint)], ignore_conflicts=True
    )
    call = IdempotentCall.objects.get(user=caller(request), key=key)
    if call.fingerprint != fingerprint:
        raise KeyReused
    return call, call.status is None


def _repeat(call: IdempotentCall, request: Request) -> Response:
    assert call.status is not None
    return Response(call.answer, status=call.status, headers={"Idempotency-Replayed": "true"})


def _fingerprint(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, default=str)
    return hashlib.sha256(f"{request.method} {request.get_full_path()} {body}".encode()).hexdigest()
