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
    SyncRun.objects.update(state=SyncState.DONE)
    ReadHint.objects.create(connection=connection, stream="companies", source_id="1")
    (hinted,) = runs.start_due_syncs()
    assert SyncStep.objects.filter(run=hinted, action="hints").exists()


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
