"""Who did what, when; rows are only ever added."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now

from accounts.models.staff import User


class AuditEntry(models.Model):
    """One decision or change worth answering for later."""

    at = models.DateTimeField(db_default=Now())
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=60, help_text="verb_object, as the service is called")
    subject = models.CharField(max_length=60, help_text="The kind of record, such as handback")
    subject_id = models.PositiveBigIntegerField(null=True)
    detail = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-pk"]
        indexes = [models.Index(fields=["subject", "subject_id"], name="audit_by_subject")]

    def __str__(self) -> str:
        return f"{self.action} {self.subject} {self.subject_id}"
