"""What every resource shares: scopes, sparse fields, orders, ETags, rate limits told, and no parameter that means nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from typing import Any, TypeVar, cast

import django_filters
from django import forms
from django.conf import settings
from django.db.models import Model, Prefetch, QuerySet
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.functional import cached_property
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.fields import SkipField
from rest_framework.relations import PKOnlyObject
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.paging import PARAMETERS, NewestFirst, Pages
from accounts.api.problems import TooLarge
from accounts.api.scopes import TokenScope
from accounts.api.versions import not_modified_or
from accounts.models import User
from accounts.models.api import Area
from accounts.selectors import of_visible_accounts

M = TypeVar("M", bound=Model)
FIELDS = "fields"
READS = ("list", "retrieve")
LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a record as it is told: its name, where its value is in a row, and how it is told. `path` is where the
    value is in the database, None for one that is made of more."""

    name: str
    path: str | None
    value_of: Callable[[Any], Any]
    field: Any


class RowSerializer(serializers.ModelSerializer[M]):
    """A record as it is told. What a list of fifty costs is mostly how its library looks for the value of each field in
    each row; here that is worked out once for each kind of record, and the values are the same."""

    kept: Collection[str] | None = None  # only these are told

    @classmethod
    def columns(cls) -> tuple[Column, ...]:
        """Every field that is told, in its order."""
        return _columns(cls)

    @classmethod
    def paths(cls) -> list[str] | None:
        """The columns of the database that a row is told from; None where some field is made of more than one."""
        found = [column.path for column in cls.columns()]
        return None if None in found else cast(list[str], found)

    @cached_property
    def _told(self) -> list[tuple[Column, Callable[[Any], Any]]]:
        zone = timezone.get_current_timezone()
        return [
            (column, _in_zone(column.field, zone).to_representation)
            for column in self.columns()
            if self.kept is None or column.name in self.kept
        ]

    def to_representation(self, instance: M | tuple[Any, ...]) -> dict[str, Any]:
        """Of a record, or of its values by their `paths`."""
        told = {}
        if isinstance(instance, tuple):
            for column, tell in self._told:
                value = getattr(instance, cast(str, column.path))
                told[column.name] = None if value is None else tell(value)
            return told
        for column, tell in self._told:
            try:
                value = column.value_of(instance)
            except SkipField:
                continue
            told[column.name] = None if value is None else tell(value)
        return told


@cache
def _columns(kind: type[RowSerializer[Any]]) -> tuple[Column, ...]:
    return tuple(_column(kind.Meta.model, field) for field in kind()._readable_fields)


def _column(model: type[Model], field: Any) -> Column:
    """A plain column of the row, or of a row it refers to, is read as it is; whatever else the field itself looks for."""
    name, source = str(field.field_name), list(field.source_attrs)
    names = {name for column in model._meta.concrete_fields for name in (column.name, column.attname)}
    is_plain = type(field).get_attribute is serializers.Field.get_attribute and names.issuperset(source[:1])
    match source if is_plain else ():
        case [one]:
            return Column(name, one, attrgetter(one), field)
        case [one, further]:
            return Column(name, f"{one}__{further}", partial(_further, one, further), field)
    # Also for fields of the whole row ("*"), which name no column.
    return Column(name, None, partial(_looked_for, field), field)


def _further(name: str, further: str, row: Any) -> Any:
    return None if (other := getattr(row, name)) is None else getattr(other, further)


def _looked_for(field: Any, row: Any) -> Any:
    return None if _is_nothing(found := field.get_attribute(row)) else found


def _in_zone(field: Any, zone: dt.tzinfo) -> Any:
    """The field for one call, as those of `columns` are shared by all: a moment is told in the zone of the call, and to
    ask for that at each value would cost more than telling it."""
    here = copy(field)
    match field:
        case serializers.DateTimeField():
            here.timezone = zone
        case RowSerializer():
            return type(field)()
        case serializers.ListSerializer():
            here.child = _in_zone(field.child, zone)
    return here


def _is_nothing(found: Any) -> bool:
    """A reference that leads nowhere; it need not be read to know that."""
    return isinstance(found, PKOnlyObject) and found.pk is None


class AccountColumn(serializers.CharField):
    """The external id of the account a record belongs to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(source="account.external_id", read_only=True, **options)


class ContactColumn(serializers.CharField):
    """The external id of the person at the customer."""

    def __init__(self, person: str = "contact") -> None:
        super().__init__(source=f"{person}.external_id", read_only=True, allow_null=True, default=None)


class EmailOf(serializers.EmailField):
    """One of our people, by e-mail."""

    def __init__(self, person: str, **options: Any) -> None:
        super().__init__(source=f"{person}.email", read_only=True, allow_null=True, default=None, **options)


class RowId(serializers.IntegerField):
    """A field of a request that names a record by its number here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=LARGEST, **options)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": LARGEST})
class IdFilter(django_filters.NumberFilter):
    """By the number of a record here."""

    field_class = forms.IntegerField

    def __init__(self, field_name: str, **options: Any) -> None:
        super().__init__(field_name, min_value=1, max_value=LARGEST, **options)


