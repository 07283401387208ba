"""Handbacks and pulse checks, over the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, permissions, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import caller
from accounts.api.paging import NewestFirst
from accounts.api.problems import Conflict
from accounts.api.repeats import idempotent
from accounts.api.resources import AccountColumn, EmailOf, OfAccountFilter, Visible
from accounts.models import Account, ChurnReason, Contact, User
from accounts.permissions import CARERS, has_role
from pulsecheck.errors import CareError, HandbackConflict
from pulsecheck.models import Handback, HandbackAttempt, PulseCheck, PulseTheme
from pulsecheck.models.handbacks import HandbackOutcome, HandbackQuerySet, HandbackState, HandbackTrigger
from pulsecheck.services.handbacks import (
    TALKS,
    accept_handback,
    close_handback,
    decline_handback,
    log_attempt,
)
from pulsecheck.services.pulses import MOST_THEMES, Grievance, PulseEntry, log_pulse_check


class OnlyCarersWrite(permissions.BasePermission):
    """Marketing reads what it sees, and acts on none of it."""

    message = "Your role reads handbacks and pulse checks; it does not act on them."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.method in permissions.SAFE_METHODS or has_role(caller(request), *CARERS)


class AttemptSerializer(serializers.ModelSerializer[HandbackAttempt]):
    user = EmailOf("user")

    class Meta:
        model = HandbackAttempt
        fields = ("happened_at", "kind", "user", "has_reached", "note")


class HandbackSerializer(serializers.ModelSerializer[Handback]):
    account = AccountColumn()
    salesperson = EmailOf("salesperson")
    closed_by = EmailOf("closed_by")
    churn_reason = serializers.CharField(
        source="churn_reason.code", read_only=True, allow_null=True, default=None, help_text="Its code."
    )
    risk = serializers.DictField(help_text="What was known when it was opened: probability, tier, reasons.")
    attempts = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = Handback
        fields = (
            "id", "account", "account_id", "salesperson", "assigned_because", "trigger", "state", "risk",
            "revenue_at_risk", "currency", "opened_at", "due_on", "accepted_at", "escalated_at", "closed_at",
            "closed_by", "outcome", "churn_reason", "closing_note", "attempts", "created_at", "updated_at",
        )  # fmt: skip


class HandbackFilter(OfAccountFilter):
    state = django_filters.ChoiceFilter(choices=HandbackState.choices)
    outcome = django_filters.ChoiceFilter(choices=HandbackOutcome.choices)
    trigger = django_filters.ChoiceFilter(choices=HandbackTrigger.choices)
    salesperson = django_filters.CharFilter("salesperson__email", label="E-mail.")
    due_before = django_filters.DateFilter("due_on", "lt")

    class Meta:
        model = Handback
        fields = ()


class DeclineRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class AttemptRequest(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in TALKS])
    has_reached = serializers.BooleanField(default=False, help_text="Spoke with somebody there.")
    note = serializers.CharField(max_length=500, allow_blank=True, default="")


class CloseRequest(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=HandbackOutcome.choices)
    churn_reason = serializers.SlugRelatedField(
        slug_field="code",
        queryset=ChurnReason.objects.filter(is_active=True),
        required=False,
        allow_null=True,
        default=None,
        help_text="Its code; needed when the customer is lost.",
    )
    note = serializers.CharField(max_length=2000, allow_blank=True, default="")


def _checked(serializer: type[serializers.Serializer[Any]], request: Request) -> Mapping[str, Any]:
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _done(act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a service answers; what it refuses becomes a conflict or a fault of the request."""
    try:
        return act(*arguments, **named)
    except HandbackConflict as conflict:
        raise Conflict(str(conflict)) from conflict
    except CareError as refusal:
        raise ValidationError(str(refusal)) from refusal


