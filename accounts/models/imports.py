"""Imports: what came in, what it changed, what was refused, and how to take it back."""

from __future__ import annotations

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from accounts.models.fields import Stamped
from accounts.models.staff import Role, User


class ImportState(models.TextChoices):
    UPLOADED = "uploaded", "Waiting for you"
    QUEUED = "queued", "Waiting to start"
    RUNNING = "running", "Running"
    PREVIEWED = "previewed", "Previewed"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    UNDONE = "undone", "Undone"


class ImportRunQuerySet(models.QuerySet["ImportRun"]):
    def visible_to(self, user: User) -> Self:
        """Imports are the business of administrators and managers."""
        allowed = user.is_active and (user.is_superuser or user.role in {Role.ADMINISTRATOR, Role.MANAGER})
        return self if allowed else self.none()


class ImportRun(Stamped):
    """One file, or one batch from the API or a CRM, on its way through the door."""

    kind = models.CharField(max_length=20, blank=True)
    record_source = models.CharField(max_length=60, default="file")
    file_name = models.CharField(max_length=255, blank=True, help_text="As the person called it.")
    stored_file = models.CharField(
        max_length=255, blank=True, help_text="Below the data directory; empty when deleted."
    )
    options = models.JSONField(default=dict, help_text="Column mapping and choices.")
    state = models.CharField(max_length=12, choices=ImportState.choices, default=ImportState.UPLOADED)
    is_dry_run = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    rows_read = models.PositiveBigIntegerField(default=0)
    rows_created = models.PositiveBigIntegerField(default=0)
    rows_changed = models.PositiveBigIntegerField(default=0)
    rows_unchanged = models.PositiveBigIntegerField(default=0)
    rows_rejected = models.PositiveBigIntegerField(default=0)
    accounts_created = models.PositiveBigIntegerField(default=0)
    bytes_read = models.PositiveBigIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(default=0)
    examples = models.JSONField(
        default=dict, encoder=DjangoJSONEncoder, help_text="A few rows of each outcome."
    )
    message = models.TextField(blank=True, help_text="What went wrong, in one sentence.")

    objects = ImportRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.kind} from {self.file_name or self.record_source}"

    @property
    def kind_label(self) -> str:
        return self.kind.replace("_", " ").capitalize()

    @property
    def rows_written(self) -> int:
        """Rows that are, or in a preview would be, new or changed."""
        return self.rows_created + self.rows_changed


class RejectedRow(models.Model):
    """A row that was refused, as it stood in the file."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="rejected")
    line_number = models.PositiveBigIntegerField()
    column = models.CharField(max_length=200, blank=True)
    value = models.TextField(blank=True)
    reason = models.CharField(max_length=500)
    raw = models.JSONField(default=list, help_text="The cells of the row, in file order.")

    class Meta:
        ordering = ["run", "line_number", "pk"]

    def __str__(self) -> str:
        return f"Line {self.line_number}: {self.reason}"


class ImportChange(models.Model):
    """The row as it was before an import changed it; created rows carry `import_run` themselves."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="changes")
    table = models.CharField(max_length=60)
    row_id = models.PositiveBigIntegerField()
    before = models.JSONField(encoder=DjangoJSONEncoder)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "table", "row_id"], name="change_once_per_run")]

    def __str__(self) -> str:
        return f"{self.table} {self.row_id}"
