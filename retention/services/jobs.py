"""Work that is due once per local date, however often the clock ticks and however many clocks there are."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.selectors import get_company
from retention.models import JobRun, ScoreRun
from retention.scoring.errors import ScoringError
from retention.services.scoring import start_night

LEASE = dt.timedelta(seconds=15)  # until the job's row is locked; after that the lock counts, not the lease
MOST_ATTEMPTS = 5
NIGHT_BEGINS = dt.time(2)
CATCH_UP_DAYS = 3
SCORE = "score"


def add_due_jobs(now: dt.datetime) -> None:
    """A row for each night since the last one that has come, at most a few days back; existing rows stay."""
    local = now.astimezone(get_company().zone)
    newest = local.date() if local.time() >= NIGHT_BEGINS else local.date() - dt.timedelta(days=1)
    last = (
        JobRun.objects.filter(job=SCORE).order_by("-local_date").values_list("local_date", flat=True).first()
    )
    earliest = (
        newest
        if last is None
        else max(last + dt.timedelta(days=1), newest - dt.timedelta(days=CATCH_UP_DAYS))
    )
    days = [earliest + dt.timedelta(days=step) for step in range((newest - earliest).days + 1)]
    JobRun.objects.bulk_create(
        [JobRun(job=SCORE, local_date=day, state="running") for day in days], ignore_conflicts=True
    )


def find_due_jobs() -> list[int]:
    """Jobs that nobody works on, oldest first."""
    return list(_claimable().order_by("local_date").values_list("pk", flat=True))


def claim_job(job_id: int) -> JobRun | None:
    """Take a job for the length of a lease; None when it is done or somebody has it."""
    with transaction.atomic():
        job = _claimable().filter(pk=job_id).select_for_update(skip_locked=True).first()
        if job is None:
            return None
        job.attempts += 1
        job.lease_until = timezone.now() + LEASE
        job.save()
    return job


def finish_job(job: JobRun, message: str = "", *, failed: bool = False) -> None:
    """Write down how a job ended."""
    job.state = "failed" if failed else "done"
    job.message, job.finished_at, job.lease_until = message, timezone.now(), None
    job.save()


def run_night(job_id: int) -> ScoreRun | None:
    """Prepare the run of one night, ready to be scored; None when the job is done, taken, or cannot be done.

    The job's row is locked meanwhile: a worker that dies frees it, one that is slow keeps it.
    """
    job = claim_job(job_id)
    if job is None:
        return None
    try:
        with transaction.atomic():
            JobRun.objects.select_for_update().get(pk=job.pk)
            run = start_night(job.local_date)
            finish_job(job)
    except ScoringError as problem:
        finish_job(job, str(problem), failed=True)
        return None
    return run


def _claimable() -> QuerySet[JobRun]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    return JobRun.objects.filter(free, state="running", attempts__lt=MOST_ATTEMPTS)
