"""Scoring by a real Celery worker that is killed in the middle."""

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from retention import tasks
from retention.models import Score, ScoreChunk, ScoreRun
from retention.models.jobs import JobRun
from retention.models.scores import ChunkState, RunState
from retention.services import jobs, scoring
from tests.conftest import WorkerProcess, wait_until
from tests.retention.book import AS_OF, fill_book, scores_by_account

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMERS = 300


@pytest.fixture
def many_chunks(monkeypatch: pytest.MonkeyPatch, committed_db: None) -> tuple[ScoreRun, list]:
    """A run of sixty chunks ready to be scored, and what an undisturbed run gives."""
    fill_book(CUSTOMERS)
    scoring.score_book(AS_OF, 60, takes_action=False)
    undisturbed = scores_by_account()
    Score.objects.all().delete()
    monkeypatch.setattr(scoring, "CHUNK_ACCOUNTS", CUSTOMERS // 60)
    return scoring.fit_run(scoring.prepare_run(AS_OF, 60, takes_action=False)), undisturbed


def done() -> int:
    return ScoreChunk.objects.filter(state=ChunkState.DONE).count()


def is_published() -> bool:
    return ScoreRun.objects.filter(as_of=AS_OF, state=RunState.PUBLISHED).exists()


def states() -> str:
    return str(list(ScoreChunk.objects.values_list("number", "state", "attempts", "message")))


def assert_undisturbed(undisturbed: list) -> None:
    assert Score.objects.count() == Score.objects.values("account", "as_of").distinct().count()
    assert scores_by_account() == undisturbed


class Clock:
    """Rings for work that lies idle every half minute, as beat does."""

    def __init__(self) -> None:
        self.rings_at = time.monotonic()

    def sees(self, condition: Callable[[], bool]) -> Callable[[], bool]:
        def look() -> bool:
            if time.monotonic() >= self.rings_at:
                self.rings_at += 30
                tasks.reap.delay()
            return condition()

        return look


@pytest.mark.parametrize("kill", [WorkerProcess.kill, WorkerProcess.kill_child])
def test_killed_in_the_middle(
    many_chunks: tuple[ScoreRun, list], celery_worker: WorkerProcess, kill: Callable[[WorkerProcess], None]
) -> None:
    """kill -9 of the whole worker, and of a child: exactly one score per account, done within 60 s."""
    run, undisturbed = many_chunks
    with transaction.atomic():
        # Chunks held here cannot be claimed, so that however fast the machine is, the kill comes in the middle.
        list(run.chunks.select_for_update().order_by("-number")[:20])
        tasks.score_chunks.delay()
        wait_until(lambda: done() >= 5, explain=states)
        kill(celery_worker)
        assert not is_published()
    if kill is WorkerProcess.kill:
        celery_worker.start()
    wait_until(Clock().sees(is_published), 60, states)
    assert_undisturbed(undisturbed)


def test_lost_bells_cost_nothing(many_chunks: tuple[ScoreRun, list], celery_worker: WorkerProcess) -> None:
    """Nobody ever rang for the run: the reaper finds it."""
    tasks.reap.delay()
    wait_until(is_published, 60, states)
    assert_undisturbed(many_chunks[1])


def test_a_chunk_held_by_a_dead_worker_is_taken_over(
    many_chunks: tuple[ScoreRun, list], celery_worker: WorkerProcess
) -> None:
    run, undisturbed = many_chunks
    celery_worker.stop()
    ScoreChunk.objects.filter(run=run).update(
        state=ChunkState.CLAIMED,
        attempts=1,
        claimed_by="gone",
        lease_until=timezone.now() + dt.timedelta(seconds=2),
    )
    celery_worker.start()
    wait_until(is_published, 60, states)
    assert_undisturbed(undisturbed)


def test_a_night_from_tick_to_published(committed_db: None, celery_worker: WorkerProcess) -> None:
    """Two clocks tick, each twice: one job, one run, figures and handbacks once."""
    fill_book(120)
    for _ in range(4):
        tasks.tick.delay()
    wait_until(
        lambda: ScoreRun.objects.filter(acted_at__isnull=False).exists(), 90, celery_worker.log.read_text
    )
    assert JobRun.objects.filter(job=jobs.SCORE).count() == 1
    assert ScoreRun.objects.count() == 1
    assert Score.objects.count() == 120


def test_killed_while_fitting(committed_db: None, celery_worker: WorkerProcess) -> None:
    """The night's job is free again as soon as whoever had it is gone."""
    fill_book(CUSTOMERS)
    tasks.tick.delay()
    wait_until(lambda: JobRun.objects.filter(attempts=1).exists(), explain=celery_worker.log.read_text)
    celery_worker.kill()
    celery_worker.start()
    wait_until(
        lambda: ScoreRun.objects.filter(state=RunState.PUBLISHED).exists(), 60, celery_worker.log.read_text
    )
    assert ScoreRun.objects.count() == 1
    assert Score.objects.count() == CUSTOMERS


def test_a_slow_worker_keeps_its_chunk(many_chunks: tuple[ScoreRun, list]) -> None:
    """While whoever scores a chunk holds its row, an expired lease gives it to nobody else."""
    first = scoring.claim_chunk()
    assert first is not None
    ScoreChunk.objects.filter(pk=first.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    with transaction.atomic():
        ScoreChunk.objects.select_for_update().get(pk=first.pk)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(_claim_elsewhere).result()
    assert other is not None
    assert other.pk != first.pk


def _claim_elsewhere() -> ScoreChunk | None:
    try:
        return scoring.claim_chunk()
    finally:
        connection.close()


def test_chunks_are_scored_beside_each_other(many_chunks: tuple[ScoreRun, list]) -> None:
    """Whoever scores a chunk holds its row alone: another chunk of the run waits for nothing."""
    first, second = scoring.claim_chunk(), scoring.claim_chunk()
    assert first is not None
    assert second is not None
    with transaction.atomic():
        assert scoring.score_chunk(first) > 0
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_score_elsewhere, second).result() > 0


def _score_elsewhere(chunk: ScoreChunk) -> int:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20s'")
        return scoring.score_chunk(chunk)
    finally:
        connection.close()
