"""Questions of customers: asked, answered, and what comes next."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Contact, Enquiry, User
from accounts.services.audit import write_audit
from accounts.services.own import write_own


@dataclass(frozen=True)
class NextStep:
    """What happens after an answer: who does it, by when."""

    text: str
    owner: User
    due_on: dt.date


@transaction.atomic
def log_enquiry(
    account: Account,
    user: User | None,
    *,
    subject: str,
    contact: Contact | None = None,
    source: str = "",
    owner: User | None = None,
    next_step: str = "",
    received_at: dt.datetime | None = None,
    submission: uuid.UUID | None = None,
) -> Enquiry:
    """A question that came in now (or when said otherwise); whoever looks after the account answers unless somebody
    else is named. The same `submission` counts once."""
    enquiry, is_new = write_own(
        Enquiry,
        submission,
        account=account,
        contact=contact,
        received_at=received_at or timezone.now(),
        source=source,
        subject=subject,
        owner=owner or account.account_manager or user,
        next_step=next_step,
        is_sample=account.is_sample,
    )
    if is_new:
        write_audit(user, "log_enquiry", enquiry, account=account.pk)
    return enquiry


@transaction.atomic
def answer_enquiry(enquiry: Enquiry, user: User, response: str, step: NextStep | None) -> Enquiry:
    """The customer has an answer now, and this comes next; None where the person says that nothing does. A second
    time changes nothing."""
    enquiry = Enquiry.objects.select_for_update().get(pk=enquiry.pk)
    if enquiry.responded_at is None:
        now = max(timezone.now(), enquiry.received_at)
        enquiry.responded_at, enquiry.responded_by, enquiry.response = now, user, response
        enquiry.owner = enquiry.owner or user
        enquiry.next_step = step.text if step else ""
        enquiry.next_step_owner = step.owner if step else None
        enquiry.next_step_due_on = step.due_on if step else None
        enquiry.save()
        write_audit(user, "answer_enquiry", enquiry)
    return enquiry


@transaction.atomic
def finish_enquiry_step(enquiry: Enquiry, user: User) -> Enquiry:
    """What was to come next is done. A second time changes nothing."""
    enquiry = Enquiry.objects.select_for_update().get(pk=enquiry.pk)
    if enquiry.next_step_done_at is None:
        enquiry.next_step_done_at = timezone.now()
        enquiry.save(update_fields=["next_step_done_at", "updated_at"])
        write_audit(user, "finish_enquiry_step", enquiry)
    return enquiry


@transaction.atomic
def assign_enquiry(enquiry: Enquiry, user: User, owner: User) -> Enquiry:
    """`owner` answers from now on."""
    enquiry = Enquiry.objects.select_for_update().get(pk=enquiry.pk)
    if enquiry.owner_id != owner.pk:
        before, enquiry.owner = enquiry.owner_id, owner
        enquiry.save(update_fields=["owner", "updated_at"])
        write_audit(user, "assign_enquiry", enquiry, before=before, after=owner.pk)
    return enquiry
