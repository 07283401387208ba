"""Whatever happens on the way, the end state is the one of a sync that nothing happened to."""

from __future__ import annotations

import datetime as dt
import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from accounts.crm import engine, limits, link, runs
from accounts.crm.hubspot import connector as hubspot
from accounts.crm.landing import land
from accounts.crm.protocol import Record
from accounts.models import Account, Connection, Quarantine, RawRecord, RecordAlias, SyncStep
from accounts.models.crm import StepState, SyncState
from tests.crm.servers.hubspot import Request, Server
from tests.crm.storm import undisturbed, weather
from tests.crm.syncing import end_state, free_at_once, sync
from tests.crm.world import converse, fill
from tests.factories import AccountFactory

Connect = Callable[..., Connection]
PAGES = 50
SHUFFLES = int(os.environ.get("SHUFFLES", "3"))


@pytest.fixture
def fifty_pages(connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A world that comes in more than fifty pages, and its undisturbed end state."""
    monkeypatch.setattr(hubspot, "PAGE", 1)
    fill(server.world, companies=18, deals_each=1)
    converse(server.world, companies=2)
    return undisturbed(connect("calm"))


def test_every_request_is_disturbed_once(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubspot, "PAGE", 1)
    fill(server.world, companies=18, deals_each=1)
    converse(server.world, companies=2)
    weather(server.world, connect, monkeypatch, PAGES)


class Killed(BaseException):
    """What a kill is to the code: it goes no further, and cleans nothing up."""


@pytest.mark.parametrize("when", ["before the commit", "after the commit"])
def test_the_worker_is_killed_at_every_page(
    fifty_pages: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    connection = connect("stormy")
    kills = kill_once_a_page(monkeypatch, when)
    run = runs.start_sync(connection)

    for _ in range(400):
        try:
            engine.work_on_run(run.pk)
        except Killed:
            assert SyncStep.objects.get(run=run, state=StepState.CLAIMED)
            free_at_once(run)
        run.refresh_from_db()
        if run.state == SyncState.DONE:
            break

    assert run.state == SyncState.DONE
    assert len(kills) > PAGES
    assert end_state(connection) == fifty_pages


def kill_once_a_page(monkeypatch: pytest.MonkeyPatch, when: str) -> set[str]:
    """Die at each page of each stream, the first time it is landed; each page is landed by itself."""
    monkeypatch.setattr(engine, "LAND_RECORDS", 1)
    killed: set[str] = set()
    whole, inner = engine._land_pages, engine._move

    def die_once(work: Any, pages: Any) -> None:
        (page,) = pages
        what = f"{work.stream} {page.position} {[record.source_id for record in page.records]}"
        if what not in killed:
            killed.add(what)
            raise Killed

    if when == "after the commit":

        def land_then_die(work: Any, pages: Any, cursor: Any) -> bool:
            is_over = whole(work, pages, cursor)
            die_once(work, pages)
            return is_over

        monkeypatch.setattr(engine, "_land_pages", land_then_die)
        return killed

    landing: list[Any] = []

    def remember(work: Any, pages: Any, cursor: Any) -> bool:
        landing.append((work, pages))
        return whole(work, pages, cursor)

    def die_inside(cursor: Any, page: Any) -> None:
        inner(cursor, page)
        die_once(*landing[-1])

    monkeypatch.setattr(engine, "_land_pages", remember)
    monkeypatch.setattr(engine, "_move", die_inside)
    return killed


def test_what_came_before_a_page_that_is_refused_is_landed(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that are landed together do not fall together."""
    monkeypatch.setattr(hubspot, "PAGE", 1)
    fill(server.world, companies=5, deals_each=0)
    connection = connect()
    asked: list[str] = []

    def refuse_from_the_third_on(request: Request) -> str:
        asked.extend([request.query.get("after", "")] if request.path.endswith("/objects/companies") else [])
        server.world.tokens = {"token-one"} if len(asked) < 3 else set()
        return ""

    server.world.fault = refuse_from_the_third_on
    assert sync(connection).state == SyncState.FAILED
    landed = RawRecord.objects.filter(connection=connection, stream="companies")
    assert sorted(landed.values_list("source_id", flat=True)) == ["1", "2"]

    server.world.fault = lambda request: ""
    server.world.tokens = {"token-one"}
    before = len(server.world.requests)
    assert sync(connection).state == SyncState.DONE
    assert landed.count() == 5
    again = [one for one in server.world.requests[before:] if one.path.endswith("/objects/companies")]
    assert [one.query["after"] for one in again] == ["2", "3", "4"]


def test_a_worker_given_up_for_dead_writes_nothing(connect: Connect, server: Server) -> None:
    """It comes back from a long wait and finds its step taken over."""
    fill(server.world, companies=3)
    connection = connect()
    run = runs.start_sync(connection)
    late = runs.claim_step(run.pk)
    assert late is not None
    free_at_once(run)
    assert runs.claim_step(run.pk) is not None

    engine.work_on_step(late)

    assert not RawRecord.objects.exists()
    assert SyncStep.objects.get(pk=late.pk).claim == late.claim + 1


def test_a_pause_stops_at_the_next_page_and_nothing_is_lost(connect: Connect, server: Server) -> None:
    fill(server.world)
    connection = connect()
    run = runs.start_sync(connection)

    step = runs.claim_step(run.pk)
    assert step is not None
    runs.pause_connection(connection)
    engine.work_on_step(step)
    run.refresh_from_db()
    assert (run.state, RawRecord.objects.count()) == (SyncState.PAUSED, 0)
    assert runs.claim_step(run.pk) is None

    runs.resume_connection(connection)
    assert sync(connection).pk == run.pk
    run.refresh_from_db()
    assert run.state == SyncState.DONE
    assert RawRecord.objects.filter(stream="companies").count() == 40


def test_retry_after_is_kept_by_every_worker(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker is told to wait; another one, which was told nothing, does not call before the time has come."""
    fill(server.world, companies=1)
    connection = connect()
    monkeypatch.setattr(limits, "LONGEST_WAIT", 0.5)
    monkeypatch.setattr(link, "LONGEST_WAIT", 0.5)
    server.world.fault = lambda request: "429"
    run = runs.start_sync(connection)
    engine.work_on_run(run.pk)
    calls = len(server.world.requests)
    assert calls == 1
    connection.refresh_from_db()
    assert connection.wait_until is not None
    SyncStep.objects.update(not_before=None)

    engine.work_on_run(run.pk)
    assert len(server.world.requests) == calls

    server.world.fault = lambda request: ""
    time.sleep(1.05)
    SyncStep.objects.update(not_before=None)
    engine.work_on_run(run.pk)
    run.refresh_from_db()
    assert run.state == SyncState.DONE


def test_the_pace_is_kept(connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses more than ten calls a second never has to, when eight are allowed."""
    fill(server.world, companies=12)
    monkeypatch.setattr(hubspot, "PAGE", 4)
    monkeypatch.setattr(hubspot.Connector, "calls_per_second", 8.0)
    monkeypatch.setattr(hubspot.Connector, "burst", 2)
    server.world.calls_per_second = 10

    assert sync(connect()).state == SyncState.DONE

    assert len(server.world.requests) > 12
    assert server.world.refused_for_pace == 0


def test_an_answer_that_is_too_slow_is_asked_for_again(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server.world, companies=3)
    monkeypatch.setattr(link, "TIMEOUT", 0.2)
    slow: list[int] = []

    def once(request: Request) -> str:
        slow.append(request.number)
        return "slow" if len(slow) == 2 else ""

    server.world.fault = once
    connection = connect()
    assert sync(connection).state == SyncState.DONE
    assert len(end_state(connection)["accounts"]) == 3


def test_a_system_that_stays_down_fails_the_run_and_the_next_goes_on(
    connect: Connect, server: Server
) -> None:
    fill(server.world)
    connection = connect()
    server.world.fault = lambda request: "500" if "/deals" in request.path else ""

    run = sync(connection)
    assert run.state == SyncState.FAILED
    assert "answered 500" in run.message
    assert RawRecord.objects.filter(stream="companies").count() == 40

    server.world.fault = lambda request: ""
    assert sync(connection).state == SyncState.DONE
    assert len(end_state(connection)["orders"]) == 80


@pytest.mark.django_db
def test_changes_in_any_order_with_repeats_land_the_same() -> None:
    """10,000 changes of 2,000 records, a tenth of them twice, in several orders; SHUFFLES=30 makes it thirty."""
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    changes = [
        Record(
            str(number % 2_000),
            {"id": number % 2_000, "version": number},
            start + dt.timedelta(seconds=number),
            is_deleted=number % 37 == 0,
        )
        for number in range(10_000)
    ]
    calm = landed_state("calm", changes)
    assert len(calm) == 2_000

    for seed in range(SHUFFLES):
        shuffle = random.Random(seed)
        stream = changes + shuffle.sample(changes, 1_000)
        shuffle.shuffle(stream)
        assert landed_state(f"seed {seed}", stream) == calm, f"seed {seed}"


def landed_state(name: str, stream: list[Record]) -> list[tuple[Any, ...]]:
    """What stands when all of it has landed on a connection of its own."""
    connection = Connection.objects.create(name=name, system="postgres", record_source=name)
    for begin in range(0, len(stream), 1_000):
        land(connection.pk, "things", stream[begin : begin + 1_000])
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT source_id, changed_at, deleted_at IS NOT NULL, CASE WHEN deleted_at IS NULL THEN hash END,"
            " CASE WHEN deleted_at IS NULL THEN payload END FROM accounts_rawrecord WHERE connection_id = %s ORDER BY 1",
            [connection.pk],
        )
        return list(cursor.fetchall())


def test_more_than_one_match_waits_for_a_person(connect: Connect, server: Server) -> None:
    from accounts.crm.linking import decide
    from tests.factories import AdministratorFactory

    fill(server.world, companies=3, deals_each=1)
    twins = [
        AccountFactory(name="company  1".replace("  ", " "), record_source="file", external_id=f"F{n}")
        for n in (1, 2)
    ]
    only = AccountFactory(name="COMPANY 2", record_source="file", external_id="F3")
    connection = connect()

    run = sync(connection)

    assert run.state == SyncState.DONE
    assert set(end_state(connection)["accounts"][0]) >= {"3", "Company 3"}
    assert len(end_state(connection)["accounts"]) == 1
    assert RecordAlias.objects.get().account == only
    only.refresh_from_db()
    assert only.name == "Company 2"
    assert only.contacts.get().external_id == "1002"  # what refers to it over there belongs to it here
    one = Quarantine.objects.get()
    assert sorted(one.candidates) == sorted(twin.pk for twin in twins)
    assert "wait for a decision" in " ".join(run.log.values_list("text", flat=True))
    assert RawRecord.objects.get(stream="contacts", source_id="1001").problem.startswith(
        "account '1' is no known"
    )

    decide(one.pk, AdministratorFactory(), record=twins[1])
    server.world.put("companies", 3, name="Company 3b")
    sync(connection)

    twins[1].refresh_from_db()
    assert twins[1].name == "Company 1"
    assert twins[1].contacts.get().external_id == "1001"
    assert not RawRecord.objects.exclude(problem="").exists()
    assert timezone.now() >= Quarantine.objects.get().decided_at


def test_a_record_merged_away_over_there_makes_nobody_a_former_customer(
    connect: Connect, server: Server
) -> None:
    """Two records of one customer are merged here; over there first one of them goes, then the other."""
    from accounts.services.merging import merge_accounts
    from tests.factories import AdministratorFactory

    fill(server.world, companies=3, deals_each=1)
    connection = connect()
    sync(connection)
    one, two = (Account.objects.get(external_id=number) for number in "12")
    merge_accounts(one.pk, two.pk, AdministratorFactory())

    for number, stage in ((1, "customer"), (2, "former")):
        server.world.delete("companies", number)
        sync(connection, is_full=True)
        one.refresh_from_db()
        assert one.lifecycle_stage == stage, number
