"""Planned contacts and absences over the API."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.base import AccountColumn, EmailOf, OfAccountFilter, RowSerializer, described
from accounts.api.repeats import idempotent
from accounts.models import Absence, User
from accounts.models.absences import AbsenceQuerySet
from accounts.permissions import CARERS
from pulsecheck.api.care import CareResource, checked, done_or_refused
from pulsecheck.models import Touchpoint
from pulsecheck.models.touchpoints import TouchpointKind, TouchpointState
from pulsecheck.selectors.calendar import absences_noted_by
from pulsecheck.services.absences import end_absence, note_absence
from pulsecheck.services.touchpoints import move_touchpoint, skip_touchpoint


class TouchpointSerializer(RowSerializer[Touchpoint]):
    account = AccountColumn()
    assignee = EmailOf("assignee")

    class Meta:
        model = Touchpoint
        fields = (
            "id", "account", "account_id", "assignee", "kind", "state", "due_on", "wanted_on", "reason",
            "moved_because", "snoozed_from", "finished_on", "note", "created_at", "updated_at",
        )  # fmt: skip


class TouchpointFilter(OfAccountFilter):
    state = django_filters.ChoiceFilter(choices=TouchpointState.choices)
    kind = django_filters.ChoiceFilter(choices=TouchpointKind.choices)
    assignee = django_filters.CharFilter("assignee__email", label="E-mail.")
    due_from = django_filters.DateFilter("due_on", "gte")
    due_before = django_filters.DateFilter("due_on", "lt")

    class Meta:
        model = Touchpoint
        fields = ()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "They asked for another day",
            value={"to": "2026-12-03", "reason": "They asked"},
            request_only=True,
        )
    ]
)
class MoveRequest(serializers.Serializer[Any]):
    to = serializers.DateField(help_text="A working day from today on.")
    reason = serializers.CharField(max_length=300, allow_blank=True, default="")


class SkipRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300)


@described("touchpoint")
class TouchpointViewSet(CareResource):
    """Planned contacts, with the reason each is due when it is; an account has one planned at a time."""

    queryset = Touchpoint.objects.none()
    serializer_class = TouchpointSerializer
    filterset_class = TouchpointFilter
    related = ("account", "assignee")

    @extend_schema(summary="Move a touchpoint", request=MoveRequest, responses=TouchpointSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def move(self, request: Request, pk: int) -> Response:
        """Put a planned contact on another working day, at most a year after the last pulse check."""
        found = self.get_object()
        done_or_refused(move_touchpoint, found, request.user, **checked(MoveRequest, request))
        return Response(TouchpointSerializer(self.get_object()).data)

    @extend_schema(summary="Leave a touchpoint out", request=SkipRequest, responses=TouchpointSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def skip(self, request: Request, pk: int) -> Response:
        """Leave a planned contact out, with the reason; the next one is planned."""
        found = self.get_object()
        done_or_refused(skip_touchpoint, found, request.user, checked(SkipRequest, request)["reason"])
        return Response(TouchpointSerializer(self.get_object()).data)


class AbsenceSerializer(RowSerializer[Absence]):
    person = EmailOf("person")
    substitute = EmailOf("substitute")

    class Meta:
        model = Absence
        fields = ("id", "person", "starts_on", "ends_on", "substitute", "created_at", "updated_at")


class AbsenceRequest(serializers.Serializer[Any]):
    person = serializers.SlugRelatedField(
        slug_field="email",
        queryset=User.objects.filter(is_active=True),
        required=False,
        help_text="Empty = you.",
    )
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The last day away.")
    substitute = serializers.SlugRelatedField(
        slug_field="email",
        queryset=User.objects.filter(is_active=True, left_on=None, role__in=CARERS),
        required=False,
        allow_null=True,
        default=None,
    )


@described("absence")
class AbsenceViewSet(CareResource):
    """When our people are away, and who stands in for them."""

    queryset = Absence.objects.none()
    serializer_class = AbsenceSerializer
    related = ("person", "substitute")

    def visible_rows(self, rows: AbsenceQuerySet, user: User) -> QuerySet[Absence]:
        """One's own, those one stands in for, and those of the people one manages."""
        return rows.visible_to(user)

    @extend_schema(summary="Note an absence", request=AbsenceRequest, responses={201: AbsenceSerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The contacts of these days go to who stands in, or to other days."""
        body = {"person": caller(request), **checked(AbsenceRequest, request)}
        _refuse_others(caller(request), body["person"])
        absence = done_or_refused(note_absence, request.user, **body)
        return Response(AbsenceSerializer(absence).data, status=201)

    @extend_schema(summary="End an absence", request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    @idempotent
    def end(self, request: Request, pk: int) -> Response:
        """They are back today, or do not go."""
        absence = self.get_object()
        _refuse_others(caller(request), absence.person)
        done_or_refused(end_absence, absence, request.user)
        return Response(status=204)


def _refuse_others(user: User, person: User) -> None:
    if not absences_noted_by(user).filter(pk=person.pk).exists():
        raise PermissionDenied("You note your own absences, and leaders those of their people.")
