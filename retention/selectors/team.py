"""What the people who call can do."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Sum

from accounts.models import Role, User

ONE_PERSON = User._meta.get_field("calls_per_day").default


@dataclass(frozen=True)
class TeamCalls:
    """Sales reps who may sign in, and the calls they can make in a day together. Where nobody is entered yet, one
    person is counted."""

    people: int
    per_day: int


def team_calls() -> TeamCalls:
    """As of now: who left or may not sign in does not count."""
    reps = User.objects.filter(role=Role.SALES_REP, is_active=True, left_on=None)
    found = reps.aggregate(people=Count("pk"), calls=Sum("calls_per_day"))
    return TeamCalls(found["people"], found["calls"] or ONE_PERSON)
