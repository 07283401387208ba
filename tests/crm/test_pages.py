"""The pages of connected systems, against the stand-ins: connect, map, look, sync, decide, write back, let go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.crm.engine import work_on_run
from accounts.crm.systems import known_systems
from accounts.crm.vault import unseal
from accounts.models import Account, Connection, FieldMap, Order, Quarantine, RawRecord, SyncRun
from accounts.models.crm import Decision, SyncState
from accounts.services.connecting import ways_of
from tests.crm.servers.hubspot import Server
from tests.crm.syncing import go_on, sync
from tests.crm.world import fill
from tests.factories import AccountFactory, AdministratorFactory

HOSTILE = "<script>alert(1)</script>\"' onmouseover=alert(2)"
TOKEN = "token-one"


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(AdministratorFactory())
    return client


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done by the test itself, not by a worker."""
    monkeypatch.setattr("accounts.tasks.work_on_sync.delay_on_commit", lambda run_id: None)


@pytest.fixture
def begin(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Fill in the first form for the stand-in, whose address people do not type."""
    monkeypatch.setattr("accounts.crm.hubspot.connector.ADDRESS", server.address)

    def fill_in(token: str = TOKEN, name: str = "Our HubSpot") -> Any:
        given = {"name": name, "access_token": token, "client_secret": "hush-client-secret"}
        return client.post(reverse("accounts:new_connection", args=["hubspot"]), given, follow=True)

    return fill_in


def page(client: Client, name: str, pk: int, query: str = "") -> str:
    answer = client.get(reverse(f"accounts:{name}", args=[pk]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def finish(run: SyncRun) -> SyncRun:
    go_on(run)
    run.refresh_from_db()
    return run


def test_from_credentials_to_the_first_sync(
    client: Client, server: Server, begin: Callable[..., Any]
) -> None:
    fill(server.world, companies=6)
    server.world.labels = {"companies": {"name": "Company name", "area": "Sales area"}}
    server.world.put("companies", 7, name="", industry="Food")
    AccountFactory(name="Company 1", record_source="file", external_id="A-1")
    AccountFactory(name="Company 2", record_source="file", external_id="A-2")
    AccountFactory(name="Company 2", record_source="file", external_id="A-3")

    answer = begin()
    connection = Connection.objects.get()
    assert "Our HubSpot is connected. Companies can be read." in answer.content.decode()
    assert answer.request["PATH_INFO"] == reverse("accounts:connection_map", args=[connection.pk])
    body = answer.content.decode()
    assert "Company 1" in body
    assert "Sales area" in body
    assert dict(unseal(connection.sealed_credentials))["access_token"] == TOKEN

    saved = FieldMap.objects.get(stream="companies")
    chosen = {f"column_{name}": spec for name, spec in saved.columns.items() if isinstance(spec, str)}
    answer = client.post(
        reverse("accounts:connection_map", args=[connection.pk]),
        {
            "stream": "companies",
            "is_wanted": "on",
            "preview": "1",
            **chosen,
            "column_region": "properties.area",
        },
    )
    assert answer["Location"] == reverse("accounts:connection_preview", args=[connection.pk])
    saved.refresh_from_db()
    assert saved.columns["region"] == "properties.area"
    assert "account_manager" not in saved.columns  # it was set to stay empty

    waiting = page(client, "connection_preview", connection.pk)
    assert 'hx-trigger="every 2s"' in waiting
    dry = finish(SyncRun.objects.get())
    assert (dry.state, dry.is_dry_run) == (SyncState.DONE, True)
    counts = {
        row["stream"]: (row["created"], row["same"], row["refused"], row["quarantined"])
        for row in dry.found["streams"]
    }
    silent = dict.fromkeys(("tickets", "calls", "meetings", "emails"), (0, 0, 0, 0))
    found = {"companies": (4, 0, 1, 1), "contacts": (5, 0, 1, 0), "deals": (10, 0, 2, 0)}
    assert counts == found | silent
    assert dry.found["linked"] == 1
    body = page(client, "connection_preview", connection.pk)
    assert "Start the first sync" in body
    assert "2 accounts could be this one." in body
    assert Account.objects.count() == 3
    assert not Quarantine.objects.exists()
    assert "Not finished setting up" in page(client, "connection", connection.pk)

    client.post(reverse("accounts:start_sync", args=[connection.pk]))
    run = finish(SyncRun.objects.get(is_dry_run=False))
    assert (run.state, run.is_full) == (SyncState.DONE, False)
    assert Account.objects.count() == 3 + 4
    assert Order.objects.count() == 10
    body = page(client, "connection", connection.pk)
    assert "Up to date" in body
    assert "It waits until somebody says which" in re.sub(r"\s+", " ", body)
    assert "read" in page(client, "sync_run", run.pk)


def test_every_system_says_what_it_needs(client: Client) -> None:
    listed = client.get(reverse("accounts:choose_system")).content.decode()
    for system in known_systems():
        address = reverse("accounts:new_connection", args=[system])
        assert address in listed
        for way in ways_of(system):
            answer = client.get(f"{address}?way={way.name}")
            assert answer.status_code == 200
            assert all(f'name="{ask.name}"' in answer.content.decode() for ask in way.asks)
        assert client.post(address, {"name": ""}).status_code == 422


def test_credentials_that_do_not_work_say_so_and_are_kept(
    client: Client, server: Server, begin: Callable[..., Any]
) -> None:
    answer = begin("a-wrong-token-1")
    body = answer.content.decode()
    connection = Connection.objects.get()
    assert answer.request["PATH_INFO"] == reverse("accounts:credentials", args=[connection.pk])
    assert "did not let us in. Check that everything was copied whole" in body
    assert "a-wrong-token-1" not in body
    assert "Stored; it is not shown again" in body

    fixed = client.post(
        reverse("accounts:credentials", args=[connection.pk]) + "?way=key",
        {"access_token": TOKEN},
        follow=True,
    )
    assert "is connected" in fixed.content.decode()
    connection.refresh_from_db()
    stored = dict(unseal(connection.sealed_credentials))
    assert stored == {"access_token": TOKEN, "client_secret": "hush-client-secret"}
    for name in ("connection", "credentials", "connection_map"):
        body = page(client, name, connection.pk)
        assert TOKEN not in body
        assert "hush-client-secret" not in body


def test_signing_in_over_there(client: Client, server: Server, begin: Callable[..., Any]) -> None:
    """Agreeing at the stand-in is skipped: it is only its code that comes back."""
    fill(server.world, companies=1)
    server.world.tokens = set()
    new = reverse("accounts:new_connection", args=["hubspot"]) + "?way=oauth"
    given = {"name": "Signed", "client_id": "app", "client_secret": "hush-client-secret"}
    body = client.post(new, given, follow=True).content.decode()
    address = re.search(r'href="(https://app\.hubspot\.com/oauth/authorize[^"]+)"', body)
    assert address
    state = re.search(r"state=([^&\"]+)", address[1])
    assert state
    connection = Connection.objects.get()

    back = reverse("accounts:signed_in")
    forged = client.get(back, {"code": "good-code", "state": "made:up:state"}, follow=True)
    assert "not begun here" in forged.content.decode()
    body = client.get(reverse("accounts:credentials", args=[connection.pk]) + "?way=oauth").content.decode()
    state = re.search(r"state=([^&\"]+)", body)
    assert state
    answer = client.get(f"{back}?code=good-code&state={state[1]}", follow=True)
    assert "Signed is connected." in answer.content.decode()
    connection.refresh_from_db()
    assert unseal(connection.sealed_credentials)["refresh_token"] == "refresh-me"
    again = client.get(f"{back}?code=good-code&state={state[1]}", follow=True)
    assert "not begun here" in again.content.decode()


def test_a_doubtful_record_is_settled(client: Client, server: Server, begin: Callable[..., Any]) -> None:
    fill(server.world, companies=3)
    one = AccountFactory(name="Company 2", record_source="file", external_id="A-2")
    AccountFactory(name="Company 2", record_source="file", external_id="A-3")
    begin()
    connection = Connection.objects.get()
    sync(connection)
    doubtful = Quarantine.objects.get()
    listed = page(client, "quarantine", connection.pk)
    assert "Company 2" in listed
    body = page(client, "decide", doubtful.pk)
    assert body.count("It is this one") == 2
    assert "Company 2" in page(client, "decide", doubtful.pk, "?q=ompany")
    stranger = AccountFactory(name="Somebody else")
    address = reverse("accounts:decide", args=[doubtful.pk])
    assert client.post(address, {"choice": str(stranger.pk)}).status_code == 422
    assert client.post(address, {"choice": str(one.pk)}).status_code == 302
    doubtful.refresh_from_db()
    assert (doubtful.decision, doubtful.account) == (Decision.LINKED, one)
    sync(connection)
    assert Order.objects.filter(account=one).count() == 2
    assert "Is known: Company 2" in page(client, "quarantine", connection.pk, "?state=decided")
    assert "It has come in since" in page(client, "decide", doubtful.pk)
    client.post(address, {"choice": "new"})
    doubtful.refresh_from_db()
    assert doubtful.decision == Decision.LINKED
    assert "Nothing to decide" in page(client, "quarantine", connection.pk)


def test_pause_schedule_write_back_and_letting_go(
    client: Client, server: Server, begin: Callable[..., Any]
) -> None:
    fill(server.world, companies=2)
    begin()
    connection = Connection.objects.get()
    sync(connection)

    def post(name: str, **given: str) -> None:
        assert client.post(reverse(f"accounts:{name}", args=[connection.pk]), given).status_code == 302
        Connection.objects.filter(pk=connection.pk).exists() and connection.refresh_from_db()

    post("pause_connection")
    assert connection.is_paused
    post("start_sync")
    run = SyncRun.objects.latest("pk")
    assert (run.state, work_on_run(run.pk)) == (SyncState.PAUSED, False)
    post("continue_connection")
    assert finish(run).state == SyncState.DONE
    post("schedule_connection", pull_minutes="60", sweep_hours="168")
    assert (connection.pull_minutes, connection.sweep_hours) == (60, 168)
    post("schedule_connection", pull_minutes="7", sweep_hours="168")
    assert connection.pull_minutes == 60
    post("write_back", turn="on")
    assert connection.writes_back
    post("start_sync", full="1")
    assert SyncRun.objects.latest("pk").is_full
    post("stop_sync")
    assert SyncRun.objects.latest("pk").state == SyncState.CANCELLED
    assert "Accounts that came from it" in page(client, "disconnect", connection.pk)
    post("disconnect")
    assert not Connection.objects.exists()
    assert not RawRecord.objects.exists()
    assert Account.objects.filter(record_source=connection.record_source).count() == 2
    begin()
    again = Connection.objects.get()
    assert again.record_source == connection.record_source
    sync(again)
    assert Account.objects.count() == 2


def test_hostile_text_of_the_other_system_is_shown_and_not_obeyed(
    client: Client, server: Server, begin: Callable[..., Any]
) -> None:
    fill(server.world, companies=2)
    server.world.labels = {"companies": {"name": HOSTILE}}
    server.world.put("companies", 1, name=HOSTILE, industry=HOSTILE)
    AccountFactory(name=HOSTILE, record_source="file", external_id="A-2")
    AccountFactory(name=HOSTILE, record_source="file", external_id="A-3")
    server.world.put("contacts", 1001, email=HOSTILE)
    begin()
    connection = Connection.objects.get()
    client.post(reverse("accounts:connection_preview", args=[connection.pk]))
    go_on(SyncRun.objects.get())
    shown = page(client, "connection_preview", connection.pk)
    sync(connection)
    doubtful = Quarantine.objects.get()
    Connection.objects.update(message=HOSTILE)
    SyncRun.objects.update(message=HOSTILE)
    pages = [
        shown,
        *(page(client, name, connection.pk) for name in ("connection", "connection_map", "quarantine")),
    ]
    pages += [page(client, "decide", doubtful.pk), page(client, "sync_run", SyncRun.objects.latest("pk").pk)]
    for body in pages:
        assert "<script>alert" not in body
        assert "&lt;script&gt;" in body


def test_lists_ask_as_many_queries_however_long_they_are(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    def connect(number: int) -> Connection:
        one = Connection.objects.create(
            name=f"Shop {number}", system="hubspot", record_source=f"shop-{number}", created_by=None
        )
        for state in (SyncState.DONE, SyncState.FAILED):
            SyncRun.objects.create(connection=one, state=state, finished_at=timezone.now())
        for record in range(number * 3):
            raw = RawRecord.objects.create(
                connection=one, stream="companies", source_id=str(record), hash=str(record), payload={}
            )
            Quarantine.objects.create(raw=raw, reason="2 accounts could be this one.")
        return one

    connect(1)
    client.get(reverse("accounts:connections"))  # what is read once a minute is known now
    with django_assert_max_num_queries(20) as first:
        client.get(reverse("accounts:connections"))
    many = [connect(number) for number in range(2, 6)]
    with django_assert_max_num_queries(len(first)):
        client.get(reverse("accounts:connections"))
    with django_assert_max_num_queries(20) as short:
        page(client, "quarantine", many[0].pk)
    with django_assert_max_num_queries(len(short)):
        page(client, "quarantine", many[-1].pk)
