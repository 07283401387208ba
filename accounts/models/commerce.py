"""What customers buy: products, orders and contracts."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

from accounts.models.account import Account, AccountRelatedQuerySet
from accounts.models.care import ChurnReason
from accounts.models.fields import CurrencyField, MoneyField, Sourced, Stamped
from accounts.models.staff import User


class Product(Stamped):
    record_source = models.CharField(max_length=60, default="file", db_default="file")
    sku = models.CharField(max_length=100)
    name = models.CharField(max_length=200)
    series = models.CharField(max_length=100, blank=True, db_default="")
    unit_price = MoneyField(null=True, blank=True)
    unit_cost = MoneyField(null=True, blank=True)
    is_sample = models.BooleanField(default=False, db_default=False)
    import_run = models.ForeignKey(
        "accounts.ImportRun",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "sku"], name="product_once_per_source")
        ]

    def __str__(self) -> str:
        return self.name


class OrderStatus(models.TextChoices):
    PLACED = "placed", "Placed"
    DELIVERED = "delivered", "Delivered"
    CANCELLED = "cancelled", "Cancelled"
    RETURNED = "returned", "Returned"


class Order(Sourced):
    """A purchase when `amount` > 0 and not cancelled, a return when < 0; 0 counts as neither.

    `external_id` of an order from a file without ids is "line:<n>:<hash>": the n-th of its account, moment and
    amount, so that the same rows are known again wherever they stand in a later file (accounts/ingest/merge.py).
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="orders", db_index=False)
    ordered_at = models.DateTimeField()
    amount = MoneyField()
    currency = CurrencyField()
    status = models.CharField(
        max_length=10, choices=OrderStatus.choices, default=OrderStatus.PLACED, db_default=OrderStatus.PLACED
    )
    promised_on = models.DateField(null=True, blank=True)
    delivered_on = models.DateField(null=True, blank=True)
    cost = MoneyField(null=True, blank=True)
    discount = MoneyField(null=True, blank=True)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-ordered_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "external_id"], name="order_once_per_source")
        ]
        indexes = [
            # Carries what scoring reads, so that a stretch of accounts is read from the index alone.
            models.Index(
                fields=["account", "-ordered_at"], include=["amount", "status"], name="order_by_account"
            ),
            models.Index(
                fields=["account"], condition=models.Q(promised_on__isnull=False), name="order_promised"
            ),
            models.Index(fields=["account"], condition=models.Q(cost__isnull=False), name="order_costed"),
            # A few kilobytes for any number of orders: which of them came in since a moment.
            models.Index(fields=["ordered_at", "id"], name="order_by_moment"),
            models.Index(fields=["amount", "id"], name="order_by_amount"),
            models.Index(fields=["updated_at", "id"], name="order_by_change"),
            BrinIndex(fields=["created_at"], name="order_by_arrival"),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} of {self.ordered_at:%Y-%m-%d}"


class OrderLine(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="lines")
    quantity = models.DecimalField(max_digits=14, decimal_places=3)
    unit_price = MoneyField()
    line_number = models.PositiveIntegerField(db_default=1, default=1)
    import_run = models.ForeignKey(
        "accounts.ImportRun",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "product", "line_number"], name="line_once_per_order"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"


class Contract(Sourced):
    """An agreement that ends or renews; `annual_value` per year in `currency`."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="contracts")
    starts_on = models.DateField()
    ends_on = models.DateField()
    annual_value = MoneyField()
    currency = CurrencyField()
    notice_days = models.PositiveSmallIntegerField(default=0, db_default=0)
    auto_renews = models.BooleanField(default=False, db_default=False)
    terms_disclosed_on = models.DateField(null=True, blank=True)
    terms_disclosed_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    terms_acknowledged_on = models.DateField(null=True, blank=True)
    cancelled_on = models.DateField(null=True, blank=True)
    churn_reason = models.ForeignKey(
        ChurnReason, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-ends_on", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "external_id"], name="contract_once_per_source"),
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on")), name="contract_ends_after_start"
            ),
            models.CheckConstraint(condition=Q(annual_value__gte=0), name="contract_value_not_negative"),
        ]
        indexes = [
            models.Index(fields=["starts_on", "id"], name="contract_by_start"),
            models.Index(fields=["annual_value", "id"], name="contract_by_value"),
            models.Index(fields=["updated_at", "id"], name="contract_by_change"),
            models.Index(fields=["ends_on"], name="contract_by_end"),
            models.Index(
                fields=["-starts_on"],
                condition=Q(cancelled_on=None, terms_disclosed_on=None),
                name="contract_unexplained",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} until {self.ends_on}"
