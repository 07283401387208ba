"""Writes to planned contacts, pulse checks and handbacks. What other apps call is named here."""

from pulsecheck.services.closing import (
    close_handback,
    counter_sign,
    dismiss_risk,
    is_disputed,
    may_close,
    may_settle,
    say_thanks,
    settle_reason,
)
from pulsecheck.services.escalation import escalate_overdue, look_after_waiting
from pulsecheck.services.handbacks import accept_handback, decline_handback, log_attempt, reassign_handback
from pulsecheck.services.opening import Opened, open_handback, open_handbacks
from pulsecheck.services.pulses import Grievance, PulseEntry, complete_next_step, log_pulse_check
from pulsecheck.services.touchpoints import (
    PlanResult,
    move_touchpoint,
    plan_next,
    plan_people,
    plan_touchpoints,
    skip_touchpoint,
    snooze_touchpoint,
)

__all__ = [
    "Grievance",
    "Opened",
    "PlanResult",
    "PulseEntry",
    "accept_handback",
    "close_handback",
    "complete_next_step",
    "counter_sign",
    "decline_handback",
    "dismiss_risk",
    "escalate_overdue",
    "is_disputed",
    "log_attempt",
    "log_pulse_check",
    "look_after_waiting",
    "may_close",
    "may_settle",
    "move_touchpoint",
    "open_handback",
    "open_handbacks",
    "plan_next",
    "plan_people",
    "plan_touchpoints",
    "reassign_handback",
    "say_thanks",
    "settle_reason",
    "skip_touchpoint",
    "snooze_touchpoint",
]
