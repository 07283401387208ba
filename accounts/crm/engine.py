"""The work on the steps of a run. A few pages, one transaction: what was landed and how far we are stand together.

The calls to the other side are made outside any transaction. Killed at any moment, the next worker goes on from the last
page that was written down; pages that were read and not written down are read again.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, transaction
from django.db import connection as database
from django.db.models import F
from django.utils import timezone

from accounts.crm import landing, outbox, runs
from accounts.crm.errors import CrmError, NotShown, SignInRefused, StepLost, TryLater
from accounts.crm.intake import (
    count_waiting,
    map_version,
    mapper_of,
    note_taken,
    retry_refused,
    take_batch,
)
from accounts.crm.link import Link
from accounts.crm.preview import find_out
from accounts.crm.protocol import Connector, Page, Record
from accounts.crm.systems import connector_class
from accounts.crm.winners import name_winners
from accounts.models import Connection, ReadHint, StreamCursor, SyncRun, SyncStep
from accounts.models.crm import StepAction, StepState

log = logging.getLogger(__name__)

HINTS_AT_ONCE = 100
# Pages are landed together until there are so many records, or so much time has gone by: one commit for each page of a
# hundred would take as long as reading it.
LAND_RECORDS = 1_000
LAND_SECONDS = 1.0
# A look for deleted records that would find more than this share gone (and more than FEW) asks a person first: a
# token that lost its rights lists nothing, too.
MOST_GONE = 0.3
FEW_GONE = 20
LONGEST_PREVIEW = dt.timedelta(minutes=30)


@dataclass(slots=True)
class Work:
    """One step in the hands of a worker."""

    step: SyncStep
    connection: Connection
    connector: Connector

    @property
    def stream(self) -> str:
        return self.step.stream


def open_connector(connection: Connection, still_here: Callable[[], None] = lambda: None) -> Connector:
    """The connector of a connection, ready to call; `link.close()` when done."""
    link = Link(connection, still_here)
    connector = connector_class(connection.system)(link)
    link.attach(connector)
    return connector


def work_on_run(run_id: int, seconds: float = float("inf")) -> bool:
    """Do the steps of a run that are free, for about `seconds`; True when there may be more to do now."""
    until = time.monotonic() + seconds
    while (step := runs.claim_step(run_id)) is not None:
        work_on_step(step, until)
        if time.monotonic() > until:
            return True
    runs.finish_run(run_id)
    return False


def work_on_step(step: SyncStep, until: float = float("inf")) -> None:
    """Do one claimed step, as far as it goes; what stands in the way is written down with the step."""
    connection = Connection.objects.get(runs=step.run_id)
    connector = None
    try:
        connector = open_connector(connection, lambda: runs.still_here(step))
        for _ in STEPS[StepAction(step.action)](Work(step, connection, connector)):
            if time.monotonic() > until:
                runs.put_down(step)
                return
    except StepLost:
        return
    except TryLater as wait:
        runs.put_down(step, str(wait), min(max(wait.seconds, 1), 3600), has_failed=True)
    except SignInRefused as problem:
        Connection.objects.filter(pk=connection.pk).update(message=str(problem)[:500])
        runs.fail_run(step.run_id, f"{step}: {problem}")
    except CrmError as problem:
        runs.fail_run(step.run_id, f"{step}: {problem}")
    except DatabaseError:
        raise
    except Exception as problem:
        # An answer nobody thought of. What it was stands in the server's log; the run ends after some tries.
        log.exception("Step %s of sync %s broke", step, step.run_id)
        name = type(problem).__name__
        runs.put_down(step, f"Something unexpected came in ({name}).", 30, has_failed=True)
    finally:
        if connector is not None:
            connector.link.close()


def _finish(step: SyncStep, message: str = "") -> None:
    with transaction.atomic():
        held = runs.hold_step(step)
        held.state, held.lease_until, held.message = StepState.DONE, None, message
        held.save()
        counts = f"{held.rows_read:,} read, {held.rows_created:,} new, {held.rows_changed:,} changed"
        more = f", {held.rows_deleted:,} gone, {held.rows_refused:,} refused, {held.rows_quarantined:,} to decide"
        runs.write_log(held.run_id, f"{held}: {counts}{more}. {message}".strip())


# Reading ----------------------------------------------------------------------------------------------------------


def pull(work: Work) -> Iterator[None]:
    """Read a stream to its end, some pages at a time. Who holds the step is the only one who moves the cursor, so it is
    looked up once."""
    cursor = StreamCursor.objects.get(connection=work.connection, stream=work.stream)
    is_over = False
    while not is_over:
        pages, problem = _gathered(work, cursor)
        is_over = bool(pages) and _land_pages(work, pages, cursor)
        if problem is not None:
            raise problem
        yield
    _finish(work.step)


def _gathered(work: Work, cursor: StreamCursor) -> tuple[list[Page], CrmError | None]:
    """The next pages, as many as are landed at once, and what kept us from reading on: pages that came before it are not
    asked for again."""
    since = cursor.since - work.connector.overlap if cursor.since else None
    position, began, count = cursor.position, time.monotonic(), 0
    pages = list[Page]()
    while count < LAND_RECORDS and time.monotonic() - began < LAND_SECONDS:
        try:
            page = work.connector.pull(work.stream, since, position)
        except CrmError as problem:
            return pages, problem
        pages.append(page)
        count += len(page.records)
        position = page.position
        if position is None or work.connector.looks_at_landed:
            break
    return pages, None


def _land_pages(work: Work, pages: Sequence[Page], cursor: StreamCursor) -> bool:
    """Landing, cursor and progress in one commit; True when the pass is over. The commit does not wait for the disk: what
    a power failure takes back, it takes back together, and those pages are read again."""
    records = [record for page in pages for record in page.records]
    with transaction.atomic():
        landing.let_commit_not_wait()
        held = runs.hold_step(work.step)
        landed = landing.land(work.connection.pk, work.stream, records)
        for page in pages:
            _move(cursor, page)
        cursor.save(update_fields=["since", "position", "pass_began_at", "pass_top", "updated_at"])
        _count(held, landed, len(pages), len(records))
        held.save()
    return pages[-1].position is None


def _move(cursor: StreamCursor, page: Page) -> None:
    """Where the next page begins; at the end of a pass, where the next pass does: at the latest change met, but never
    after the pass began, because what changed behind our back meanwhile was not met."""
    times = [record.changed_at for record in page.records if record.changed_at is not None]
    cursor.pass_top = max([*times, *([cursor.pass_top] if cursor.pass_top else [])], default=None)
    if cursor.pass_began_at is None:
        cursor.pass_began_at = page.asked_at or timezone.now()
    cursor.position = page.position
    if page.position is None:
        if cursor.pass_top is not None:
            cursor.since = max(filter(None, [cursor.since, min(cursor.pass_top, cursor.pass_began_at)]))
        elif cursor.since is None:
            cursor.since = cursor.pass_began_at
        cursor.pass_began_at = cursor.pass_top = None


def _count(step: SyncStep, landed: landing.Landed, pages: int, read: int) -> None:
    step.pages += pages
    step.rows_read += read
    step.rows_created += landed.created
    step.rows_changed += landed.changed
    step.rows_same += landed.same
    step.rows_deleted += landed.deleted


def read_hints(work: Work) -> Iterator[None]:
    """Read again what webhooks named. A hint that came once more while it was read stays."""
    while hints := list(_next_hints(work.connection)):
        stream, ids = hints[0].stream, [hint.source_id for hint in hints]
        records, refused = _read_again(work, stream, ids)
        gone = sorted(set(ids) - {record.source_id for record in records} - set(refused))
        with transaction.atomic():
            held = runs.hold_step(work.step)
            landed = landing.land(work.connection.pk, stream, records)
            held.rows_deleted += landing.mark_gone(work.connection.pk, stream, gone)
            for hint in hints:
                ReadHint.objects.filter(pk=hint.pk, asked_at=hint.asked_at).delete()
            _count(held, landed, 1, len(records))
            held.save()
        yield
    _finish(work.step)


def _read_again(work: Work, stream: str, ids: list[str]) -> tuple[list[Record], list[str]]:
    """These records as they are now, and the ids that were refused. One that the system will not be asked for must not
    keep the others from being read: then each is asked for by itself, and what is refused is left to the next pull."""
    try:
        return list(work.connector.read(stream, ids)), []
    except (SignInRefused, TryLater):
        raise
    except CrmError as problem:
        if len(ids) == 1:
            runs.write_log(work.step.run_id, f"{stream} {ids[0]} could not be read again: {problem}")
            return [], ids
    parts = [_read_again(work, stream, [one]) for one in ids]
    return [one for records, _ in parts for one in records], [one for _, refused in parts for one in refused]


def _next_hints(connection: Connection) -> list[ReadHint]:
    hints = ReadHint.objects.filter(connection=connection).order_by("stream", "pk")
    first = hints.first()
    return list(hints.filter(stream=first.stream)[:HINTS_AT_ONCE]) if first else []


def sweep(work: Work) -> Iterator[None]:
    """List the ids that exist; landed records that are not among them are gone."""
    step = SyncStep.objects.get(pk=work.step.pk)
    state: dict[str, Any] = step.position or {"from": _database_now().isoformat(), "at": None}
    is_over = False
    while not is_over:
        try:
            page = work.connector.ids(work.stream, state["at"])
        except NotShown as problem:
            _finish(work.step, f"{problem} Nothing is taken for gone.")
            return
        is_over = page.position is None
        state = {"from": state["from"], "at": page.position}
        with transaction.atomic():
            held = runs.hold_step(work.step)
            landing.mark_seen(work.connection.pk, work.stream, page.ids)
            held.position, held.pages = state, held.pages + 1
            held.rows_read += len(page.ids)
            if is_over:
                held.rows_deleted = _mark_unseen(work, held, dt.datetime.fromisoformat(state["from"]))
            held.save()
        yield
    _finish(work.step)


def _mark_unseen(work: Work, held: SyncStep, since: dt.datetime) -> int:
    unseen, total = landing.count_unseen(work.connection.pk, work.stream, since)
    if unseen > FEW_GONE and unseen > MOST_GONE * total and not held.run.accepts_deletions:
        raise CrmError(
            f"{unseen:,} of {total:,} records are not listed any more. Nothing was changed: check what the credentials"
            " may see, or start a full sync that accepts the deletions."
        )
    gone = landing.mark_unseen(work.connection.pk, work.stream, since)
    StreamCursor.objects.filter(connection=work.connection, stream=work.stream).update(
        swept_at=timezone.now()
    )
    return gone


def _database_now() -> dt.datetime:
    with database.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now


# Taking in --------------------------------------------------------------------------------------------------------


def apply(work: Work) -> Iterator[None]:
    """Take what was landed through the import door."""
    version = map_version(work.connection, work.stream)
    mapper = mapper_of(work.connection, work.stream)
    after = int((work.step.position or {}).get("after", 0))
    if after == 0 and _has_news(work.step):
        retry_refused(work.connection)
    while mapper is not None:
        runs.still_here(work.step)
        taken = take_batch(work.connection, work.stream, mapper, after)
        if taken.last_id is None:
            break
        with transaction.atomic():
            held = runs.hold_step(work.step)
            now = map_version(work.connection, work.stream, locks=True)
            if now != version:  # a person changed the map meanwhile: begin again with the new one
                after, version, mapper = 0, now, mapper_of(work.connection, work.stream)
                continue
            after = taken.last_id
            note_taken(taken)
            held.position, held.last_import = {"after": after}, taken.run or held.last_import
            held.pages += 1
            for name in ("read", "created", "changed", "same", "quarantined"):
                setattr(held, f"rows_{name}", getattr(held, f"rows_{name}") + getattr(taken, name))
            held.rows_refused += len(taken.refused)
            held.save()
        yield
    waiting = count_waiting(work.connection)
    _finish(work.step, f"{waiting:,} wait for a decision." if waiting else "")


def _has_news(step: SyncStep) -> bool:
    """Whether anything new was read in this run; without, records that were refused would only be refused again."""
    news = SyncStep.objects.filter(run_id=step.run_id).annotate(news=F("rows_created") + F("rows_changed"))
    return news.filter(news__gt=0).exists()


def name_sales(work: Work) -> Iterator[None]:
    """Name who won the accounts that have no original salesperson."""
    mapper = mapper_of(work.connection, work.stream)
    if mapper is not None and "salesperson" in mapper.columns and _has_news(work.step):
        runs.still_here(work.step)
        changed = name_winners(
            work.connection, work.stream, mapper, _named_last(work), lambda: runs.still_here(work.step)
        )
        with transaction.atomic():
            held = runs.hold_step(work.step)
            held.rows_changed = changed
            held.save()
    _finish(work.step)
    yield


def _named_last(work: Work) -> dt.datetime | None:
    """When the run began that named salespeople last, to its end: only orders taken in since then can name somebody new.
    None when everything is looked at again."""
    if SyncRun.objects.get(pk=work.step.run_id).is_full:
        return None
    done = SyncStep.objects.filter(
        run__connection=work.connection, action=StepAction.SALES, stream=work.stream, state=StepState.DONE
    )
    return done.order_by("-pk").values_list("run__started_at", flat=True).first()


# Writing back -----------------------------------------------------------------------------------------------------


def push(work: Work) -> Iterator[None]:
    """Tell the system what changed, batch by batch."""
    while batch := outbox.next_batch(work.connection, work.connector.push_size):
        results = work.connector.push([one.change for one in batch])
        with transaction.atomic():
            held = runs.hold_step(work.step)
            sent, refused = outbox.note_results(batch, results)
            held.pages += 1
            held.rows_read += len(batch)
            held.rows_changed += sent
            held.rows_refused += refused
            held.save()
        yield
    _finish(work.step)


# Trying out ----------------------------------------------------------------------------------------------------------


def preview(work: Work) -> Iterator[None]:
    """Find out what taking in everything would do, and take nothing in."""
    runs.hold_for(work.step, LONGEST_PREVIEW)
    found = find_out(work.connection)
    with transaction.atomic():
        held = runs.hold_step(work.step)
        held.run.found = found
        held.run.save(update_fields=["found", "updated_at"])
    _finish(work.step)
    yield


STEPS: dict[StepAction, Callable[[Work], Iterator[None]]] = {
    StepAction.PULL: pull,
    StepAction.HINTS: read_hints,
    StepAction.SWEEP: sweep,
    StepAction.APPLY: apply,
    StepAction.SALES: name_sales,
    StepAction.PUSH: push,
    StepAction.PREVIEW: preview,
}
