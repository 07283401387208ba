"""Planned contacts, what was learned at them, and accounts given back to the person who won them."""

from pulsecheck.models.actions import Action
from pulsecheck.models.audits import AuditPick, AuditSettings, AuditWeek
from pulsecheck.models.handbacks import (
    Handback,
    HandbackAttempt,
    HandbackCredit,
    HandbackReason,
    HandbackThanks,
    ReasonSettlement,
)
from pulsecheck.models.insights import Insight
from pulsecheck.models.meetings import RetentionMeeting
from pulsecheck.models.messages import MessageMix
from pulsecheck.models.products import Holding, ProductStep, ProductStudy
from pulsecheck.models.pulses import PulseCheck, PulseTheme
from pulsecheck.models.references import ProofPage, Reference
from pulsecheck.models.surveys import Survey, SurveyAnswer
from pulsecheck.models.touchpoints import CadencePolicy, CalendarFeed, ContactOccasion, Touchpoint
from pulsecheck.models.triggers import AlertBudget, HandbackPolicy, TriggerRule

__all__ = [
    "Action",
    "AlertBudget",
    "AuditPick",
    "AuditSettings",
    "AuditWeek",
    "CadencePolicy",
    "CalendarFeed",
    "ContactOccasion",
    "Handback",
    "HandbackAttempt",
    "HandbackCredit",
    "HandbackPolicy",
    "HandbackReason",
    "HandbackThanks",
    "Holding",
    "Insight",
    "MessageMix",
    "ProductStep",
    "ProductStudy",
    "ProofPage",
    "PulseCheck",
    "PulseTheme",
    "ReasonSettlement",
    "Reference",
    "RetentionMeeting",
    "Survey",
    "SurveyAnswer",
    "Touchpoint",
    "TriggerRule",
]
