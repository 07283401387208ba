"""The book as the planner of contacts sees it, read in a handful of queries however large it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from django.db.models import Max, QuerySet
from django.db.models.functions import TruncDate

from accounts.models import Account
from accounts.models.account import LifecycleStage
from accounts.selectors import get_company
from pulsecheck.cadence import Customer, Planned, Policies, Policy
from pulsecheck.handback import Staff
from pulsecheck.models import CadencePolicy, PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState


def get_policies() -> Policies:
    """The cadence in force."""
    rows = CadencePolicy.objects.filter(is_active=True).values_list("tier", "segment", "every_days")
    return Policies(Policy(*row) for row in rows)


def choose_assignee(staff: Staff, manager_id: int | None, original_id: int | None) -> int | None:
    """Who looks in on an account: whoever looks after it, else who won it, else the manager of their team."""
    first = staff.people.get(manager_id or original_id or 0)
    candidates = (manager_id, original_id, first.team_manager_id if first else None)
    return next((pk for pk in candidates if staff.is_here(pk)), None)


def read_customers(
    tiers: Mapping[int, str], staff: Staff, accounts: QuerySet[Account] | None = None
) -> list[Customer]:
    """All customers (or those among `accounts`) with their last contact and what is planned."""
    chosen = (Account.objects.all() if accounts is None else accounts).filter(
        lifecycle_stage=LifecycleStage.CUSTOMER
    )
    ids = None if accounts is None else list(chosen.values_list("pk", flat=True))
    contacted, skipped, planned = _last_pulses(ids), _last_skips(ids), _planned(ids)
    columns = ("pk", "segment", "account_manager", "original_salesperson", "became_customer_on")
    return [
        Customer(
            id=pk,
            tier=tiers.get(pk, ""),
            segment=segment,
            assignee_id=choose_assignee(staff, care, won),
            contacted_on=contacted.get(pk),
            skipped_on=skipped.get(pk),
            since=since,
            planned=planned.get(pk),
        )
        for pk, segment, care, won, since in chosen.order_by("pk").values_list(*columns)
    ]


def _last_pulses(ids: list[int] | None) -> dict[int, dt.date]:
    zone: ZoneInfo = get_company().zone
    pulses = PulseCheck.objects.all() if ids is None else PulseCheck.objects.filter(account__in=ids)
    found = (
        pulses.order_by().values("account").annotate(last=TruncDate(Max("taken_at"), tzinfo=zone))
    ).values_list("account", "last")
    return dict(found)


def _last_skips(ids: list[int] | None) -> dict[int, dt.date]:
    skipped = Touchpoint.objects.filter(state=TouchpointState.SKIPPED, finished_on__isnull=False)
    if ids is not None:
        skipped = skipped.filter(account__in=ids)
    return dict(
        skipped.order_by().values("account").annotate(last=Max("finished_on")).values_list("account", "last")
    )


def _planned(ids: list[int] | None) -> dict[int, Planned]:
    planned = Touchpoint.objects.filter(state=TouchpointState.PLANNED)
    if ids is not None:
        planned = planned.filter(account__in=ids)
    rows = planned.order_by().values_list("account", "due_on", "assignee", "reason")
    return {account: Planned(due_on, assignee, reason) for account, due_on, assignee, reason in rows}
