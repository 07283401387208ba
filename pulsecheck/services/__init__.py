"""Writes to planned contacts, pulse checks and handbacks. What other apps call is named here."""

from pulsecheck.services.handbacks import (
    accept_handback,
    close_handback,
    decline_handback,
    dismiss_risk,
    escalate_overdue,
    log_attempt,
    may_close,
    reassign_handback,
)
from pulsecheck.services.opening import Opened, open_handback, open_handbacks
from pulsecheck.services.pulses import Grievance, PulseEntry, complete_next_step, log_pulse_check
from pulsecheck.services.touchpoints import (
    PlanResult,
    plan_next,
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
    "decline_handback",
    "dismiss_risk",
    "escalate_overdue",
    "log_attempt",
    "log_pulse_check",
    "may_close",
    "open_handback",
    "open_handbacks",
    "plan_next",
    "plan_touchpoints",
    "reassign_handback",
    "skip_touchpoint",
    "snooze_touchpoint",
]
