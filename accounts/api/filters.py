"""Filters of lists: those that a call asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

if TYPE_CHECKING:  # views import the filters of the settings
    from rest_framework.views import APIView


class AskedFilters(DjangoFilterBackend):
    """A filter that nobody asks for is not made: the form of a resource's filters takes a tenth of the time of a list."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        kind = self.get_filterset_class(view, queryset)
        if kind is None or not request.query_params.keys() & kind.base_filters.keys():
            return queryset
        found: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return found
