"""Doorbells of the care loop; each may be rung too often."""

from __future__ import annotations

from celery import shared_task

from accounts.selectors import company_today
from pulsecheck.services import look_after_waiting, plan_touchpoints
from pulsecheck.services.messages import recount_messages
from pulsecheck.services.products import study_products


@shared_task(name="pulsecheck.tasks.escalate")
def escalate() -> None:
    """Tell managers of handbacks that nobody has answered in time, and pass on those that still lie there."""
    look_after_waiting()


@shared_task(name="pulsecheck.tasks.plan")
def plan() -> None:
    """Bring the plan of contacts up to date."""
    plan_touchpoints()


@shared_task(name="pulsecheck.tasks.study")
def study() -> None:
    """Work out who bought what and what customers bought next."""
    study_products(company_today())


@shared_task(name="pulsecheck.tasks.recount")
def recount() -> None:
    """Count what every customer heard from us in the last year."""
    recount_messages()
