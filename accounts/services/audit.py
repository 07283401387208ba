"""Entries that say who did what."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from accounts.models import AuditEntry, User


def write_audit(user: User | None, action: str, subject: Model, **detail: Any) -> AuditEntry:
    """One entry in the transaction of the caller; `action` is the name of the service."""
    return AuditEntry.objects.create(
        user=user,
        action=action,
        subject=subject._meta.model_name or "",
        subject_id=subject.pk,
        detail=detail,
    )
