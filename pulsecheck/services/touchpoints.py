"""Planning contacts, leaving one out, putting one off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.countries import country_code
from accounts.models import Account, User
from accounts.models.account import LifecycleStage
from accounts.selectors import company_today
from accounts.services.audit import write_audit
from pulsecheck.business_days import DAY
from pulsecheck.cadence import YEAR, Change, day_words, floor_day, plan
from pulsecheck.errors import CareError
from pulsecheck.models import Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.risk import latest_risks, latest_values
from pulsecheck.selectors.plan import (
    count_booked,
    get_policies,
    get_workplace,
    read_customers,
    whole_plan,
)
from pulsecheck.selectors.staff import get_staff

PLANNING = 7_212_001  # number of the advisory lock: one planner at a time


@dataclass(frozen=True)
class PlanResult:
    """Contacts newly planned, moved, and taken away because the account is no customer any more."""

    planned: int
    moved: int
    cancelled: int


@transaction.atomic
def plan_touchpoints(today: dt.date | None = None) -> PlanResult:
    """Bring the plan of the whole book up to date; a second time changes nothing."""
    _plan_alone()
    today = today or company_today()
    return PlanResult(*_apply(whole_plan(get_policies(), today).changes), _cancel_former(today))


def _plan_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLANNING])


@transaction.atomic
def plan_people(people: Collection[int]) -> PlanResult:
    """Bring the plan of these people up to date: what they look after and what is planned for them, so that their days
    are levelled as a night would."""
    _plan_alone()
    theirs = Q(account_manager__in=people) | Q(original_salesperson__in=people)
    planned = Touchpoint.objects.filter(state=TouchpointState.PLANNED, assignee__in=people).values("account")
    accounts = Account.objects.filter(theirs | Q(pk__in=planned))
    ids = list(accounts.values_list("pk", flat=True))
    tiers = {pk: risk.tier for pk, risk in latest_risks(ids).items()}
    changes = _changes(tiers, latest_values(ids), company_today(), Account.objects.filter(pk__in=ids))
    return PlanResult(*_apply(changes), 0)


def _changes(
    tiers: Mapping[int, str],
    values: Mapping[int, float],
    today: dt.date,
    accounts: QuerySet[Account],
) -> list[Change]:
    """What the cadence in force changes about some accounts, beside what their people have planned for others."""
    staff = get_staff()
    customers = read_customers(tiers, staff, accounts, values, today=today)
    place = get_workplace(staff, today, {customer.country for customer in customers})
    return plan(customers, get_policies(), place, today, count_booked(customers, place, today))


COLUMNS = "account_id, assignee_id, due_on, reason, kind, wanted_on, moved_because"
ROWS = f"""
unnest(%s::bigint[], %s::bigint[], %s::date[], %s::text[], %s::text[], %s::date[], %s::text[], %s::date[])
AS c({COLUMNS}, was_on)
"""
ADD = f"""
INSERT INTO pulsecheck_touchpoint ({COLUMNS}, state, note, is_sample)
SELECT c.account_id, c.assignee_id, c.due_on, c.reason, c.kind, c.wanted_on, c.moved_because, 'planned', '', a.is_sample
FROM {ROWS}
JOIN accounts_account a ON a.id = c.account_id
ORDER BY c.account_id
ON CONFLICT DO NOTHING
"""  # noqa: S608 - only constants of this module are put in; in the order of accounts, indexes and references are quicker
MOVE = f"""
UPDATE pulsecheck_touchpoint t
SET assignee_id = c.assignee_id, due_on = c.due_on, reason = c.reason, kind = c.kind, wanted_on = c.wanted_on,
    moved_because = c.moved_because, snoozed_from = NULL, note = '', updated_at = now()
