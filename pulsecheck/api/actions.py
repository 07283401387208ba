"""Actions over the API: what somebody of ours agreed to do by a day."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Case, Q, QuerySet, When
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.base import EmailOf, IdFilter, RowId, RowSerializer, described
from accounts.api.repeats import idempotent
from accounts.models import User
from accounts.models.account import visible_accounts
from accounts.selectors import company_today
from pulsecheck.api.care import AmongOurselves, checked, done_or_refused
from pulsecheck.api.pulses import account_for
from pulsecheck.models import Action, RetentionMeeting
from pulsecheck.models.actions import ActionQuerySet, FollowUp
from pulsecheck.services import actions as services


class ActionSerializer(RowSerializer[Action]):
    account = serializers.SerializerMethodField(help_text="External id; null when it is not yours to see.")
    account_id = serializers.SerializerMethodField(help_text="Null when it is not yours to see.")
    owner = EmailOf("owner")
    asked_by = EmailOf("asked_by")
    done_by = EmailOf("done_by")

    class Meta:
        model = Action
        fields = (
            "id", "text", "owner", "due_on", "asked_by", "meeting_id", "account", "account_id", "done_at", "done_by",
            "cause", "follow_up_on", "follow_up", "follow_up_note", "followed_up_at", "created_at", "updated_at",
        )  # fmt: skip

    def get_account(self, row: Action) -> str | None:
        return row.account.external_id if row.account and row.sees_account else None  # type: ignore[attr-defined]

    def get_account_id(self, row: Action) -> int | None:
        return row.account_id if row.sees_account else None  # type: ignore[attr-defined]


class ActionFilter(django_filters.FilterSet):
    owner = django_filters.CharFilter("owner__email", label="E-mail.")
    is_done = django_filters.BooleanFilter("done_at", "isnull", exclude=True)
    is_improvement = django_filters.BooleanFilter(method="improves", label="Mends our own company.")
    meeting_id = IdFilter("meeting_id")
    due_before = django_filters.DateFilter("due_on", "lt")

    class Meta:
        model = Action
        fields = ()

    def improves(self, rows: QuerySet[Action], name: str, value: bool) -> QuerySet[Action]:
        return rows.exclude(cause="") if value else rows.filter(cause="")


class OwnerField(serializers.SlugRelatedField[Any]):
    """One of our people who works here, by e-mail."""

    def __init__(self, **options: Any) -> None:
        working = User.objects.filter(is_active=True, left_on=None)
        super().__init__(slug_field="email", queryset=working, **options)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A visit",
            value={"text": "Visit them", "owner": "rep@example.com", "due_on": "2026-12-10", "account_id": 7},
            request_only=True,
        )
    ]
)
class ActionRequest(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=500)
    owner = OwnerField(required=False, help_text="E-mail; empty = you.")
    due_on = serializers.DateField()
    account_id = RowId(required=False, allow_null=True, default=None)
    meeting_id = RowId(required=False, allow_null=True, default=None)


class ChangeActionRequest(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=500, required=False, help_text="Left out = as it is.")
    owner = OwnerField(required=False, help_text="E-mail; left out = as it is.")
    due_on = serializers.DateField(required=False, help_text="Left out = as it is.")


class FollowUpRequest(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=FollowUp.choices)
    note = serializers.CharField(max_length=500, allow_blank=True, default="")


@described("action")
class ActionViewSet(AmongOurselves):
    """Agreed at a retention meeting, or because of a spike in the collective pulse (`cause`). Who owns it, asked for it
    or leads may change it."""

    queryset = Action.objects.none()
    serializer_class = ActionSerializer
    filterset_class = ActionFilter
    related = ("account", "owner", "asked_by", "done_by")

    def visible_rows(self, rows: ActionQuerySet, user: User) -> QuerySet[Action]:
        """One's own, those about accounts or from meetings one sees, and improvements."""
        about, seen = Q(account__isnull=False), visible_accounts(user, prefix="account__")
        sees_account = Case(When(about if seen is None else about & seen, then=True), default=False)
        return rows.visible_to(user).annotate(sees_account=sees_account)

    def _answer(self, pk: int, status: int = 200) -> Response:
        return Response(ActionSerializer(self.get_queryset().get(pk=pk)).data, status=status)

    def _mine(self, request: Request) -> Action:
        """The action, where the caller may change it."""
        row: Action = self.get_object()
        if not services.may_change(row, caller(request)):
            raise PermissionDenied(f"{row.owner} does this: ask them.")
        return row

    @extend_schema(summary="Agree an action", request=ActionRequest, responses={201: ActionSerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Its owner hears of it. Improvements are agreed on the page of the collective pulse, with what was measured."""
        body, user = dict(checked(ActionRequest, request)), caller(request)
        _not_over(body["due_on"])
        account_id, meeting_id = body.pop("account_id"), body.pop("meeting_id")
        made = done_or_refused(
            services.agree_action,
            user,
            account=account_for(user, account_id) if account_id else None,
            meeting=_meeting_for(user, meeting_id),
            **{"owner": user, **body},
        )
        return self._answer(made.pk, 201)

    @extend_schema(summary="Change an action", request=ChangeActionRequest, responses=ActionSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def change(self, request: Request, pk: int) -> Response:
        """Its words, its owner, its day; what is done stays as it was agreed."""
        row, body = self._mine(request), checked(ChangeActionRequest, request)
        if "due_on" in body:
            _not_over(body["due_on"])
        wanted: dict[str, Any] = {"text": row.text, "owner": row.owner, "due_on": row.due_on, **body}
        done_or_refused(services.change_action, row, request.user, **wanted)
        return self._answer(pk)

    @extend_schema(summary="Do an action", request=None, responses=ActionSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def complete(self, request: Request, pk: int) -> Response:
        """It is done. A second time changes nothing."""
        done_or_refused(services.complete_action, self._mine(request), request.user)
        return self._answer(pk)

    @extend_schema(summary="Open an action again", request=None, responses=ActionSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def reopen(self, request: Request, pk: int) -> Response:
        """It was not done after all."""
        done_or_refused(services.reopen_action, self._mine(request), request.user)
        return self._answer(pk)

    @extend_schema(summary="Follow an improvement up", request=FollowUpRequest, responses=ActionSerializer)
    @action(detail=True, methods=["post"], url_path="follow-up")
    @idempotent
    def follow_up(self, request: Request, pk: int) -> Response:
        """Whether it has helped, as somebody judges it from the figures."""
        row = self.get_object()
        done_or_refused(services.follow_up_action, row, request.user, **checked(FollowUpRequest, request))
        return self._answer(pk)


def _not_over(day: Any) -> None:
    if day < company_today():
        raise ValidationError({"due_on": "This day is over."})


def _meeting_for(user: User, pk: int | None) -> RetentionMeeting | None:
    if pk is None:
        return None
    meeting = RetentionMeeting.objects.visible_to(user).select_related("account").filter(pk=pk).first()
    if meeting is None:
        raise ValidationError({"meeting_id": "There is no such meeting, or it is not yours to see."})
    return meeting
