"""Errors of the API: RFC 9457 problems, each with the fields concerned and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.http import Http404
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

CONTENT_TYPE = "application/problem+json"


class Conflict(APIException):
    """The record is in a state in which this cannot be done (any more)."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This cannot be done in the state the record is in."
    default_code = "conflict"


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "This body is larger than 10 MB; send it in parts."
    default_code = "too_large"


class KeyReused(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = (
        "This Idempotency-Key was used before with another request; use a new key for a new request."
    )
    default_code = "idempotency_key_reused"


class FieldProblem(serializers.Serializer[Any]):
    field = serializers.CharField(
        help_text="Where it is, such as `score` or `rows.3.amount`; empty = the whole."
    )
    reason = serializers.CharField(help_text="What is wrong with it, in a sentence.")


class Problem(serializers.Serializer[Any]):
    """What every refused call answers (application/problem+json)."""

    type = serializers.CharField(help_text="Always `about:blank`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]


def handle_problem(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's answer to an exception as a problem; None leaves it to Django (a real error)."""
    response = exception_handler(exception, context)
    if response is None:
        return None
    response.data = describe(exception, response.status_code)
    response.content_type = CONTENT_TYPE
    return response


def describe(exception: Exception, code: int) -> dict[str, Any]:
    problem: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(code).phrase, "status": code}
    if isinstance(exception, ValidationError):
        errors = [{"field": field, "reason": reason} for field, reason in _flat(exception.detail)]
        return problem | {"detail": _summary(errors), "errors": errors}
    if isinstance(exception, Http404 | NotFound):
        return problem | {"detail": "There is no such record, or it is not yours to see."}
    return problem | {"detail": str(getattr(exception, "detail", "") or "Not allowed.")}


def _flat(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every reason in DRF's nested details with the dotted path to its field."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, ".".join(part for part in (path, own) if part))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            is_row = isinstance(inner, dict | list)
            yield from _flat(inner, f"{path}.{position}" if is_row and path else path)
    else:
        yield path, str(detail)


def _summary(errors: list[dict[str, str]]) -> str:
    if not errors:
        return "The request cannot be understood."
    first = errors[0]
    text = f"{first['field']}: {first['reason']}" if first["field"] else first["reason"]
    return text if len(errors) == 1 else f"{text} (and {len(errors) - 1} more)"


class Nowhere(APIView):
    """Addresses below the API that lead nowhere: a problem, not a page."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound
