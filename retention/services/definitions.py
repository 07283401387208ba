"""When a customer counts as having left: new versions, never edits."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from accounts.services.audit import write_audit
from retention.models import Definition
from retention.services.versions import add_version

SAVED = ("horizon_days", "inactive_floor_days", "inactive_ceiling_days", "grace_days")


def save_definition(by: User, definition: Definition) -> Definition:
    """A new version of the definition of its segment and billing mode; the next run uses it."""
    with transaction.atomic():
        add_version(definition, by, segment=definition.segment, billing_mode=definition.billing_mode)
        write_audit(
            by,
            "save_definition",
            definition,
            segment=definition.segment,
            billing_mode=definition.billing_mode,
            version=definition.version,
            **{name: getattr(definition, name) for name in SAVED},
        )
    return definition
