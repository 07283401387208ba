"""Our people, as far as work is given to them."""

from __future__ import annotations

import datetime as dt

from accounts.models import Absence, Role, Team, User
from accounts.permissions import CARERS
from accounts.selectors import company_today
from pulsecheck.handback import Person, Staff
from pulsecheck.models import AlertBudget


def get_staff() -> Staff:
    """Everybody who ever worked here; four queries however many."""
    managers = dict(Team.objects.values_list("pk", "manager"))
    budgets = dict(AlertBudget.objects.values_list("person", "per_day"))
    away = get_absences(company_today())
    columns = ("pk", "name", "is_active", "left_on", "team", "calls_per_day", "role", "time_zone")
    people, leaders = {}, []
    for pk, name, is_active, left_on, team, calls, role, zone in User.objects.order_by("pk").values_list(
        *columns
    ):
        is_here = is_active and left_on is None
        until, substitute = away.get(pk, (None, None))
        people[pk] = Person(
            pk, name, is_here, managers.get(team), calls, budgets.get(pk), until, substitute, zone
        )
        if role == Role.MANAGER and is_here:
            leaders.append(pk)
    busy = set(managers.values())
    return Staff(people, sorted(leaders, key=lambda pk: (pk in busy, pk)))


def get_absences(today: dt.date) -> dict[int, tuple[dt.date, int | None]]:
    """Who is away on `today`: person -> the last day of it and who stands in; of absences that overlap, the longest."""
    rows = Absence.objects.filter(starts_on__lte=today, ends_on__gte=today).order_by("ends_on", "pk")
    return {
        pk: (until, stands_in) for pk, until, stands_in in rows.values_list("person", "ends_on", "substitute")
    }


def can_take_over() -> list[User]:
    """People a handback can be given to, by name."""
    carers = User.objects.filter(is_active=True, left_on=None, role__in=CARERS)
    return list(carers.only("name", "role", "calls_per_day"))
