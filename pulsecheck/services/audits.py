"""The weekly random audit: drawing accounts believed healthy, and noting what they say when asked."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, User
from accounts.selectors import get_company
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import Message, notify_all
from pulsecheck.business_days import business_calendar
from pulsecheck.draw import draw
from pulsecheck.models import AuditPick, AuditSettings, AuditWeek, PulseCheck
from pulsecheck.selectors.audits import audit_per_week
from pulsecheck.selectors.plan import choose_assignee
from pulsecheck.selectors.staff import get_staff

ASK_WITHIN = dt.timedelta(days=11)  # the Friday of the week after
CLOSES_AFTER = dt.timedelta(days=27)  # the Sunday four weeks on


@dataclass(frozen=True)
class Healthy:
    """An account that the score holds to be thriving or steady; `churn_probability` 0..1."""

    account_id: int
    tier: str
    churn_probability: float | None = None


def monday_of(day: dt.date) -> dt.date:
    """The Monday of the week that `day` is in."""
    return day - dt.timedelta(days=day.weekday())


def is_drawn(today: dt.date) -> bool:
    """Whether this week's accounts are drawn."""
    return AuditWeek.objects.filter(week_of=monday_of(today)).exists()


@transaction.atomic
def pick_audit(
    healthy: Sequence[Healthy], as_of: dt.date, today: dt.date, seed: str = ""
) -> AuditWeek | None:
    """Draw this week's accounts, once a week: a second time, or with nothing to draw, nothing happens (None).

    `healthy` is every customer who could be drawn; the seed is new each week unless given, so that nobody can tell beforehand
    who will be asked, and is stored, so that everybody can check afterwards.
    """
    week_of, size = monday_of(today), audit_per_week()
    customers = {row.account_id: row for row in healthy}
    if not customers or size == 0:
        return None
    seed = seed or secrets.token_hex(16)
    drawn = draw(customers, size, seed)
    week = AuditWeek(week_of=week_of, as_of=as_of, healthy=len(customers), drawn=len(drawn), seed=seed)
    AuditWeek.objects.bulk_create([week], ignore_conflicts=True)
    week = AuditWeek.objects.select_for_update().get(week_of=week_of)
    if week.seed != seed or week.picks.exists():
        return None
    _write_picks(week, [customers[pk] for pk in drawn])
    return week


def _write_picks(week: AuditWeek, drawn: Sequence[Healthy]) -> None:
    staff = get_staff()
    due_on = business_calendar(get_company().country).on_or_before(week.week_of + ASK_WITHIN)
    accounts = Account.objects.in_bulk([row.account_id for row in drawn])
    picks = []
    for row in drawn:
        account = accounts[row.account_id]
        assignee = choose_assignee(staff, account.account_manager_id, account.original_salesperson_id)
        picks.append(
            AuditPick(
                week=week,
                account=account,
                assignee_id=assignee,
                due_on=due_on,
                closes_on=week.week_of + CLOSES_AFTER,
                tier=row.tier,
                churn_probability=row.churn_probability,
                is_sample=account.is_sample,
            )
        )
    AuditPick.objects.bulk_create(picks)
    _tell(picks)


def _tell(picks: Sequence[AuditPick]) -> None:
    people = User.objects.in_bulk([pick.assignee_id for pick in picks if pick.assignee_id])
    notify_all(
        Message(
            people[pick.assignee_id],
            Topic.PULSE_DUE,
            f"{pick.account.name} was drawn for the random audit",
            account=pick.account,
            body=f"All looks well there. Ask by {pick.due_on:%A}, {pick.due_on.day} {pick.due_on:%B} whether it is.",
            path=f"/accounts/{pick.account_id}/pulse/",
        )
        for pick in picks
        if pick.assignee_id in people
    )


def settle_audit(pulse: PulseCheck) -> int:
    """A pulse check answers what was drawn and is still open of its account, once; how many draws that were."""
    day = get_company().local_date(pulse.taken_at)
    open_ones = AuditPick.objects.open_on(day).filter(account=pulse.account_id, week__week_of__lte=day)
    return open_ones.update(pulse=pulse, updated_at=timezone.now())


@transaction.atomic
def change_audit_size(per_week: int, user: User) -> AuditSettings:
    """How many accounts are drawn from the next week on; 0 stops drawing."""
    settings, _ = AuditSettings.objects.update_or_create(pk=1, defaults={"per_week": per_week})
    write_audit(user, "change_audit_size", settings, per_week=per_week)
    return settings
