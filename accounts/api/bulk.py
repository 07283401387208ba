"""Create or change many records in one call, by their external id, through the door that files use too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.problems import Conflict, Problem
from accounts.api.repeats import idempotent
from accounts.ingest.errors import ImportBusy, IngestError
from accounts.ingest.load import import_rows
from accounts.ingest.merge import MODELS
from accounts.models import ImportRun
from accounts.models.imports import ImportState
from accounts.permissions import LEADERS, has_role

MOST_ROWS = 1000
Row = dict[str, Any]


@extend_schema_field(
    {"oneOf": [{"type": kind} for kind in ("string", "number", "boolean")], "nullable": True}
)
class Cell(serializers.Field[Any, Any, Any, Any]):
    """A text, number, truth value or null; the import door reads it as it reads a cell of a file."""

    def to_internal_value(self, data: Any) -> Any:
        if data is None or isinstance(data, str | int | float | bool):
            return data
        raise ValidationError("Use a text, a number, true, false or null.")

    def to_representation(self, value: Any) -> Any:
        return value


class BulkRequest(serializers.Serializer[Any]):
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=60,
        default="api",
        help_text="The system the records come from; ids are compared within it.",
    )
    create_accounts = serializers.BooleanField(
        default=False, help_text="Make an account for every unknown customer an order names."
    )
    all_or_nothing = serializers.BooleanField(default=False, help_text="Save nothing when a row is refused.")
    rows = serializers.ListField(
        child=serializers.DictField(child=Cell(allow_null=True)),
        min_length=1,
        max_length=MOST_ROWS,
        help_text="Columns are those of the import files; external_id is required.",
    )

    def validate_rows(self, rows: list[Row]) -> list[Row]:
        missing = {
            position: {"external_id": ["Every row needs its id in your system."]}
            for position, row in enumerate(rows)
            if str(row.get("external_id") or "").strip() == ""
        }
        if missing:
            raise ValidationError(missing)  # type: ignore[arg-type]
        return rows


class BulkRow(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="Position in the call, from 0.")
    external_id = serializers.CharField()
    status = serializers.ChoiceField(choices=("created", "changed", "unchanged", "rejected"))
    id = serializers.IntegerField(allow_null=True)
    field = serializers.CharField(required=False, help_text="Of a rejected row: where the fault is.")
    value = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)


class BulkAnswer(serializers.Serializer[Any]):
    import_run = serializers.IntegerField(help_text="Can be looked at and undone under Imports.")
    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = serializers.IntegerField()
    accounts_created = serializers.IntegerField()
    results = BulkRow(many=True)


class BulkUpsert:
    """Mixin of a viewset: `POST .../bulk/`. Whoever may import files may use it."""

    kind: str

    @extend_schema(
        summary="Create or change many",
        request=BulkRequest,
        responses={200: BulkAnswer, 400: Problem, 403: Problem, 409: Problem},
    )
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None)
    @idempotent
    def bulk(self, request: Request) -> Response:
        if not has_role(caller(request), *LEADERS):
            raise PermissionDenied("Only administrators and managers may import records.")
        body = BulkRequest(data=request.data)
        body.is_valid(raise_exception=True)
        run = _import(self.kind, body.validated_data, request)
        return Response(_answer(run, self.kind, body.validated_data["rows"]))


def _import(kind: str, body: Mapping[str, Any], request: Request) -> ImportRun:
    try:
        return import_rows(
            kind,
            body["rows"],
            source=body["source"],
            user=caller(request),
            create_accounts=body["create_accounts"],
            all_or_nothing=body["all_or_nothing"],
            name="API",
        )
    except ImportBusy as busy:
        raise Conflict(str(busy)) from busy
    except IngestError as refusal:
        raise ValidationError({"rows": [str(refusal)]}) from refusal


def _answer(run: ImportRun, kind: str, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "import_run": run.pk,
        "created": run.rows_created,
        "changed": run.rows_changed,
        "unchanged": run.rows_unchanged,
        "rejected": run.rows_rejected,
        "accounts_created": run.accounts_created,
        "results": list(_results(run, kind, rows)),
    }


def _results(run: ImportRun, kind: str, rows: Sequence[Row]) -> Iterator[Row]:
    """What became of each row; the run numbers rows from 1."""
    model = MODELS[kind]
    refused = {one.line_number - 1: one for one in run.rejected.all()}
    ids = [str(row["external_id"]).strip() for row in rows]
    saved = _saved(model, run, ids)
    changed = set(run.changes.values_list("row_id", flat=True))
    for position, external_id in enumerate(ids):
        result = {"row": position, "external_id": external_id}
        pk, made_by = saved.get(external_id, (None, None))
        if (one := refused.get(position)) is not None:
            fault = {"field": one.column, "value": one.value, "reason": one.reason}
            yield result | {"status": "rejected", "id": pk} | fault
        elif run.state != ImportState.DONE:
            yield result | {"status": "unchanged", "id": pk}
        else:
            status = "created" if made_by == run.pk else "changed" if pk in changed else "unchanged"
            yield result | {"status": status, "id": pk}


def _saved(
    model: type[models.Model], run: ImportRun, ids: Sequence[str]
) -> dict[str, tuple[int, int | None]]:
    """Of the records with these ids: their number here and the import that made them."""
    found = model._default_manager.filter(record_source=run.record_source, external_id__in=ids)
    return {
        key: (pk, made_by) for key, pk, made_by in found.values_list("external_id", "pk", "import_run_id")
    }
