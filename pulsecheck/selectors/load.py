"""What a cadence that is not in force yet would mean for the people who make the contacts."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from pulsecheck.cadence import YEAR, Policies
from pulsecheck.selectors.plan import WholePlan, get_policies, whole_plan

WEEK = 7
WORKING_DAYS = 5


@dataclass(frozen=True)
class PersonLoad:
    """Pulse checks a week that a cadence asks of one person in the long run, and how many that person can make."""

    name: str
    accounts: int
    now: float
    after: float
    can_make: int

    @property
    def is_over(self) -> bool:
        """More than they can do."""
        return self.after > self.can_make


@dataclass(frozen=True)
class Preview:
    """What would be planned or moved at once, how many contacts of the next four weeks there would be instead of those
    planned now, and the load by person, the fullest first."""

    planned: int
    moved: int
    month_now: int
    month_after: int
    people: list[PersonLoad]

    @property
    def over(self) -> int:
        """People asked for more than they can do."""
        return sum(person.is_over for person in self.people)


def preview_cadence(policies: Policies, today: dt.date) -> Preview:
    """The whole book planned under `policies`; nothing is written."""
    found = whole_plan(policies, today)
    month = today + dt.timedelta(days=4 * WEEK)
    after = {c.id: c.planned.due_on for c in found.customers if c.planned}
    now = sum(day < month for day in after.values())
    after |= {change.account_id: change.due_on for change in found.changes}
    new = sum(change.is_new for change in found.changes)
    then = sum(day < month for day in after.values())
    return Preview(new, len(found.changes) - new, now, then, _people(found, policies))


def _people(found: WholePlan, policies: Policies) -> list[PersonLoad]:
    in_force = get_policies()
    totals: dict[int, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for customer in found.customers:
        if customer.assignee_id is None:
            continue
        total = totals[customer.assignee_id]
        asked = (customer.tier, customer.segment, customer.billing_mode, customer.value)
        total[0] += 1
        total[1] += WEEK / min(in_force.every_days(*asked), YEAR)
        total[2] += WEEK / min(policies.every_days(*asked), YEAR)
    loads = [
        PersonLoad(worker.name, int(count), now, after, (worker.calls_per_day or 0) * WORKING_DAYS)
        for pk, (count, now, after) in totals.items()
        if (worker := found.place.people.get(pk)) is not None
    ]
    return sorted(loads, key=lambda load: (-(load.after / max(load.can_make, 1)), load.name))
