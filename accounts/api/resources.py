"""Accounts, contacts, orders with their lines, and contracts, as whoever calls may see them. Columns are those of the files."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers

from accounts.api.base import (
    AccountColumn,
    ChangedFilter,
    EmailOf,
    ForEverybody,
    IdFilter,
    MomentFilter,
    Newest,
    OfAccountFilter,
    RowSerializer,
    Visible,
    described,
)
from accounts.api.bulk import BulkUpsert
from accounts.models import Account, Contact, Contract, Order, OrderLine, Product, User
from accounts.models.account import (
    AccountQuerySet,
    BillingMode,
    ContactRole,
    LifecycleStage,
    visible_accounts,
)
from accounts.models.commerce import OrderStatus


class AccountSerializer(RowSerializer[Account]):
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


class AccountFilter(ChangedFilter):
    name = django_filters.CharFilter(lookup_expr="icontains", label="Part of the name.")
    billing_mode = django_filters.ChoiceFilter(choices=BillingMode.choices)
    lifecycle_stage = django_filters.ChoiceFilter(choices=LifecycleStage.choices)
    original_salesperson = django_filters.CharFilter("original_salesperson__email", label="E-mail.")
    account_manager = django_filters.CharFilter("account_manager__email", label="E-mail.")

    class Meta:
        model = Account
        fields = ("external_id", "record_source", "segment", "industry", "region", "country", "is_sample")


class ContactSerializer(RowSerializer[Contact]):
    account = AccountColumn()

    class Meta:
        model = Contact
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "name", "email", "phone", "job_title",
            "role", "is_active", "left_on", "marketing_consent", "created_at", "updated_at",
        )  # fmt: skip


class ContactFilter(OfAccountFilter):
    email = django_filters.CharFilter(lookup_expr="iexact")
    role = django_filters.ChoiceFilter(choices=ContactRole.choices)

    class Meta:
        model = Contact
        fields = ("external_id", "record_source", "is_active")


class ProductSerializer(RowSerializer[Product]):
    class Meta:
        model = Product
        fields = ("id", "record_source", "sku", "name", "series", "unit_price", "created_at", "updated_at")


class ProductFilter(ChangedFilter):
    name = django_filters.CharFilter(lookup_expr="icontains", label="Part of the name.")

    class Meta:
        model = Product
        fields = ("sku", "record_source", "series")


class OrderSerializer(RowSerializer[Order]):
    account = AccountColumn()

    class Meta:
        model = Order
        fields = (
            "id", "record_source", "external_id", "account", "account_id", "ordered_at", "amount", "currency",
            "status", "promised_on", "delivered_on", "cost", "discount", "created_at", "updated_at",
        )  # fmt: skip


class OrderFilter(OfAccountFilter):
    status = django_filters.ChoiceFilter(choices=OrderStatus.choices)
    ordered_from = MomentFilter("ordered_at", "gte")
    ordered_before = MomentFilter("ordered_at", "lt")

    class Meta:
        model = Order
        fields = ("external_id", "record_source")


class OrderLineSerializer(RowSerializer[OrderLine]):
    order = serializers.CharField(
        source="order.external_id", read_only=True, help_text="External id of the order."
    )
    sku = serializers.CharField(source="product.sku", read_only=True)
    record_source = serializers.CharField(source="order.record_source", read_only=True)

    class Meta:
        model = OrderLine
        fields = (
            "id",
            "record_source",
            "order",
            "order_id",
            "line_number",
            "sku",
            "product_id",
            "quantity",
            "unit_price",
        )


class OrderLineFilter(django_filters.FilterSet):
    order = django_filters.CharFilter("order__external_id", label="External id of the order.")
    order_id = IdFilter("order_id")
    account_id = IdFilter("order__account_id")
    sku = django_filters.CharFilter("product__sku", label="Of the product.")

    class Meta:
        model = OrderLine
        fields = ()


class ContractSerializer(RowSerializer[Contract]):
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


@described("account")
class AccountViewSet(BulkUpsert, Visible):
    """Customers. Won by `original_salesperson`, looked after by `account_manager`."""

    queryset = Account.objects.none()
    serializer_class = AccountSerializer
    filterset_class = AccountFilter
    related = ("original_salesperson", "account_manager", "parent")
    kind = "accounts"
    sorts = ("id", "name", "updated_at")

    def visible_rows(self, rows: AccountQuerySet, user: User) -> QuerySet[Account]:
        return rows.visible_to(user)


@described("contact")
class ContactViewSet(BulkUpsert, Visible):
    """People at the customers."""

    queryset = Contact.objects.none()
    serializer_class = ContactSerializer
    filterset_class = ContactFilter
    related = ("account",)
    kind = "contacts"
    sorts = ("id", "name", "updated_at")


@described("product")
class ProductViewSet(BulkUpsert, ForEverybody):
    """What the company sells."""

    queryset = Product.objects.none()
    serializer_class = ProductSerializer
    filterset_class = ProductFilter
    kind = "products"
    sorts = ("id", "sku", "name", "updated_at")


@described("order")
class OrderViewSet(BulkUpsert, Newest):
    """Orders: a purchase when the amount is above 0 and it is not cancelled, a return when below."""

    queryset = Order.objects.none()
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    related = ("account",)
    kind = "orders"
    sorts = ("id", "ordered_at", "amount", "updated_at")


@described("order line")
class OrderLineViewSet(BulkUpsert, Newest):
    """What was in the orders."""

    queryset = OrderLine.objects.none()
    serializer_class = OrderLineSerializer
    filterset_class = OrderLineFilter
    related = ("order", "product")
    kind = "order_lines"
    sorts = ("id",)

    def visible_rows(self, rows: QuerySet[OrderLine], user: User) -> QuerySet[OrderLine]:
        if visible_accounts(user) is None:
            return rows
        return rows.filter(order__account__in=Account.objects.visible_to(user).order_by())


@described("contract")
class ContractViewSet(BulkUpsert, Newest):
    """Agreements that end or renew."""

    queryset = Contract.objects.none()
    serializer_class = ContractSerializer
    filterset_class = ContractFilter
    related = ("account", "terms_disclosed_by", "churn_reason")
    kind = "contracts"
    sorts = ("id", "starts_on", "ends_on", "annual_value", "updated_at")
