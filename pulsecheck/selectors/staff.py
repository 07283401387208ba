"""Our people, as far as work is given to them."""

from __future__ import annotations

from accounts.models import Role, Team, User
from accounts.permissions import CARERS
from pulsecheck.handback import Person, Staff


def get_staff() -> Staff:
    """Everybody who ever worked here; two queries however many."""
    managers = dict(Team.objects.values_list("pk", "manager"))
    columns = ("pk", "name", "is_active", "left_on", "team", "calls_per_day", "role")
    people, leaders = {}, []
    for pk, name, is_active, left_on, team, calls, role in User.objects.order_by("pk").values_list(*columns):
        is_here = is_active and left_on is None
        people[pk] = Person(pk, name, is_here, managers.get(team), calls)
        if role == Role.MANAGER and is_here:
            leaders.append(pk)
    busy = set(managers.values())
    return Staff(people, sorted(leaders, key=lambda pk: (pk in busy, pk)))


def can_take_over() -> list[User]:
    """People a handback can be given to, by name."""
    carers = User.objects.filter(is_active=True, left_on=None, role__in=CARERS)
    return list(carers.only("name", "role"))
