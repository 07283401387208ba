"""Opening handbacks: one by a person, many by a nightly run; never two unfinished ones for an account."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, AccountMember, AuditEntry, User
from accounts.models.account import MemberRole
from accounts.selectors import company_today, get_company, get_exchange_rates
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import Message, notify_administrators, notify_all
from pulsecheck.business_days import business_calendar
from pulsecheck.handback import (
    ANSWER_IN_DAYS,
    COOL_DOWN,
    WON_IT,
    Candidate,
    Choice,
    Staff,
    choose_person,
    is_too_soon,
    within_budget,
)
from pulsecheck.models import Handback
from pulsecheck.models.handbacks import HandbackOutcome, HandbackState, HandbackTrigger
from pulsecheck.risk import RiskSnapshot
from pulsecheck.selectors.staff import get_staff

Wanted = tuple[int, RiskSnapshot, str]


@dataclass(frozen=True)
class Opened:
    """What a night led to: handbacks opened; reasons joined to open ones; accounts closed too recently to ask again;
    accounts left for a later night because their person has enough."""

    opened: int = 0
    joined: int = 0
    too_soon: int = 0
    over_budget: int = 0


def answer_by(today: dt.date) -> dt.date:
    """The day until which a handback given today is to be answered."""
    return business_calendar(get_company().country).after(today, ANSWER_IN_DAYS)


@transaction.atomic
def open_handback(
    account: Account, risk: RiskSnapshot, trigger: str = HandbackTrigger.MANUAL, opened_by: User | None = None
) -> Handback:
    """Give `account` back to whoever won it, or the next in line. With one unfinished already, the reason joins it."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    unfinished = Handback.objects.unfinished().filter(account=account).first()
    if unfinished is not None:
        if join_reason(unfinished, risk, trigger):
            unfinished.save(update_fields=["risk", "updated_at"])
            write_audit(opened_by, "join_handback", unfinished, trigger=trigger)
        return unfinished
    choice = choose_person(get_staff(), account.original_salesperson_id, account.account_manager_id)
    handback = make_handback(account.pk, risk, trigger, choice, is_sample=account.is_sample)
    handback.opened_by = opened_by
    handback.save()
    write_audit(opened_by, "open_handback", handback, trigger=trigger, salesperson=choice.person_id)
    tell_new_owner(handback, opened_by)
    return handback


def make_handback(
    account_id: int, risk: RiskSnapshot, trigger: str, choice: Choice, *, is_sample: bool
) -> Handback:
    """The row, not yet saved."""
    return Handback(
        account_id=account_id,
        salesperson_id=choice.person_id,
        assigned_because=choice.because[:200],
        trigger=trigger,
        risk=risk.as_record(),
        revenue_at_risk=risk.revenue_at_risk,
        currency=risk.currency,
        opened_at=timezone.now(),
        due_on=answer_by(company_today()),
        is_sample=is_sample,
    )


def join_reason(handback: Handback, risk: RiskSnapshot, trigger: str) -> bool:
    """Note a further reason on an unfinished handback; False when it is already there."""
    further = handback.risk.setdefault("further", [])
    if trigger == handback.trigger or any(entry["trigger"] == trigger for entry in further):
        return False
    sentence = risk.reasons[0]["sentence"] if risk.reasons else ""
    further.append({"trigger": trigger, "on": company_today(), "sentence": sentence})
    return True


def tell_new_owner(handback: Handback, by: User | None = None) -> None:
    """Make sure the person sees the account, and say that it is theirs; with nobody, tell the administrators."""
    path, name = f"/handbacks/{handback.pk}/", handback.account.name
    if handback.salesperson is None:
        title = f"Nobody can take the handback of {name}"
        notify_administrators(
            title, body=handback.assigned_because, path=path, dedupe_key=f"nobody:{handback.pk}"
        )
        return
    let_see(handback.account, handback.salesperson)
    if handback.salesperson != by:
        body = f"{handback.assigned_because} Please answer by {handback.due_on:%A}, {handback.due_on.day} {handback.due_on:%B}."
        message = Message(
            handback.salesperson,
            Topic.HANDBACK,
            f"{name} is handed back to you",
            handback.account,
            body,
            path,
            f"handback:{handback.pk}:{handback.due_on}",
        )
        notify_all([message])