class MomentField(IsoDateTimeField):
    """A moment in UTC: no database knows offsets of twenty hours, nor a moment before the year 1."""

    def to_python(self, value: Any) -> dt.datetime | None:
        try:
            moment: dt.datetime | None = super().to_python(value)
            return moment and moment.astimezone(dt.UTC)
        except OverflowError:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None


class MomentFilter(django_filters.IsoDateTimeFilter):
    """By a moment; one without an offset is on the company's clock."""

    field_class = MomentField


class ChangedFilter(django_filters.FilterSet):
    updated_since = MomentFilter("updated_at", "gte", label="Written since then.")


class OfAccountFilter(ChangedFilter):
    account = django_filters.CharFilter("account__external_id", label="External id of the account.")
    account_id = IdFilter("account_id")


def described(one: str, many: str = "") -> Any:
    """How the two reading calls of a resource are called: "List orders", "Read an order"."""
    plural = many or f"{one}s"
    article = "an" if one[0] in "aeiou" else "a"
    return extend_schema_view(
        list=extend_schema(summary=f"List {plural}"), retrieve=extend_schema(summary=f"Read {article} {one}")
    )


class Resource(viewsets.GenericViewSet[Any]):
    """Base of all resources. `area` is where its scope belongs; `sorts` are columns without gaps that rows
    may be sorted by, each with an index of it and the id where there are many rows. Rows come to be in the order of `id`."""

    area: str = Area.RECORDS
    sorts: tuple[str, ...] = ()
    pagination_class: type[Pages] | None = Pages

    def get_permissions(self) -> list[Any]:
        return [*super().get_permissions(), TokenScope()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge  # before any of it is read
        if unknown := sorted(set(request.query_params) - self.known_parameters()):
            raise ValidationError(dict.fromkeys(unknown, "There is no such parameter."))

    def known_parameters(self) -> set[str]:
        """What may stand behind the question mark of this call."""
        if self.action not in READS:
            return set(getattr(getattr(self, self.action or "", None), "parameters", ()))
        known = {FIELDS} if self.is_sparse else set()
        if self.action == "retrieve":
            return known
        filters = getattr(self, "filterset_class", None)
        known |= set(filters.base_filters) if filters is not None else set()
        return known | set(PARAMETERS) if self.pagination_class is not None else known

    @property
    def is_sparse(self) -> bool:
        """Whether a call may ask for some fields only."""
        return self.action in READS and isinstance(self.get_serializer_class(), type)

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        return self.narrowed(super().get_serializer(*args, **kwargs))

    def narrowed(self, serializer: Any) -> Any:
        """The serializer with the fields that were asked for."""
        if self.action in READS and FIELDS in self.request.query_params:
            _keep(getattr(serializer, "child", serializer), self.request.query_params[FIELDS])
        return serializer

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(answer, ("Authorization", "Cookie"))
        patch_cache_control(answer, private=True, no_cache=True)
        if request.method in {"GET", "HEAD"} and answer.status_code == 200 and isinstance(answer, Response):
            answer.add_post_render_callback(lambda done: not_modified_or(request, done))
        return answer


def _keep(serializer: Any, asked: str) -> None:
    """Leave out what was not asked for; `id` always comes along."""
    names = {name.strip() for name in asked.split(",")}
    is_row = isinstance(serializer, RowSerializer)
    known = [column.name for column in serializer.columns()] if is_row else list(serializer.fields)
    if unknown := sorted(names.difference(known)):
        raise ValidationError({FIELDS: f"There is no field '{unknown[0]}'; there are {', '.join(known)}."})
    if is_row:
        serializer.kept = names | {"id"}
        return
    for name in set(known) - names - {"id"}:
        serializer.fields.pop(name)


class Visible(viewsets.ReadOnlyModelViewSet[Any], Resource):
    """Reads what the caller may see; everything else is not found."""

    lookup_value_converter = "int"
    related: tuple[str, ...] = ()
    prefetched: tuple[str | Prefetch[Any], ...] = ()

    def get_queryset(self) -> QuerySet[Any]:
        model = self.queryset.model  # type: ignore[union-attr, arg-type]
        if getattr(self, "swagger_fake_view", False):
            return model._default_manager.none()
        seen = self.visible_rows(model._default_manager.all(), caller(self.request))
        rows = seen.select_related(*self.related).prefetch_related(*self.prefetched).order_by()
        kind = self.get_serializer_class()
        paths = kind.paths() if self.action == "list" and issubclass(kind, RowSerializer) else None
        # A list is told from plain values where that can be done: records made of them would take as long again.
        return (
            rows
            if paths is None
            else rows.values_list(*dict.fromkeys((*paths, *self.sorts, "pk")), named=True)
        )

    def visible_rows(self, rows: Any, user: User) -> QuerySet[Any]:
        """Of all rows, those `user` may see."""
        return of_visible_accounts(rows, user)


class Newest(Visible):
    """Visible, the newest first."""

    pagination_class = NewestFirst
    sorts: tuple[str, ...] = ("id", "updated_at")


class ForEverybody(Newest):
    """Rows that all of our people see."""

    def visible_rows(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows
