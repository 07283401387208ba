"""Writing the insight library."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services.audit import write_audit
from pulsecheck.models import Insight


@transaction.atomic
def save_insight(insight: Insight, user: User) -> Insight:
    """A new insight, or other words, industries or days of one that is there."""
    action = "add_insight" if insight.pk is None else "change_insight"
    insight.written_by = insight.written_by or user
    insight.save()
    write_audit(
        user,
        action,
        insight,
        title=insight.title,
        valid=[insight.valid_from.isoformat(), insight.valid_until.isoformat()],
    )
    return insight


@transaction.atomic
def withdraw_insight(insight: Insight, user: User) -> Insight:
    """Nobody is offered it any more; what was told stays on record. A second time changes nothing."""
    insight = Insight.objects.select_for_update(of=("self",)).get(pk=insight.pk)
    if insight.withdrawn_at is None:
        insight.withdrawn_at = timezone.now()
        insight.save(update_fields=["withdrawn_at", "updated_at"])
        write_audit(user, "withdraw_insight", insight)
    return insight


@transaction.atomic
def restore_insight(insight: Insight, user: User) -> Insight:
    """Offer it again, as long as it is valid."""
    insight = Insight.objects.select_for_update(of=("self",)).get(pk=insight.pk)
    if insight.withdrawn_at is not None:
        insight.withdrawn_at = None
        insight.save(update_fields=["withdrawn_at", "updated_at"])
        write_audit(user, "restore_insight", insight)
    return insight