def let_see(account: Account, person: User) -> None:
    """Whoever looks after a customer belongs to its retention team, and so sees its page."""
    if not Account.objects.visible_to(person).filter(pk=account.pk).exists():
        AccountMember.objects.get_or_create(account=account, user=person, defaults={"role": MemberRole.SALES})
        person.__dict__.pop("reach", None)  # read anew: it is kept for the length of a request


# ── a whole night ──────────────────────────────────────────────────────
@transaction.atomic
def open_handbacks(wanted: Sequence[Wanted]) -> Opened:
    """Open what a run found: (account id, risk, trigger) each. At most as many new ones a person and night as that
    person can call, most money first; a further reason joins the open handback. A second time changes nothing."""
    unfinished = _unfinished([account_id for account_id, _, _ in wanted])
    joined = _join_all(wanted, unfinished)
    new = [item for item in wanted if item[0] not in unfinished]
    ripe = _leave_recent_ones(new)
    staff = get_staff()
    choices = _choose_all(ripe, staff)
    chosen = _within_budget(ripe, choices, staff)
    handbacks = _create_all(chosen, choices, staff)
    return Opened(len(handbacks), joined, len(new) - len(ripe), len(ripe) - len(handbacks))


def _unfinished(account_ids: Sequence[int]) -> dict[int, Handback]:
    found = Handback.objects.unfinished().filter(account__in=account_ids).select_for_update()
    return {handback.account_id: handback for handback in found.order_by("pk")}


def _join_all(wanted: Iterable[Wanted], unfinished: Mapping[int, Handback]) -> int:
    changed = [
        unfinished[account_id]
        for account_id, risk, trigger in wanted
        if account_id in unfinished and join_reason(unfinished[account_id], risk, trigger)
    ]
    Handback.objects.bulk_update(changed, ["risk"], batch_size=500)
    return len(changed)


