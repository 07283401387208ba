"""What a person does from Today that needs more than one app."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db import transaction

from accounts.models import Account, User
from accounts.selectors import company_today
from pulsecheck.errors import CareError
from pulsecheck.models import Handback, Touchpoint
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.risk import RiskSnapshot, latest_risks
from pulsecheck.services.closing import dismiss_risk
from pulsecheck.services.opening import open_handback
from pulsecheck.services.touchpoints import plan_next, snooze_touchpoint


@transaction.atomic
def hand_back(accounts: Iterable[Account], user: User) -> list[Handback]:
    """Give these accounts back to whoever won them; where one is under way already, that one."""
    chosen = list(accounts)
    risks = latest_risks([account.pk for account in chosen])
    return [open_handback(account, _risk(account, risks), HandbackTrigger.MANUAL, user) for account in chosen]


# Which trigger would have said so in the night, had there been room for it.
SAID_BY = {"quiet": HandbackTrigger.QUIET, "at_risk": HandbackTrigger.AT_RISK}


def _risk(account: Account, risks: dict[int, RiskSnapshot]) -> RiskSnapshot:
    return risks.get(account.pk) or RiskSnapshot(currency=account.currency)


@transaction.atomic
def dismiss_account(account: Account, user: User, reason: str) -> Handback:
    """ "Not a risk": kept as a handback closed as a false alarm, so that each rule's precision can be measured."""
    risk = _risk(account, latest_risks([account.pk]))
    trigger = SAID_BY.get(risk.tier, HandbackTrigger.MANUAL)
    return dismiss_risk(open_handback(account, risk, trigger, user), user, reason)


@transaction.atomic
def put_off(account: Account, user: User, until: dt.date, reason: str) -> Touchpoint:
    """Look at the account again on `until`: its planned contact moves there, and one is planned where none was."""
    planned = Touchpoint.objects.filter(account=account, state=TouchpointState.PLANNED).first()
    planned = planned or plan_next(account, company_today())
    if planned is None:
        raise CareError("Nothing can be planned for this account: it is no customer any more.")
    if planned.due_on == until:
        planned.snoozed_from = planned.snoozed_from or until
        planned.note = reason[:300]
        planned.save(update_fields=["snoozed_from", "note", "updated_at"])
        return planned
    return snooze_touchpoint(planned, user, until, reason)


@transaction.atomic
def plan_pulses(accounts: Iterable[Account], user: User) -> int:
    """Make sure each account has a planned contact; returns how many were missing."""
    planned = 0
    for account in accounts:
        if not Touchpoint.objects.filter(account=account, state=TouchpointState.PLANNED).exists():
            planned += plan_next(account, company_today()) is not None
    return planned
