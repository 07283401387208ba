"""Why one contact is due when it is, in sentences."""

from __future__ import annotations

import datetime as dt

from accounts.models import Absence
from pulsecheck.cadence import day_words
from pulsecheck.models import Touchpoint


def explain_touchpoint(touchpoint: Touchpoint, today: dt.date) -> list[str]:
    """The rule, the day it asks for, why the contact stands on another one, who moved it, and who stands in."""
    said = [f"{touchpoint.reason}."]
    if touchpoint.wanted_on:
        said.append(f"So it should be by {touchpoint.wanted_on:%A}, {day_words(touchpoint.wanted_on)}.")
    if touchpoint.moved_because:
        said.append(touchpoint.moved_because)
    if touchpoint.snoozed_from:
        why = f": {touchpoint.note}" if touchpoint.note else ""
        planned = f"It was planned for {touchpoint.snoozed_from:%A}, {day_words(touchpoint.snoozed_from)}"
        said.append(f"{planned}, and somebody put it on {day_words(touchpoint.due_on)}{why}.")
    said += _standing_in(touchpoint, max(touchpoint.due_on, today))
    return said


def _standing_in(touchpoint: Touchpoint, day: dt.date) -> list[str]:
    account = touchpoint.account
    homes = {account.account_manager_id, account.original_salesperson_id} - {None, touchpoint.assignee_id}
    absences = Absence.objects.filter(person__in=homes, starts_on__lte=day, ends_on__gte=day)
    away = absences.select_related("person").first()
    if away is None or touchpoint.assignee is None:
        return []
    return [
        f"{touchpoint.assignee} stands in for {away.person}, who is away until {day_words(away.ends_on)}."
    ]
