"""Live examples of absences and contacts moved by hand in the sample company."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.models import User
from pulsecheck.errors import CareError
from pulsecheck.models import Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.services.absences import note_absence
from pulsecheck.services.touchpoints import move_touchpoint
from retention.sample.cadence import ABSENCES, MOVED_BY_DAYS, MOVED_EVERY, REASONS
from retention.sample.staff import email_of
from retention.sample.world import add_working_days

MOVED = 6


@transaction.atomic
def keep_in_touch(today: dt.date) -> None:
    """Some people are away and others stand in; a few contacts were put on another day, with the reason."""
    people = {user.email: user for user in User.objects.filter(is_sample=True, is_active=True)}
    for name, first, last, substitute in ABSENCES:
        person, other = people.get(email_of(name)), people.get(email_of(substitute or "nobody"))
        if person is not None:
            note_absence(person, person, _days(today, first), _days(today, last), other)
    coming = Touchpoint.objects.filter(
        is_sample=True, state=TouchpointState.PLANNED, due_on__gt=today, assignee__isnull=False
    )
    chosen = coming.select_related("assignee").order_by("due_on", "account__external_id")
    for position, touchpoint in enumerate(chosen[: MOVED * MOVED_EVERY : MOVED_EVERY]):
        assert touchpoint.assignee is not None
        day = add_working_days(touchpoint.due_on, MOVED_BY_DAYS)
        try:
            move_touchpoint(touchpoint, touchpoint.assignee, day, REASONS[position % len(REASONS)])
        except CareError:
            continue  # a holiday, or the year would be over


def _days(today: dt.date, count: int) -> dt.date:
    return today + dt.timedelta(days=count)
