"""When a sync begins by itself, and who takes up one that lies idle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from django.utils import timezone

from accounts.crm import runs
from accounts.models import Connection, ReadHint, SyncRun, SyncStep
from accounts.models.crm import SyncState
from tests.crm.syncing import free_at_once

Connect = Callable[..., Connection]


def test_a_sync_begins_when_it_is_due_and_once(connect: Connect) -> None:
    connection = connect()
    assert runs.start_due_syncs() == []  # the first one is begun by a person
    first = runs.start_sync(connection)
    assert runs.start_sync(connection).pk == first.pk
    SyncRun.objects.update(state=SyncState.DONE)
    assert runs.start_due_syncs() == []
    SyncRun.objects.update(created_at=timezone.now() - dt.timedelta(minutes=16))
    begun = runs.start_due_syncs()
    assert len(begun) == 1
    assert runs.start_due_syncs() == []


def test_what_webhooks_name_is_read_soon_and_nothing_else(connect: Connect) -> None:
    connection = connect()
    ReadHint.objects.create(connection=connection, stream="companies", source_id="1")
    assert runs.start_due_syncs() == []  # the first sync is begun by a person
    runs.start_sync(connection)
    SyncRun.objects.update(state=SyncState.DONE)
    assert runs.start_due_syncs() == []  # a moment ago
    SyncRun.objects.update(created_at=timezone.now() - dt.timedelta(seconds=21))
    (hinted,) = runs.start_due_syncs()
    actions = set(SyncStep.objects.filter(run=hinted).values_list("action", flat=True))
    assert actions == {"hints", "apply", "sales"}
    SyncRun.objects.filter(pk=hinted).update(state=SyncState.FAILED)
    SyncRun.objects.update(created_at=timezone.now() - dt.timedelta(seconds=30))
    assert runs.start_due_syncs() == []  # what failed is not tried again at once
    SyncRun.objects.update(created_at=timezone.now() - dt.timedelta(minutes=16))
    (pulled,) = runs.start_due_syncs()
    assert SyncStep.objects.filter(run=pulled, action="pull").exists()


def test_runs_of_long_ago_are_forgotten_but_for_the_last_one(connect: Connect) -> None:
    connection = connect()
    first = runs.start_sync(connection)
    SyncRun.objects.update(state=SyncState.DONE)
    last = runs.start_sync(connection)
    SyncRun.objects.update(state=SyncState.DONE, finished_at=timezone.now() - dt.timedelta(days=91))
    assert runs.forget_old_runs(timezone.now()) == 1
    assert SyncRun.objects.filter(pk=last.pk).exists()
    assert not SyncRun.objects.filter(pk=first.pk).exists()


def test_a_run_is_found_when_nobody_works_on_it(connect: Connect) -> None:
    run = runs.start_sync(connect())
    assert runs.find_open_runs() == [run.pk]
    step = runs.claim_step(run.pk)
    assert step is not None
    assert runs.find_open_runs() == []
    free_at_once(run)
    assert runs.find_open_runs() == [run.pk]
    again = runs.claim_step(run.pk)
    assert again is not None
    runs.put_down(again, "not now", 60, has_failed=True)
    assert runs.find_open_runs() == []
    free_at_once(run)
    assert runs.cancel_run(run)
    assert runs.find_open_runs() == []
