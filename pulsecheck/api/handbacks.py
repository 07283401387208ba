"""Hand-backs over the API."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import AccountColumn, EmailOf, OfAccountFilter, RowSerializer, described
from accounts.api.repeats import idempotent
from accounts.models import ChurnReason, User
from pulsecheck.api.care import CareResource, checked, done_or_refused
from pulsecheck.models import Handback, HandbackAttempt, HandbackCredit, HandbackReason, ReasonSettlement
from pulsecheck.models.handbacks import (
    TALKS,
    HandbackOutcome,
    HandbackQuerySet,
    HandbackState,
    HandbackTrigger,
)
from pulsecheck.services.closing import close_handback, counter_sign, settle_reason
from pulsecheck.services.handbacks import accept_handback, decline_handback, log_attempt


class AttemptSerializer(RowSerializer[HandbackAttempt]):
    user = EmailOf("user")

    class Meta:
        model = HandbackAttempt
        fields = ("happened_at", "kind", "user", "has_reached", "note")


class HandbackReasonSerializer(RowSerializer[HandbackReason]):
    class Meta:
        model = HandbackReason
        fields = ("trigger", "sentence", "noted_at")


class CreditSerializer(RowSerializer[HandbackCredit]):
    person = EmailOf("person")

    class Meta:
        model = HandbackCredit
        fields = ("person", "part")


class SettlementSerializer(RowSerializer[ReasonSettlement]):
    before = serializers.CharField(source="before.code", read_only=True)
    after = serializers.CharField(source="after.code", read_only=True)
    settled_by = EmailOf("settled_by")

    class Meta:
        model = ReasonSettlement
        fields = ("before", "after", "settled_by", "settled_at", "note")


class HandbackSerializer(RowSerializer[Handback]):
    account = AccountColumn()
    salesperson = EmailOf("salesperson")
    closed_by = EmailOf("closed_by")
    churn_reason = serializers.CharField(
        source="churn_reason.code", read_only=True, allow_null=True, default=None, help_text="Its code."
    )
    risk = serializers.DictField(help_text="What was known when it was opened: probability, tier, reasons.")
    reasons = HandbackReasonSerializer(
        many=True, read_only=True, help_text="Every trigger that spoke for it, the first opened it."
    )
    attempts = AttemptSerializer(many=True, read_only=True)
    counter_signer = EmailOf("counter_signer")
    settlements = SettlementSerializer(
        many=True, read_only=True, help_text="How the churn reason changed after the other owner disagreed."
    )
    credits = CreditSerializer(many=True, read_only=True, help_text="Who kept the customer, once saved.")

    class Meta:
        model = Handback
        fields = (
            "id", "account", "account_id", "salesperson", "assigned_because", "trigger", "state", "risk",
            "revenue_at_risk", "currency", "opened_at", "due_on", "due_at", "accepted_at", "escalated_at", "closed_at",
            "closed_by", "outcome", "churn_reason", "closing_note", "counter_signer", "counter_signed_at",
            "counter_agrees", "counter_note", "settlements", "reasons", "attempts", "credits", "created_at", "updated_at",
        )  # fmt: skip


class HandbackFilter(OfAccountFilter):
    state = django_filters.ChoiceFilter(choices=HandbackState.choices)
    outcome = django_filters.ChoiceFilter(choices=HandbackOutcome.choices)
    trigger = django_filters.ChoiceFilter(choices=HandbackTrigger.choices, label="That opened it.")
    reason = django_filters.ChoiceFilter(
        "reasons__trigger", choices=HandbackTrigger.choices, label="That spoke for it."
    )
    salesperson = django_filters.CharFilter("salesperson__email", label="E-mail.")
    due_before = django_filters.DateFilter("due_on", "lt")

    class Meta:
        model = Handback
        fields = ()


class DeclineRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Reached by telephone",
            value={"kind": "call", "has_reached": True, "note": "They will order on Monday."},
            request_only=True,
        )
    ]
)
class AttemptRequest(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in TALKS])
    has_reached = serializers.BooleanField(default=False, help_text="Spoke with somebody there.")
    note = serializers.CharField(max_length=500, allow_blank=True, default="")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A customer who left",
            value={"outcome": "lost", "churn_reason": "undercut", "note": "Went to a cheaper supplier."},
            request_only=True,
        )
    ]
)
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
    note = serializers.CharField(
        max_length=2000,
        allow_blank=True,
        default="",
        help_text="Needed for a false alarm: it teaches the rule.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["outcome"] == HandbackOutcome.FALSE_ALARM and not attrs["note"]:
            raise serializers.ValidationError(
                {"note": "Say what made it look like a risk: it teaches the rule."}
            )
        return attrs


class SettleRequest(serializers.Serializer[Any]):
    churn_reason = serializers.SlugRelatedField(
        slug_field="code", queryset=ChurnReason.objects.filter(is_active=True), help_text="Its code."
    )
    note = serializers.CharField(max_length=500, help_text="Why this one.")


class SignRequest(serializers.Serializer[Any]):
    agrees = serializers.BooleanField(help_text="Whether you see why the customer left the same way.")
    note = serializers.CharField(
        max_length=500, allow_blank=True, default="", help_text="What you see differently."
    )


@described("handback")
class HandbackViewSet(CareResource):
    """Accounts at risk, given back to the salesperson who won them."""

    queryset = Handback.objects.none()
    serializer_class = HandbackSerializer
    filterset_class = HandbackFilter
    related = ("account", "salesperson", "closed_by", "churn_reason", "counter_signer")
    prefetched = (
        Prefetch("attempts", HandbackAttempt.objects.select_related("user")),
        "reasons",
        Prefetch("credits", HandbackCredit.objects.select_related("person")),
        Prefetch("settlements", ReasonSettlement.objects.select_related("before", "after", "settled_by")),
    )

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
        done_or_refused(accept_handback, self.get_object(), request.user)
        return self._answer()

    @extend_schema(summary="Decline a handback", request=DeclineRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def decline(self, request: Request, pk: int) -> Response:
        """It goes to the next in line, with your reason. Only who has it can decline it."""
        handback = self.get_object()
        body = checked(DeclineRequest, request)
        declined = done_or_refused(decline_handback, handback, request.user, body["reason"])
        return Response(HandbackSerializer(declined).data)

    @extend_schema(summary="Log an attempt", request=AttemptRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def attempts(self, request: Request, pk: int) -> Response:
        """A call, e-mail or meeting about it."""
        handback = self.get_object()
        done_or_refused(log_attempt, handback, request.user, **checked(AttemptRequest, request))
        return self._answer()

    @extend_schema(summary="Close a handback", request=CloseRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def close(self, request: Request, pk: int) -> Response:
        """How it ended; a lost customer needs a churn reason."""
        handback = self.get_object()
        body = checked(CloseRequest, request)
        done_or_refused(close_handback, handback, request.user, **body)
        return self._answer()

    @extend_schema(summary="Counter-sign a loss", request=SignRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"], url_path="counter-sign")
    @idempotent
    def counter_sign(self, request: Request, pk: int) -> Response:
        """Where a loss lay on both sides, the other owner says whether they see it the same way."""
        handback = self.get_object()
        done_or_refused(counter_sign, handback, request.user, **checked(SignRequest, request))
        return self._answer()

    @extend_schema(summary="Settle a churn reason", request=SettleRequest, responses=HandbackSerializer)
    @action(detail=True, methods=["post"], url_path="settle-reason")
    @idempotent
    def settle_reason(self, request: Request, pk: int) -> Response:
        """After the other owner disagreed: by a leader, or by whoever closed it, with another reason. Kept with what
        stood there before."""
        handback = self.get_object()
        done_or_refused(settle_reason, handback, request.user, **checked(SettleRequest, request))
        return self._answer()
