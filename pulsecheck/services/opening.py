"""Opening handbacks: one by a person, many by a nightly run; never two unfinished ones for an account."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, AccountMember, AuditEntry, User
from accounts.models.account import MemberRole
from accounts.selectors import company_today, get_company, get_exchange_rates
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import Message, notify_administrators, notify_all
from pulsecheck.handback import (
    COOL_DOWN,
    WON_IT,
    Candidate,
    Choice,
    Staff,
    choose_person,
    is_too_soon,
    within_budget,
)
from pulsecheck.models import Handback, HandbackPolicy, HandbackReason
from pulsecheck.models.handbacks import HandbackOutcome, HandbackTrigger
from pulsecheck.risk import RiskSnapshot
from pulsecheck.selectors.staff import get_staff
from pulsecheck.selectors.triggers import (
    chances_to_save,
    get_handback_policy,
    load_by_person,
    office_hours,
    zone_of,
)
from pulsecheck.services.announcing import announce_opened
from pulsecheck.services.triggers import silent_triggers

Wanted = tuple[int, RiskSnapshot, str]


@dataclass(frozen=True)
class Opened:
    """What a night led to: handbacks opened; reasons joined to open ones; accounts closed too recently to ask again;
    accounts left for a later night because their person has enough; reasons of muted triggers, which were not heard."""

    opened: int = 0
    joined: int = 0
    too_soon: int = 0
    over_budget: int = 0
    silenced: int = 0


def answer_by(person: User | None, policy: HandbackPolicy | None = None) -> dt.datetime:
    """The moment until which a handback given to `person` now is to be answered, in their office hours."""
    policy = policy or get_handback_policy()
    return office_hours(person, policy).add(timezone.now(), policy.answer_hours)


@transaction.atomic
def open_handback(
    account: Account, risk: RiskSnapshot, trigger: str = HandbackTrigger.MANUAL, opened_by: User | None = None
) -> Handback:
    """Give `account` back to whoever won it, or the next in line. With one unfinished already, the reason joins it."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    # Locked: a reason must not join an episode that somebody closes at this moment.
    unfinished = Handback.objects.unfinished().filter(account=account).select_for_update().first()
    if unfinished is not None:
        if join_reasons([(unfinished.pk, risk, trigger)]):
            write_audit(opened_by, "join_handback", unfinished, trigger=trigger)
        return unfinished
    choice = choose_person(get_staff(), account.original_salesperson_id, account.account_manager_id)
    person = User.objects.get(pk=choice.person_id) if choice.person_id else None
    handback = make_handback(
        account.pk, risk, trigger, choice, answer_by(person), is_sample=account.is_sample
    )
    handback.opened_by = opened_by
    handback.save()
    join_reasons([(handback.pk, risk, trigger)])
    write_audit(opened_by, "open_handback", handback, trigger=trigger, salesperson=choice.person_id)
    announce_opened([handback])
    tell_new_owner(handback, opened_by)
    return handback


def make_handback(
    account_id: int, risk: RiskSnapshot, trigger: str, choice: Choice, due_at: dt.datetime, *, is_sample: bool
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
        due_on=get_company().local_date(due_at),
        due_at=due_at,
        is_sample=is_sample,
    )


def join_reasons(found: Iterable[tuple[int, RiskSnapshot, str]]) -> int:
    """Note what speaks for each episode (its id, what was known, the trigger); how many were not there before."""
    now = timezone.now()
    rows = [
        HandbackReason(handback_id=pk, trigger=trigger, sentence=_first_sentence(risk), noted_at=now)
        for pk, risk, trigger in found
    ]
    known = set(
        HandbackReason.objects.filter(handback__in={row.handback_id for row in rows})
        .order_by()
        .values_list("handback", "trigger")
    )
    new = {(row.handback_id, row.trigger): row for row in rows}
    fresh = [row for key, row in new.items() if key not in known]
    HandbackReason.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=1000)
    return len(fresh)


def _first_sentence(risk: RiskSnapshot) -> str:
    return str(risk.reasons[0]["sentence"])[:300] if risk.reasons else ""


def say_until(moment: dt.datetime, person: User | None) -> str:
    """Day and hour of a deadline on the clock of whoever has to keep it."""
    local = moment.astimezone(zone_of(person))
    return f"{local:%A}, {local.day} {local:%B}, {local:%H:%M}"


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
        until = say_until(handback.due_at, handback.salesperson) if handback.due_at else str(handback.due_on)
        body = f"{handback.assigned_because} Please answer by {until}."
        message = Message(
            handback.salesperson,
            Topic.HANDBACK,
            f"{name} is handed back to you",
            handback.account,
            body,
            path,
            f"handback:{handback.pk}:{handback.due_at or handback.due_on}",
        )
        notify_all([message])


def let_see(account: Account, person: User) -> None:
    """Whoever looks after a customer belongs to its retention team, and so sees its page."""
    if account.pk not in _seen_for_good(person, {account.pk}):
        AccountMember.objects.get_or_create(account=account, user=person, defaults={"role": MemberRole.SALES})
        person.__dict__.pop("reach", None)  # read anew: it is kept for the length of a request


def _seen_for_good(person: User, ids: set[int]) -> set[int]:
    """Accounts that `person` sees also when somebody they stand in for is back."""
    seen = Account.objects.visible_to(person).filter(pk__in=ids)
    if person.stood_in_for_ids:
        mine = Q(original_salesperson=person) | Q(account_manager=person)
        seen = seen.filter(mine | Q(pk__in=person.member_account_ids))
    return set(seen.values_list("pk", flat=True))


