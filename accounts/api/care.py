"""What passes between us and customers, over the API: conversations, issues, promises, enquiries."""

from __future__ import annotations

import django_filters

from accounts.api.base import (
    AccountColumn,
    ContactColumn,
    EmailOf,
    MomentFilter,
    Newest,
    OfAccountFilter,
    RowSerializer,
    described,
)
from accounts.api.bulk import BulkUpsert
from accounts.models import Enquiry, Interaction, Issue, Promise


class InteractionSerializer(RowSerializer[Interaction]):
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
    happened_from = MomentFilter("happened_at", "gte")
    happened_before = MomentFilter("happened_at", "lt")

    class Meta:
        model = Interaction
        fields = ("external_id", "record_source", "kind", "direction", "message_class")


class IssueSerializer(RowSerializer[Issue]):
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
    opened_from = MomentFilter("opened_at", "gte")

    class Meta:
        model = Issue
        fields = ("external_id", "record_source", "severity", "theme", "validity")


class PromiseSerializer(RowSerializer[Promise]):
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


class EnquirySerializer(RowSerializer[Enquiry]):
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
    received_from = MomentFilter("received_at", "gte")

    class Meta:
        model = Enquiry
        fields = ("external_id", "record_source", "source")


@described("interaction")
class InteractionViewSet(BulkUpsert, Newest):
    """Calls, mails and meetings that happened."""

    queryset = Interaction.objects.none()
    serializer_class = InteractionSerializer
    filterset_class = InteractionFilter
    related = ("account", "contact", "user")
    kind = "interactions"
    sorts = ("id", "happened_at", "updated_at")


@described("issue")
class IssueViewSet(BulkUpsert, Newest):
    """Grievances of customers; closed once the customer was told what was done."""

    queryset = Issue.objects.none()
    serializer_class = IssueSerializer
    filterset_class = IssueFilter
    related = ("account", "owner", "told_by")
    kind = "issues"
    sorts = ("id", "opened_at", "updated_at")


@described("promise")
class PromiseViewSet(BulkUpsert, Newest):
    """Who promised what to whom by when, and whether it was kept."""

    queryset = Promise.objects.none()
    serializer_class = PromiseSerializer
    filterset_class = PromiseFilter
    related = ("account", "made_by", "made_to")
    kind = "promises"
    sorts = ("id", "made_on", "due_on", "updated_at")


@described("enquiry", "enquiries")
class EnquiryViewSet(BulkUpsert, Newest):
    """Questions of customers; the clock runs in office hours until `responded_at`."""

    queryset = Enquiry.objects.none()
    serializer_class = EnquirySerializer
    filterset_class = EnquiryFilter
    related = ("account", "contact", "owner", "next_step_owner")
    kind = "enquiries"
    sorts = ("id", "received_at", "updated_at")
