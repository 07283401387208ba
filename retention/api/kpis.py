"""Retention figures over the API: as they were last recorded, for the company or one slice of it."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import permissions, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import caller
from accounts.api.base import FIELDS, Resource
from accounts.models import Role
from accounts.models.api import Area
from accounts.permissions import has_role
from retention.kpis.catalogue import BY_NAME, KPIS
from retention.models import KpiValue
from retention.selectors.kpis import KINDS, KpiFigure, Slice, kpi_figures, kpi_scope, newest_record

SLICES = [OpenApiParameter(kind, str, description=f"Of this {kind} only.") for kind in KINDS]


class OnlyKpiReaders(permissions.BasePermission):
    message = "KPIs are for managers, marketing and administrators."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_role(caller(request), Role.MANAGER, Role.ADMINISTRATOR, Role.MARKETING)


class KpiPointSerializer(serializers.Serializer[Any]):
    period_end = serializers.DateField()
    value = serializers.FloatField(allow_null=True)


class KpiSerializer(serializers.Serializer[Any]):
    name = serializers.ChoiceField(choices=[kpi.name for kpi in KPIS], source="kpi.name")
    title = serializers.CharField(source="kpi.title")
    unit = serializers.ChoiceField(choices=("share", "money", "days"), source="kpi.unit")
    good = serializers.ChoiceField(choices=("up", "down"), source="kpi.good")
    formula = serializers.CharField(source="kpi.formula")
    slice = serializers.CharField(source="now.slice_kind", help_text="company, team, segment or region.")
    slice_key = serializers.CharField(source="now.slice_key", allow_blank=True)
    period_start = serializers.DateField(source="now.period_start")
    period_end = serializers.DateField(source="now.period_end")
    value = serializers.FloatField(
        source="now.value",
        allow_null=True,
        help_text="A share (0..1), money in the company's currency, or days; null = nothing to measure.",
    )
    numerator = serializers.FloatField(source="now.numerator", allow_null=True)
    denominator = serializers.FloatField(source="now.denominator", allow_null=True)
    accounts = serializers.IntegerField(source="now.accounts")
    is_provisional = serializers.BooleanField(source="now.is_provisional")
    definition_version = serializers.CharField(source="now.definition_version")
    month_ago = serializers.FloatField(allow_null=True)
    year_ago = serializers.FloatField(allow_null=True)
    trend = KpiPointSerializer(many=True, help_text="Month ends of the last year, oldest first.")


class KpiViewSet(Resource):
    """What `docs` call KPIs: recorded after each scoring run, with the accounts behind them on the KPI pages."""

    queryset = KpiValue.objects.none()
    serializer_class = KpiSerializer
    permission_classes = (permissions.IsAuthenticated, OnlyKpiReaders)
    pagination_class = None
    filter_backends = ()
    area = Area.SCORES
    lookup_field = "name"
    lookup_value_converter = "slug"

    def known_parameters(self) -> set[str]:
        return {FIELDS, *KINDS}

    def _figures(self, names: tuple[str, ...] = ()) -> list[KpiFigure]:
        record, part = newest_record(), self._part()
        if record is None:
            return []
        return list(kpi_figures(record.as_of, part, names).values())

    def _part(self) -> Slice:
        asked = self.request.query_params.dict()
        part = kpi_scope(caller(self.request)).choose(asked)
        if part is None:
            kind = next((kind for kind in KINDS if asked.get(kind)), KINDS[0])
            raise ValidationError({kind: "There are no figures of it, or they are not yours to see."})
        return part

    @extend_schema(summary="List KPIs", parameters=SLICES, responses=KpiSerializer(many=True))
    def list(self, request: Request) -> Response:
        """All figures of the newest record; a manager of teams sees those of their teams."""
        return Response(self.get_serializer(self._figures(), many=True).data)

    @extend_schema(summary="Read a KPI", parameters=SLICES, responses=KpiSerializer)
    def retrieve(self, request: Request, name: str) -> Response:
        """404 until it was first recorded."""
        figures = self._figures((name,)) if name in BY_NAME else []
        if not figures:
            raise Http404
        return Response(self.get_serializer(figures[0]).data)
