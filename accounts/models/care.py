"""What passes between us and a customer: contacts, grievances, promises, questions, and why customers leave."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from accounts.models.account import Account, AccountRelatedQuerySet, Contact
from accounts.models.fields import Sourced
from accounts.models.staff import User


class Side(models.TextChoices):
    SALES = "sales", "Sales"
    OPERATIONS = "operations", "Operations"
    BOTH = "both", "Sales and operations"
    NEITHER = "neither", "Neither"


class ChurnReason(models.Model):
    """Why a customer left: on whose side it lay, and whether we could have done something about it."""

    code = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    side = models.CharField(max_length=12, choices=Side.choices)
    is_controllable = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class InteractionKind(models.TextChoices):
    CALL = "call", "Call"
    EMAIL = "email", "E-mail"
    MEETING = "meeting", "Meeting"
    TICKET = "ticket", "Ticket"
    OTHER = "other", "Other"


class Direction(models.TextChoices):
    OUT = "out", "We contacted them"
    IN = "in", "They contacted us"


class Interaction(Sourced):
    """Any contact with a customer that happened."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="interactions", db_index=False
    )
    happened_at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=InteractionKind.choices)
    direction = models.CharField(
        max_length=3, choices=Direction.choices, default=Direction.OUT, db_default=Direction.OUT
    )
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="interactions", db_index=False
    )
    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="interactions"
    )
    subject = models.CharField(max_length=500, blank=True, db_default="")
    note = models.TextField(blank=True, db_default="")

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-happened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["record_source", "external_id"], name="interaction_once_per_source"
            )
        ]
        indexes = [models.Index(fields=["account", "-happened_at"], name="interaction_by_account")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.happened_at:%Y-%m-%d}"


class Severity(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


class Validity(models.TextChoices):
    UNKNOWN = "unknown", "Not judged yet"
    VALID = "valid", "Justified"
    PARTLY = "partly", "Partly justified"
    INVALID = "invalid", "Not justified"


class Issue(Sourced):
    """A grievance of a customer; open until `resolved_at`."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="issues")
    opened_at = models.DateTimeField()
    severity = models.CharField(
        max_length=10, choices=Severity.choices, default=Severity.MEDIUM, db_default=Severity.MEDIUM
    )
    theme = models.CharField(max_length=100, blank=True, db_default="")
    description = models.TextField(blank=True, db_default="")
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="issues")
    due_on = models.DateField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    validity = models.CharField(
        max_length=10, choices=Validity.choices, default=Validity.UNKNOWN, db_default=Validity.UNKNOWN
    )

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "external_id"], name="issue_once_per_source"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True) | Q(resolved_at__gte=F("opened_at")),
                name="issue_resolved_after_opened",
            ),
        ]

    def __str__(self) -> str:
        return self.description[:80] or self.theme or self.external_id


class PromiseStatus(models.TextChoices):
    OPEN = "open", "Open"
    KEPT = "kept", "Kept"
    LATE = "late", "Kept late"
    BROKEN = "broken", "Broken"


class Promise(Sourced):
    """What one of us promised a customer, and whether it was kept."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="promises")
    text = models.CharField(max_length=500)
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="promises")
    made_on = models.DateField()
    due_on = models.DateField()
    kept_on = models.DateField(null=True, blank=True)
    status = models.CharField(
        max_length=10,
        choices=PromiseStatus.choices,
        default=PromiseStatus.OPEN,
        db_default=PromiseStatus.OPEN,
    )

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "external_id"], name="promise_once_per_source"),
            models.CheckConstraint(condition=Q(due_on__gte=F("made_on")), name="promise_due_after_made"),
            models.CheckConstraint(
                condition=Q(kept_on__isnull=True) | Q(status__in=["kept", "late"]),
                name="promise_kept_on_means_kept",
            ),
        ]

    def __str__(self) -> str:
        return self.text


class Enquiry(Sourced):
    """A question a customer asked; `responded_at` stops the response-time clock."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="enquiries")
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="enquiries", db_index=False
    )
    received_at = models.DateTimeField()
    source = models.CharField(max_length=100, blank=True, db_default="")
    subject = models.CharField(max_length=500, blank=True, db_default="")
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="enquiries")
    next_step = models.CharField(max_length=300, blank=True, db_default="")
    responded_at = models.DateTimeField(null=True, blank=True)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "enquiries"
        ordering = ["received_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["record_source", "external_id"], name="enquiry_once_per_source"),
            models.CheckConstraint(
                condition=Q(responded_at__isnull=True) | Q(responded_at__gte=F("received_at")),
                name="enquiry_responded_after_received",
            ),
        ]

    def __str__(self) -> str:
        return self.subject or f"Enquiry of {self.received_at:%Y-%m-%d}"
