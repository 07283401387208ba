"""How the installation fares: what runs, what waits, what happened last. For administrators and for monitors."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
import shutil
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import django
import redis
from django.conf import settings
from django.db import connection
from django.db.models import Min
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from accounts.models.crm import SyncRun
from accounts.models.imports import ImportRun, ImportState
from accounts.selectors_crm import UNDER_WAY, Standing, last_syncs
from notifications.models import OutboxMessage, OutboxState
from retention.celery import BEAT_KEY, app
from retention.models import JobRun, ScoreRun
from retention.models.scores import ChunkState, RunState, ScoreChunk
from retention.selectors.model_page import flag_sentences

BROKER_SECONDS = 2.0
PING_SECONDS = 0.7
QUEUES = ("default", "batch")
# Beat rings every 30 seconds; silent for this long, something is wrong with it.
BEAT_LATE = dt.timedelta(minutes=5)
LITTLE_DISK = 0.05


@dataclass(frozen=True)
class Queue:
    """Tasks rung and not yet taken by a worker."""

    name: str
    length: int


@dataclass(frozen=True)
class Waiting:
    """Work the database knows of and nobody has finished: how much, and since when the oldest waits."""

    label: str
    count: int
    oldest_at: dt.datetime | None


@dataclass(frozen=True)
class Broker:
    """What the broker says; `fault` is a sentence when it says nothing."""

    fault: str = ""
    queues: list[Queue] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    last_beat_at: dt.datetime | None = None

    @property
    def beat_is_late(self) -> bool:
        return self.last_beat_at is None or timezone.now() - self.last_beat_at > BEAT_LATE


@dataclass(frozen=True)
class Disk:
    """Bytes on the disk that holds the data directory."""

    total: int
    free: int

    @property
    def is_short(self) -> bool:
        return self.free < LITTLE_DISK * self.total


@dataclass(frozen=True)
class Status:
    """One look at the whole installation."""

    broker: Broker
    waiting: list[Waiting]
    last_run: ScoreRun | None
    failed_run: ScoreRun | None
    last_import: ImportRun | None
    jobs: list[JobRun]
    database_bytes: int
    disk: Disk
    versions: dict[str, str]
    flags: list[str] = field(default_factory=list)
    syncs: list[Standing] = field(default_factory=list)

    @property
    def troubles(self) -> list[str]:
        """What an administrator has to do something about, one sentence each."""
        found = [
            (bool(self.broker.fault), self.broker.fault),
            (
                not self.broker.fault and not self.broker.workers,
                "No worker answers: nothing is scored, imported or sent until one runs.",
            ),
            (
                not self.broker.fault and self.broker.beat_is_late,
                "The clock has not rung for five minutes: start 'celery -A retention beat'.",
            ),
            (
                self.failed_run is not None,
                f"The newest score run failed: {self.failed_run.message if self.failed_run else ''}",
            ),
            (self.disk.is_short, "The disk is nearly full."),
        ]
        unread = [f"{one.connection}: {one.trouble}" for one in self.syncs if one.trouble]
        return [sentence for is_so, sentence in found if is_so] + unread + self.flags


def get_status() -> Status:
    """Everything the status page shows; needs the database, survives a broker that is down."""
    newest = ScoreRun.objects.order_by("-as_of").first()
    return Status(
        broker=get_broker(),
        waiting=list_waiting(),
        last_run=ScoreRun.objects.filter(state=RunState.PUBLISHED).order_by("-as_of").first(),
        failed_run=newest if newest is not None and newest.state == RunState.FAILED else None,
        last_import=ImportRun.objects.exclude(finished_at=None).order_by("-finished_at").first(),
        jobs=list(JobRun.objects.order_by("-local_date", "job")[:10]),
        database_bytes=_database_bytes(),
        disk=_disk(),
        versions=_versions(),
        flags=flag_sentences(),
        syncs=last_syncs(),
    )


def get_broker() -> Broker:
    """Queues, workers that answer a ping, and when beat last rang."""
    try:
        client = _client()
        queues = [Queue(name, int(client.llen(name))) for name in QUEUES]
        beat = client.get(BEAT_KEY)
    except redis.RedisError as failure:
        return Broker(fault=f"The broker cannot be reached ({failure}); pages work, background work waits.")
    return Broker(
        queues=queues,
        workers=sorted(name for answer in app.control.ping(timeout=PING_SECONDS) for name in answer),
        last_beat_at=dt.datetime.fromtimestamp(float(beat), dt.UTC) if beat else None,
    )


def list_waiting() -> list[Waiting]:
    """Unfinished work as the database, which owns it, knows it."""
    chunks = ScoreChunk.objects.exclude(state__in=[ChunkState.DONE, ChunkState.FAILED])
    chunks = chunks.filter(run__state__in=[RunState.PREPARING, RunState.SCORING])
    imports = ImportRun.objects.filter(state__in=[ImportState.QUEUED, ImportState.RUNNING])
    syncs = SyncRun.objects.filter(state__in=UNDER_WAY)
    mails = OutboxMessage.objects.filter(state=OutboxState.WAITING)
    return [
        Waiting("Parts of a score run", chunks.count(), chunks.aggregate(at=Min("run__created_at"))["at"]),
        Waiting("Imports", imports.count(), imports.aggregate(at=Min("created_at"))["at"]),
        Waiting("Syncs", syncs.count(), syncs.aggregate(at=Min("created_at"))["at"]),
        Waiting("E-mails", mails.count(), mails.aggregate(at=Min("created_at"))["at"]),
    ]


def find_database_fault() -> str:
    """Why the database cannot be used, or nothing."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as failure:
        return str(failure).strip().partition("\n")[0]
    return ""


def find_broker_fault() -> str:
    """Why the broker cannot be used, or nothing."""
    try:
        _client().ping()
    except redis.RedisError as failure:
        return str(failure)
    return ""


def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=BROKER_SECONDS)


def _database_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def _disk() -> Disk:
    found = shutil.disk_usage(settings.DATA_DIR)
    return Disk(total=found.total, free=found.free)


def _versions() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgres = str(cursor.fetchone()[0])
    return {
        "Mainstay": _mainstay_version(),
        "PostgreSQL": postgres,
        "Python": platform.python_version(),
        "Django": django.get_version(),
        "Celery": importlib.metadata.version("celery"),
    }


@cache
def _mainstay_version() -> str:
    project = tomllib.loads((Path(settings.BASE_DIR) / "pyproject.toml").read_text())
    return str(project["project"]["version"])
