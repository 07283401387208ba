"""What people write down about a customer: contacts that happened, who is there, who looks after it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Contact, Interaction, User
from accounts.models.care import Direction, InteractionKind, usual_class
from accounts.selectors import company_today
from accounts.services.audit import write_audit
from accounts.services.errors import RecordError
from accounts.services.own import write_own


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
    message_class: str = "",
    submission: uuid.UUID | None = None,
) -> Interaction:
    """A call, mail or meeting that happened, now unless said otherwise. Without a class only a ticket has one: service.
    The same `submission` counts once."""
    interaction, _ = write_own(
        Interaction,
        submission,
        account=account,
        user=user,
        kind=kind,
        subject=subject,
        note=note,
        contact=contact,
        direction=direction,
        happened_at=happened_at or timezone.now(),
        message_class=message_class or usual_class(kind),
        is_sample=account.is_sample,
    )
    return interaction


@transaction.atomic
def classify_message(interaction: Interaction, user: User, message_class: str) -> Interaction:
    """Say what a message was for, or change what was said. Writing down what stands there already changes nothing."""
    interaction = Interaction.objects.select_for_update(of=("self",)).get(pk=interaction.pk)
    if interaction.direction != Direction.OUT:
        raise RecordError("They contacted us: only what we sent or said is for something.")
    if interaction.message_class != message_class:
        before, interaction.message_class = interaction.message_class, message_class
        interaction.save(update_fields=["message_class", "updated_at"])
        write_audit(user, "classify_message", interaction, before=before, after=message_class)
    return interaction


@transaction.atomic
def mark_contact_left(contact: Contact, user: User, on: dt.date | None = None) -> Contact:
    """The person no longer works there, since today unless said otherwise."""
    contact.is_active = False
    contact.left_on = contact.left_on or on or company_today()
    contact.save(update_fields=["is_active", "left_on", "updated_at"])
    write_audit(user, "mark_contact_left", contact)
    return contact


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
