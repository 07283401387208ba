"""Celery rings the bell, PostgreSQL knows the work.

What has to be done is rows; a task is only a hint to look, and may be lost, repeated or late. The settings
below were each measured to matter with the Redis transport (docs/operations.md).
"""

import logging
import os
import time
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.contrib.django.task import DjangoTask
from celery.schedules import crontab
from celery.signals import after_task_publish, beat_init
from kombu import Queue
from kombu.exceptions import OperationalError
from redis import Redis, RedisError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "retention.settings")

from django.conf import settings

logger = logging.getLogger(__name__)
LONGEST_TASK = timedelta(minutes=10)
# A task not acknowledged in this time is given to another worker: ten times the longest, never shorter.
VISIBILITY = {"visibility_timeout": int(LONGEST_TASK.total_seconds()) * 10}


def broker_url(redis_url: str) -> str:
    """The address in kombu's words: `unix://` sockets are `redis+socket://` there."""
    return redis_url.replace("unix://", "redis+socket://", 1)


class Doorbell(DjangoTask):
    """A task nobody misses: what it points to is in the database, where the next tick finds it."""

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        """Ring; with the broker down, say so in the log and let the person's request go on."""
        try:
            return super().apply_async(*args, **kwargs)
        except OperationalError as failure:
            logger.warning(
                "The broker cannot be reached (%s); %s waits for the next tick.", failure, self.name
            )
            return None


app = Celery("mainstay", task_cls=Doorbell)
app.conf.update(
    broker_url=broker_url(settings.REDIS_URL),
    broker_transport_options=VISIBILITY | {"socket_timeout": 30, "socket_connect_timeout": 5},
    result_backend_transport_options=VISIBILITY,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # wait for a broker that comes back, however long it takes
    task_ignore_result=True,
    # A killed child loses its task without the second of these two.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=200,
    worker_soft_shutdown_timeout=10.0,
    worker_enable_soft_shutdown_on_idle=True,
    task_time_limit=int(LONGEST_TASK.total_seconds()),
    task_soft_time_limit=int(LONGEST_TASK.total_seconds()) - 30,
    # A web request must not hang when the bell is out of order: two quick tries, then go on without.
    task_publish_retry_policy={
        "max_retries": 1,
        "interval_start": 0.1,
        "interval_step": 0.1,
        "interval_max": 0.2,
    },
    task_default_queue="default",
    # The night's chunks have their own queue, so that a person's import never waits behind them.
    task_queues=[Queue("default"), Queue("batch")],
    task_routes={
        "retention.tasks.score_*": {"queue": "batch"},
        "pulsecheck.tasks.plan": {"queue": "batch"},
        "pulsecheck.tasks.study": {"queue": "batch"},
    },
    task_serializer="json",
    accept_content=["json"],
    timezone="UTC",
    enable_utc=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    # Beat remembers nothing, so there is no file to go stale or be torn: see ring_everything below.
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        # What is due is asked of the database in each team's own time zone; ringing too often changes nothing.
        "tick": {"task": "retention.tasks.tick", "schedule": timedelta(minutes=15)},
        "reap": {"task": "retention.tasks.reap", "schedule": timedelta(seconds=30)},
        "deliver": {"task": "notifications.tasks.deliver", "schedule": timedelta(seconds=30)},
        "webhooks": {"task": "notifications.tasks.deliver_webhooks", "schedule": timedelta(seconds=15)},
        "syncs": {"task": "accounts.tasks.sync_due", "schedule": timedelta(seconds=15)},
        "duplicates": {"task": "accounts.tasks.compare_accounts", "schedule": crontab(hour=4, minute=20)},
        "imports": {"task": "accounts.tasks.resume_imports", "schedule": timedelta(minutes=1)},
    },
)
app.autodiscover_tasks()


BEAT_KEY = "mainstay:last-beat"


@beat_init.connect
def ring_everything(**_: object) -> None:
    """Ring once as beat comes up: what was missed while it was away is caught up at once."""
    after_task_publish.connect(note_beat)
    for entry in app.conf.beat_schedule.values():
        app.send_task(entry["task"])


def note_beat(**_: object) -> None:
    """Leave the time of the last ring in the broker, for the status page. Losing it loses nothing."""
    try:
        Redis.from_url(settings.REDIS_URL, socket_timeout=2).set(BEAT_KEY, time.time())
    except RedisError as failure:
        logger.warning("The time of this beat could not be noted (%s).", failure)
