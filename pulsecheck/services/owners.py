"""Who of ours looks after an account together: team, swapped roles, another account manager, news from there."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.models import Account, AccountMember, Contact, CustomerEvent, RoleSwap, User
from accounts.selectors import company_today
from accounts.services.audit import write_audit
from accounts.services.care import assign_account_manager, mark_contact_left
from accounts.services.errors import RecordError
from pulsecheck.services.touchpoints import plan_next


@transaction.atomic
def add_member(account: Account, user: User, *, member: User, role: str) -> AccountMember:
    """`member` belongs to the retention team from now on, or stands for another department."""
    found, _ = AccountMember.objects.update_or_create(account=account, user=member, defaults={"role": role})
    write_audit(user, "add_member", account, member=member.pk, role=role)
    return found


@transaction.atomic
def remove_member(member: AccountMember, user: User) -> AccountMember:
    """They are on the team no longer, and see the account no longer unless they own it."""
    write_audit(user, "remove_member", member.account, member=member.user_id, role=member.role)
    AccountMember.objects.filter(pk=member.pk).delete()
    return member


@transaction.atomic
def change_manager(account: Account, user: User, *, manager: User) -> Account:
    """`manager` looks after the account, and the planned contact is theirs."""
    if assign_account_manager([account], manager, user):
        plan_next(account, company_today())
    return account


@transaction.atomic
def swap_roles(account: Account, user: User, *, until: dt.date, reason: str) -> RoleSwap:
    """The two owners swap roles from today on: the salesperson looks in. RecordError unless there are two of them, or
    while they have swapped already."""
    account = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    today, owners = company_today(), {account.original_salesperson, account.account_manager}
    if None in owners or len(owners) < 2 or not all(owner.is_active for owner in owners if owner):
        raise RecordError("Swapping roles takes two owners: somebody from sales and an account manager.")
    if RoleSwap.objects.filter(account=account, begins_on__lte=today, ends_on__gte=today).exists():
        raise RecordError("They have swapped roles already.")
    swap = RoleSwap.objects.create(
        account=account, begins_on=today, ends_on=until, reason=reason, started_by=user
    )
    write_audit(user, "swap_roles", account, until=until, reason=reason)
    plan_next(account, today)
    return swap


@transaction.atomic
def end_swap(swap: RoleSwap, user: User) -> RoleSwap:
    """Back to their own roles: yesterday was the last day, or it never began. A second time changes nothing."""
    today = company_today()
    current = (
        RoleSwap.objects.select_for_update(of=("self",)).select_related("account").filter(pk=swap.pk).first()
    )
    if current is not None and current.ends_on >= today:
        swap = current
        write_audit(user, "end_swap", swap.account, planned=swap.ends_on)
        if swap.begins_on >= today:
            swap.delete()
        else:
            swap.ends_on = today - dt.timedelta(days=1)
            swap.save(update_fields=["ends_on", "updated_at"])
        plan_next(swap.account, today)
    return swap


@transaction.atomic
def note_event(
    account: Account,
    user: User,
    *,
    kind: str,
    happened_on: dt.date,
    note: str = "",
    left: Contact | None = None,
) -> CustomerEvent:
    """Something changed at the customer; with `left`, that person went, which counts in the factors. The same words of
    the same person about the same day count once."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    said = {"kind": kind, "happened_on": happened_on, "note": note, "noted_by": user}
    if known := CustomerEvent.objects.filter(account=account, **said).first():
        return known
    if left is not None:
        mark_contact_left(left, user, happened_on)
    event = CustomerEvent.objects.create(account=account, **said)
    write_audit(user, "note_event", event, account=account.pk, kind=kind)
    return event
