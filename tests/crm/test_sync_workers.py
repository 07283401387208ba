"""A sync by a real Celery worker that is killed in the middle of reading, and in the middle of taking in."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from accounts import tasks
from accounts.crm import runs
from accounts.ingest.load import SAVE_LOCK
from accounts.models import Account, Connection, Contact, Order, RawRecord, SyncRun, SyncStep
from accounts.models.crm import StepState, SyncState
from tests.conftest import WorkerProcess, wait_until
from tests.crm.servers.hubspot import Server
from tests.crm.storm import undisturbed
from tests.crm.syncing import end_state
from tests.crm.world import fill

pytestmark = pytest.mark.django_db(transaction=True)

COMPANIES = 250
Kill = Callable[[WorkerProcess], None]


@pytest.fixture
def test_environment(test_environment: dict[str, str]) -> dict[str, str]:
    """The worker may reach the stand-in."""
    return test_environment | {"MAINSTAY_CRM_PRIVATE_HOSTS": "127.0.0.1"}


@pytest.fixture
def crm(committed_db: None, server: Server, connect: Callable[..., Connection]) -> tuple[Connection, Any]:
    """A connection that was not synced yet, and what an undisturbed sync leaves."""
    fill(server.world, companies=COMPANIES, deals_each=1)
    calm = undisturbed(connect("calm"))
    server.world.requests.clear()
    return connect("stormy"), calm


@pytest.fixture
def killer(celery_worker: WorkerProcess) -> Callable[[Kill], None]:
    def die(kill: Kill) -> None:
        kill(celery_worker)
        assert SyncStep.objects.filter(state=StepState.CLAIMED).exists()
        # Nobody waits here for the lease of the dead to run out.
        soon = timezone.now() + dt.timedelta(seconds=2)
        SyncStep.objects.filter(state=StepState.CLAIMED).update(lease_until=soon)
        if kill is WorkerProcess.kill:
            celery_worker.start()

    return die


def kill_whoever_works(worker: WorkerProcess) -> None:
    """kill -9 of the one child that holds the step."""
    step = SyncStep.objects.get(state=StepState.CLAIMED)
    pid = int(step.claimed_by.rpartition(":")[2])
    assert pid in worker.children()
    os.kill(pid, signal.SIGKILL)


def states() -> str:
    return str(list(SyncStep.objects.values_list("action", "stream", "state", "claim", "message")))


def wait_for_the_end(run: SyncRun) -> None:
    """As beat does, ring for what lies idle."""
    rang = 0.0

    def is_over() -> bool:
        nonlocal rang
        if time.monotonic() - rang > 2:
            rang = time.monotonic()
            tasks.sync_due.delay()
        run.refresh_from_db()
        return run.state not in runs.OPEN

    wait_until(is_over, 120, states)
    assert run.state == SyncState.DONE, run.message


def assert_undisturbed(connection: Connection, calm: Any) -> None:
    assert end_state(connection) == calm
    assert (Account.objects.count(), Contact.objects.count(), Order.objects.count()) == (COMPANIES,) * 3
    landed = RawRecord.objects.filter(connection=connection).values("stream", "source_id")
    assert landed.count() == landed.distinct().count() == 3 * COMPANIES + 2


@pytest.mark.parametrize("kill", [WorkerProcess.kill, kill_whoever_works])
def test_killed_while_reading(
    crm: tuple[Connection, Any], server: Server, killer: Callable[[Kill], None], kill: Kill
) -> None:
    """kill -9 of the whole worker, and of the child that reads, while a page is on its way."""
    connection, calm = crm
    server.world.fault = lambda request: "hang" if request.number == 4 else ""
    run = runs.start_sync(connection)
    tasks.sync_due.delay()
    wait_until(lambda: len(server.world.requests) >= 4, explain=states)
    killer(kill)
    server.world.hangs.set()
    wait_for_the_end(run)
    assert_undisturbed(connection, calm)


def test_killed_while_taking_in(crm: tuple[Connection, Any], killer: Callable[[Kill], None]) -> None:
    """kill -9 between what was landed and the import door: the batch goes through it once more."""
    connection, calm = crm
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [SAVE_LOCK])
        run = runs.start_sync(connection)
        tasks.sync_due.delay()
        taking = SyncStep.objects.filter(run=run, action="apply", state=StepState.CLAIMED)
        wait_until(taking.exists, explain=states)
        killer(WorkerProcess.kill)
        cursor.execute("SELECT pg_advisory_unlock(%s)", [SAVE_LOCK])
    wait_for_the_end(run)
    assert_undisturbed(connection, calm)
