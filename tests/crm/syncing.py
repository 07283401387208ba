"""Running syncs to their end, and the end state that faults are measured against."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from accounts.crm.engine import work_on_run
from accounts.crm.runs import OPEN, start_sync
from accounts.models import (
    Account,
    Connection,
    Contact,
    Interaction,
    Issue,
    Order,
    RawRecord,
    SyncRun,
    SyncStep,
)


def sync(connection: Connection, **how: Any) -> SyncRun:
    """A run to its end, with every wait cut short and every lease of a dead worker over at once."""
    return go_on(start_sync(connection, **how))


def go_on(run: SyncRun, rounds: int = 400) -> SyncRun:
    for _ in range(rounds):
        work_on_run(run.pk)
        run.refresh_from_db()
        if run.state not in OPEN:
            return run
        free_at_once(run)
    raise AssertionError(f"not over after {rounds} rounds: {list(run.steps.values())}")


def free_at_once(run: SyncRun) -> None:
    """Nobody waits, and whoever held a step is dead."""
    SyncStep.objects.filter(run=run).update(
        not_before=None, lease_until=timezone.now() - dt.timedelta(seconds=1)
    )
    Connection.objects.filter(pk=run.connection_id).update(wait_until=None)


def end_state(connection: Connection) -> dict[str, list[Any]]:
    """Everything that a sync leaves behind, but for when it did so."""
    source = connection.record_source
    accounts = Account.objects.filter(record_source=source).order_by("external_id")
    contacts = Contact.objects.filter(record_source=source).order_by("external_id")
    orders = Order.objects.filter(record_source=source).order_by("external_id")
    issues = Issue.objects.filter(record_source=source).order_by("external_id")
    interactions = Interaction.objects.filter(record_source=source).order_by("external_id")
    raws = RawRecord.objects.filter(connection=connection).order_by("stream", "source_id")
    return {
        "accounts": list(
            accounts.values_list(
                "external_id", "name", "industry", "lifecycle_stage", "account_manager__email",
                "original_salesperson__email",
            )
        ),
        "contacts": list(contacts.values_list("external_id", "name", "email", "account__external_id", "is_active")),
        "orders": list(orders.values_list("external_id", "amount", "account__external_id", "status", "ordered_at")),
        "issues": list(
            issues.values_list("external_id", "account__external_id", "description", "severity", "owner__email", "opened_at", "resolved_at")
        ),
        "interactions": list(
            interactions.values_list("external_id", "account__external_id", "kind", "direction", "subject", "user__email", "happened_at")
        ),
        "landed": [
            (stream, source_id, hash_, gone is not None, problem)
            for stream, source_id, hash_, gone, problem in raws.values_list(
                "stream", "source_id", "hash", "deleted_at", "problem"
            )
        ],
    }  # fmt: skip
