"""Handbacks and pulse checks, over the API."""

from __future__ import annotations

import django_filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from accounts.api.paging import NewestFirst
from accounts.api.resources import AccountColumn, EmailOf, OfAccountFilter, Visible
from pulsecheck.models import Handback, HandbackAttempt, PulseCheck
from pulsecheck.models.handbacks import HandbackOutcome, HandbackState, HandbackTrigger


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


@extend_schema_view(
    list=extend_schema(summary="List handbacks"), retrieve=extend_schema(summary="Read a handback")
)
class HandbackViewSet(Visible):
    """Accounts at risk, given back to the salesperson who won them."""

    queryset = Handback.objects.none()
    serializer_class = HandbackSerializer
    filterset_class = HandbackFilter
    pagination_class = NewestFirst
    related = ("account", "salesperson", "closed_by", "churn_reason")
    prefetched = ("attempts__user",)


class PulseSerializer(serializers.ModelSerializer[PulseCheck]):
    account = AccountColumn()
    taken_by = EmailOf("taken_by")
    next_step_owner = EmailOf("next_step_owner")
    themes = serializers.SlugRelatedField(slug_field="code", many=True, read_only=True)

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


@extend_schema_view(
    list=extend_schema(summary="List pulse checks"), retrieve=extend_schema(summary="Read a pulse check")
)
class PulseViewSet(Visible):
    """What customers told us, on six points: 1 about to leave, 6 delighted."""

    queryset = PulseCheck.objects.none()
    serializer_class = PulseSerializer
    filterset_class = PulseFilter
    pagination_class = NewestFirst
    related = ("account", "taken_by", "next_step_owner")
    prefetched = ("themes",)
