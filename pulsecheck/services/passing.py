"""A handback changes hands: what all ways of passing it on share."""

from __future__ import annotations

import uuid

from django.utils import timezone

from accounts.models import User
from accounts.selectors import get_company
from pulsecheck.errors import HandbackConflict
from pulsecheck.handback import DECLINED, SILENT
from pulsecheck.models import Handback, HandbackAttempt
from pulsecheck.models.handbacks import AttemptKind, HandbackState
from pulsecheck.services.opening import answer_by


def too_late(handback: Handback) -> str:
    """Why this handback cannot be changed any more, for whoever tried."""
    if handback.state == HandbackState.CLOSED:
        return f"This handback is closed already: {handback.get_outcome_display().lower()}."
    if handback.state == HandbackState.ACCEPTED:
        return f"{handback.salesperson or 'Somebody'} has accepted this handback already."
    return f"This handback has gone to {handback.salesperson or 'somebody else'} in the meantime."


def locked(handback: Handback) -> Handback:
    """The row as it is now, ours until the transaction ends; an episode that is over cannot be changed."""
    found = Handback.objects.select_for_update(of=("self",)).select_related("account", "salesperson")
    current = found.get(pk=handback.pk)
    if current.state == HandbackState.CLOSED:
        raise HandbackConflict(too_late(current))
    return current


def passed_over(handback: Handback) -> dict[int, str]:
    """Whoever has declined this episode or let it lie, and which; it does not come back to them by itself."""
    rows = handback.attempts.filter(
        kind__in=[AttemptKind.DECLINE, AttemptKind.PASS_ON], user__isnull=False
    ).values_list("user", "kind")
    return {pk: DECLINED if kind == AttemptKind.DECLINE else SILENT for pk, kind in rows if pk is not None}


def give_to(handback: Handback, person_id: int | None, because: str) -> None:
    """It is theirs to answer from now on; the clock starts anew."""
    handback.salesperson = User.objects.get(pk=person_id) if person_id else None
    handback.assigned_because = because[:200]
    handback.state = HandbackState.OPEN
    handback.accepted_at = handback.escalated_at = None
    handback.due_at = answer_by(handback.salesperson)
    handback.due_on = get_company().local_date(handback.due_at)
    handback.save()


def write_line(
    handback: Handback,
    user: User | None,
    kind: str,
    text: str,
    *,
    has_reached: bool = False,
    submission: uuid.UUID | None = None,
) -> HandbackAttempt:
    """One line of what was done about it."""
    return HandbackAttempt.objects.create(
        handback=handback,
        user=user,
        happened_at=timezone.now(),
        kind=kind,
        note=text[:500],
        has_reached=has_reached,
        submission=submission,
    )
