"""Pages of fifty, each naming the addresses of the next and the one before; new rows do not shift them.

A cursor holds the sort key of the row it stands at, so page 1,000 costs as much as page 1. It is signed: one that was
not given out here is refused rather than read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db.models import Model, Q
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

CURSOR, SIZE, SORT = "cursor", "page_size", "sort"
SIGNER = signing.Signer(salt="mainstay.api.cursor")
PARAMETERS = frozenset({CURSOR, SIZE, SORT})


@dataclass(frozen=True)
class Place:
    """Where a page begins: after the row with these sort keys, or before it when paging back."""

    sort: str
    keys: tuple[Any, ...]
    is_back: bool

    def token(self) -> str:
        return SIGNER.sign_object([self.sort, [_plain(key) for key in self.keys], int(self.is_back)])


def _plain(key: Any) -> Any:
    return key if isinstance(key, int | float | str) else str(key)


def _place(token: str, sort: str, model: type[Model], keys: Sequence[str]) -> Place:
    try:
        made_for, values, is_back = SIGNER.unsign_object(token)
    except (signing.BadSignature, ValueError):
        raise ValidationError({CURSOR: "Nobody gave this cursor out; begin with the first page."}) from None
    if made_for != sort or len(values) != len(keys):
        raise ValidationError({CURSOR: "This cursor is of another order; begin with the first page."})
    fields: list[Any] = [model._meta.pk if key == "pk" else model._meta.get_field(key) for key in keys]
    typed = tuple(field.to_python(value) for field, value in zip(fields, values, strict=True))
    return Place(sort, typed, bool(is_back))


def _beyond(place: Place, keys: Sequence[str], side: str) -> Q:
    """Rows on one side (`gt`, `lt`) of a place, by the first key and, where that is the same, by the second."""
    first = Q(**{f"{keys[0]}__{side}": place.keys[0]})
    if len(keys) == 1:
        return first
    same = Q(**{keys[0]: place.keys[0], f"{keys[1]}__{side}": place.keys[1]})
    # Said once more with "or equal", so that an index on the first key is used.
    return Q(**{f"{keys[0]}__{side}e": place.keys[0]}) & (first | same)


class Pages(BasePagination):
    """`ordering` is the order without `sort`, by a column that no two rows share; it settles ties of other orders."""

    ordering = "pk"
    page_size = 50
    largest = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.sort = self._sort(request, view)
        tie = self.ordering.lstrip("-")
        field = self.sort.lstrip("-")
        self.keys = (field,) if field == tie else (field, tie)
        size, token = self._size(request), request.query_params.get(CURSOR)
        place = _place(token, self.sort, queryset.model, self.keys) if token is not None else None
        is_back = place is not None and place.is_back
        falls = self.sort.startswith("-") != is_back
        rows = queryset.order_by(*(f"-{key}" if falls else key for key in self.keys))
        if place is not None:
            rows = rows.filter(_beyond(place, self.keys, "lt" if falls else "gt"))
        found = list(rows[: size + 1])
        has_more = len(found) > size
        page = found[:size]
        if is_back:
            page.reverse()
        self.has_next = bool(page) and (is_back or has_more)
        self.has_previous = bool(page) and (has_more if is_back else place is not None)
        self.page = page
        return page

    def _size(self, request: Request) -> int:
        text = request.query_params.get(SIZE)
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= self.largest):
            raise ValidationError({SIZE: f"Use a whole number from 1 to {self.largest}."})
        return int(text)

    def _sort(self, request: Request, view: Any) -> str:
        sort = request.query_params.get(SORT)
        if sort is None:
            return self.ordering
        choices = self.choices(view)
        if sort not in choices:
            known = ", ".join(choices) or "none; leave it out"
            raise ValidationError({SORT: f"There is no such order; use one of: {known}."})
        return sort

    @staticmethod
    def choices(view: Any) -> list[str]:
        """The orders that the rows of `view` can come in."""
        names = getattr(view, "sorts", ())
        return [*names, *(f"-{name}" for name in names)]

    def _address(self, row: Any, *, is_back: bool) -> str:
        place = Place(self.sort, tuple(getattr(row, key) for key in self.keys), is_back)
        here = remove_query_param(self.request.build_absolute_uri(), CURSOR)
        return str(replace_query_param(here, CURSOR, place.token()))

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "next": self._address(self.page[-1], is_back=False) if self.has_next else None,
                "previous": self._address(self.page[0], is_back=True) if self.has_previous else None,
                "results": data,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": address | {"example": "https://mainstay.example.com/api/v1/accounts/?cursor=WyJwayI"},
                "previous": address | {"example": None},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        found = [
            _parameter(CURSOR, {"type": "string"}, "Where the page begins; taken from `next` or `previous`."),
            _parameter(
                SIZE,
                {"type": "integer", "minimum": 1, "maximum": self.largest, "default": self.page_size},
                "Rows on a page.",
            ),
        ]
        if choices := self.choices(view):
            says = "The order; with - before it falling. Ties are settled by id."
            found.append(_parameter(SORT, {"type": "string", "enum": choices}, says))
        return found


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "required": False, "in": "query", "description": description, "schema": schema}


class NewestFirst(Pages):
    ordering = "-pk"
