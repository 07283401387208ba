"""What people do about a handback: accept, decline, reassign, try."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.models.care import MessageClass
from accounts.services.audit import write_audit
from accounts.services.care import log_interaction
from pulsecheck.errors import CareError, HandbackConflict
from pulsecheck.handback import choose_person
from pulsecheck.models import Handback, HandbackAttempt
from pulsecheck.models.handbacks import AttemptKind, HandbackState
from pulsecheck.selectors.staff import get_staff
from pulsecheck.services.opening import let_see, tell_new_owner
from pulsecheck.services.passing import give_to, locked, passed_over, too_late, write_line


@transaction.atomic
def accept_handback(handback: Handback, user: User) -> Handback:
    """`user` has the episode now. Of many who try at once one wins; the others, and whoever looks at a page from before
    it went to somebody else (`handback.salesperson` is who that page said has it), get a HandbackConflict."""
    now, before = timezone.now(), handback.salesperson_id
    offered = Q(salesperson=before) | Q(salesperson=user)
    won = Handback.objects.filter(offered, pk=handback.pk, state=HandbackState.OPEN).update(
        state=HandbackState.ACCEPTED, accepted_at=now, salesperson=user, updated_at=now
    )
    handback = Handback.objects.select_related("account", "salesperson").get(pk=handback.pk)
    if not won:
        if handback.state == HandbackState.ACCEPTED and handback.salesperson_id == user.pk:
            return handback
        raise HandbackConflict(too_late(handback))
    if before != user.pk:
        handback.assigned_because = f"{user.name} took it over."
        handback.save(update_fields=["assigned_because", "updated_at"])
        let_see(handback.account, user)
    write_audit(user, "accept_handback", handback, before=before)
    return handback


@transaction.atomic
def decline_handback(handback: Handback, user: User, reason: str) -> Handback:
    """Pass it on to the next in line, with the reason; the clock starts anew. A second time changes nothing."""
    handback = locked(handback)
    if handback.salesperson_id != user.pk:
        last = handback.attempts.last()
        if last is not None and last.kind == AttemptKind.DECLINE and last.user_id == user.pk:
            return handback
        raise HandbackConflict(too_late(handback))
    write_line(handback, user, AttemptKind.DECLINE, reason)
    account = handback.account
    choice = choose_person(
        get_staff(), account.original_salesperson_id, account.account_manager_id, passed_over(handback)
    )
    give_to(handback, choice.person_id, choice.because)
    write_audit(user, "decline_handback", handback, reason=reason, given_to=choice.person_id)
    tell_new_owner(handback, user)
    return handback


@transaction.atomic
def reassign_handback(handback: Handback, to: User, user: User, note: str = "") -> Handback:
    """A leader gives the episode to somebody who works here; the clock starts anew."""
    handback = locked(handback)
    if handback.salesperson_id == to.pk:
        return handback
    if not to.is_active or to.left_on is not None:
        raise CareError(f"{to.name} has left. Choose somebody who works here.")
    write_line(handback, user, AttemptKind.REASSIGN, f"To {to.name}. {note}".strip())
    before = handback.salesperson_id
    give_to(handback, to.pk, f"{user.name} asked you to take it.")
    write_audit(user, "reassign_handback", handback, before=before, after=to.pk)
    tell_new_owner(handback, user)
    return handback


@transaction.atomic
def log_attempt(
    handback: Handback,
    user: User,
    *,
    kind: str = AttemptKind.CALL,
    has_reached: bool = False,
    note: str = "",
    submission: uuid.UUID | None = None,
) -> HandbackAttempt:
    """A call, mail or meeting about the handback; it stands in the account's history too. Trying is accepting. The same
    `submission` (of a form sent twice) counts once."""
    handback = locked(handback)
    if submission and (known := HandbackAttempt.objects.filter(submission=submission).first()):
        return known
    if handback.state == HandbackState.OPEN and handback.salesperson_id == user.pk:
        handback = accept_handback(handback, user)
    subject = note or (
        "Spoke about the handback" if has_reached else "Tried to reach them about the handback"
    )
    log_interaction(
        handback.account, user, kind=kind, subject=subject[:500], message_class=MessageClass.SERVICE
    )
    return write_line(handback, user, kind, note, has_reached=has_reached, submission=submission)
