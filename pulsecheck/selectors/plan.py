"""The book and our people as the planner of contacts sees them, read in a handful of queries however large they are."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.db.models import Count, Max, QuerySet
from django.db.models.functions import TruncDate

from accounts.countries import country_code
from accounts.models import Absence, Account, Contract, RoleSwap, User
from accounts.models.account import LifecycleStage
from accounts.selectors import get_company
from pulsecheck.business_days import business_calendar
from pulsecheck.cadence import (
    Away,
    Change,
    Customer,
    Occasions,
    Planned,
    Policies,
    Policy,
    Term,
    Worker,
    Workplace,
    plan,
)
from pulsecheck.handback import Staff
from pulsecheck.models import CadencePolicy, ContactOccasion, PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import OccasionKind, TouchpointState
from pulsecheck.risk import latest_tiers, latest_values
from pulsecheck.selectors.staff import get_staff


def get_policies() -> Policies:
    """The cadence in force."""
    return Policies(stored_policies(), stored_occasions())


def stored_policies() -> list[Policy]:
    """The policies as they are stored."""
    columns = ("tier", "segment", "every_days", "billing_mode", "value_from")
    rows = CadencePolicy.objects.filter(is_active=True).values_list(*columns)
    return [Policy(tier, segment, days, mode, float(value)) for tier, segment, days, mode, value in rows]


def stored_occasions() -> Occasions:
    """Days of onboarding and renewal contacts."""
    days: dict[str, list[int]] = {kind: [] for kind in OccasionKind.values}
    for kind, number in ContactOccasion.objects.values_list("kind", "days"):
        days[kind].append(number)
    return Occasions(tuple(sorted(days["onboarding"])), tuple(sorted(days["renewal"], reverse=True)))


@dataclass(frozen=True)
class WholePlan:
    """All customers, the people who look in on them, and what the plan would change."""

    customers: list[Customer]
    place: Workplace
    changes: list[Change]


def whole_plan(policies: Policies, today: dt.date) -> WholePlan:
    """The plan of the whole book under `policies`, in force or not; nothing is written."""
    staff = get_staff()
    with _no_collecting():
        customers = read_customers(
            latest_tiers(), staff, values=latest_values() if policies.ask_value else None, today=today
        )
        place = get_workplace(staff, today, {customer.country for customer in customers})
        return WholePlan(customers, place, plan(customers, policies, place, today))


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Of a large book all that is made is kept until the end: looking for garbage among it again and again finds none
    and takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def get_workplace(staff: Staff, today: dt.date, countries: Iterable[str] = ()) -> Workplace:
    """Everybody who is here, with calls a day, working days and the absences that are not over yet."""
    company = get_company().country
    own = dict(User.objects.exclude(country="").values_list("pk", "country"))
    absences = _absences(today)
    people = {
        person.id: Worker(
            person.id,
            person.name,
            person.calls_per_day,
            business_calendar(own[person.id]) if person.id in own else None,
            absences.get(person.id, ()),
            person.team_manager_id if staff.is_here(person.team_manager_id) else None,
        )
        for person in staff.people.values()
        if person.is_here
    }
    there = {code: business_calendar(code) for code in set(countries) - {"", company}}
    return Workplace(business_calendar(company), people, there)


def _absences(today: dt.date) -> dict[int, tuple[Away, ...]]:
    """By person; a substitute who has left stands in for nobody."""
    found: dict[int, list[Away]] = defaultdict(list)
    columns = ("person", "starts_on", "ends_on", "substitute", "substitute__is_active", "substitute__left_on")
    rows = Absence.objects.filter(ends_on__gte=today).order_by("starts_on", "pk")
    for person, first, last, substitute, is_active, left_on in rows.values_list(*columns):
        is_here = is_active and left_on is None
        found[person].append(Away(first, last, substitute if is_here else None))
    return {person: tuple(days) for person, days in found.items()}


def choose_assignee(staff: Staff, manager_id: int | None, original_id: int | None) -> int | None:
    """Who looks in on an account: whoever looks after it, else who won it, else the manager of their team."""
    first = staff.people.get(manager_id or original_id or 0)
    candidates = (manager_id, original_id, first.team_manager_id if first else None)
    return next((pk for pk in candidates if staff.is_here(pk)), None)


COLUMNS = (
    "pk", "segment", "account_manager", "original_salesperson", "became_customer_on", "billing_mode", "country",
)  # fmt: skip


def read_customers(
    tiers: Mapping[int, str],
    staff: Staff,
    accounts: QuerySet[Account] | None = None,
    values: Mapping[int, float] | None = None,
    *,
    today: dt.date,
) -> list[Customer]:
    """All customers (or those among `accounts`) with their last contact, what is planned, and contracts that run on
    `today`. `values` are what twelve months are expected to bring."""
    chosen = (Account.objects.all() if accounts is None else accounts).filter(
        lifecycle_stage=LifecycleStage.CUSTOMER
    )
    ids = None if accounts is None else list(chosen.values_list("pk", flat=True))
    contacted, skipped, planned = _last_pulses(ids), _last_skips(ids), _planned(ids)
    terms = _terms(ids, today)
    worth, swapped = values or {}, _swapped(ids, today)
    return [
        Customer(
            id=pk,
            tier=tiers.get(pk, ""),
            segment=segment,
            assignee_id=choose_assignee(staff, *((won, care) if pk in swapped else (care, won))),
            contacted_on=contacted.get(pk),
            skipped_on=skipped.get(pk),
            since=since,
            planned=planned.get(pk),
            billing_mode=mode,
            value=worth.get(pk, 0.0),
            country=country_code(country),
            terms=terms.get(pk, ()),
        )
        for pk, segment, care, won, since, mode, country in chosen.order_by("pk").values_list(*COLUMNS)
    ]


def _swapped(ids: list[int] | None, today: dt.date) -> set[int]:
    """Accounts whose two owners have swapped roles today: the salesperson looks in."""
    swaps = RoleSwap.objects.filter(begins_on__lte=today, ends_on__gte=today).order_by()
    if ids is not None:
        swaps = swaps.filter(account__in=ids)
    return set(swaps.values_list("account", flat=True))


def _terms(ids: list[int] | None, today: dt.date) -> dict[int, tuple[Term, ...]]:
    """Contracts that are not cancelled and not over, by account."""
    running = Contract.objects.filter(cancelled_on=None, ends_on__gte=today - dt.timedelta(days=1))
    if ids is not None:
        running = running.filter(account__in=ids)
    found: dict[int, list[Term]] = defaultdict(list)
    rows = running.order_by("account", "ends_on", "pk")
    for account, begin, end, notice in rows.values_list("account", "starts_on", "ends_on", "notice_days"):
        found[account].append(Term(begin, end, end - dt.timedelta(days=notice) if notice else None))
    return {account: tuple(terms) for account, terms in found.items()}


def _last_pulses(ids: list[int] | None) -> dict[int, dt.date]:
    zone: ZoneInfo = get_company().zone
    pulses = PulseCheck.objects.all() if ids is None else PulseCheck.objects.filter(account__in=ids)
    found = (
        pulses.order_by().values("account").annotate(last=TruncDate(Max("taken_at"), tzinfo=zone))
    ).values_list("account", "last")
    return dict(found)


def _last_skips(ids: list[int] | None) -> dict[int, dt.date]:
    skipped = Touchpoint.objects.filter(state=TouchpointState.SKIPPED, finished_on__isnull=False)
    if ids is not None:
        skipped = skipped.filter(account__in=ids)
    return dict(
        skipped.order_by().values("account").annotate(last=Max("finished_on")).values_list("account", "last")
    )


def _planned(ids: list[int] | None) -> dict[int, Planned]:
    planned = Touchpoint.objects.filter(state=TouchpointState.PLANNED)
    if ids is not None:
        planned = planned.filter(account__in=ids)
    rows = planned.order_by().values_list("account", "due_on", "assignee", "reason", "snoozed_from")
    return {
        account: Planned(due_on, assignee, reason, moved_from is not None)
        for account, due_on, assignee, reason, moved_from in rows
    }


def count_booked(
    customers: Iterable[Customer], place: Workplace, today: dt.date
) -> dict[tuple[int, dt.date], int]:
    """What everybody who may look in on `customers` has planned besides, by person and day."""
    them: set[int] = set()
    reached = [customer.assignee_id for customer in customers]
    while reached:  # who stands in may be away as well
        worker = place.people.get(reached.pop() or 0)
        if worker is None or worker.id in them:
            continue
        them.add(worker.id)
        if worker.absences:
            reached += [away.substitute_id for away in worker.absences] + [worker.backup_id]
    rows = (
        Touchpoint.objects.filter(state=TouchpointState.PLANNED, assignee__in=them, due_on__gte=today)
        .exclude(account__in=[customer.id for customer in customers])
        .order_by()
        .values("assignee", "due_on")
        .annotate(count=Count("pk"))
    )
    return {(pk, day): count for pk, day, count in rows.values_list("assignee", "due_on", "count")}
