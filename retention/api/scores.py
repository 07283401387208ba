"""Scores, over the API: the newest of everybody, and the history of one account."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers

from accounts.api.authentication import caller
from accounts.api.base import AccountColumn, IdFilter, Resource, RowSerializer
from accounts.api.paging import Pages
from accounts.models import Account
from accounts.models.api import Area
from accounts.selectors import of_visible_accounts
from retention.models import Score, Tier
from retention.models.scores import RunState


class ReasonSerializer(serializers.Serializer[Any]):
    factor = serializers.CharField()
    sentence = serializers.CharField()
    points = serializers.FloatField(help_text="Percentage points of probability.")


class ScoreSerializer(RowSerializer[Score]):
    account = AccountColumn()
    reasons = ReasonSerializer(
        many=True, read_only=True, help_text="Strongest first; with the base they add up."
    )

    class Meta:
        model = Score
        fields = (
            "account", "account_id", "as_of", "horizon_days", "churn_probability", "base_probability",
            "previous_probability", "tier", "stage", "model_version", "revenue_at_risk", "currency",
            "revenue_at_risk_company", "expected_value_12m", "expected_value_low", "expected_value_high", "lifetime_value",
            "health_score", "known_share", "days_since_last_order", "usual_gap_days", "main_factor", "reasons",
        )  # fmt: skip


class ScoreFilter(django_filters.FilterSet):
    account = django_filters.CharFilter("account__external_id", label="External id of the account.")
    account_id = IdFilter("account_id")
    tier = django_filters.ChoiceFilter(choices=Tier.choices)
    min_probability = django_filters.NumberFilter("churn_probability", "gte")
    min_revenue_at_risk = django_filters.NumberFilter(
        "revenue_at_risk_company", "gte", label="In the company's currency."
    )


class ScorePages(Pages):
    """By account: each has one score in a run."""

    ordering = "account_id"


class HistoryPages(Pages):
    """Of one account, by day."""

    ordering = "-as_of"


class _Scores(mixins.ListModelMixin, Resource):
    queryset = Score.objects.none()
    serializer_class = ScoreSerializer
    area = Area.SCORES

    def get_queryset(self) -> QuerySet[Score]:
        if getattr(self, "swagger_fake_view", False):
            return Score.objects.none()
        return self.published().select_related("account").order_by()

    def published(self) -> QuerySet[Score]:
        raise NotImplementedError


@extend_schema(summary="List the newest scores")
class ScoreViewSet(_Scores):
    """Of the newest published run: how likely each account is to leave within the horizon, why, and the money."""

    filterset_class = ScoreFilter
    pagination_class = ScorePages
    sorts = ("account_id", "churn_probability", "revenue_at_risk_company")

    def published(self) -> QuerySet[Score]:
        return of_visible_accounts(Score.objects.published(), caller(self.request))


@extend_schema(summary="List the scores of an account, newest first")
class AccountScoreViewSet(_Scores):
    """How the risk of one account developed."""

    pagination_class = HistoryPages
    filter_backends = ()

    def published(self) -> QuerySet[Score]:
        seen = Account.objects.visible_to(caller(self.request))
        account = get_object_or_404(seen, pk=self.kwargs["account_id"])
        return Score.objects.filter(account=account, run__state=RunState.PUBLISHED)