# ── a whole night ──────────────────────────────────────────────────────
@transaction.atomic
def open_handbacks(wanted: Sequence[Wanted]) -> Opened:
    """Open what a run found: (account id, risk, trigger) each, one account as often as triggers speak for it; the first one
    opens, the others join. Muted triggers are not heard. At most as many new ones a person and night as that person's budget,
    most money that can be saved first; a further reason joins the open handback. A second time changes nothing."""
    silent = silent_triggers()
    heard = [item for item in wanted if item[2] not in silent]
    unfinished = _unfinished([account_id for account_id, _, _ in heard])
    joined = join_reasons(
        (unfinished[account_id], risk, trigger)
        for account_id, risk, trigger in heard
        if account_id in unfinished
    )
    new = [item for item in heard if item[0] not in unfinished]
    ripe = _leave_recent_ones(new)
    staff = get_staff()
    choices = _choose_all(ripe, staff)
    chosen = _within_budget(ripe, choices, staff)
    handbacks = _create_all(chosen, choices, staff)
    announce_opened(handbacks)
    return Opened(
        opened=len(handbacks),
        joined=joined,
        too_soon=_accounts(new) - _accounts(ripe),
        over_budget=_accounts(ripe) - len(handbacks),
        silenced=len(wanted) - len(heard),
    )


def _accounts(wanted: Iterable[Wanted]) -> int:
    return len({account_id for account_id, _, _ in wanted})


def _unfinished(account_ids: Sequence[int]) -> dict[int, int]:
    """Account -> its unfinished handback, which stays as it is until the transaction ends."""
    found = Handback.objects.unfinished().filter(account__in=account_ids).select_for_update()
    return dict(found.order_by("pk").values_list("account_id", "pk"))


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
    """What is left of `wanted` when everybody gets no more than they can take on, most money that can be saved first; an
    account for which several triggers speak counts once, by the trigger with the best chance."""
    rates, chances = get_exchange_rates(), chances_to_save()
    money: dict[int, Decimal] = {}
    for account_id, risk, trigger in wanted:
        if account_id in choices:
            at_risk = risk.revenue_at_risk * rates.get(risk.currency, Decimal(1))
            can_save = at_risk * Decimal(str(chances[trigger]))
            money[account_id] = max(can_save, money.get(account_id, Decimal(0)))
    candidates = [Candidate(pk, choices[pk].person_id, can_save) for pk, can_save in money.items()]
    opened, waiting = load_by_person()
    days = get_handback_policy().days_waiting
    picked = {c.account_id for c in within_budget(candidates, staff, opened, waiting, days)}
    return [item for item in wanted if item[0] in picked]


def _create_all(wanted: Sequence[Wanted], choices: Mapping[int, Choice], staff: Staff) -> list[Handback]:
    """Under the lock of the accounts, so that a handback opened by a person at this moment is not doubled."""
    first: dict[int, tuple[RiskSnapshot, str]] = {}
    for pk, risk, trigger in wanted:
        first.setdefault(pk, (risk, trigger))
    locked = Account.objects.select_for_update(no_key=True).filter(pk__in=first).order_by("pk")
    accounts = {account.pk: account for account in locked.only("is_sample")}
    taken = set(Handback.objects.unfinished().filter(account__in=first).values_list("account_id", flat=True))
    due = _deadlines({choices[pk].person_id for pk in first})
    handbacks = Handback.objects.bulk_create(
        [
            make_handback(
                pk, risk, trigger, choices[pk], due[choices[pk].person_id], is_sample=accounts[pk].is_sample
            )
            for pk, (risk, trigger) in first.items()
            if pk in accounts and pk not in taken
        ],
        batch_size=1000,
    )
    ids = {h.account_id: h.pk for h in handbacks}
    join_reasons((ids[pk], risk, trigger) for pk, risk, trigger in wanted if pk in ids)
    AuditEntry.objects.bulk_create(
        AuditEntry(action="open_handback", subject="handback", subject_id=h.pk, detail={"trigger": h.trigger})
        for h in handbacks
    )
    _let_all_see(handbacks)
    _tell_all(handbacks)
    return handbacks


def _deadlines(people: Iterable[int | None]) -> dict[int | None, dt.datetime]:
    """Until when each of these people is to answer what comes now."""
    ids = set(people)
    policy, known = get_handback_policy(), User.objects.in_bulk([pk for pk in ids if pk])
    return {pk: answer_by(known.get(pk or 0), policy) for pk in ids}


def _let_all_see(handbacks: Iterable[Handback]) -> None:
    """Whoever stands in, a colleague or a manager, may look after other accounts only; a few queries for each of them."""
    by_person: dict[int, set[int]] = defaultdict(set)
    for handback in handbacks:
        if handback.salesperson_id is not None and handback.assigned_because != WON_IT:
            by_person[handback.salesperson_id].add(handback.account_id)
    for person in User.objects.filter(pk__in=by_person):
        ids = by_person[person.pk]
        seen = _seen_for_good(person, ids)
        AccountMember.objects.bulk_create(
            (AccountMember(account_id=pk, user=person, role=MemberRole.SALES) for pk in sorted(ids - seen)),
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
    until = say_until(first.due_at, person) if first.due_at else str(first.due_on)
    body = f"{listed}\nPlease answer by {until}."
    return Message(person, Topic.HANDBACK, title, None, body, path, f"handback:{first.pk}")
