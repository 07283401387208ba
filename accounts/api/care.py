"""What passes between us and customers, over the API: conversations, issues, promises, enquiries."""

from __future__ import annotations

import django_filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from accounts.api.bulk import BulkUpsert
from accounts.api.paging import NewestFirst
from accounts.api.resources import AccountColumn, EmailOf, OfAccountFilter, Visible
from accounts.models import Enquiry, Interaction, Issue, Promise


class ContactColumn(serializers.CharField):
    """The external id of the person at the customer."""

    def __init__(self, person: str = "contact") -> None:
        super().__init__(source=f"{person}.external_id", read_only=True, allow_null=True, default=None)


class InteractionSerializer(serializers.ModelSerializer[Interaction]):
    account = AccountColumn()
    contact = ContactColumn()
    user = EmailOf("user")

    class Meta:
        model = Interaction
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "happened_at", "kind", "direction",
            "contact", "contact_id", "user", "subject", "note", "message_class", "created_at", "updated_at",
        )  # fmt: skip


class InteractionFilter(OfAccountFilter):
    user = django_filters.CharFilter("user__email", label="E-mail.")
    happened_from = django_filters.IsoDateTimeFilter("happened_at", "gte")
    happened_before = django_filters.IsoDateTimeFilter("happened_at", "lt")

    class Meta:
        model = Interaction
        fields = ("external_id", "record_source", "kind", "direction", "message_class")


class IssueSerializer(serializers.ModelSerializer[Issue]):
    account = AccountColumn()
    owner = EmailOf("owner")
    told_by = EmailOf("told_by")

    class Meta:
        model = Issue
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "opened_at", "severity", "theme",
            "description", "owner", "due_on", "resolved_at", "validity", "resolution", "times_reopened", "told_at",
            "told_by", "reaction", "created_at", "updated_at",
        )  # fmt: skip


class IssueFilter(OfAccountFilter):
    owner = django_filters.CharFilter("owner__email", label="E-mail.")
    is_open = django_filters.BooleanFilter("resolved_at", "isnull")
    is_told = django_filters.BooleanFilter("told_at", "isnull", exclude=True)
    opened_from = django_filters.IsoDateTimeFilter("opened_at", "gte")

    class Meta:
        model = Issue
        fields = ("external_id", "record_source", "severity", "theme", "validity")


class PromiseSerializer(serializers.ModelSerializer[Promise]):
    account = AccountColumn()
    made_by = EmailOf("made_by")
    made_to = ContactColumn("made_to")

    class Meta:
        model = Promise
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "text", "made_by", "made_to", "made_to_id", "made_on",
            "due_on", "kept_on", "status", "is_shared", "broken_because", "created_at", "updated_at",
        )  # fmt: skip


class PromiseFilter(OfAccountFilter):
    made_by = django_filters.CharFilter("made_by__email", label="E-mail.")
    due_before = django_filters.DateFilter("due_on", "lt")

    class Meta:
        model = Promise
        fields = ("external_id", "record_source", "status", "is_shared")


class EnquirySerializer(serializers.ModelSerializer[Enquiry]):
    account = AccountColumn()
    contact = ContactColumn()
    owner = EmailOf("owner")
    next_step_owner = EmailOf("next_step_owner")

    class Meta:
        model = Enquiry
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "contact", "contact_id", "received_at", "source",
            "subject", "owner", "responded_at", "response", "next_step", "next_step_owner", "next_step_due_on",
            "next_step_done_at", "created_at", "updated_at",
        )  # fmt: skip


class EnquiryFilter(OfAccountFilter):
    owner = django_filters.CharFilter("owner__email", label="E-mail.")
    is_waiting = django_filters.BooleanFilter("responded_at", "isnull")
    received_from = django_filters.IsoDateTimeFilter("received_at", "gte")

    class Meta:
        model = Enquiry
        fields = ("external_id", "record_source", "source")


@extend_schema_view(
    list=extend_schema(summary="List interactions"), retrieve=extend_schema(summary="Read an interaction")
)
class InteractionViewSet(BulkUpsert, Visible):
    """Calls, mails and meetings that happened."""

    queryset = Interaction.objects.none()
    serializer_class = InteractionSerializer
    filterset_class = InteractionFilter
    pagination_class = NewestFirst
    related = ("account", "contact", "user")
    kind = "interactions"


@extend_schema_view(
    list=extend_schema(summary="List issues"), retrieve=extend_schema(summary="Read an issue")
)
class IssueViewSet(BulkUpsert, Visible):
    """Grievances of customers; closed once the customer was told what was done."""

    queryset = Issue.objects.none()
    serializer_class = IssueSerializer
    filterset_class = IssueFilter
    pagination_class = NewestFirst
    related = ("account", "owner", "told_by")
    kind = "issues"


@extend_schema_view(
    list=extend_schema(summary="List promises"), retrieve=extend_schema(summary="Read a promise")
)
class PromiseViewSet(BulkUpsert, Visible):
    """Who promised what to whom by when, and whether it was kept."""

    queryset = Promise.objects.none()
    serializer_class = PromiseSerializer
    filterset_class = PromiseFilter
    pagination_class = NewestFirst
    related = ("account", "made_by", "made_to")
    kind = "promises"


@extend_schema_view(
    list=extend_schema(summary="List enquiries"), retrieve=extend_schema(summary="Read an enquiry")
)
class EnquiryViewSet(BulkUpsert, Visible):
    """Questions of customers; the clock runs in office hours until `responded_at`."""

    queryset = Enquiry.objects.none()
    serializer_class = EnquirySerializer
    filterset_class = EnquiryFilter
    pagination_class = NewestFirst
    related = ("account", "contact", "owner", "next_step_owner")
    kind = "enquiries"
