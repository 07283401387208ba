"""Grievances: opened, judged, solved, told to the customer, and sometimes back again."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Issue, IssueReopening, User
from accounts.models.care import Severity, Validity
from accounts.services.audit import write_audit
from accounts.services.errors import RecordError
from accounts.services.own import write_own


@transaction.atomic
def open_issue(
    account: Account,
    user: User | None,
    *,
    description: str,
    severity: str = Severity.MEDIUM,
    theme: str = "",
    owner: User | None = None,
    due_on: dt.date | None = None,
    submission: uuid.UUID | None = None,
) -> Issue:
    """A grievance; whoever writes it down owns it unless somebody else is named. The same `submission` counts once."""
    issue, is_new = write_own(
        Issue,
        submission,
        account=account,
        opened_at=timezone.now(),
        description=description,
        severity=severity,
        theme=theme,
        owner=owner or user,
        due_on=due_on,
        is_sample=account.is_sample,
    )
    if is_new:
        write_audit(user, "open_issue", issue, account=account.pk)
    return issue


@transaction.atomic
def change_issue(issue: Issue, user: User, changed: dict[str, Any]) -> Issue:
    """Another owner, day, severity, theme or judgement of validity."""
    issue = Issue.objects.select_for_update().get(pk=issue.pk)
    before = {name: getattr(issue, name) for name in changed}
    differs = {
        name: [str(before[name]), str(value)] for name, value in changed.items() if before[name] != value
    }
    if differs:
        for name, value in changed.items():
            setattr(issue, name, value)
        issue.save(update_fields=[*changed, "updated_at"])
        write_audit(user, "change_issue", issue, **differs)
    return issue


@transaction.atomic
def resolve_issue(issue: Issue, user: User, *, validity: str = "", resolution: str = "") -> Issue:
    """Solved now; a second time changes nothing. Without `validity` it stays judged as it was."""
    issue = Issue.objects.select_for_update().get(pk=issue.pk)
    if issue.resolved_at is None:
        issue.resolved_at = max(timezone.now(), issue.opened_at)
        issue.validity = validity or issue.validity
        issue.resolution = resolution
        issue.save(update_fields=["resolved_at", "validity", "resolution", "updated_at"])
        write_audit(user, "resolve_issue", issue, validity=issue.validity)
    return issue


@transaction.atomic
def reopen_issue(issue: Issue, user: User | None, reason: str) -> Issue:
    """It is not solved after all. The customer has to be told again once it is. One that is open stays as it is."""
    issue = Issue.objects.select_for_update().get(pk=issue.pk)
    if issue.resolved_at is not None:
        again = IssueReopening.objects.create(
            issue=issue,
            resolved_at=issue.resolved_at,
            reopened_at=max(timezone.now(), issue.resolved_at),
            reopened_by=user,
            reason=reason,
        )
        issue.resolved_at = issue.told_at = issue.told_by = None
        issue.reaction = ""
        issue.times_reopened += 1
        issue.save()
        write_audit(user, "reopen_issue", issue, reason=reason, reopening=again.pk)
    return issue


@transaction.atomic
def tell_customer(issue: Issue, user: User, reaction: str = "") -> Issue:
    """The loop is closed: the customer heard what was done. RecordError while the issue is open."""
    issue = Issue.objects.select_for_update().get(pk=issue.pk)
    if issue.resolved_at is None:
        raise RecordError("This issue is still open: solve it first, then tell the customer what was done.")
    if issue.told_at is None:
        told_at = max(
            timezone.now(), issue.resolved_at
        )  # of a file, it may have been opened and solved later today
        issue.told_at, issue.told_by, issue.reaction = told_at, user, reaction
        issue.save(update_fields=["told_at", "told_by", "reaction", "updated_at"])
        write_audit(user, "tell_customer", issue, validity=Validity(issue.validity).label)
    return issue
