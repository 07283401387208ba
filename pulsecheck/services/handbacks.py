"""What people do about a handback: accept, decline, reassign, try, close; and what time does when they do nothing."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, ChurnReason, User
from accounts.permissions import LEADERS, has_role
from accounts.selectors import company_today, get_company
from accounts.services.audit import write_audit
from accounts.services.care import log_interaction
from notifications.models import Topic
from notifications.services import notify, notify_administrators
from pulsecheck.business_days import business_calendar
from pulsecheck.errors import CareError, HandbackConflict
from pulsecheck.handback import choose_person
from pulsecheck.models import Handback, HandbackAttempt
from pulsecheck.models.handbacks import AttemptKind, HandbackOutcome, HandbackState
from pulsecheck.selectors.staff import get_staff
from pulsecheck.services.opening import answer_by, let_see, tell_new_owner

TALKS = (AttemptKind.CALL, AttemptKind.EMAIL, AttemptKind.MEETING)


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
        raise HandbackConflict(_too_late(handback))
    if before != user.pk:
        handback.assigned_because = f"{user.name} took it over."
        handback.save(update_fields=["assigned_because", "updated_at"])
        let_see(handback.account, user)
    write_audit(user, "accept_handback", handback, before=before)
    return handback


def _too_late(handback: Handback) -> str:
    if handback.state == HandbackState.CLOSED:
        return f"This handback is closed already: {handback.get_outcome_display().lower()}."
    if handback.state == HandbackState.ACCEPTED:
        return f"{handback.salesperson or 'Somebody'} has accepted this handback already."
    return f"This handback has gone to {handback.salesperson or 'somebody else'} in the meantime."


def _locked(handback: Handback) -> Handback:
    """The row as it is now, ours until the transaction ends; an episode that is over cannot be changed."""
    found = Handback.objects.select_for_update(of=("self",)).select_related("account", "salesperson")
    current = found.get(pk=handback.pk)
    if current.state == HandbackState.CLOSED:
        raise HandbackConflict(_too_late(current))
    return current


@transaction.atomic
def decline_handback(handback: Handback, user: User, reason: str) -> Handback:
    """Pass it on to the next in line, with the reason; the clock starts anew. A second time changes nothing."""
    handback = _locked(handback)
    if handback.salesperson_id != user.pk:
        last = handback.attempts.last()
        if last is not None and last.kind == AttemptKind.DECLINE and last.user_id == user.pk:
            return handback
        raise HandbackConflict(_too_late(handback))
    _note(handback, user, AttemptKind.DECLINE, reason)
    account = handback.account
    choice = choose_person(
        get_staff(), account.original_salesperson_id, account.account_manager_id, decliners(handback)
    )
    _give_to(handback, choice.person_id, choice.because)
    write_audit(user, "decline_handback", handback, reason=reason, given_to=choice.person_id)
    tell_new_owner(handback, user)
    return handback


def decliners(handback: Handback) -> set[int]:
    """Whoever has declined this episode; it does not come back to them by itself."""
    declined = handback.attempts.filter(kind=AttemptKind.DECLINE, user__isnull=False)
    return {pk for pk in declined.values_list("user", flat=True) if pk is not None}


@transaction.atomic
def reassign_handback(handback: Handback, to: User, user: User, note: str = "") -> Handback:
    """A leader gives the episode to somebody who works here; the clock starts anew."""
    handback = _locked(handback)
    if handback.salesperson_id == to.pk:
        return handback
    if not to.is_active or to.left_on is not None:
        raise CareError(f"{to.name} has left. Choose somebody who works here.")
    _note(handback, user, AttemptKind.REASSIGN, f"To {to.name}. {note}".strip())
    before = handback.salesperson_id
    _give_to(handback, to.pk, f"{user.name} asked you to take it.")
    write_audit(user, "reassign_handback", handback, before=before, after=to.pk)
    tell_new_owner(handback, user)
    return handback


def _give_to(handback: Handback, person_id: int | None, because: str) -> None:
    handback.salesperson = User.objects.get(pk=person_id) if person_id else None
    handback.assigned_because = because[:200]
    handback.state = HandbackState.OPEN
    handback.accepted_at = handback.escalated_at = None
    handback.due_on = answer_by(company_today())
    handback.save()


def _note(
    handback: Handback,
    user: User | None,
    kind: str,
    note: str,
    *,
    has_reached: bool = False,
    submission: uuid.UUID | None = None,
) -> HandbackAttempt:
    return HandbackAttempt.objects.create(
        handback=handback,
        user=user,
        happened_at=timezone.now(),
        kind=kind,
        note=note[:500],
        has_reached=has_reached,
        submission=submission,
    )


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
    handback = _locked(handback)
    if submission and (known := HandbackAttempt.objects.filter(submission=submission).first()):
        return known
    if handback.state == HandbackState.OPEN and handback.salesperson_id == user.pk:
        handback = accept_handback(handback, user)
    subject = note or (
        "Spoke about the handback" if has_reached else "Tried to reach them about the handback"
    )
    log_interaction(handback.account, user, kind=kind, subject=subject[:500])
    return _note(handback, user, kind, note, has_reached=has_reached, submission=submission)


@transaction.atomic
def close_handback(
    handback: Handback, user: User, outcome: str, *, churn_reason: ChurnReason | None = None, note: str = ""
) -> Handback:
    """How it ended; a lost account needs a churn reason. A second time with the same outcome changes nothing."""
    if outcome == HandbackOutcome.LOST and churn_reason is None:
        raise CareError("Say why the customer left: choose a churn reason.")
    try:
        handback = _locked(handback)
    except HandbackConflict:
        known = Handback.objects.get(pk=handback.pk)
        if known.outcome == outcome and known.closed_by_id == user.pk:
            return known
        raise
    _refuse_onlookers(handback, user)
    handback.state, handback.outcome = HandbackState.CLOSED, outcome
    handback.closed_at, handback.closed_by = max(timezone.now(), handback.opened_at), user
    handback.churn_reason = churn_reason if outcome == HandbackOutcome.LOST else None
    handback.closing_note = note
    handback.save()
    write_audit(
        user, "close_handback", handback, outcome=outcome, churn_reason=churn_reason and churn_reason.code
    )
    if outcome == HandbackOutcome.SAVED:
        _thank(handback, user)
    return handback


def may_close(handback: Handback, user: User) -> bool:
    """Whoever has it, looks after the account or leads; anybody who sees it where nobody has it."""
    account = handback.account
    owners = {handback.salesperson_id, account.original_salesperson_id, account.account_manager_id}
    return handback.salesperson_id is None or user.pk in owners or has_role(user, *LEADERS)


def _refuse_onlookers(handback: Handback, user: User) -> None:
    if not may_close(handback, user):
        raise CareError(f"{handback.salesperson} has this handback: ask them, or a manager, to close it.")


def dismiss_risk(handback: Handback, user: User, reason: str) -> Handback:
    """ "Not a risk": a false alarm, with the reason."""
    return close_handback(handback, user, HandbackOutcome.FALSE_ALARM, note=reason)


def _thank(handback: Handback, closer: User) -> None:
    """Everybody who had a hand in it hears that the customer stays."""
    hands = {handback.salesperson_id, handback.account.account_manager_id}
    hands |= set(handback.attempts.filter(kind__in=TALKS).values_list("user", flat=True))
    others = [pk for pk in hands if pk is not None and pk != closer.pk]
    for person in User.objects.filter(pk__in=others, is_active=True):
        notify(
            person,
            Topic.THANKS,
            f"{handback.account.name} stays. Thank you for your part in it.",
            account=handback.account,
            body=handback.closing_note,
            path=f"/handbacks/{handback.pk}/",
            dedupe_key=f"thanks:{handback.pk}",
        )


# ── when nobody answers ────────────────────────────────────────────────
def escalate_overdue(today: dt.date) -> int:
    """Tell a manager, once, of every handback whose day to answer is over; how many there were.

    On working days only: what was due on Friday evening is nobody's neglect on Saturday.
    """
    if not business_calendar(get_company().country).is_business_day(today):
        return 0
    overdue = Handback.objects.filter(state=HandbackState.OPEN, due_on__lt=today, escalated_at=None)
    ids = list(overdue.order_by("due_on", "pk").values_list("pk", flat=True))
    return sum(_escalate(pk, today) for pk in ids)


@transaction.atomic
def _escalate(pk: int, today: dt.date) -> bool:
    """False when it was answered, or escalated by somebody else, in the meantime."""
    still = Handback.objects.filter(pk=pk, state=HandbackState.OPEN, due_on__lt=today, escalated_at=None)
    if not still.update(escalated_at=timezone.now()):
        return False
    handback = Handback.objects.select_related("account", "salesperson").get(pk=pk)
    manager = _manager_over(handback)
    told = manager.name if manager else "the administrators"
    _note(handback, None, AttemptKind.ESCALATE, f"Not answered by {handback.due_on}. {told} was told.")
    write_audit(None, "escalate_handback", handback, told=manager and manager.pk)
    _tell_of_overdue(handback, manager)
    return True


def _manager_over(handback: Handback) -> User | None:
    """The manager of the team of whoever has it (of whoever won the account when nobody has it), else of the company."""
    staff = get_staff()
    whose = handback.salesperson_id or handback.account.original_salesperson_id or 0
    person = staff.people.get(whose)
    candidates = [person.team_manager_id if person else None, *staff.company_managers]
    found = next((pk for pk in candidates if staff.is_here(pk) and pk != handback.salesperson_id), None)
    return User.objects.get(pk=found) if found else None


def _tell_of_overdue(handback: Handback, manager: User | None) -> None:
    who, account = handback.salesperson or "Nobody", handback.account
    title = f"{account.name}: the handback is not answered"
    body = f"{who} was to answer by {handback.due_on:%A}, {handback.due_on.day} {handback.due_on:%B}. Ask, or give it to somebody else."
    path, key = f"/handbacks/{handback.pk}/", f"escalate:{handback.pk}:{handback.due_on}"
    if manager is None:
        notify_administrators(title, body=body, path=path, dedupe_key=key)
        return
    let_see(Account.objects.get(pk=account.pk), manager)
    notify(manager, Topic.ESCALATION, title, account=account, body=body, path=path, dedupe_key=key)
