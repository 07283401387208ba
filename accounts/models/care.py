"""What passes between us and a customer: contacts, grievances, promises, questions, and why customers leave."""

from __future__ import annotations

from django.db import models
from django.db.models import Case, F, Q, When

from accounts.links import sign_key
from accounts.models.account import Account, AccountRelatedQuerySet, Contact
from accounts.models.fields import Sourced, Stamped
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


class MessageClass(models.TextChoices):
    """What a message to a customer was for."""

    INFORMATION = "information", "Information"
    SERVICE = "service", "Service"
    PROMOTION = "promotion", "Promotion"


def usual_class(kind: str) -> str:
    """What a contact of this kind is for when nobody says: only a ticket says it by itself; "" = not said."""
    return MessageClass.SERVICE.value if kind == InteractionKind.TICKET else ""


class Interaction(Sourced):
    """Any contact with a customer that happened. `message_class` is what it was for, empty where nobody said so; it
    counts only for what we sent or said."""

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
    message_class = models.CharField(
        max_length=12, choices=MessageClass.choices, blank=True, default="", db_default=""
    )

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        ordering = ["-happened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["record_source", "external_id"], name="interaction_once_per_source"
            )
        ]
        indexes = [
            models.Index(fields=["happened_at", "id"], name="interaction_by_moment"),
            models.Index(fields=["updated_at", "id"], name="interaction_by_change"),
            models.Index(fields=["account", "-happened_at"], name="interaction_by_account"),
            models.Index(
                fields=["message_class", "-happened_at", "-id"],
                condition=Q(direction="out"),
                name="interaction_by_class",
            ),
            models.Index(
                fields=["-happened_at", "-id"], condition=Q(direction="out"), name="interaction_newest_out"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.happened_at:%Y-%m-%d}"


class Severity(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


# To sort issues by: the gravest first.
BY_SEVERITY = Case(When(severity="high", then=0), When(severity="low", then=2), default=1)


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
    resolution = models.TextField(blank=True, db_default="", help_text="What was done about it.")
    times_reopened = models.PositiveSmallIntegerField(default=0, db_default=0)
    told_at = models.DateTimeField(null=True, blank=True, help_text="When the customer heard what was done.")
    told_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    reaction = models.CharField(
        max_length=300, blank=True, db_default="", help_text="What they said when told."
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
            models.CheckConstraint(
                condition=Q(told_at__isnull=True) | Q(told_at__gte=F("opened_at")),
                name="issue_told_after_opened",
            ),
        ]
        indexes = [
            models.Index(fields=["updated_at", "id"], name="issue_by_change"),
            models.Index(fields=["opened_at", "id"], name="issue_by_day"),
            models.Index(
                fields=["opened_at", "id"], condition=Q(resolved_at__isnull=True), name="issue_open"
            ),
            models.Index(
                BY_SEVERITY,
                "opened_at",
                "id",
                condition=Q(resolved_at__isnull=True),
                name="issue_gravest_open",
            ),
            models.Index(
                fields=["resolved_at", "id"],
                condition=Q(resolved_at__isnull=False, told_at__isnull=True),
                name="issue_untold",
            ),
            models.Index(
                fields=["-told_at", "-id"], condition=Q(told_at__isnull=False), name="issue_newest_told"
            ),
        ]

    def __str__(self) -> str:
        return self.description[:80] or self.theme or self.external_id


class IssueReopening(models.Model):
    """An issue that was said to be solved and came back: solved at `resolved_at`, open again from `reopened_at` on.
    The issue itself holds when it was solved last, so that every past day can be told as it was."""

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="reopenings")
    resolved_at = models.DateTimeField()
    reopened_at = models.DateTimeField()
    reopened_by = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    reason = models.CharField(max_length=300)

    class Meta:
        ordering = ["reopened_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(reopened_at__gte=F("resolved_at")), name="reopened_after_resolved"
            )
        ]

    def __str__(self) -> str:
        return f"{self.issue} again on {self.reopened_at:%Y-%m-%d}"


class PromiseStatus(models.TextChoices):
    OPEN = "open", "Open"
    KEPT = "kept", "Kept"
    LATE = "late", "Kept late"
    BROKEN = "broken", "Broken"


class Promise(Sourced):
    """What one of us promised a customer, and whether it was kept. One that is still open after its day is overdue;
    it is broken when somebody says that it will not be kept."""

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
    made_to = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="promises", db_index=False
    )
    is_shared = models.BooleanField(
        default=False, db_default=False, help_text="The customer sees it on their page of promises."
    )
    broken_because = models.CharField(max_length=300, blank=True, db_default="")

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
        indexes = [
            models.Index(fields=["made_on", "id"], name="promise_by_beginning"),
            models.Index(fields=["updated_at", "id"], name="promise_by_change"),
            models.Index(fields=["due_on", "id"], name="promise_by_day"),
            models.Index(fields=["due_on", "id"], condition=Q(status="open"), name="promise_open"),
            models.Index(
                fields=["due_on", "id"],
                condition=Q(status__in=["open", "broken"]),
                name="promise_not_kept",
            ),
        ]

    def __str__(self) -> str:
        return self.text


class Enquiry(Sourced):
    """A question a customer asked; `responded_at` stops the response-time clock. What comes next is for
    `next_step_owner` until `next_step_due_on`."""

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
    responded_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    response = models.TextField(blank=True, db_default="", help_text="What they were told.")
    next_step_owner = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="enquiry_steps"
    )
    next_step_due_on = models.DateField(null=True, blank=True)
    next_step_done_at = models.DateTimeField(null=True, blank=True)

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
        indexes = [
            models.Index(fields=["updated_at", "id"], name="enquiry_by_change"),
            models.Index(fields=["received_at", "id"], name="enquiry_by_day"),
            models.Index(
                fields=["received_at", "id"], condition=Q(responded_at__isnull=True), name="enquiry_waiting"
            ),
            models.Index(
                fields=["-responded_at", "-id"],
                condition=Q(responded_at__isnull=False),
                name="enquiry_newest_answered",
            ),
        ]

    def __str__(self) -> str:
        return self.subject or f"Enquiry of {self.received_at:%Y-%m-%d}"


class PromisePage(Stamped):
    """The page on which a customer sees what we promised them and chose to show; whoever has the link may read it,
    until it is turned off. `token` is the key of the link, which is signed."""

    LINK = "accounts.promises"

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="promise_page")
    token = models.CharField(max_length=60, unique=True)
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)

    objects = AccountRelatedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Promises shown to {self.account}"

    @property
    def link(self) -> str:
        """What the address of the page ends with."""
        return sign_key(self.LINK, self.token)
