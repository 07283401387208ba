"""When to look in on whom: a plan of contacts from policies, working days and what people can do. Plain Python.

`plan` compares what should be with what is planned and says only what has to change. A planned contact stands as long
as its reason stands (tier, rhythm, last contact, occasion), it falls on a working day and whoever has it is there; so
planning twice changes nothing, and nobody's calendar moves overnight without cause.
"""

from pulsecheck.cadence.diary import Away, Calendar, Worker, Workplace
from pulsecheck.cadence.occasions import (
    Customer,
    Planned,
    Term,
    Want,
    day_words,
    explain,
    floor_day,
    next_want,
)
from pulsecheck.cadence.planner import Booked, Change, plan, standing
from pulsecheck.cadence.policies import TIER_WORDS, YEAR, Occasions, Policies, Policy

__all__ = [
    "TIER_WORDS",
    "YEAR",
    "Away",
    "Booked",
    "Calendar",
    "Change",
    "Customer",
    "Occasions",
    "Planned",
    "Policies",
    "Policy",
    "Term",
    "Want",
    "Worker",
    "Workplace",
    "day_words",
    "explain",
    "floor_day",
    "next_want",
    "plan",
    "standing",
]
