"""Doorbells: each task looks in the database for work, does it by one service, and may be rung too often.

`tick` finds nights that are due, `score_night` prepares one, `score_chunks` works on whatever chunks are free,
`score_evidence` looks back on what was published, `reap` rings again for work whose worker died.
"""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.utils import timezone

from accounts.models import Account
from accounts.selectors import company_today
from pulsecheck.tasks import escalate, recount, study
from retention.models import ScoreRun
from retention.sample.company import SEED
from retention.services import digests, evidence, health, jobs, sample, scoring
from retention.services.actions import act_on_run

BELLS = 16  # more workers than these at once find their work through the reaper
LONGEST_STRETCH = 240.0  # seconds after which a worker rings for a successor


@shared_task(name="retention.tasks.tick")
def tick() -> None:
    """Add the nights that are due, and ring for those nobody works on."""
    jobs.add_due_jobs(timezone.now())
    for job_id in jobs.find_due_jobs():
        score_night.delay(job_id)
    escalate.delay()
    digest.delay()


@shared_task(name="retention.tasks.digest")
def digest() -> None:
    """Write the morning mails of the time zones where it is morning."""
    digests.send_due_digests(timezone.now())


@shared_task(name="retention.tasks.score_night")
def score_night(job_id: int) -> None:
    """Prepare the run of one night and ring for workers to score it."""
    if (run := jobs.run_night(job_id)) is not None:
        _ring(run)


@shared_task(name="retention.tasks.score_run")
def score_run(run_id: int) -> None:
    """Fit a run that somebody asked for, and ring for workers to score it."""
    if (run := scoring.resume_run(run_id)) is not None:
        _ring(run)


def _ring(run: ScoreRun) -> None:
    for _ in range(min(BELLS, run.chunks.count())):
        score_chunks.delay()


@shared_task(name="retention.tasks.score_chunks")
def score_chunks() -> None:
    """Score free chunks until there are none; whoever finishes a run publishes it."""
    began = time.monotonic()
    while (chunk := scoring.claim_chunk()) is not None:
        scoring.score_chunk(chunk)
        if (run := scoring.publish_run(chunk.run_id)) is not None:
            act.delay(run.pk)
        if time.monotonic() - began > LONGEST_STRETCH:
            score_chunks.delay()
            return


@shared_task(name="retention.tasks.act")
def act(run_id: int) -> None:
    """Figures, handbacks and touchpoints of a published run; then ring for the look back on it."""
    act_on_run(ScoreRun.objects.get(pk=run_id))
    study.delay()
    recount.delay()
    score_evidence.delay(run_id)


@shared_task(name="retention.tasks.score_evidence")
def score_evidence(run_id: int) -> None:
    """Look back on the newest run: how good the score is, and what has moved."""
    evidence.gather_evidence(run_id)


@shared_task(name="retention.tasks.rescore_health")
def rescore_health() -> None:
    """Give the newest scores their health by the weights in force; the next night does it too."""
    health.rescore_health()


@shared_task(name="retention.tasks.reap")
def reap(follow: bool = False) -> None:
    """Ring for what lies idle. With `follow` also once the leases of the moment are over."""
    unfinished = scoring.find_unfinished()
    for job_id in jobs.find_due_jobs():
        score_night.delay(job_id)
    for run_id in unfinished.to_fit:
        score_run.delay(run_id)
    for run_id in unfinished.to_publish:
        if (run := scoring.publish_run(run_id)) is not None:
            act.delay(run.pk)
    for run_id in unfinished.to_act_on:
        act.delay(run_id)
    if unfinished.to_score:
        score_chunks.delay()
    if (unproven := evidence.find_unproven()) is not None:
        score_evidence.delay(unproven)
    if follow and unfinished.next_lease is not None:
        reap.apply_async((True,), countdown=unfinished.next_lease + 1)


@worker_ready.connect
def look_for_work(sender: Any, **_: object) -> None:
    """A worker that has just come up takes over what an earlier one left."""
    reap.delay(follow=True)


@shared_task(name="retention.tasks.load_sample_company")
def load_sample_company() -> None:
    """Fill an empty installation with the sample company; a second ring finds it there and does nothing."""
    if not Account.objects.exists():
        sample.load_sample(company_today(), SEED)
