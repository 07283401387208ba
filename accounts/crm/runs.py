"""Sync runs as rows: begun once, worked on by whoever is free, stopped by a person, finished when the last step is.

The steps of a run are done one after the other. A worker claims a step for the length of a lease and prolongs it with
every page and before every wait; every write it makes first locks the step and checks that the claim is still its own,
so a worker that was given up for dead changes nothing any more.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.crm.errors import CrmError, StepLost
from accounts.models import Connection, FieldMap, ReadHint, StreamCursor, SyncLog, SyncRun, SyncStep, User
from accounts.models.crm import StepAction, StepState, SyncState

LEASE = dt.timedelta(seconds=50)  # longer than any call may be silent (accounts.crm.link)
MOST_FAILURES = 8
HINT_REST = dt.timedelta(seconds=20)  # between two runs that only read what webhooks named
KEPT_FOR = dt.timedelta(days=90)
OPEN = (SyncState.WAITING, SyncState.RUNNING, SyncState.PAUSED)


def start_sync(
    connection: Connection,
    *,
    is_full: bool = False,
    accepts_deletions: bool = False,
    only_hints: bool = False,
    is_dry_run: bool = False,
    user: User | None = None,
) -> SyncRun:
    """Begin a run; the one that is open already where there is one. `is_full` reads everything again and looks for
    what is gone; `only_hints` reads what webhooks named and nothing else; `is_dry_run` only reads, and finds out what
    taking it in would do."""
    try:
        with transaction.atomic():
            run = SyncRun.objects.create(
                connection=connection,
                is_full=is_full,
                accepts_deletions=accepts_deletions,
                is_dry_run=is_dry_run,
                started_by=user,
                state=SyncState.PAUSED if connection.is_paused else SyncState.WAITING,
            )
            if is_full:
                connection.streams.update(since=None, position=None, pass_began_at=None, pass_top=None)
            SyncStep.objects.bulk_create(
                SyncStep(run=run, number=number, action=action, stream=stream)
                for number, (action, stream) in enumerate(
                    _dry_plan(connection) if is_dry_run else _plan(connection, run, only_hints)
                )
            )
            return run
    except IntegrityError:
        return SyncRun.objects.get(connection=connection, state__in=OPEN)


def _plan(connection: Connection, run: SyncRun, only_hints: bool) -> Iterable[tuple[str, str]]:
    """Read, then take in from what others refer to on to what refers, then write back."""
    streams = list(connection.streams.filter(is_wanted=True))
    mapped = dict(FieldMap.objects.filter(connection=connection).values_list("stream", "kind"))
    if ReadHint.objects.filter(connection=connection).exists():
        yield StepAction.HINTS, ""
    if not only_hints:
        yield from _plan_reading(connection, run, streams)
    for cursor in streams:
        if cursor.stream in mapped:
            yield StepAction.APPLY, cursor.stream
    for cursor in streams:
        if mapped.get(cursor.stream) == "orders":
            yield StepAction.SALES, cursor.stream
    if connection.writes_back:
        yield StepAction.PUSH, ""


def _plan_reading(
    connection: Connection, run: SyncRun, streams: Iterable[StreamCursor]
) -> Iterable[tuple[str, str]]:
    """Pull every stream, then look for what is gone where that is due."""
    for cursor in streams:
        yield StepAction.PULL, cursor.stream
    for cursor in streams:
        if run.is_full or _is_sweep_due(connection, cursor):
            yield StepAction.SWEEP, cursor.stream


def _dry_plan(connection: Connection) -> Iterable[tuple[str, str]]:
    """Read everything, and find out what it would do."""
    for cursor in connection.streams.filter(is_wanted=True):
        yield StepAction.PULL, cursor.stream
    yield StepAction.PREVIEW, ""


def _is_sweep_due(connection: Connection, cursor: StreamCursor) -> bool:
    if not connection.sweep_hours or cursor.since is None:
        return False
    last = cursor.swept_at or cursor.created_at
    return last <= timezone.now() - dt.timedelta(hours=connection.sweep_hours)


def claim_step(run_id: int) -> SyncStep | None:
    """The next step of a run, if it is free to be worked on now."""
    now = timezone.now()
    with transaction.atomic():
        run = (
            SyncRun.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(pk=run_id, state__in=[SyncState.WAITING, SyncState.RUNNING])
            .first()
        )
        if run is None:
            return None
        step = run.steps.select_for_update().exclude(state=StepState.DONE).first()
        if step is None or not _is_free(step, now):
            return None
        if run.state == SyncState.WAITING:
            run.state, run.started_at = SyncState.RUNNING, now
            run.save(update_fields=["state", "started_at", "updated_at"])
        step.state, step.lease_until, step.claim = StepState.CLAIMED, now + LEASE, step.claim + 1
        step.claimed_by = f"{socket.gethostname()}:{os.getpid()}"
        step.began_at = step.began_at or now
        step.save()
    return step


def _is_free(step: SyncStep, now: dt.datetime) -> bool:
    if step.state == StepState.FAILED or (step.not_before is not None and step.not_before > now):
        return False
    return step.state == StepState.WAITING or step.lease_until is None or step.lease_until < now


def hold_step(step: SyncStep) -> SyncStep:
    """Lock a claimed step until the transaction ends, and prolong its lease. StepLost when it is not ours any more, or
    a person paused or cancelled."""
    held = _still_ours(step).select_for_update(of=["self"]).first()
    if held is None:
        raise StepLost
    held.lease_until, held.failures, held.message = timezone.now() + LEASE, 0, ""
    return held


def hold_for(step: SyncStep, lease: dt.timedelta) -> None:
    """Claim a step for as long as something takes that cannot prolong its lease meanwhile: one long transaction."""
    mine = SyncStep.objects.filter(pk=step.pk, state=StepState.CLAIMED, claim=step.claim)
    if not mine.update(lease_until=timezone.now() + lease):
        raise StepLost


def still_here(step: SyncStep) -> None:
    """Prolong the lease while waiting for the other side. StepLost when somebody took over or it was stopped."""
    if not _still_ours(step).update(lease_until=timezone.now() + LEASE):
        raise StepLost


def _still_ours(step: SyncStep) -> QuerySet[SyncStep]:
    """The step, unless somebody took it over or a person paused or cancelled."""
    return SyncStep.objects.filter(
        pk=step.pk,
        state=StepState.CLAIMED,
        claim=step.claim,
        run__state=SyncState.RUNNING,
        run__connection__is_paused=False,
    )


def put_down(step: SyncStep, message: str = "", seconds: float = 0, *, has_failed: bool = False) -> None:
    """Give a step back, to be taken up again in `seconds`. After MOST_FAILURES without getting on the run ends."""
    with transaction.atomic():
        mine = SyncStep.objects.select_for_update().filter(
            pk=step.pk, state=StepState.CLAIMED, claim=step.claim
        )
        held = mine.first()
        if held is None:
            return
        held.state, held.lease_until = StepState.WAITING, None
        held.message = message[:500]
        held.failures += int(has_failed)
        held.not_before = timezone.now() + dt.timedelta(seconds=seconds) if seconds else None
        held.save()
    if has_failed and held.failures >= MOST_FAILURES:
        fail_run(
            held.run_id, f"{held}: {message} Tried {held.failures} times; the next run goes on from here."
        )


def fail_run(run_id: int, message: str) -> None:
    """End a run that cannot go on. What was landed stays; the next run goes on behind it."""
    now = timezone.now()
    open_run = SyncRun.objects.filter(pk=run_id, state__in=OPEN)
    if open_run.update(state=SyncState.FAILED, message=message[:500], finished_at=now, updated_at=now):
        SyncStep.objects.filter(run_id=run_id, state=StepState.CLAIMED).update(state=StepState.FAILED)
        write_log(run_id, message)


def finish_run(run_id: int) -> bool:
    """Mark a run whose steps are all done; False when it is not, or was marked already."""
    now = timezone.now()
    waiting = SyncStep.objects.filter(run_id=run_id).exclude(state=StepState.DONE)
    if waiting.exists():
        return False
    running = SyncRun.objects.filter(pk=run_id, state__in=[SyncState.WAITING, SyncState.RUNNING])
    done = running.update(state=SyncState.DONE, finished_at=now, updated_at=now)
    if done:
        Connection.objects.filter(runs=run_id).update(message="")
    return bool(done)


def write_log(run_id: int, text: str) -> None:
    """One line into the log of a run."""
    SyncLog.objects.create(run_id=run_id, text=text[:500])


# What a person may do -------------------------------------------------------------------------------------------


def pause_connection(connection: Connection) -> None:
    """Stop at the next page; nothing is lost, and nothing runs until it is resumed."""
    Connection.objects.filter(pk=connection.pk).update(is_paused=True, updated_at=timezone.now())
    SyncRun.objects.filter(connection=connection, state__in=[SyncState.WAITING, SyncState.RUNNING]).update(
        state=SyncState.PAUSED, updated_at=timezone.now()
    )
    SyncStep.objects.filter(run__connection=connection, state=StepState.CLAIMED).update(
        state=StepState.WAITING, lease_until=None
    )


def resume_connection(connection: Connection) -> None:
    """Go on where it was paused."""
    Connection.objects.filter(pk=connection.pk).update(is_paused=False, updated_at=timezone.now())
    SyncRun.objects.filter(connection=connection, state=SyncState.PAUSED).update(
        state=SyncState.WAITING, updated_at=timezone.now()
    )


def cancel_run(run: SyncRun) -> bool:
    """End a run; what is landed stays, and the next run goes on behind it. False when it had ended already."""
    now = timezone.now()
    open_run = SyncRun.objects.filter(pk=run.pk, state__in=OPEN)
    return bool(open_run.update(state=SyncState.CANCELLED, finished_at=now, updated_at=now))


# What is due ----------------------------------------------------------------------------------------------------


def start_due_syncs() -> list[int]:
    """Begin the runs whose time has come, and those webhooks asked for."""
    now = timezone.now()
    begun = []
    idle = Connection.objects.filter(is_paused=False).exclude(runs__state__in=OPEN)
    for connection in idle:
        if _is_pull_due(connection, now):
            begun.append(start_sync(connection).pk)
        elif _are_hints_due(connection, now):
            begun.append(start_sync(connection, only_hints=True).pk)
    return begun


def _is_pull_due(connection: Connection, now: dt.datetime) -> bool:
    """Whether the time of the next pull has come. The first one is begun by a person."""
    last = connection.runs.filter(is_dry_run=False, steps__action=StepAction.PULL).first()
    if last is None or not connection.pull_minutes:
        return False
    return last.created_at <= now - dt.timedelta(minutes=connection.pull_minutes)


def _are_hints_due(connection: Connection, now: dt.datetime) -> bool:
    """Whether webhooks named something, and the run before is over for a while: for longer where it failed."""
    last = connection.runs.filter(is_dry_run=False).first()
    if last is None or not ReadHint.objects.filter(connection=connection).exists():
        return False
    has_failed = last.state == SyncState.FAILED
    rest = dt.timedelta(minutes=max(connection.pull_minutes, 1)) if has_failed else HINT_REST
    return last.created_at <= now - rest


def find_open_runs() -> list[int]:
    """Runs with a step that is free now: their bell was lost, their worker was killed, or their wait is over."""
    now = timezone.now()
    claimed = Q(state=StepState.CLAIMED, lease_until__gte=now)
    resting = Q(state=StepState.WAITING, not_before__gt=now)
    busy = SyncStep.objects.filter(claimed | resting).values("run")
    open_runs = SyncRun.objects.filter(state__in=[SyncState.WAITING, SyncState.RUNNING])
    return list(open_runs.exclude(pk__in=busy).values_list("pk", flat=True))


def forget_old_runs(now: dt.datetime) -> int:
    """Delete ended runs after KEPT_FOR, with their steps and logs, but for the last one of each connection; how
    many."""
    newer = SyncRun.objects.filter(connection=OuterRef("connection"), pk__gt=OuterRef("pk"))
    old = SyncRun.objects.filter(Exists(newer), finished_at__lt=now - KEPT_FOR)
    count = old.count()
    old.delete()
    return count


def connection_named(name: str) -> Connection:
    """The connection called `name`; an unknown one is answered with those there are."""
    found = Connection.objects.filter(name=name).first()
    if found is None:
        names = ", ".join(Connection.objects.values_list("name", flat=True)) or "none yet"
        raise CrmError(f"There is no connection '{name}' (there are: {names}).")
    return found
