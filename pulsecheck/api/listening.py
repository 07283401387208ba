"""Insights, surveys and the random audit over the API."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.base import (
    AccountColumn,
    ChangedFilter,
    ContactColumn,
    EmailOf,
    ForEverybody,
    MomentFilter,
    OfAccountFilter,
    RowId,
    RowSerializer,
    described,
)
from accounts.api.repeats import idempotent
from accounts.models.api import Area
from accounts.selectors import company_today
from pulsecheck.api.care import CareResource, checked, done_or_refused
from pulsecheck.api.pulses import ContactRequest, account_for, contact_of
from pulsecheck.models import AuditPick, Insight, Survey, SurveyAnswer
from pulsecheck.services.surveys import Questions, send_survey


# ── insights ───────────────────────────────────────────────────────────
class InsightSerializer(RowSerializer[Insight]):
    class Meta:
        model = Insight
        fields = (
            "id", "title", "text", "source", "link", "industries", "valid_from", "valid_until", "withdrawn_at",
            "created_at", "updated_at",
        )  # fmt: skip


class InsightFilter(ChangedFilter):
    industry = django_filters.CharFilter(
        method="of_industry", label="For this industry, or for everybody.", max_length=100
    )
    is_valid = django_filters.BooleanFilter(method="valid_today", label="May be told today.")

    class Meta:
        model = Insight
        fields = ()

    def of_industry(self, rows: QuerySet[Insight], name: str, value: str) -> QuerySet[Insight]:
        return rows.filter(industries__contains=[value]) | rows.filter(industries=[])

    def valid_today(self, rows: Any, name: str, value: bool) -> QuerySet[Insight]:
        valid = Insight.objects.valid_on(company_today())
        return rows.filter(pk__in=valid) if value else rows.exclude(pk__in=valid)


@described("insight")
class InsightViewSet(ForEverybody):
    """News from our customers' industries, to be told to them while it is valid; `industries` empty = for everybody."""

    queryset = Insight.objects.none()
    serializer_class = InsightSerializer
    filterset_class = InsightFilter
    area = Area.CARE


# ── surveys ────────────────────────────────────────────────────────────
class AnswerSerializer(RowSerializer[SurveyAnswer]):
    loop_closed_by = EmailOf("loop_closed_by")

    class Meta:
        model = SurveyAnswer
        fields = (
            "answered_at", "nps", "csat", "ces", "comment", "is_bad", "issue_id", "loop_closed_at",
            "loop_closed_by", "loop_note",
        )  # fmt: skip


class SurveySerializer(RowSerializer[Survey]):
    account = AccountColumn()
    contact = ContactColumn()
    sent_by = EmailOf("sent_by")
    answer = AnswerSerializer(read_only=True, allow_null=True, default=None)

    class Meta:
        model = Survey
        fields = (
            "id", "account", "account_id", "contact", "contact_id", "pulse_check_id", "sent_by", "sent_at", "expires_at",
            "cancelled_at", "opened_at", "about", "asks_nps", "asks_csat", "asks_ces", "answer",
        )  # fmt: skip


class SurveyFilter(OfAccountFilter):
    sent_from = MomentFilter("sent_at", "gte")
    sent_before = MomentFilter("sent_at", "lt")
    is_answered = django_filters.BooleanFilter("answer", "isnull", exclude=True)
    is_bad = django_filters.BooleanFilter("answer__is_bad")

    class Meta:
        model = Survey
        fields = ()


class SurveyRequest(ContactRequest):
    account_id = RowId()
    asks_nps = serializers.BooleanField(default=True)
    asks_csat = serializers.BooleanField(default=False)
    asks_ces = serializers.BooleanField(default=False)
    about = serializers.CharField(max_length=200, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not (attrs["asks_nps"] or attrs["asks_csat"] or attrs["asks_ces"]):
            raise ValidationError("Ask at least one of the three questions.")
        if attrs["contact_id"] is None and not attrs["contact"]:
            raise ValidationError({"contact_id": "Say who is asked: contact_id, or contact by external id."})
        return attrs


@described("survey")
class SurveyViewSet(CareResource):
    """Questions sent by e-mail, with the answer once there is one. The link itself is only in the customer's mailbox."""

    queryset = Survey.objects.none()
    serializer_class = SurveySerializer
    filterset_class = SurveyFilter
    related = ("account", "contact", "sent_by", "answer__loop_closed_by")

    @extend_schema(summary="Send a survey", request=SurveyRequest, responses={201: SurveySerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Writes an e-mail to the contact; refused while they rest from the last survey (30 days)."""
        body = checked(SurveyRequest, request)
        account = account_for(caller(request), body["account_id"])
        contact = contact_of(account, body["contact_id"], body["contact"])
        questions = Questions(body["asks_nps"], body["asks_csat"], body["asks_ces"], body["about"])
        survey = done_or_refused(send_survey, account, contact, request.user, questions)
        return Response(SurveySerializer(survey).data, status=201)


# ── the random audit ───────────────────────────────────────────────────
class AuditPickSerializer(RowSerializer[AuditPick]):
    account = AccountColumn()
    assignee = EmailOf("assignee")
    week_of = serializers.DateField(source="week.week_of", read_only=True)
    score = serializers.IntegerField(
        source="pulse.score",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="1 to 6; null = not asked.",
    )

    class Meta:
        model = AuditPick
        fields = (
            "id", "account", "account_id", "week_of", "assignee", "due_on", "closes_on", "tier", "churn_probability",
            "pulse_id", "score",
        )  # fmt: skip


class AuditPickFilter(OfAccountFilter):
    week_from = django_filters.DateFilter("week__week_of", "gte")
    is_asked = django_filters.BooleanFilter("pulse", "isnull", exclude=True)

    class Meta:
        model = AuditPick
        fields = ()


@described("account drawn for the random audit", "accounts drawn for the random audit")
class AuditPickViewSet(CareResource):
    """Accounts that looked healthy, drawn by lot, and what they said when asked: a score of 1 to 3 was a false green light."""

    queryset = AuditPick.objects.none()
    serializer_class = AuditPickSerializer
    filterset_class = AuditPickFilter
    related = ("account", "assignee", "week", "pulse")
