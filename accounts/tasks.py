"""Imports and syncs in the background. Rows (ImportRun, SyncStep) say what there is to do; a task is only the bell."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.crm import engine, runs
from accounts.services import duplicates, imports

# Seconds.
LONGEST_IMPORT = 4 * 3600
SYNC_SLICE = 300

log = logging.getLogger(__name__)


@shared_task(soft_time_limit=LONGEST_IMPORT, time_limit=LONGEST_IMPORT)
def run_import(run_id: int) -> None:
    """Do one queued import or preview. Tens of millions of rows take longer than other tasks may; given to a second
    worker meanwhile, the run is found to be worked on and left alone."""
    imports.run_queued_import(run_id)


@shared_task
def resume_imports() -> None:
    """Take up imports whose bell was lost or whose worker was killed, and throw away files kept long enough."""
    for run_id in imports.find_forgotten_imports():
        run_import.delay(run_id)
    imports.discard_old_uploads()


def ring_import(run_id: int) -> None:
    """Tell a worker that a run is waiting. Without a broker the run waits for `resume_imports`."""
    try:
        run_import.delay_on_commit(run_id)
    except OperationalError as problem:
        log.warning("The broker does not answer (%s); import %s waits for the next look.", problem, run_id)


@shared_task
def sync_due() -> None:
    """Begin the syncs whose time has come, take up those nobody works on, and forget those of long ago."""
    runs.start_due_syncs()
    runs.forget_old_runs(timezone.now())
    for run_id in runs.find_open_runs():
        work_on_sync.delay(run_id)


def ring_syncs() -> None:
    """Have somebody look for what is due. Without a broker beat's next ring does."""
    try:
        sync_due.delay_on_commit()
    except OperationalError as problem:
        log.warning("The broker does not answer (%s); syncs wait for the next look.", problem)


@shared_task
def compare_accounts() -> None:
    """Find accounts that may be one customer. Doing it twice, or a night later, changes nothing."""
    duplicates.find_duplicates()


@shared_task
def work_on_sync(run_id: int) -> None:
    """Work on a sync for some minutes; what is left is taken up by the next task."""
    if engine.work_on_run(run_id, SYNC_SLICE):
        work_on_sync.delay(run_id)


def ring_sync(run_id: int) -> None:
    """Tell a worker that a sync is waiting. Without a broker it waits for `sync_due`."""
    try:
        work_on_sync.delay_on_commit(run_id)
    except OperationalError as problem:
        log.warning("The broker does not answer (%s); sync %s waits for the next look.", problem, run_id)
