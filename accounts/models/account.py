"""Customers, the people there, and our people who look after them."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Upper

from accounts.models.fields import CurrencyField, MoneyField, Sourced, Stamped
from accounts.models.staff import Role, User


class AccountQuerySet(models.QuerySet["Account"]):
    def visible_to(self, user: User) -> Self:
        """The accounts `user` may see: everything for administrators and marketing, for a manager what the
        teams they manage (or, managing none, the whole company) look after, else one's own, those one is a member of,
        and those of people one stands in for."""
        condition = visible_accounts(user)
        return self if condition is None else self.filter(condition)

    def looked_after_by(self, user: User) -> Self:
        """Accounts that `user` won or manages now."""
        return self.filter(Q(original_salesperson=user) | Q(account_manager=user))


def visible_accounts(user: User, prefix: str = "") -> Q | None:
    """Which accounts `user` sees, as a condition on rows whose account is reached by `prefix` ("account__");
    None means all of them. The one place where this is decided."""
    if not user.is_active:
        return Q(pk__in=[])
    if user.is_superuser or user.role in {Role.ADMINISTRATOR, Role.MARKETING}:
        return None
    mine = Q(**{f"{prefix}original_salesperson": user}) | Q(**{f"{prefix}account_manager": user})
    if user.member_account_ids:
        mine |= Q(**{f"{prefix}pk__any_of": user.member_account_ids})
    if user.stood_in_for_ids:
        absent = user.stood_in_for_ids
        mine |= Q(**{f"{prefix}original_salesperson__in": absent})
        mine |= Q(**{f"{prefix}account_manager__in": absent})
    if user.role != Role.MANAGER:
        return mine
    if not user.managed_team_ids:
        return None
    staff = user.managed_staff_ids
    return (
        mine
        | Q(**{f"{prefix}original_salesperson__in": staff})
        | Q(**{f"{prefix}account_manager__in": staff})
    )


class AccountRelatedQuerySet(models.QuerySet):
    """Rows that belong to an account are seen by whoever sees the account."""

    def visible_to(self, user: User) -> Self:
        condition = visible_accounts(user, prefix="account__")
        return self if condition is None else self.filter(condition)


class BillingMode(models.TextChoices):
    REPEAT = "repeat", "Repeat purchase"
    CONTRACT = "contract", "Contract"
    BOTH = "both", "Both"


class LifecycleStage(models.TextChoices):
    PROSPECT = "prospect", "Prospect"
    CUSTOMER = "customer", "Customer"
    FORMER = "former", "Former customer"


class Account(Sourced):
    """A customer, company or person. `original_salesperson` won it and is kept for ever; `account_manager`
    looks after it now. `source` and `campaign` say how it was won, `record_source` which file or system it is from."""

    name = models.CharField(max_length=200)
    segment = models.CharField(max_length=100, blank=True, db_default="")
    industry = models.CharField(max_length=100, blank=True, db_default="")
    region = models.CharField(max_length=100, blank=True, db_default="")
    country = models.CharField(max_length=100, blank=True, db_default="")
    currency = CurrencyField()
    billing_mode = models.CharField(
        max_length=10, choices=BillingMode.choices, default=BillingMode.REPEAT, db_default=BillingMode.REPEAT
    )
    lifecycle_stage = models.CharField(
        max_length=20,
        choices=LifecycleStage.choices,
        default=LifecycleStage.CUSTOMER,
        db_default=LifecycleStage.CUSTOMER,
    )
    became_customer_on = models.DateField(null=True, blank=True)
    source = models.CharField(max_length=100, blank=True, db_default="")
    campaign = models.CharField(max_length=100, blank=True, db_default="")
    acquisition_cost = MoneyField(null=True, blank=True)
    original_salesperson = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts_won"
    )
    account_manager = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts_managed"
    )
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children"
    )

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "external_id"], name="account_once_per_source"),
            models.CheckConstraint(
                condition=Q(acquisition_cost__isnull=True) | Q(acquisition_cost__gte=0),
                name="acquisition_cost_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=models.F("pk")), name="account_not_own_parent"
            ),
        ]
        indexes = [
            models.Index("name", "id", name="account_by_name"),
            models.Index(fields=["updated_at", "id"], name="account_by_change"),
            models.Index(fields=["-became_customer_on", "id"], name="account_newest"),
            # whose an account is, without reading its row: somebody's accounts lie all over the table
            models.Index(fields=["original_salesperson", "id"], name="account_by_salesperson"),
            models.Index(fields=["account_manager", "id"], name="account_by_manager"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="account_name_search"),
        ]

    def __str__(self) -> str:
        return self.name


class MemberRole(models.TextChoices):
    SALES = "sales", "Sales"
    OPERATIONS = "operations", "Operations"
    SERVICE = "service", "Customer service"
    DELIVERY = "delivery", "Delivery"
    FINANCE = "finance", "Finance"
    OTHER = "other", "Other"


class AccountMember(Stamped):
    """One of the retention team of an account: anybody of ours, of any department, who keeps that customer."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=MemberRole.choices, default=MemberRole.OTHER)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "user"], name="member_once_per_account")]

    def __str__(self) -> str:
        return f"{self.user} for {self.account}"


class OwnerRole(models.TextChoices):
    SALES = "sales", "Original salesperson"
    OPERATIONS = "operations", "Account manager"


class OwnerChange(models.Model):
    """Another of ours looks after an account from `changed_at` on; nobody where `to_user` is empty.

    Only ever added, and by the database itself (trigger `owner_change`), whichever way the account was changed: by a
    person, a file, a CRM, or because somebody left. Owners an account had from its first record on are no change.
    """

    derived_rows = Q(pk__isnull=False)  # follows from the account: no reason to keep an import that is undone
    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="owner_changes", db_index=False
    )
    role = models.CharField(max_length=12, choices=OwnerRole.choices)
    from_user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    to_user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    changed_at = models.DateTimeField(db_default=Now())

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-changed_at", "-pk"]
        indexes = [
            models.Index(fields=["account", "-changed_at"], name="owner_change_by_account"),
            models.Index(fields=["from_user", "changed_at"], name="owner_change_by_former"),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} of {self.account}: {self.to_user or 'nobody'}"


class ContactRole(models.TextChoices):
    DECISION_MAKER = "decision_maker", "Decides"
    CHAMPION = "champion", "Champion"
    USER = "user", "User"
    BILLING = "billing", "Billing"
    BLOCKER = "blocker", "Blocker"
    OTHER = "other", "Other"


class Contact(Sourced):
    """A person at the customer."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="contacts")
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True, db_default="")
    phone = models.CharField(max_length=60, blank=True, db_default="")
    job_title = models.CharField(max_length=120, blank=True, db_default="")
    role = models.CharField(
        max_length=20, choices=ContactRole.choices, default=ContactRole.OTHER, db_default=ContactRole.OTHER
    )
    is_active = models.BooleanField(default=True, db_default=True)
    left_on = models.DateField(null=True, blank=True)
    marketing_consent = models.BooleanField(default=False, db_default=False)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "external_id"], name="contact_once_per_source")
        ]
        indexes = [
            models.Index(fields=["name", "id"], name="contact_by_name"),
            models.Index(fields=["updated_at", "id"], name="contact_by_change"),
            models.Index(Upper("email"), name="contact_by_email"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="contact_name_search"),
        ]

    def __str__(self) -> str:
        return self.name
