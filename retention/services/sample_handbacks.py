"""How finished handbacks of the sample company were credited, thanked for and signed."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.models import Role, User
from accounts.models.care import Side
from pulsecheck.models import AlertBudget, Handback, HandbackThanks
from pulsecheck.models.handbacks import HandbackOutcome
from pulsecheck.services.closing import give_credit
from retention.sample.thanks import BUDGET, SIGNATURES, WORDS


@transaction.atomic
def credit_and_sign() -> None:
    """Credit for the newest saves, thanks for some, signatures on the newest losses that lay on both sides, and one person
    who gets fewer handbacks than they make calls."""
    closed = Handback.objects.filter(is_sample=True).select_related(
        "account__account_manager", "account__original_salesperson", "salesperson__team__manager"
    )
    _thank(list(closed.filter(outcome=HandbackOutcome.SAVED).order_by("-closed_at", "pk")[:12]))
    both = closed.filter(outcome=HandbackOutcome.LOST, churn_reason__side=Side.BOTH)
    _sign(list(both.order_by("-closed_at", "pk")[: 2 * len(SIGNATURES)]))
    reps = User.objects.filter(is_sample=True, is_active=True, role=Role.SALES_REP).order_by("pk")
    if (last := reps.last()) is not None:
        AlertBudget.objects.create(person=last, per_day=BUDGET)


def _thank(saved: list[Handback]) -> None:
    for place, handback in enumerate(saved):
        give_credit(handback)
        manager = (
            handback.salesperson.team.manager if handback.salesperson and handback.salesperson.team else None
        )
        if manager is not None and manager != handback.salesperson and place % 3 == 0:
            HandbackThanks.objects.create(handback=handback, by=manager, words=WORDS[place // 3 % len(WORDS)])


def _sign(lost: list[Handback]) -> None:
    answers = iter(SIGNATURES)
    for handback in lost:
        signer, closed_at = handback.account.account_manager, handback.closed_at
        if signer is None or not signer.is_active or signer == handback.closed_by or closed_at is None:
            continue
        answer = next(answers, ())
        if answer == ():
            return
        handback.counter_signer = signer
        if answer:
            handback.counter_agrees, handback.counter_note = answer
            handback.counter_signed_at = closed_at + dt.timedelta(days=2)
        handback.save()
