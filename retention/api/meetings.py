"""Retention meetings over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.base import AccountColumn, EmailOf, IdFilter, OfAccountFilter, RowId, RowSerializer
from accounts.api.problems import Conflict
from accounts.api.repeats import idempotent
from accounts.models import Team, User
from accounts.selectors import company_today
from pulsecheck.api.care import AmongOurselves, checked, done_or_refused
from pulsecheck.api.pulses import account_for
from pulsecheck.models import RetentionMeeting
from pulsecheck.models.meetings import MeetingQuerySet, MeetingState, Recurrence
from pulsecheck.services import meetings as services
from retention.selectors.agenda import for_reader, make_agenda
from retention.selectors.frame import latest_run
from retention.selectors.meetings import meetable_teams


class MeetingSerializer(RowSerializer[RetentionMeeting]):
    account = AccountColumn(allow_null=True, default=None)
    team = serializers.CharField(
        source="team.name", read_only=True, allow_null=True, default=None, help_text="Its name."
    )
    chair = EmailOf("chair")
    attended: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="email", many=True, read_only=True
    )

    class Meta:
        model = RetentionMeeting
        fields = (
            "id", "account", "account_id", "team", "team_id", "chair", "held_on", "covers_from", "repeats", "state",
            "minutes", "minutes_version", "attended", "follows_id", "closed_at", "created_at", "updated_at",
        )  # fmt: skip


class MeetingDetailSerializer(MeetingSerializer):
    agenda = serializers.DictField(
        read_only=True,
        help_text="Sections with rows of accounts you see: made now while it is planned, as it stood once held.",
    )

    class Meta(MeetingSerializer.Meta):
        fields: tuple[str, ...] = (*MeetingSerializer.Meta.fields, "agenda")  # type: ignore[assignment]


class MeetingFilter(OfAccountFilter):
    state = django_filters.ChoiceFilter(choices=MeetingState.choices)
    team_id = IdFilter("team_id")
    held_from = django_filters.DateFilter("held_on", "gte")
    held_before = django_filters.DateFilter("held_on", "lt")

    class Meta:
        model = RetentionMeeting
        fields = ()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Monthly, about one account",
            value={"account_id": 7, "held_on": "2026-12-07", "repeats": "monthly"},
            request_only=True,
        )
    ]
)
class MeetingRequest(serializers.Serializer[Any]):
    account_id = RowId(required=False, allow_null=True, default=None)
    team_id = RowId(
        required=False,
        allow_null=True,
        default=None,
        help_text="One of yours; either this or account_id.",
    )
    held_on = serializers.DateField()
    repeats = serializers.ChoiceField(choices=Recurrence.choices, default=Recurrence.MONTHLY.value)

    def validate_held_on(self, day: Any) -> Any:
        if day < company_today():
            raise ValidationError("This day is over.")
        return day

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["account_id"] is None) == (attrs["team_id"] is None):
            raise ValidationError("Say what it is about: account_id or team_id.")
        return attrs


class MoveMeetingRequest(serializers.Serializer[Any]):
    held_on = serializers.DateField()
    repeats = serializers.ChoiceField(choices=Recurrence.choices)


class MinutesRequest(serializers.Serializer[Any]):
    minutes = serializers.CharField(max_length=20_000, allow_blank=True)
    minutes_version = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, help_text="The one you read; 409 when somebody wrote since."
    )


class HoldRequest(serializers.Serializer[Any]):
    attended: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="email",
        queryset=User.objects.filter(is_active=True),
        many=True,
        required=False,
        help_text="E-mails of those who were there.",
    )
    next_on = serializers.DateField(
        required=False, allow_null=True, default=None, help_text="Empty: no next one is set."
    )

    def validate_next_on(self, day: Any) -> Any:
        if day is not None and day < company_today():
            raise ValidationError("This day is over.")
        return day


@extend_schema_view(list=extend_schema(summary="List retention meetings"))
class MeetingViewSet(AmongOurselves):
    """Time set aside for an account with its retention team, or for all accounts of a sales team."""

    queryset = RetentionMeeting.objects.none()
    serializer_class = MeetingSerializer
    filterset_class = MeetingFilter
    related = ("account", "team", "chair")
    prefetched = ("attended",)

    def visible_rows(self, rows: MeetingQuerySet, user: User) -> QuerySet[RetentionMeeting]:
        """About accounts one sees, of one's own teams, and those one leads."""
        return rows.visible_to(user)

    def _answer(self, meeting: RetentionMeeting, status: int = 200) -> Response:
        meeting.refresh_from_db()
        return Response(MeetingSerializer(meeting).data, status=status)

    @extend_schema(summary="Read a retention meeting", responses=MeetingDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """With its agenda."""
        meeting = self.get_object()
        meeting.agenda = for_reader(_agenda(meeting), caller(request))
        return Response(self.narrowed(MeetingDetailSerializer(meeting)).data)

    @extend_schema(
        summary="Set a retention meeting", request=MeetingRequest, responses={201: MeetingSerializer}
    )
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """You lead it; whoever should be there is told. One is planned at a time."""
        body = dict(checked(MeetingRequest, request))
        account_id, team_id = body.pop("account_id"), body.pop("team_id")
        about = (
            {"account": account_for(caller(request), account_id)}
            if account_id is not None
            else {"team": _team_for(caller(request), team_id)}
        )
        meeting = done_or_refused(services.set_meeting, request.user, **about, **body)
        return self._answer(meeting, 201)

    @extend_schema(
        summary="Move a retention meeting", request=MoveMeetingRequest, responses=MeetingSerializer
    )
    @action(detail=True, methods=["post"])
    @idempotent
    def move(self, request: Request, pk: int) -> Response:
        """To another day, or another rhythm."""
        meeting, body = self.get_object(), checked(MoveMeetingRequest, request)
        if body["held_on"] < company_today():
            raise ValidationError({"held_on": "This day is over."})
        done_or_refused(services.move_meeting, meeting, request.user, **body)
        return self._answer(meeting)

    @extend_schema(summary="Write the minutes", request=MinutesRequest, responses=MeetingSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def minutes(self, request: Request, pk: int) -> Response:
        """Refused with 409 when somebody saved them since you read them."""
        meeting, body = self.get_object(), checked(MinutesRequest, request)
        try:
            done_or_refused(
                services.write_minutes, meeting, request.user, body["minutes"], body["minutes_version"]
            )
        except ValidationError as refusal:
            if isinstance(refusal.__cause__, services.MinutesConflict):
                raise Conflict(str(refusal.__cause__)) from refusal
            raise
        return self._answer(meeting)

    @extend_schema(summary="Close a retention meeting", request=HoldRequest, responses=MeetingSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def hold(self, request: Request, pk: int) -> Response:
        """It was held: its agenda is kept as it stands, and the next one is set. A second time changes nothing."""
        meeting, body = self.get_object(), checked(HoldRequest, request)
        done_or_refused(services.hold_meeting, meeting, request.user, agenda=_agenda(meeting), **body)
        return self._answer(meeting)

    @extend_schema(summary="Cancel a retention meeting", request=None, responses=MeetingSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def cancel(self, request: Request, pk: int) -> Response:
        """It does not take place; its actions stay."""
        meeting = self.get_object()
        done_or_refused(services.cancel_meeting, meeting, request.user)
        return self._answer(meeting)


def _agenda(meeting: RetentionMeeting) -> Mapping[str, Any]:
    """Made anew while the meeting is planned, as it stood once it was held."""
    return make_agenda(meeting, company_today(), latest_run()) if meeting.is_open else meeting.agenda


def _team_for(user: User, pk: int) -> Team:
    team = next((team for team in meetable_teams(user) if team.pk == pk), None)
    if team is None:
        raise ValidationError({"team_id": "There is no such team, or it is not yours to meet."})
    return team
