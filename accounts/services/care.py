"""What people write down about a customer: contacts, grievances, promises, and who is there."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Contact, Contract, Enquiry, Interaction, Issue, Promise, User
from accounts.models.care import Direction, InteractionKind, PromiseStatus, Severity, Validity
from accounts.selectors import company_today
from accounts.services.audit import write_audit

# Rows written by people in Mainstay, as opposed to those of a file or a CRM.
OWN_SOURCE = "mainstay"


def _own() -> dict[str, str]:
    return {"record_source": OWN_SOURCE, "external_id": uuid.uuid4().hex}


@transaction.atomic
def log_interaction(
    account: Account,
    user: User,
    *,
    kind: str = InteractionKind.CALL,
    subject: str = "",
    note: str = "",
    contact: Contact | None = None,
    direction: str = Direction.OUT,
    happened_at: dt.datetime | None = None,
) -> Interaction:
    """A call, mail or meeting that happened, now unless said otherwise."""
    return Interaction.objects.create(
        **_own(),
        account=account,
        user=user,
        kind=kind,
        subject=subject,
        note=note,
        contact=contact,
        direction=direction,
        happened_at=happened_at or timezone.now(),
        is_sample=account.is_sample,
    )


@transaction.atomic
def open_issue(
    account: Account,
    user: User,
    *,
    description: str,
    severity: str = Severity.MEDIUM,
    theme: str = "",
    owner: User | None = None,
    due_on: dt.date | None = None,
) -> Issue:
    """A grievance; whoever writes it down owns it unless somebody else is named."""
    issue = Issue.objects.create(
        **_own(),
        account=account,
        opened_at=timezone.now(),
        description=description,
        severity=severity,
        theme=theme,
        owner=owner or user,
        due_on=due_on,
        is_sample=account.is_sample,
    )
    write_audit(user, "open_issue", issue, account=account.pk)
    return issue


@transaction.atomic
def resolve_issue(issue: Issue, user: User, *, validity: str = Validity.UNKNOWN) -> Issue:
    """Close a grievance; a second time changes nothing."""
    issue = Issue.objects.select_for_update().get(pk=issue.pk)
    if issue.resolved_at is None:
        issue.resolved_at = max(timezone.now(), issue.opened_at)
        issue.validity = validity
        issue.save(update_fields=["resolved_at", "validity", "updated_at"])
        write_audit(user, "resolve_issue", issue, validity=validity)
    return issue


@transaction.atomic
def make_promise(account: Account, user: User, *, text: str, due_on: dt.date) -> Promise:
    """`user` promises the customer something by `due_on`, today at the earliest."""
    promise = Promise.objects.create(
        **_own(),
        account=account,
        text=text,
        made_by=user,
        made_on=min(company_today(), due_on),
        due_on=due_on,
        is_sample=account.is_sample,
    )
    write_audit(user, "make_promise", promise, account=account.pk, due_on=due_on)
    return promise


@transaction.atomic
def keep_promise(promise: Promise, user: User) -> Promise:
    """The promise was kept today: in time, or late. A second time changes nothing."""
    promise = Promise.objects.select_for_update().get(pk=promise.pk)
    if promise.kept_on is None:
        today = max(company_today(), promise.made_on)
        promise.kept_on = today
        promise.status = PromiseStatus.KEPT if today <= promise.due_on else PromiseStatus.LATE
        promise.save(update_fields=["kept_on", "status", "updated_at"])
        write_audit(user, "keep_promise", promise, status=promise.status)
    return promise


@transaction.atomic
def answer_enquiry(enquiry: Enquiry, user: User) -> Enquiry:
    """The customer has an answer now. A second time changes nothing."""
    enquiry = Enquiry.objects.select_for_update().get(pk=enquiry.pk)
    if enquiry.responded_at is None:
        enquiry.responded_at = max(timezone.now(), enquiry.received_at)
        enquiry.owner = enquiry.owner or user
        enquiry.save(update_fields=["responded_at", "owner", "updated_at"])
        write_audit(user, "answer_enquiry", enquiry)
    return enquiry


@transaction.atomic
def mark_contact_left(contact: Contact, user: User) -> Contact:
    """The person no longer works there."""
    contact.is_active = False
    contact.left_on = contact.left_on or company_today()
    contact.save(update_fields=["is_active", "left_on", "updated_at"])
    write_audit(user, "mark_contact_left", contact)
    return contact


@transaction.atomic
def disclose_terms(contract: Contract, user: User) -> Contract:
    """Terms and restrictions of the contract were explained by `user` today."""
    contract.terms_disclosed_on = company_today()
    contract.terms_disclosed_by = user
    contract.save(update_fields=["terms_disclosed_on", "terms_disclosed_by", "updated_at"])
    write_audit(user, "disclose_terms", contract)
    return contract


@transaction.atomic
def assign_account_manager(accounts: Iterable[Account], manager: User, user: User) -> int:
    """`manager` looks after these accounts from now on; returns how many changed hands."""
    changed = 0
    for account in Account.objects.select_for_update().filter(pk__in=[a.pk for a in accounts]):
        if account.account_manager_id != manager.pk:
            before = account.account_manager_id
            account.account_manager = manager
            account.save(update_fields=["account_manager", "updated_at"])
            write_audit(user, "assign_account_manager", account, before=before, after=manager.pk)
            changed += 1
    return changed
