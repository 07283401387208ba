"""Create or change many records in one call, by their external id, through the door that files use too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.formats import CsvParser, NdjsonParser, Row, Rows
from accounts.api.problems import Conflict
from accounts.api.repeats import idempotent
from accounts.api.schema import row_schema
from accounts.ingest.errors import ImportBusy, IngestError
from accounts.ingest.load import import_rows
from accounts.ingest.merge import MODELS
from accounts.ingest.schema import Kind, find_kind
from accounts.models import ImportRun, OrderLine
from accounts.models.imports import ImportState
from accounts.permissions import LEADERS, has_role

MOST_ROWS = 5_000
LARGEST_BYTES = "10 MB"
OPTIONS = ("source", "create_accounts", "all_or_nothing")
CELLS = (str, int, float, bool, type(None))
Key = tuple[str, ...]


class RowsField(serializers.Field[Any, Any, Any, Any]):
    """Records as objects of texts, numbers, truth values or nulls; the import door reads each as it reads a cell of a file."""

    kind: Kind

    def to_internal_value(self, data: Any) -> list[Row]:
        if not isinstance(data, list):
            raise ValidationError("Give a list of objects.")
        if not 1 <= len(data) <= MOST_ROWS:
            raise ValidationError(f"Give 1 to {MOST_ROWS:,} rows in a call; these are {len(data):,}.")
        if faults := {position: fault for position, row in enumerate(data) if (fault := self._fault(row))}:
            raise ValidationError(faults)  # type: ignore[arg-type]
        return data

    def _fault(self, row: Any) -> Any:
        if not isinstance(row, dict):
            return ["Each row has to be an object."]
        for name, cell in row.items():
            if not isinstance(cell, CELLS):
                return {name: ["Use a text, a number, true, false or null."]}
        keys = {name: _cell(row.get(name)) for name in key_columns(self.kind)}
        return {name: [reason] for name, key in keys.items() if (reason := _unusable(key))}

    def to_representation(self, value: Any) -> Any:
        return value


def _unusable(key: str) -> str:
    """Why this cannot be an id; "" when it can."""
    if not key:
        return "Every row needs its id in your system."
    is_text = "\0" not in key and not any("\ud800" <= letter <= "\udfff" for letter in key)
    return "" if is_text else "This id holds a character that is none."


def key_columns(kind: Kind) -> tuple[str, ...]:
    """The columns that say which record a row is."""
    return (kind.key,) if kind.key else kind.identity


def _cell(value: Any) -> str:
    return "" if value is None else str(value).strip()


class BulkRequest(serializers.Serializer[Any]):
    source = serializers.RegexField(  # type: ignore[assignment]
        r"^[^\x00-\x1f\x7f]{1,60}$",
        max_length=60,
        default="api",
        help_text="The system the records come from; ids are compared within it.",
    )
    create_accounts = serializers.BooleanField(
        default=False, help_text="Make an account for every unknown customer an order names."
    )
    all_or_nothing = serializers.BooleanField(default=False, help_text="Save nothing when a row is refused.")


@cache
def bulk_request(name: str) -> type[BulkRequest]:
    """The body of a call for records of one kind."""
    kind = find_kind(name)
    schema = {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_ROWS,
        "items": row_schema(kind, key_columns(kind)),
    }
    rows = extend_schema_field(schema)(type("KindRows", (RowsField,), {"kind": kind}))(
        help_text=f"1 to {MOST_ROWS:,} of them; columns are those of the import files."
    )
    title = "".join(word.capitalize() for word in kind.singular.split())
    return type(f"{title}BulkRequest", (BulkRequest,), {"rows": rows, "__module__": __name__})


class BulkRow(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="Position in the call, from 0.")
    external_id = serializers.CharField(
        help_text="As it was sent; of a product its sku, of an order line both its order and sku."
    )
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

    @extend_schema(summary="Create or change many", responses=BulkAnswer)
    @action(
        detail=False,
        methods=["post"],
        filterset_class=None,
        pagination_class=None,
        parser_classes=[JSONParser, NdjsonParser, CsvParser],
    )
    @idempotent
    def bulk(self, request: Request) -> Response:
        """By the id each record has in your system. As JSON, as NDJSON (an object a line) or as CSV with a header; of the
        latter two the options stand in the query. Every row gets its own result."""
        if not has_role(caller(request), *LEADERS):
            raise PermissionDenied("Only administrators and managers may import records.")
        body = bulk_request(self.kind)(data=_sent(request))
        body.is_valid(raise_exception=True)
        run = _import(self.kind, body.validated_data, request)
        return Response(_answer(run, find_kind(self.kind), body.validated_data["rows"]))


BulkUpsert.bulk.parameters = OPTIONS  # type: ignore[attr-defined]


def _sent(request: Request) -> Any:
    """The body with the options of the query."""
    options = {name: request.query_params[name] for name in OPTIONS if name in request.query_params}
    if isinstance(request.data, Rows):
        return options | {"rows": list(request.data)}
    return options | request.data if isinstance(request.data, dict) else request.data


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


def _answer(run: ImportRun, kind: Kind, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "import_run": run.pk,
        "created": run.rows_created,
        "changed": run.rows_changed,
        "unchanged": run.rows_unchanged,
        "rejected": run.rows_rejected,
        "accounts_created": run.accounts_created,
        "results": list(_results(run, kind, rows)),
    }


def _results(run: ImportRun, kind: Kind, rows: Sequence[Row]) -> Iterator[Row]:
    """What became of each row; the run numbers rows from 1."""
    refused = {one.line_number - 1: one for one in run.rejected.all()}
    keys = [tuple(_cell(row[name]) for name in key_columns(kind)) for row in rows]
    saved = _lines(run, keys) if kind.name == "order_lines" else _records(kind, run, keys)
    changed = set(run.changes.values_list("row_id", flat=True))
    for position, key in enumerate(keys):
        result = {"row": position, "external_id": " ".join(key)}
        pk, made_by = saved.get(key, (None, None))
        if (one := refused.get(position)) is not None:
            fault = {"field": one.column, "value": one.value, "reason": one.reason}
            yield result | {"status": "rejected", "id": pk} | fault
        elif run.state != ImportState.DONE:
            yield result | {"status": "unchanged", "id": pk}
        else:
            status = "created" if made_by == run.pk else "changed" if pk in changed else "unchanged"
            yield result | {"status": status, "id": pk}


Saved = dict[Key, tuple[int, int | None]]


def _records(kind: Kind, run: ImportRun, keys: Sequence[Key]) -> Saved:
    """Of the records with these ids: their number here and the import that made them."""
    named = {"record_source": run.record_source, f"{kind.key}__in": [key for (key,) in keys]}
    found = MODELS[kind.name]._default_manager.filter(**named)
    return {(key,): (pk, made_by) for key, pk, made_by in found.values_list(kind.key, "pk", "import_run_id")}


def _lines(run: ImportRun, keys: Sequence[Key]) -> Saved:
    """The same for lines of orders; of several with one product in an order, the first."""
    found = OrderLine.objects.filter(
        order__record_source=run.record_source,
        order__external_id__in=[order for order, _ in keys],
        product__sku__in=[sku for _, sku in keys],
    ).order_by("-line_number")
    rows = found.values_list("order__external_id", "product__sku", "pk", "import_run_id")
    return {(order, sku): (pk, made_by) for order, sku, pk, made_by in rows}
