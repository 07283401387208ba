"""What became of the accounts a person had when they were predicted: the lines behind retention against expected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import Account, OwnerChange, Role, User
from accounts.models.account import OwnerRole
from accounts.selectors import get_company
from retention.datasets import day_number, load_history
from retention.datasets.said import load_said
from retention.models import ScoreRun
from retention.models.scores import RunState
from retention.scoring.history import purchases_of
from retention.scoring.labels import churned
from retention.selectors.own_lines import Line, Span

# Which accounts are one's own: those a rep won, those an account manager looks after.
OWNS = {
    Role.SALES_REP.value: (OwnerRole.SALES, "original_salesperson_id"),
    Role.ACCOUNT_MANAGER.value: (OwnerRole.OPERATIONS, "account_manager_id"),
}


def prediction_runs(span: Span) -> list[ScoreRun]:
    """Published runs whose horizon ended in the span, the newest first, no two horizons overlapping: otherwise one
    customer who leaves would count as often as there were nights."""
    runs = ScoreRun.objects.filter(state=RunState.PUBLISHED, model__isnull=False, as_of__lt=span.until)
    chosen: list[ScoreRun] = []
    limit = span.until
    for run in runs.order_by("-as_of").only("as_of", "horizon_days", "published_at"):
        ends = run.as_of + dt.timedelta(days=run.horizon_days)
        if ends <= span.after:
            break
        if ends <= limit:
            chosen.append(run)
            limit = run.as_of
    return chosen


def was_told_before(run: ScoreRun) -> bool:
    """Whether the prediction was out before its horizon was over; one worked out later knows no more, but nobody had
    it."""
    ends = run.as_of + dt.timedelta(days=run.horizon_days)
    return run.published_at is not None and get_company().local_date(run.published_at) <= ends


def retention_lines(people: Sequence[User], span: Span) -> Iterator[Line]:
    """For every account somebody had on the day of a prediction whose horizon ended in the span: what was said of it,
    and whether it bought within the horizon. Renewals of contracts are another question and left out."""
    for run in prediction_runs(span):
        owners = owners_on(people, run.as_of)
        yield from _held_against(run, owners)


def owners_on(people: Sequence[User], day: dt.date) -> dict[int, list[int]]:
    """Account -> whose own it was at the end of `day`, of these people."""
    moment = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), get_company().zone)
    found: dict[int, list[int]] = {}
    for role, (owner_role, column) in OWNS.items():
        ids = {person.pk for person in people if person.role == role}
        if not ids:
            continue
        since = OwnerChange.objects.filter(role=owner_role, changed_at__gte=moment).order_by()
        still = Account.objects.filter(
            ~Exists(since.filter(account=OuterRef("pk"))), **{f"{column}__in": ids}
        ).order_by()
        then = since.filter(~Exists(_earlier(since)), from_user__in=ids)
        pairs = still.values_list("pk", column), then.values_list("account", "from_user")
        for account, owner in chain(*pairs):
            found.setdefault(account, []).append(owner)
    return found


def _earlier(changes: QuerySet[OwnerChange]) -> QuerySet[OwnerChange]:
    """Of these changes, those of the same account before the one that is asked about."""
    sooner = Q(changed_at__lt=OuterRef("changed_at"))
    same = Q(changed_at=OuterRef("changed_at"), pk__lt=OuterRef("pk"))
    return changes.filter(sooner | same, account=OuterRef("account"))


def _held_against(run: ScoreRun, owners: dict[int, list[int]]) -> Iterator[Line]:
    ids = np.array(sorted(owners), dtype=np.int64)
    if not len(ids):
        return
    known, p = load_said(run.as_of, ids)
    ends = run.as_of + dt.timedelta(days=run.horizon_days)
    purchases = purchases_of(load_history(ends, only=known))
    rows = np.arange(len(known), dtype=np.int64)
    left = churned(purchases, day_number(run.as_of), run.horizon_days, rows)
    for account, probability, gone in zip(known.tolist(), p.tolist(), left.tolist(), strict=True):
        for person in owners[account]:
            yield Line(
                person, account, ends, f"Expected to stay with {1 - probability:.0%}".replace("%", " %"),
                "stopped buying" if gone else "stayed", not gone, "retention:account", account, probability,
            )  # fmt: skip
