"""Planned contacts, what was learned at them, and accounts given back to the person who won them."""

from pulsecheck.models.actions import Action
from pulsecheck.models.audits import AuditPick, AuditSettings, AuditWeek
from pulsecheck.models.handbacks import Handback, HandbackAttempt
from pulsecheck.models.insights import Insight
from pulsecheck.models.meetings import RetentionMeeting
from pulsecheck.models.pulses import PulseCheck, PulseTheme
from pulsecheck.models.surveys import Survey, SurveyAnswer
from pulsecheck.models.touchpoints import CadencePolicy, CalendarFeed, ContactOccasion, Touchpoint

__all__ = [
    "Action",
    "AuditPick",
    "AuditSettings",
    "AuditWeek",
    "CadencePolicy",
    "CalendarFeed",
    "ContactOccasion",
    "Handback",
    "HandbackAttempt",
    "Insight",
    "PulseCheck",
    "PulseTheme",
    "RetentionMeeting",
    "Survey",
    "SurveyAnswer",
    "Touchpoint",
]
