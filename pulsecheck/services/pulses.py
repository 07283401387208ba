"""Writing down how a customer feels about us, and what follows from it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Contact, Issue, User
from accounts.models.care import Severity
from accounts.selectors import company_today, get_company
from accounts.services.audit import write_audit
from accounts.services.issues import open_issue
from notifications.models import Topic
from notifications.services import notify
from pulsecheck.business_days import business_calendar
from pulsecheck.errors import CareError
from pulsecheck.models import Insight, PulseCheck, PulseTheme, Touchpoint
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.models.pulses import PulseScore
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.risk import RiskSnapshot, latest_risks
from pulsecheck.selectors.triggers import poor_pulse, poorest_pulse
from pulsecheck.services.announcing import announce_pulse
from pulsecheck.services.audits import settle_audit
from pulsecheck.services.opening import let_see, open_handback
from pulsecheck.services.touchpoints import plan_next

MOST_THEMES = 3
# Working days to settle a grievance in, unless another day is agreed.
SETTLE_IN_DAYS = 5


@dataclass(frozen=True)
class Grievance:
    """What the customer complained of; it becomes an issue that `owner` settles by `due_on`, within `SETTLE_IN_DAYS` working
    days when no day is named."""

    description: str
    owner: User
    due_on: dt.date | None = None


@dataclass(frozen=True)
class PulseEntry:
    """What was learned: `score` 1 to 6, at most three themes, and the step that follows, with owner and date."""

    score: int
    next_step: str
    next_step_owner: User
    next_step_due_on: dt.date
    themes: Sequence[PulseTheme] = field(default_factory=tuple)
    note: str = ""
    contact: Contact | None = None
    grievance: Grievance | None = None
    insight: Insight | None = None
    insight_shared: str = ""
    insight_reaction: str = ""
    opportunity: str = ""
    submission: uuid.UUID | None = None


def settle_by(today: dt.date) -> dt.date:
    """The day until which a grievance heard today is settled."""
    return business_calendar(get_company().country).after(today, SETTLE_IN_DAYS)


@transaction.atomic
def log_pulse_check(account: Account, taken_by: User, entry: PulseEntry) -> PulseCheck:
    """Write a pulse check down: it completes the planned contact, plans the next one, opens an issue for a grievance, and
    a handback for a poor score. The same `submission` (of a form sent twice) counts once."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    if entry.submission and (known := PulseCheck.objects.filter(submission=entry.submission).first()):
        return known
    if len(entry.themes) > MOST_THEMES:
        raise CareError(f"Choose at most {MOST_THEMES} themes: what mattered most.")
    _check_insight(entry)
    today = company_today()
    pulse = _save(account, taken_by, entry, _complete_planned(account, today))
    settle_audit(pulse)
    plan_next(account, today)
    write_audit(taken_by, "log_pulse_check", pulse, account=account.pk, score=entry.score)
    if entry.score <= poorest_pulse():
        open_handback(account, risk_of_pulse(account, pulse), HandbackTrigger.PULSE, taken_by)
    for person in {entry.next_step_owner, *([entry.grievance.owner] if entry.grievance else [])}:
        let_see(account, person)
    _tell_owners(pulse, taken_by)
    announce_pulse(pulse)
    return pulse


def _check_insight(entry: PulseEntry) -> None:
    is_told = entry.insight is not None or bool(entry.insight_shared)
    if entry.insight_reaction and not is_told:
        raise CareError("Say what you told them: choose an insight, or write it down.")
    if is_told and not entry.insight_reaction:
        raise CareError("Say what they made of what you told them.")


def _complete_planned(account: Account, today: dt.date) -> Touchpoint | None:
    found = Touchpoint.objects.select_for_update().filter(account=account, state=TouchpointState.PLANNED)
    planned = found.first()
    if planned is not None:
        planned.state, planned.finished_on = TouchpointState.DONE, today
        planned.save(update_fields=["state", "finished_on", "updated_at"])
    return planned


