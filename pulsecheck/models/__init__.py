"""Planned contacts, what was learned at them, and accounts given back to the person who won them."""

from pulsecheck.models.handbacks import Handback, HandbackAttempt
from pulsecheck.models.pulses import PulseCheck, PulseTheme
from pulsecheck.models.touchpoints import CadencePolicy, Touchpoint

__all__ = ["CadencePolicy", "Handback", "HandbackAttempt", "PulseCheck", "PulseTheme", "Touchpoint"]
