"""How the API describes itself: every call may answer a problem, reading calls take `fields`, changes take If-Match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from accounts.api.problems import CONTENT_TYPE, Problem
from accounts.ingest.schema import Column, Kind, Type

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
WORDS = {Type.LONG_TEXT, Type.EMAIL, Type.DATE, Type.TIME, Type.CURRENCY, Type.CHOICE}
LONGEST_KEY = 255
EXAMPLES: dict[str, Any] = {
    "external_id": "A-1001", "name": "Hotel Alster", "account": "A-1001", "order": "O-77", "sku": "COF-1", "email": "ann@example.com",
    "amount": "249.90", "annual_value": "12000.00", "unit_price": "9.95", "quantity": "4", "currency": "EUR", "text": "A price list",
    "ordered_at": "2026-03-01T10:00:00Z", "starts_on": "2026-01-01", "ends_on": "2026-12-31", "happened_at": "2026-03-01T10:00:00Z",
    "opened_at": "2026-03-01T10:00:00Z", "received_at": "2026-03-01T10:00:00Z", "made_on": "2026-03-01", "due_on": "2026-03-09",
    "made_by": "rep@example.com", "kind": "call",
}  # fmt: skip


def row_schema(kind: Kind, keys: Sequence[str]) -> dict[str, Any]:
    """A row of a bulk call as OpenAPI: every column of the kind, and no other."""
    needed = dict.fromkeys((*keys, *kind.required))
    return {
        "type": "object",
        "required": list(needed),
        "additionalProperties": False,
        "properties": {column.name: _cell(column, column.name in needed) for column in kind.columns},
        "example": {name: EXAMPLES[name] for name in needed if name in EXAMPLES},
    }


def _cell(column: Column, is_needed: bool) -> dict[str, Any]:
    other = "boolean" if column.type is Type.BOOLEAN else "number"  # ids are numbers in many systems
    kinds = ["string"] if column.type in WORDS else ["string", other]
    found: dict[str, Any] = {
        "description": column.describes[:1].upper() + column.describes[1:] + ".",
        "anyOf": [{"type": kind} for kind in kinds],
    }
    return found if is_needed else found | {"nullable": True}


def _header(name: str, says: str, longest: int = 1000) -> OpenApiParameter:
    text = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": "^[!-~]+$"}
    return OpenApiParameter(name, text, OpenApiParameter.HEADER, description=says)


class Schema(AutoSchema):
    """Adds to what a view declares what all of them share."""

    def get_tags(self) -> list[str]:
        """What it is about: the last word of the address that is a name."""
        words = [word for word in self.path.split("/") if word and "{" not in word]
        return [words[2] if len(words) > 2 else words[-1]]

    def get_request_serializer(self) -> Any:
        """Bulk calls of each kind have a body of their own, in three formats."""
        kind = getattr(self.view, "kind", None)
        if kind is None or getattr(self.view, "action", "") != "bulk":
            return super().get_request_serializer()
        from accounts.api.bulk import bulk_request

        text: dict[str, Any] = {"type": "string"}
        return {"application/json": bulk_request(kind), "application/x-ndjson": text, "text/csv": text}

    def get_override_parameters(self) -> list[Any]:
        found = [*super().get_override_parameters()]
        action = getattr(self.view, "action", None) or ""
        if self._is_sparse:
            found += [
                self._fields(),
                _header("If-None-Match", "The ETag you have; 304 while nothing has changed."),
            ]
        if getattr(getattr(self.view, action, None), "is_idempotent", False):
            found.append(
                _header("Idempotency-Key", "Makes a repetition harmless: same key, one effect.", LONGEST_KEY)
            )
            if "{id}" in self.path:
                found.append(_header("If-Match", "The ETag you read; 412 when the record has changed since."))
        if action == "bulk":
            says = "As in the JSON body, for NDJSON and CSV."
            for name, kind in (("source", str), ("create_accounts", bool), ("all_or_nothing", bool)):
                found.append(OpenApiParameter(name, kind, description=says))
        return found

    @property
    def _is_sparse(self) -> bool:
        return self.method == "GET" and getattr(self.view, "is_sparse", False)

    def _fields(self) -> OpenApiParameter:
        names = list(self.view.get_serializer_class()().fields)  # type: ignore[attr-defined]
        return OpenApiParameter(
            "fields",
            {"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}},
            description="Only these fields, and `id`.",
            style="form",
            explode=False,
        )

    def _map_serializer(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        """Of records only `id` is always there, because `fields` may leave the others out."""
        made = super()._map_serializer(serializer, direction, bypass_extensions)
        if direction == "response" and self._is_record(serializer) and "required" in made:
            made["required"] = [name for name in made["required"] if name == "id"]
            if not made["required"]:
                del made["required"]
        return made

    def _is_record(self, serializer: Any) -> bool:
        view_class = getattr(self.view, "serializer_class", None)
        return view_class is not None and isinstance(serializer, view_class)

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for code in self._problem_codes():
            if code not in bodies:
                bodies[code] = self._get_response_for_code(Problem, code, media_types=[CONTENT_TYPE])
        if self._is_sparse:
            bodies["304"] = {"description": "Nothing has changed since that ETag."}
        return bodies

    def _problem_codes(self) -> list[str]:
        codes = ["400", "401", "403", "406", "429", "503"]
        if self.method in WRITES:
            codes += ["409", "412", "413", "415", "422"]
        if "{" in self.path:
            codes += ["404"]
        return codes
