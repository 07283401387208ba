"""Doorbells of the care loop; each may be rung too often."""

from __future__ import annotations

from celery import shared_task

from accounts.selectors import company_today
from pulsecheck.services import escalate_overdue, plan_touchpoints


@shared_task(name="pulsecheck.tasks.escalate")
def escalate() -> None:
    """Tell managers of handbacks that nobody has answered in time."""
    escalate_overdue(company_today())


@shared_task(name="pulsecheck.tasks.plan")
def plan() -> None:
    """Bring the plan of contacts up to date."""
    plan_touchpoints()
