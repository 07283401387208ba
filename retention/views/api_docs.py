"""The API in words, for people: rendered from the same schema that programs read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class FieldDoc:
    name: str
    type: str
    is_required: bool
    note: str


@dataclass(frozen=True)
class CallDoc:
    """One method of one address."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[FieldDoc, ...]
    body: tuple[FieldDoc, ...]
    answer: tuple[FieldDoc, ...]
    codes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class GroupDoc:
    name: str
    calls: tuple[CallDoc, ...]


@require_GET
def api_docs(request: HttpRequest) -> HttpResponse:
    """Every call with its parameters, body and answer."""
    context = {"groups": _groups(), "base_url": settings.BASE_URL}
    return render(request, "retention/api_docs.html", context)


@lru_cache(maxsize=1)
def _groups() -> tuple[GroupDoc, ...]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    parts = schema.get("components", {}).get("schemas", {})
    groups: dict[str, list[CallDoc]] = {}
    for path, methods in schema["paths"].items():
        for method in METHODS:
            if method in methods and (operation := methods[method])["operationId"] != "schema_retrieve":
                groups.setdefault(operation["tags"][0], []).append(_call(method, path, operation, parts))
    return tuple(
        GroupDoc(name.replace("-", " ").capitalize(), tuple(calls)) for name, calls in groups.items()
    )


def _call(method: str, path: str, operation: dict[str, Any], parts: dict[str, Any]) -> CallDoc:
    answers = operation["responses"]
    good: dict[str, Any] = next((answers[code] for code in answers if code.startswith("2")), {})
    body = operation.get("requestBody", {})
    summary = operation.get("summary") or operation["operationId"].replace("_", " ")
    return CallDoc(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=summary,
        description=operation.get("description", ""),
        parameters=tuple(_parameter(parameter, parts) for parameter in operation.get("parameters", ())),
        body=_fields(_content(body), parts),
        answer=_fields(_content(good), parts),
        codes=tuple((code, answer.get("description", "")) for code, answer in sorted(answers.items())),
    )


def _content(body: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = body.get("content", {})
    first: dict[str, Any] = next(iter(content.values()), {})
    schema: dict[str, Any] = first.get("schema", {})
    return schema


def _parameter(parameter: dict[str, Any], parts: dict[str, Any]) -> FieldDoc:
    note = parameter.get("description", "")
    return FieldDoc(
        parameter["name"], _type(parameter["schema"], parts), parameter.get("required", False), note
    )


def _fields(schema: dict[str, Any], parts: dict[str, Any]) -> tuple[FieldDoc, ...]:
    """The fields of an object; of a page, those of its results."""
    schema = _resolved(schema, parts)
    properties = schema.get("properties", {})
    if "results" in properties and "next" in properties:
        return _fields(properties["results"]["items"], parts)
    required = schema.get("required", ())
    return tuple(
        FieldDoc(name, _type(field, parts), name in required, _note(field))
        for name, field in properties.items()
    )


def _note(field: dict[str, Any]) -> str:
    """The first line; spectacular lists the choices below it, which the type says already."""
    return str(field.get("description", "")).split("\n* ")[0].strip()


def _resolved(schema: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    for wrapper in ("allOf", "oneOf", "anyOf"):
        if wrapper in schema:
            schema = schema[wrapper][0]
    if "$ref" in schema:
        return _resolved(parts[schema["$ref"].rsplit("/", 1)[-1]], parts)
    return schema


def _type(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    schema = _resolved(schema, parts)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"] if value is not None)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), parts)}"
    kind = {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(
        schema.get("type", ""), schema.get("type", "any")
    )
    return str(
        {"date": "date", "date-time": "date and time", "decimal": "amount", "email": "e-mail"}.get(
            schema.get("format", ""), kind
        )
    )
