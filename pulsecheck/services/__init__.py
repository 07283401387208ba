"""Writes to planned contacts, pulse checks and handbacks. What other apps call is named here."""

from pulsecheck.services.handbacks import (
    accept_handback,
    close_handback,
    decline_handback,
    dismiss_risk,
    escalate_overdue,
    log_attempt,
    reassign_handback,
)
from pulsecheck.services.opening import Opened, open_handback, open_handbacks

__all__ = [
    "Opened",
    "accept_handback",
    "close_handback",
    "decline_handback",
    "dismiss_risk",
    "escalate_overdue",
    "log_attempt",
    "open_handback",
    "open_handbacks",
    "reassign_handback",
]