def _save(account: Account, taken_by: User, entry: PulseEntry, planned: Touchpoint | None) -> PulseCheck:
    pulse = PulseCheck.objects.create(
        account=account,
        touchpoint=planned,
        taken_by=taken_by,
        taken_at=timezone.now(),
        contact=entry.contact,
        score=entry.score,
        note=entry.note,
        issue=_open_issue(account, taken_by, entry),
        insight=entry.insight,
        insight_shared=entry.insight_shared or (entry.insight.title if entry.insight else ""),
        insight_reaction=entry.insight_reaction,
        opportunity=entry.opportunity,
        next_step=entry.next_step,
        next_step_owner=entry.next_step_owner,
        next_step_due_on=entry.next_step_due_on,
        submission=entry.submission,
        is_sample=account.is_sample,
    )
    pulse.themes.set(entry.themes)
    return pulse


def _open_issue(account: Account, taken_by: User, entry: PulseEntry) -> Issue | None:
    grievance = entry.grievance
    if grievance is None:
        return None
    return open_issue(
        account,
        taken_by,
        description=grievance.description,
        theme=entry.themes[0].code if entry.themes else "",
        owner=grievance.owner,
        due_on=grievance.due_on or settle_by(company_today()),
        severity=Severity.HIGH if entry.score <= poor_pulse() else Severity.MEDIUM,
    )


def risk_of_pulse(account: Account, pulse: PulseCheck) -> RiskSnapshot:
    """What the last run knew, led by what the customer said just now."""
    known = latest_risks([account.pk]).get(account.pk) or RiskSnapshot(currency=account.currency)
    said = f"Pulse check {pulse.score} of 6: {PulseScore(pulse.score).label.lower()}"
    spoken = {"factor": "pulse", "sentence": said, "points": 0}
    return replace(known, reasons=[spoken, *known.reasons])


def _tell_owners(pulse: PulseCheck, taken_by: User) -> None:
    """Whoever has something to do because of it, and did not write it down, hears of it."""
    account, issue = pulse.account, pulse.issue
    if issue is not None and issue.owner is not None and issue.owner != taken_by:
        title, path = f"{account.name}: an issue is yours", f"/accounts/{account.pk}/#issues"
        notify(issue.owner, Topic.ISSUE, title, account=account, body=issue.description, path=path)
    if pulse.next_step_owner != taken_by:
        title, path = f"{account.name}: a next step is yours", f"/accounts/{account.pk}/#pulses"
        body = f"{pulse.next_step}, by {pulse.next_step_due_on:%A}, {pulse.next_step_due_on.day} {pulse.next_step_due_on:%B}."
        notify(pulse.next_step_owner, Topic.PULSE_DUE, title, account=account, body=body, path=path)
    _pass_opportunity_on(pulse, taken_by)


def _pass_opportunity_on(pulse: PulseCheck, taken_by: User) -> None:
    """What a customer could use is for whoever won them, unless they heard it themselves or are no longer here."""
    account, seller = pulse.account, pulse.account.original_salesperson
    if pulse.opportunity and seller is not None and seller != taken_by and seller.is_active:
        title, path = f"{account.name} could use something", f"/accounts/{account.pk}/pulses/"
        body = f"{taken_by} heard: {pulse.opportunity}"
        notify(seller, Topic.PULSE_DUE, title, account=account, body=body, path=path)


@transaction.atomic
def complete_next_step(pulse: PulseCheck, user: User) -> PulseCheck:
    """The step that followed from a pulse check is done. A second time changes nothing."""
    pulse = PulseCheck.objects.select_for_update(of=("self",)).get(pk=pulse.pk)
    if pulse.next_step_done_at is None:
        pulse.next_step_done_at = timezone.now()
        pulse.save(update_fields=["next_step_done_at", "updated_at"])
        write_audit(user, "complete_next_step", pulse)
    return pulse