def _leave_recent_ones(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Without those that were closed as saved or as a false alarm a short while ago and look no worse now."""
    today, zone = company_today(), get_company().zone
    since = timezone.now() - COOL_DOWN - dt.timedelta(days=1)
    settled = (HandbackOutcome.SAVED, HandbackOutcome.FALSE_ALARM)
    closed = Handback.objects.filter(closed_at__gte=since, outcome__in=settled).order_by("closed_at")
    recent = {h.account_id: h for h in closed.only("account_id", "closed_at", "risk")}

    def is_ripe(item: Wanted) -> bool:
        before = recent.get(item[0])
        if before is None or before.closed_at is None:
            return True
        closed_on = before.closed_at.astimezone(zone).date()
        return not is_too_soon(item[1].tier, before.risk.get("tier") or "", closed_on, today)

    return [item for item in wanted if is_ripe(item)]


def _choose_all(wanted: Sequence[Wanted], staff: Staff) -> dict[int, Choice]:
    ids = [account_id for account_id, _, _ in wanted]
    owners = Account.objects.filter(pk__in=ids).values_list("pk", "original_salesperson", "account_manager")
    return {pk: choose_person(staff, won, care) for pk, won, care in owners}


def _within_budget(wanted: Sequence[Wanted], choices: Mapping[int, Choice], staff: Staff) -> list[Wanted]:
    rates = get_exchange_rates()
    candidates = [
        Candidate(
            account_id,
            choices[account_id].person_id,
            risk.revenue_at_risk * rates.get(risk.currency, Decimal(1)),
        )
        for account_id, risk, _ in wanted
        if account_id in choices
    ]
    opened, waiting = _load_by_person()
    picked = {c.account_id for c in within_budget(candidates, staff, opened, waiting)}
    return [item for item in wanted if item[0] in picked]


def _load_by_person() -> tuple[Counter[int | None], Counter[int | None]]:
    """Handbacks opened today by runs, and handbacks that wait for an answer, by person."""
    company = get_company()
    begin = dt.datetime.combine(company_today(), dt.time(), company.zone)
    opened = Handback.objects.filter(opened_at__gte=begin, opened_by=None)
    waiting = Handback.objects.filter(state=HandbackState.OPEN)
    return (
        Counter(opened.values_list("salesperson", flat=True)),
        Counter(waiting.values_list("salesperson", flat=True)),
    )


def _create_all(wanted: Sequence[Wanted], choices: Mapping[int, Choice], staff: Staff) -> list[Handback]:
    """Under the lock of the accounts, so that a handback opened by a person at this moment is not doubled."""
    ids = [account_id for account_id, _, _ in wanted]
    locked = (
        Account.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").only("is_sample")
    )
    accounts = {account.pk: account for account in locked}
    taken = set(Handback.objects.unfinished().filter(account__in=ids).values_list("account_id", flat=True))
    handbacks = Handback.objects.bulk_create(
        [
            make_handback(pk, risk, trigger, choices[pk], is_sample=accounts[pk].is_sample)
            for pk, risk, trigger in wanted
            if pk in accounts and pk not in taken
        ],
        batch_size=1000,
    )
    AuditEntry.objects.bulk_create(
        AuditEntry(action="open_handback", subject="handback", subject_id=h.pk, detail={"trigger": h.trigger})
        for h in handbacks
    )
    _let_managers_see(handbacks, staff)
    _tell_all(handbacks)
    return handbacks


def _let_managers_see(handbacks: Iterable[Handback], staff: Staff) -> None:
    """A manager of the company who stands in may look after other teams only."""
    standing_in = set(staff.company_managers)
    AccountMember.objects.bulk_create(
        (
            AccountMember(account_id=h.account_id, user_id=h.salesperson_id, role=MemberRole.SALES)
            for h in handbacks
            if h.salesperson_id in standing_in and h.assigned_because != WON_IT
        ),
        ignore_conflicts=True,
    )


def _tell_all(handbacks: Sequence[Handback]) -> None:
    """One message a person, however many were handed back."""
    by_person: dict[int | None, list[Handback]] = defaultdict(list)
    names = dict(Account.objects.filter(pk__in=[h.account_id for h in handbacks]).values_list("pk", "name"))
    for handback in handbacks:
        by_person[handback.salesperson_id].append(handback)
    nobody = by_person.pop(None, [])
    if nobody:
        title = f"Handbacks that nobody can take: {len(nobody)}"
        body = "Name an original salesperson, an account manager or a manager, or reassign them."
        notify_administrators(
            title, body=body, path="/handbacks/?whose=nobody", dedupe_key=f"nobody:{nobody[0].pk}"
        )
    people = User.objects.in_bulk([pk for pk in by_person if pk])
    notify_all(_night_message(people[pk], found, names) for pk, found in by_person.items() if pk in people)


def _night_message(person: User, handbacks: Sequence[Handback], names: Mapping[int, str]) -> Message:
    first = handbacks[0]
    listed = "\n".join(names[h.account_id] for h in handbacks)
    if len(handbacks) == 1:
        title, path = f"{listed} is handed back to you", f"/handbacks/{first.pk}/"
        listed = first.assigned_because
    else:
        title, path = f"{len(handbacks)} accounts are handed back to you", "/handbacks/"
    body = f"{listed}\nPlease answer by {first.due_on:%A}, {first.due_on.day} {first.due_on:%B}."
    return Message(person, Topic.HANDBACK, title, None, body, path, f"handback:{first.pk}")