@extend_schema_view(
    list=extend_schema(summary="List handbacks"), retrieve=extend_schema(summary="Read a handback")
)
class HandbackViewSet(Visible):
    """Accounts at risk, given back to the salesperson who won them."""

    queryset = Handback.objects.none()
    serializer_class = HandbackSerializer
    permission_classes = (permissions.IsAuthenticated, OnlyCarersWrite)
    filterset_class = HandbackFilter
    pagination_class = NewestFirst
    related = ("account", "salesperson", "closed_by", "churn_reason")
    prefetched = ("attempts__user",)

    def visible_rows(self, rows: HandbackQuerySet, user: User) -> QuerySet[Handback]:
        """Also those that were handed to `user`."""
        return rows.visible_to(user)

    def _answer(self) -> Response:
        """The handback as it is now."""
        return Response(HandbackSerializer(self.get_object()).data)

    @extend_schema(summary="Accept a handback", request=None, responses=HandbackSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def accept(self, request: Request, pk: int) -> Response:
        """It is yours from now on. Of several who try at once one wins, the others get 409."""
        _done(accept_handback, self.get_object(), request.user)
        return self._answer()

    @extend_schema(summary="Decline a handback", request=DeclineRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def decline(self, request: Request, pk: int) -> Response:
        """It goes to the next in line, with your reason. Only who has it can decline it."""
        handback = self.get_object()
        body = _checked(DeclineRequest, request)
        declined = _done(decline_handback, handback, request.user, body["reason"])
        return Response(HandbackSerializer(declined).data)

    @extend_schema(summary="Log an attempt", request=AttemptRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def attempts(self, request: Request, pk: int) -> Response:
        """A call, e-mail or meeting about it."""
        handback = self.get_object()
        _done(log_attempt, handback, request.user, **_checked(AttemptRequest, request))
        return self._answer()

    @extend_schema(summary="Close a handback", request=CloseRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def close(self, request: Request, pk: int) -> Response:
        """How it ended; a lost customer needs a churn reason."""
        handback = self.get_object()
        body = _checked(CloseRequest, request)
        _done(close_handback, handback, request.user, **body)
        return self._answer()


class PulseSerializer(serializers.ModelSerializer[PulseCheck]):
    account = AccountColumn()
    taken_by = EmailOf("taken_by")
    next_step_owner = EmailOf("next_step_owner")
    themes: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="code", many=True, read_only=True
    )

    class Meta:
        model = PulseCheck
        fields = (
            "id", "account", "account_id", "taken_by", "taken_at", "contact_id", "score", "themes", "note", "issue_id",
            "insight_shared", "opportunity", "next_step", "next_step_owner", "next_step_due_on",
            "next_step_done_at", "created_at",
        )  # fmt: skip


class PulseFilter(OfAccountFilter):
    taken_from = django_filters.IsoDateTimeFilter("taken_at", "gte")
    taken_before = django_filters.IsoDateTimeFilter("taken_at", "lt")
    max_score = django_filters.NumberFilter("score", "lte", min_value=1, max_value=6)

    class Meta:
        model = PulseCheck
        fields = ()


class GrievanceRequest(serializers.Serializer[Any]):
    description = serializers.CharField(max_length=2000)
    owner = serializers.SlugRelatedField(
        slug_field="email",
        queryset=User.objects.filter(is_active=True),
        required=False,
        help_text="E-mail; empty = you.",
    )
    due_on = serializers.DateField(required=False, allow_null=True, default=None)


class PulseRequest(serializers.Serializer[Any]):
    account_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    score = serializers.IntegerField(min_value=1, max_value=6)
    themes: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="code", queryset=PulseTheme.objects.filter(is_active=True), many=True, required=False
    )
    note = serializers.CharField(max_length=5000, allow_blank=True, default="")
    contact_id = serializers.IntegerField(
        min_value=1, max_value=2**63 - 1, required=False, allow_null=True, default=None
    )
    grievance = GrievanceRequest(required=False, allow_null=True, default=None, help_text="Opens an issue.")
    insight_shared = serializers.CharField(max_length=300, allow_blank=True, default="")
    opportunity = serializers.CharField(max_length=300, allow_blank=True, default="")
    next_step = serializers.CharField(max_length=300)
    next_step_owner = serializers.SlugRelatedField(
        slug_field="email",
        queryset=User.objects.filter(is_active=True),
        required=False,
        help_text="E-mail; empty = you.",
    )
    next_step_due_on = serializers.DateField()

    def validate_themes(self, themes: list[PulseTheme]) -> list[PulseTheme]:
        if len(themes) > MOST_THEMES:
            raise ValidationError(f"Choose at most {MOST_THEMES} themes: what mattered most.")
        return themes


def _account_for(user: User, pk: int) -> Account:
    account = Account.objects.visible_to(user).filter(pk=pk).first()
    if account is None:
        raise ValidationError({"account_id": "There is no such account, or it is not yours to see."})
    return account


def _contact_of(account: Account, pk: int | None) -> Contact | None:
    if pk is None:
        return None
    contact = account.contacts.filter(pk=pk).first()
    if contact is None:
        raise ValidationError({"contact_id": "This account has no such contact."})
    return contact


def _grievance(body: Mapping[str, Any] | None, user: User) -> Grievance | None:
    if body is None:
        return None
    return Grievance(body["description"], body.get("owner", user), body["due_on"])


@extend_schema_view(
    list=extend_schema(summary="List pulse checks"), retrieve=extend_schema(summary="Read a pulse check")
)
class PulseViewSet(mixins.CreateModelMixin, Visible):
    """What customers told us, on six points: 1 about to leave, 6 delighted."""

    queryset = PulseCheck.objects.none()
    permission_classes = (permissions.IsAuthenticated, OnlyCarersWrite)
    serializer_class = PulseSerializer
    filterset_class = PulseFilter
    pagination_class = NewestFirst
    related = ("account", "taken_by", "next_step_owner")
    prefetched = ("themes",)

    @extend_schema(summary="Log a pulse check", request=PulseRequest, responses={201: PulseSerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Completes the planned contact and plans the next; a grievance opens an issue, a poor score a handback."""
        body = dict(_checked(PulseRequest, request))
        account = _account_for(caller(request), body.pop("account_id"))
        entry = PulseEntry(
            contact=_contact_of(account, body.pop("contact_id")),
            grievance=_grievance(body.pop("grievance"), caller(request)),
            **{"next_step_owner": request.user, **body},
        )
        pulse = _done(log_pulse_check, account, request.user, entry)
        return Response(PulseSerializer(pulse).data, status=201)
