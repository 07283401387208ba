"""What other programs are told of the care loop; written in the transaction in which it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import prefetch_related_objects

from notifications.models import EventKind
from notifications.services.webhooks import Fact, is_anybody_listening, publish
from pulsecheck.models import Handback, PulseCheck


def announce_opened(handbacks: Sequence[Handback]) -> None:
    """They were opened just now."""
    if handbacks and is_anybody_listening(EventKind.HANDBACK_OPENED):
        prefetch_related_objects(handbacks, "salesperson")
        publish(Fact(EventKind.HANDBACK_OPENED, row.account_id, _handback(row)) for row in handbacks)


def announce_closed(handback: Handback) -> None:
    """It ended, and how."""
    if is_anybody_listening(EventKind.HANDBACK_CLOSED):
        ended = {
            "outcome": handback.outcome,
            "churn_reason": handback.churn_reason and handback.churn_reason.code,
            "closed_at": handback.closed_at,
            "closed_by": handback.closed_by and handback.closed_by.email,
        }
        publish([Fact(EventKind.HANDBACK_CLOSED, handback.account_id, _handback(handback) | ended)])


def _handback(handback: Handback) -> dict[str, Any]:
    return {
        "handback_id": handback.pk,
        "trigger": handback.trigger,
        "salesperson": handback.salesperson and handback.salesperson.email,
        "opened_at": handback.opened_at,
        "due_at": handback.due_at,
        "revenue_at_risk": handback.revenue_at_risk,
        "currency": handback.currency,
    }


def announce_pulse(pulse: PulseCheck) -> None:
    """Somebody wrote down how a customer feels; what was said in words stays here."""
    if is_anybody_listening(EventKind.PULSE_LOGGED):
        told = {
            "pulse_check_id": pulse.pk,
            "score": pulse.score,
            "taken_at": pulse.taken_at,
            "taken_by": pulse.taken_by.email,
            "themes": [theme.code for theme in pulse.themes.all()],
            "next_step_due_on": pulse.next_step_due_on,
        }
        publish([Fact(EventKind.PULSE_LOGGED, pulse.account_id, told)])