FROM {ROWS}
WHERE t.account_id = c.account_id AND t.state = 'planned' AND t.due_on = c.was_on
"""  # noqa: S608 - the last condition: what somebody has put on another day since it was read stays there


def _write(statement: str, changes: Sequence[Change]) -> int:
    """Write changes down; how many rows that made."""
    if not changes:
        return 0
    columns = zip(
        *(
            (
                c.account_id,
                c.assignee_id,
                c.due_on,
                c.reason[:300],
                c.kind,
                c.wanted_on,
                c.moved[:300],
                c.was_on,
            )
            for c in changes
        ),
        strict=True,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [array_literal(column) for column in columns])
        return int(cursor.rowcount)


def array_literal(values: Iterable[object]) -> str:
    """`values` as the text of a PostgreSQL array. A whole book is a hundred thousand rows: as one text per column they
    are read in a third of the time that a list takes, which the driver quotes and the server parses one by one.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
    """
    return "{" + ",".join("NULL" if value is None else _element(str(value)) for value in values) + "}"


def _element(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _apply(changes: Sequence[Change]) -> tuple[int, int]:
    """Contacts newly planned, and moved."""
    added = _write(ADD, [change for change in changes if change.is_new])
    return added, _write(MOVE, [change for change in changes if not change.is_new])


def _cancel_former(today: dt.date) -> int:
    former = Touchpoint.objects.filter(state=TouchpointState.PLANNED).exclude(
        account__lifecycle_stage=LifecycleStage.CUSTOMER
    )
    return former.update(
        state=TouchpointState.REPLACED,
        finished_on=today,
        note="No customer any more.",
        updated_at=timezone.now(),
    )


def plan_next(account: Account, today: dt.date) -> Touchpoint | None:
    """Plan the next contact of one account by the cadence in force, on a day on which its person has room; others make
    room when the whole book is planned."""
    tiers = {pk: risk.tier for pk, risk in latest_risks([account.pk]).items()}
    accounts = Account.objects.filter(pk=account.pk)
    _apply(_changes(tiers, latest_values([account.pk]), today, accounts))
    return Touchpoint.objects.filter(account=account, state=TouchpointState.PLANNED).first()


@transaction.atomic
def skip_touchpoint(touchpoint: Touchpoint, user: User, reason: str) -> Touchpoint:
    """Leave this contact out, with the reason, and plan the next one. A second time changes nothing."""
    touchpoint = _locked(touchpoint)
    if touchpoint.state != TouchpointState.PLANNED:
        return touchpoint
    today = company_today()
    touchpoint.state, touchpoint.note, touchpoint.finished_on = TouchpointState.SKIPPED, reason[:300], today
    touchpoint.save()
    write_audit(user, "skip_touchpoint", touchpoint, reason=reason)
    plan_next(touchpoint.account, today)
    return touchpoint


@transaction.atomic
def snooze_touchpoint(touchpoint: Touchpoint, user: User, until: dt.date, reason: str) -> Touchpoint:
    """Put this contact off to the day on or after `until` on which whoever makes it and the customer are at work: after
    today, and at most a year after the last pulse check."""
    touchpoint = _locked(touchpoint)
    today = company_today()
    latest = _latest_day(touchpoint, today)
    if touchpoint.state != TouchpointState.PLANNED:
        return touchpoint
    day = _open_day(touchpoint, until, latest, today) if today < until <= latest else None
    if day is None:
        raise CareError(
            f"Choose a day after today and no later than {day_words(latest)}, so that a year is kept."
        )
    if touchpoint.snoozed_from and touchpoint.due_on == day:
        return touchpoint
    touchpoint.snoozed_from = touchpoint.snoozed_from or touchpoint.due_on
    touchpoint.due_on = day
    touchpoint.note = reason[:300]
    touchpoint.save()
    write_audit(user, "snooze_touchpoint", touchpoint, until=touchpoint.due_on, reason=reason)
    return touchpoint


def _latest_day(touchpoint: Touchpoint, today: dt.date) -> dt.date:
    customers = read_customers({}, get_staff(), Account.objects.filter(pk=touchpoint.account_id), today=today)
    return floor_day(customers[0], today) if customers else today + dt.timedelta(days=YEAR)


def _open_day(touchpoint: Touchpoint, until: dt.date, latest: dt.date, today: dt.date) -> dt.date | None:
    """The first day from `until` to `latest` on which the contact can be made, else the last one before, after today."""
    country = country_code(touchpoint.account.country)
    place, person = get_workplace(get_staff(), today, {country}), touchpoint.assignee_id
    later = (until + n * DAY for n in range((latest - until).days + 1))
    earlier = (until - n * DAY for n in range(1, (until - today).days))
    return next(
        (d for d in (*later, *earlier) if place.is_open(d, person, country) and not place.away(person, d)),
        None,
    )


@transaction.atomic
def move_touchpoint(touchpoint: Touchpoint, user: User, to: dt.date, reason: str = "") -> Touchpoint:
    """Put a contact on another day: a working day of whoever makes it and of the customer, from today on, and at most a
    year after the last pulse check. Onto the same day changes nothing."""
    touchpoint = _locked(touchpoint)
    if touchpoint.state != TouchpointState.PLANNED:
        raise CareError("This contact is not planned any more.")
    if touchpoint.due_on == to:
        return touchpoint
    today = company_today()
    if to < today:
        raise CareError("This day is over. Choose today or later.")
    latest = _latest_day(touchpoint, today)
    if to > latest:
        raise CareError(f"Choose a day no later than {day_words(latest)}, so that a year is kept.")
    _refuse_day_off(touchpoint, to, today)
    touchpoint.snoozed_from = touchpoint.snoozed_from or touchpoint.due_on
    touchpoint.due_on, touchpoint.note = to, reason[:300]
    touchpoint.save()
    write_audit(user, "move_touchpoint", touchpoint, to=to, reason=reason)
    return touchpoint


def _refuse_day_off(touchpoint: Touchpoint, day: dt.date, today: dt.date) -> None:
    country = country_code(touchpoint.account.country)
    place = get_workplace(get_staff(), today, {country})
    person = touchpoint.assignee_id
    if not place.is_open(day, person, country):
        theirs = place.calendar_of(person).is_business_day(day)
        where = " where the customer is" if theirs else ""
        raise CareError(f"{day:%A}, {day_words(day)} is no working day{where}.")
    if place.away(person, day):
        raise CareError(f"{touchpoint.assignee} is away on {day:%A}, {day_words(day)}.")


@transaction.atomic
def unsnooze_touchpoint(touchpoint: Touchpoint, user: User) -> Touchpoint:
    """Take a putting-off back."""
    touchpoint = _locked(touchpoint)
    if touchpoint.state == TouchpointState.PLANNED and touchpoint.snoozed_from:
        touchpoint.due_on, touchpoint.snoozed_from, touchpoint.note = touchpoint.snoozed_from, None, ""
        touchpoint.save()
        write_audit(user, "unsnooze_touchpoint", touchpoint)
    return touchpoint


def _locked(touchpoint: Touchpoint) -> Touchpoint:
    return Touchpoint.objects.select_for_update(of=("self",)).select_related("account").get(pk=touchpoint.pk)
