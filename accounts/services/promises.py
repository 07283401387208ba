"""The promise ledger: who promised what to whom by when, and whether it was kept."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils.crypto import get_random_string

from accounts.models import Account, Contact, Promise, PromisePage, User
from accounts.models.care import PromiseStatus
from accounts.selectors import company_today
from accounts.services.audit import write_audit
from accounts.services.errors import RecordError
from accounts.services.own import write_own


@transaction.atomic
def make_promise(
    account: Account,
    user: User,
    *,
    text: str,
    due_on: dt.date,
    made_to: Contact | None = None,
    is_shared: bool = False,
    made_by: User | None = None,
    submission: uuid.UUID | None = None,
) -> Promise:
    """`made_by` (`user`, unless somebody else gave their word) promises something by `due_on`. The same `submission`
    counts once."""
    promise, is_new = write_own(
        Promise,
        submission,
        account=account,
        text=text,
        made_by=made_by or user,
        made_to=made_to,
        made_on=min(company_today(), due_on),
        due_on=due_on,
        is_shared=is_shared,
        is_sample=account.is_sample,
    )
    if is_new:
        write_audit(user, "make_promise", promise, account=account.pk, due_on=due_on)
    return promise


@transaction.atomic
def keep_promise(promise: Promise, user: User) -> Promise:
    """The promise was kept today: in time, or late, even one that was given up. A second time changes nothing."""
    promise = Promise.objects.select_for_update().get(pk=promise.pk)
    if promise.kept_on is None:
        today = max(company_today(), promise.made_on)
        promise.kept_on, promise.broken_because = today, ""
        promise.status = PromiseStatus.KEPT if today <= promise.due_on else PromiseStatus.LATE
        promise.save(update_fields=["kept_on", "status", "broken_because", "updated_at"])
        write_audit(user, "keep_promise", promise, status=promise.status)
    return promise


@transaction.atomic
def break_promise(promise: Promise, user: User, because: str) -> Promise:
    """It will not be kept. RecordError where it was kept already."""
    promise = Promise.objects.select_for_update().get(pk=promise.pk)
    if promise.kept_on is not None:
        raise RecordError("This promise was kept already.")
    promise.status, promise.broken_because = PromiseStatus.BROKEN, because
    promise.save(update_fields=["status", "broken_because", "updated_at"])
    write_audit(user, "break_promise", promise, because=because)
    return promise


@transaction.atomic
def share_promise(promise: Promise, user: User, *, is_shared: bool) -> Promise:
    """Show it to the customer, or no longer. A second time changes nothing."""
    promise = Promise.objects.select_for_update().get(pk=promise.pk)
    if promise.is_shared != is_shared:
        promise.is_shared = is_shared
        promise.save(update_fields=["is_shared", "updated_at"])
        write_audit(user, "share_promise", promise, is_shared=is_shared)
    return promise


@transaction.atomic
def open_promise_page(account: Account, user: User) -> PromisePage:
    """A link with which the customer sees the promises that are shown to them. A second time gives the same one."""
    page, is_new = PromisePage.objects.get_or_create(
        account=account, defaults={"token": get_random_string(40), "made_by": user}
    )
    if is_new:
        write_audit(user, "open_promise_page", account)
    return page


@transaction.atomic
def close_promise_page(account: Account, user: User) -> Account:
    """The link no longer works, and never will again."""
    if PromisePage.objects.filter(account=account).delete()[0]:
        write_audit(user, "close_promise_page", account)
    return account
