"""What time does to a handback that nobody answers, or whose person is gone: it is escalated, then passed on."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, User
from accounts.selectors import company_today, get_company
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import notify, notify_administrators
from pulsecheck.business_days import business_calendar
from pulsecheck.handback import SILENT, Staff, choose_person
from pulsecheck.models import Handback, HandbackPolicy
from pulsecheck.models.handbacks import AttemptKind, HandbackState
from pulsecheck.selectors.staff import get_staff
from pulsecheck.selectors.triggers import get_handback_policy, office_hours
from pulsecheck.services.opening import let_see, say_until, tell_new_owner
from pulsecheck.services.passing import give_to, passed_over, write_line


def look_after_waiting() -> tuple[int, int]:
    """Everything that time calls for; how many handbacks were escalated and how many passed on. Ringing too often changes
    nothing."""
    return escalate_overdue(), pass_on_unanswered() + pass_on_of_the_gone()


# ── first a manager hears of it ────────────────────────────────────────
def _overdue(now: dt.datetime) -> Q:
    """Past the moment it is due; where only a day was noted, after that day, and told on a working day only: what was due
    on Friday evening is nobody's neglect on Saturday."""
    late = Q(due_at__lt=now)
    today = company_today()
    if business_calendar(get_company().country).is_business_day(today):
        late |= Q(due_at=None, due_on__lt=today)
    return late


def escalate_overdue() -> int:
    """Tell a manager, once, of every handback whose time to answer is over; how many there were."""
    overdue = Handback.objects.filter(_overdue(timezone.now()), state=HandbackState.OPEN, escalated_at=None)
    ids = list(overdue.order_by("due_on", "pk").values_list("pk", flat=True))
    return sum(_escalate(pk) for pk in ids)


@transaction.atomic
def _escalate(pk: int) -> bool:
    """False when it was answered, or escalated by somebody else, in the meantime."""
    now = timezone.now()
    still = Handback.objects.filter(_overdue(now), pk=pk, state=HandbackState.OPEN, escalated_at=None)
    if not still.update(escalated_at=now):
        return False
    handback = Handback.objects.select_related("account", "salesperson").get(pk=pk)
    manager = _manager_over(handback)
    told = manager.name if manager else "the administrators"
    write_line(handback, None, AttemptKind.ESCALATE, f"Not answered by {_until(handback)}. {told} was told.")
    write_audit(None, "escalate_handback", handback, told=manager and manager.pk)
    _tell_of_overdue(handback, manager)
    return True


def _until(handback: Handback) -> str:
    return say_until(handback.due_at, handback.salesperson) if handback.due_at else str(handback.due_on)


def _manager_over(handback: Handback) -> User | None:
    """The manager of the team of whoever has it (of whoever won the account when nobody has it), else of the company."""
    staff = get_staff()
    whose = handback.salesperson_id or handback.account.original_salesperson_id or 0
    person = staff.people.get(whose)
    candidates = [person.team_manager_id if person else None, *staff.company_managers]
    others = [pk for pk in candidates if pk != handback.salesperson_id]
    found = next((pk for able in (staff.is_free, staff.is_here) for pk in others if able(pk)), None)
    return User.objects.get(pk=found) if found else None


def _tell_of_overdue(handback: Handback, manager: User | None) -> None:
    who, account = handback.salesperson or "Nobody", handback.account
    title = f"{account.name}: the handback is not answered"
    body = f"{who} was to answer by {_until(handback)}. Ask, or give it to somebody else."
    path, key = f"/handbacks/{handback.pk}/", f"escalate:{handback.pk}:{handback.due_at or handback.due_on}"
    if manager is None:
        notify_administrators(title, body=body, path=path, dedupe_key=key)
        return
    let_see(Account.objects.get(pk=account.pk), manager)
    notify(manager, Topic.ESCALATION, title, account=account, body=body, path=path, dedupe_key=key)


# ── then it goes to the next in line ───────────────────────────────────
def pass_on_unanswered() -> int:
    """Give what is still unanswered some office hours after its escalation to the next in line; how many."""
    policy = get_handback_policy()
    escalated = Handback.objects.filter(
        state=HandbackState.OPEN, escalated_at__lt=timezone.now(), salesperson__isnull=False
    )
    ids = list(escalated.order_by("pk").values_list("pk", flat=True))
    return sum(_pass_on_silent(pk, policy) for pk in ids)


@transaction.atomic
def _pass_on_silent(pk: int, policy: HandbackPolicy) -> bool:
    """False while there is time, when it was answered, and when there is nobody else to ask."""
    handback = _locked(pk, HandbackState.OPEN)
    if handback is None or handback.escalated_at is None or handback.salesperson is None:
        return False
    waited = office_hours(handback.salesperson, policy).between(handback.escalated_at, timezone.now())
    if waited < dt.timedelta(hours=policy.pass_on_hours):
        return False
    return _to_the_next(handback, get_staff(), SILENT)


def pass_on_of_the_gone() -> int:
    """Give the unanswered handbacks of people who are away, and all unfinished ones of people who have left, to the next
    in line; how many."""
    staff = get_staff()
    gone = [pk for pk in staff.people if not staff.is_here(pk)]
    away = [pk for pk in staff.people if staff.is_here(pk) and not staff.is_free(pk)]
    rows = Handback.objects.unfinished().filter(
        Q(salesperson__in=gone) | Q(salesperson__in=away, state=HandbackState.OPEN)
    )
    ids = list(rows.order_by("pk").values_list("pk", flat=True))
    return sum(_pass_on_gone(pk, staff) for pk in ids)


@transaction.atomic
def _pass_on_gone(pk: int, staff: Staff) -> bool:
    handback = _locked(pk, HandbackState.OPEN, HandbackState.ACCEPTED)
    if handback is None or staff.is_free(handback.salesperson_id):
        return False
    if staff.is_here(handback.salesperson_id) and handback.state != HandbackState.OPEN:
        return False
    return _to_the_next(handback, staff, "is away" if staff.is_here(handback.salesperson_id) else "has left")


def _locked(pk: int, *states: str) -> Handback | None:
    found = Handback.objects.select_for_update(of=("self",)).select_related("account", "salesperson")
    return found.filter(pk=pk, state__in=states).first()


def _to_the_next(handback: Handback, staff: Staff, why: str) -> bool:
    """False when nobody else could do better: it stays where it is, and its manager knows."""
    before, account = handback.salesperson, handback.account
    out = passed_over(handback) | ({before.pk: why} if before else {})
    choice = choose_person(staff, account.original_salesperson_id, account.account_manager_id, out)
    if not staff.is_free(choice.person_id):
        return False
    write_line(handback, before, AttemptKind.PASS_ON, f"{before} {why}.")
    give_to(handback, choice.person_id, choice.because)
    write_audit(None, "pass_on_handback", handback, before=before and before.pk, after=choice.person_id)
    tell_new_owner(handback)
    return True
