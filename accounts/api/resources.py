"""Accounts, contacts, orders and contracts, as whoever calls may see them. Columns are those of the files."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets

from accounts.api.authentication import caller
from accounts.api.bulk import BulkUpsert
from accounts.api.paging import NewestFirst, Pages
from accounts.models import Account, Contact, Contract, Order, User
from accounts.models.account import AccountQuerySet, BillingMode, LifecycleStage
from accounts.models.commerce import OrderStatus
from accounts.selectors import of_visible_accounts


class AccountColumn(serializers.CharField):
    """The external id of the account a record belongs to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(source="account.external_id", read_only=True, **options)


class EmailOf(serializers.EmailField):
    """One of our people, by e-mail."""

    def __init__(self, person: str, **options: Any) -> None:
        super().__init__(source=f"{person}.email", read_only=True, allow_null=True, default=None, **options)


class AccountSerializer(serializers.ModelSerializer[Account]):
    original_salesperson = EmailOf("original_salesperson")
    account_manager = EmailOf("account_manager")
    parent = serializers.CharField(  # type: ignore[assignment]
        source="parent.external_id",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="Its external id.",
    )

    class Meta:
        model = Account
        fields = (
            "id", "record_source", "external_id", "name", "segment", "industry", "region", "country", "currency",
            "billing_mode", "lifecycle_stage", "became_customer_on", "source", "campaign", "acquisition_cost",
            "original_salesperson", "account_manager", "parent", "is_sample", "created_at", "updated_at",
        )  # fmt: skip


class AccountFilter(django_filters.FilterSet):
    name = django_filters.CharFilter(lookup_expr="icontains", label="Part of the name.")
    billing_mode = django_filters.ChoiceFilter(choices=BillingMode.choices)
    lifecycle_stage = django_filters.ChoiceFilter(choices=LifecycleStage.choices)
    original_salesperson = django_filters.CharFilter("original_salesperson__email", label="E-mail.")
    account_manager = django_filters.CharFilter("account_manager__email", label="E-mail.")
    updated_since = django_filters.IsoDateTimeFilter("updated_at", "gte")

    class Meta:
        model = Account
        fields = ("external_id", "record_source", "segment", "industry", "region", "country", "is_sample")


class ContactSerializer(serializers.ModelSerializer[Contact]):
    account = AccountColumn()

    class Meta:
        model = Contact
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "name", "email", "phone", "job_title",
            "role", "is_active", "left_on", "marketing_consent", "created_at", "updated_at",
        )  # fmt: skip


class OfAccountFilter(django_filters.FilterSet):
    account = django_filters.CharFilter("account__external_id", label="External id of the account.")
    account_id = django_filters.NumberFilter("account_id", min_value=1, max_value=2**63 - 1)


class ContactFilter(OfAccountFilter):
    email = django_filters.CharFilter(lookup_expr="iexact")

    class Meta:
        model = Contact
        fields = ("external_id", "record_source", "is_active")


class OrderSerializer(serializers.ModelSerializer[Order]):
    account = AccountColumn()

    class Meta:
        model = Order
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "ordered_at", "amount", "currency",
            "status", "promised_on", "delivered_on", "cost", "discount", "created_at", "updated_at",
        )  # fmt: skip


class OrderFilter(OfAccountFilter):
    status = django_filters.ChoiceFilter(choices=OrderStatus.choices)
    ordered_from = django_filters.IsoDateTimeFilter("ordered_at", "gte")
    ordered_before = django_filters.IsoDateTimeFilter("ordered_at", "lt")

    class Meta:
        model = Order
        fields = ("external_id", "record_source")


class ContractSerializer(serializers.ModelSerializer[Contract]):
    account = AccountColumn()
    terms_disclosed_by = EmailOf("terms_disclosed_by")
    churn_reason = serializers.CharField(
        source="churn_reason.code", read_only=True, allow_null=True, default=None, help_text="Its code."
    )

    class Meta:
        model = Contract
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "starts_on", "ends_on", "annual_value",
            "currency", "notice_days", "auto_renews", "terms_disclosed_on", "terms_disclosed_by",
            "terms_acknowledged_on", "cancelled_on", "churn_reason", "created_at", "updated_at",
        )  # fmt: skip


class ContractFilter(OfAccountFilter):
    ends_from = django_filters.DateFilter("ends_on", "gte")
    ends_before = django_filters.DateFilter("ends_on", "lt")
    is_cancelled = django_filters.BooleanFilter("cancelled_on", "isnull", exclude=True)

    class Meta:
        model = Contract
        fields = ("external_id", "record_source")


class Visible(viewsets.ReadOnlyModelViewSet[Any]):
    """Reads what the caller may see; everything else is not found."""

    pagination_class = Pages
    lookup_value_converter = "int"
    related: tuple[str, ...] = ()
    prefetched: tuple[str | Prefetch[Any], ...] = ()

    def get_queryset(self) -> QuerySet[Any]:
        model = self.queryset.model  # type: ignore[union-attr, arg-type]
        if getattr(self, "swagger_fake_view", False):
            return model._default_manager.none()
        seen = self.visible_rows(model._default_manager.all(), caller(self.request))
        return seen.select_related(*self.related).prefetch_related(*self.prefetched).order_by()

    def visible_rows(self, rows: Any, user: User) -> QuerySet[Any]:
        """Of all rows, those `user` may see."""
        return of_visible_accounts(rows, user)


@extend_schema_view(
    list=extend_schema(summary="List accounts"), retrieve=extend_schema(summary="Read an account")
)
class AccountViewSet(BulkUpsert, Visible):
    """Customers. Won by `original_salesperson`, looked after by `account_manager`."""

    queryset = Account.objects.none()
    serializer_class = AccountSerializer
    filterset_class = AccountFilter
    related = ("original_salesperson", "account_manager", "parent")
    kind = "accounts"

    def visible_rows(self, rows: AccountQuerySet, user: User) -> QuerySet[Account]:
        return rows.visible_to(user)


@extend_schema_view(
    list=extend_schema(summary="List contacts"), retrieve=extend_schema(summary="Read a contact")
)
class ContactViewSet(BulkUpsert, Visible):
    """People at the customers."""

    queryset = Contact.objects.none()
    serializer_class = ContactSerializer
    filterset_class = ContactFilter
    related = ("account",)
    kind = "contacts"


@extend_schema_view(
    list=extend_schema(summary="List orders"), retrieve=extend_schema(summary="Read an order")
)
class OrderViewSet(BulkUpsert, Visible):
    """Orders: a purchase when the amount is above 0 and it is not cancelled, a return when below."""

    queryset = Order.objects.none()
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    pagination_class = NewestFirst
    related = ("account",)
    kind = "orders"


@extend_schema_view(
    list=extend_schema(summary="List contracts"), retrieve=extend_schema(summary="Read a contract")
)
class ContractViewSet(BulkUpsert, Visible):
    """Agreements that end or renew."""

    queryset = Contract.objects.none()
    serializer_class = ContractSerializer
    filterset_class = ContractFilter
    pagination_class = NewestFirst
    related = ("account", "terms_disclosed_by", "churn_reason")
    kind = "contracts"
