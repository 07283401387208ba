"""The contacts of a month or a week, day by day."""

from __future__ import annotations

import calendar as calendars
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber

from accounts.models import Absence, User
from accounts.permissions import CARERS, LEADERS, has_role
from accounts.selectors import get_company
from pulsecheck.business_days import business_calendar
from pulsecheck.models import Touchpoint
from pulsecheck.models.touchpoints import TouchpointState

# Contacts shown in a day; the others are counted, and stand in the list.
SHOWN = {"month": 4, "week": 30}
WEEK = dt.timedelta(days=7)
DAY = dt.timedelta(days=1)
MOST_OVERDUE = 8
FARTHEST = dt.timedelta(days=800)  # nothing is planned beyond


@dataclass(frozen=True)
class Filters:
    """What the reader asked for, as it stands in the url; values that make no sense are left out."""

    view: str
    on: dt.date
    whose: str
    person: User | None = None
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str], user: User, today: dt.date) -> Filters:
        """Leaders look at everybody's unless they ask for somebody's."""
        view = query.get("view", "")
        view = view if view in SHOWN else "month"
        on = _day(query.get("on", ""), today)
        is_leader = has_role(user, *LEADERS)
        person = _person(query.get("person", ""), user) if is_leader else None
        whose = query.get("whose", "")
        if whose not in ("mine", "all", "nobody"):
            whose = "all" if is_leader else "mine"
        kept = {"view": view, "on": on.isoformat() if on != today else "", "whose": whose}
        if person is not None:
            kept = kept | {"whose": "", "person": str(person.pk)}
        return cls(view, on, "person" if person else whose, person, {k: v for k, v in kept.items() if v})

    @property
    def weeks(self) -> list[list[dt.date]]:
        """The days shown, Monday first."""
        if self.view == "week":
            monday = self.on - self.on.weekday() * DAY
            return [[monday + n * DAY for n in range(7)]]
        return calendars.Calendar().monthdatescalendar(self.on.year, self.on.month)

    @property
    def before(self) -> dt.date:
        """A day of the month or week before."""
        return self.on - WEEK if self.view == "week" else self.on.replace(day=1) - DAY

    @property
    def after(self) -> dt.date:
        """A day of the next month or week."""
        return self.on + WEEK if self.view == "week" else (self.on.replace(day=1) + 32 * DAY).replace(day=1)


def _day(text: str, today: dt.date) -> dt.date:
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        return today
    return found if abs(found - today) < FARTHEST else today


def _person(text: str, user: User) -> User | None:
    return people_of(user).filter(pk=int(text)).first() if text.isdecimal() and len(text) < 10 else None


def people_of(user: User) -> QuerySet[User]:
    """Whose calendars a leader can look at: those of the teams they manage, else everybody's."""
    people = User.objects.filter(is_active=True, left_on=None)
    if user.managed_team_ids and not has_role(user, "administrator"):
        people = people.filter(pk__in=[*user.managed_staff_ids, user.pk])
    return people.order_by("name", "pk")


def absences_noted_by(user: User) -> QuerySet[User]:
    """Whose absences somebody may note: leaders those of their people, everybody their own."""
    carers = people_of(user).filter(role__in=CARERS)
    return carers if has_role(user, *LEADERS) else carers.filter(pk=user.pk)


@dataclass
class Day:
    """One day: its contacts (not more than fit), how many there are and how many can be made, and what kind of day it
    is. `note` names a holiday or an absence."""

    date: dt.date
    is_open: bool
    is_in_month: bool
    note: str = ""
    count: int = 0
    shown: list[Touchpoint] = field(default_factory=list)
    capacity: int | None = None

    @property
    def more(self) -> int:
        """Contacts that are not shown."""
        return self.count - len(self.shown)

    @property
    def is_over(self) -> bool:
        """More than can be made."""
        return self.capacity is not None and self.count > self.capacity


@dataclass(frozen=True)
class Shown:
    """The calendar page: its weeks, and what is overdue (the first few and how many)."""

    weeks: list[list[Day]]
    overdue: list[Touchpoint]
    overdue_count: int
    planned: int


def _planned(user: User, filters: Filters) -> QuerySet[Touchpoint]:
    planned = Touchpoint.objects.visible_to(user).filter(state=TouchpointState.PLANNED)
    if filters.person is not None:
        return planned.filter(assignee=filters.person)
    if filters.whose == "mine":
        return planned.filter(assignee=user)
    return planned.filter(assignee=None) if filters.whose == "nobody" else planned


def get_calendar(user: User, filters: Filters, today: dt.date) -> Shown:
    """What stands in the days shown; a constant number of queries."""
    weeks = filters.weeks
    planned = _planned(user, filters)
    span = planned.filter(due_on__range=(weeks[0][0], weeks[-1][-1]))
    counts = dict(span.order_by().values("due_on").annotate(n=Count("pk")).values_list("due_on", "n"))
    shown = _first_of_each_day(span, SHOWN[filters.view])
    late = planned.filter(due_on__lt=today)
    overdue = list(_as_shown(late)[:MOST_OVERDUE])
    one = filters.person or (user if filters.whose == "mine" else None)
    kind_of = _kinds(one, weeks[0][0], weeks[-1][-1])
    days = [
        [
            Day(
                day,
                is_open=kind_of(day)[0] and day >= today,
                is_in_month=filters.view == "week" or day.month == filters.on.month,
                note=kind_of(day)[1],
                count=counts.get(day, 0),
                shown=shown[day],
                capacity=one.calls_per_day if one else None,
            )
            for day in week
        ]
        for week in weeks
    ]
    return Shown(days, overdue, late.count(), sum(counts.values()))


def _first_of_each_day(span: QuerySet[Touchpoint], most: int) -> dict[dt.date, list[Touchpoint]]:
    """The numbers of a few rows of each day, from the index of days alone; then those rows."""
    numbered = span.order_by().annotate(
        n=Window(RowNumber(), partition_by=F("due_on"), order_by=F("pk").asc())
    )
    chosen = list(numbered.filter(n__lte=most).values_list("pk", flat=True))
    found: dict[dt.date, list[Touchpoint]] = defaultdict(list)
    for touchpoint in _as_shown(Touchpoint.objects.filter(pk__any_of=chosen)):
        found[touchpoint.due_on].append(touchpoint)
    return found


def _as_shown(rows: QuerySet[Touchpoint]) -> QuerySet[Touchpoint]:
    """By day, with what the calendar says of a contact."""
    shown = rows.select_related("account", "assignee").only(
        "due_on", "kind", "reason", "account__name", "assignee__name"
    )
    return shown.order_by("due_on", "pk")


def _kinds(person: User | None, first: dt.date, last: dt.date) -> Callable[[dt.date], tuple[bool, str]]:
    country = (person.country if person else "") or get_company().country
    working = business_calendar(country)
    absences = (
        list(Absence.objects.filter(person=person, ends_on__gte=first, starts_on__lte=last)) if person else []
    )

    def kind_of(day: dt.date) -> tuple[bool, str]:
        away = any(absence.starts_on <= day <= absence.ends_on for absence in absences)
        note = "Away" if away else working.holiday(day)
        return working.is_business_day(day) and not away, note

    return kind_of
