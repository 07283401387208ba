"""Pipedrive against the local stand-in: first load, changes, archived deals, budget, webhooks, write-back."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.crm.engine import open_connector
from accounts.crm.errors import SignInRefused, TryLater, WebhookRefused
from accounts.crm.outbox import FIELDS, queue_write_backs
from accounts.crm.pipedrive.connector import _happened
from accounts.crm.pkce import new_verifier
from accounts.crm.protocol import WebhookCall
from accounts.crm.vault import unseal
from accounts.models import (
    Account,
    Connection,
    Contact,
    Interaction,
    Order,
    RawRecord,
    ReadHint,
    WriteBack,
)
from accounts.models.crm import SyncState, WriteBackState
from accounts.services.connecting import create_connection, sign_in_address, take_code
from accounts.services.crm import save_map, take_webhook
from tests.crm.servers.pipedrive import Pipedrive, Server, code_of, fill
from tests.crm.storm import weather
from tests.crm.syncing import end_state, sync
from tests.factories import AdministratorFactory, SalesRepFactory

Connect = Callable[..., Connection]
OAUTH = {"client_id": "app", "client_secret": "hush-client-secret", "refresh_token": "refresh-me"}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def world(server: Server) -> Pipedrive:
    return server.world


@pytest.fixture
def connect(db: None, server: Server) -> Connect:
    def make(name: str = "crm", **credentials: str) -> Connection:
        given = credentials or {"api_token": "personal-token", "webhook_password": "knock-knock"}
        options = {"address": server.address, "sign_in": server.address}
        return create_connection(name, "pipedrive", options=options, credentials=given)

    return make


def test_a_first_sync_brings_everything_and_a_second_one_changes_nothing(
    connect: Connect, world: Pipedrive
) -> None:
    SalesRepFactory(email="rep@example.com")
    world.page = 5
    fill(world)
    connection = connect()

    run = sync(connection, is_full=True)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert (Account.objects.count(), Contact.objects.count()) == (12, 12)
    account = Account.objects.get(external_id="3")
    assert (account.name, account.country, account.account_manager) == ("Company 3", "Austria", None)
    assert account.original_salesperson is not None
    assert account.original_salesperson.email == "rep@example.com"
    assert account.contacts.get().email == "ann3@customer.example"
    won = Order.objects.get(external_id="3")
    assert (won.amount, won.currency) == (Decimal("301.5"), "EUR")
    assert won.ordered_at == dt.datetime(2025, 3, 4, 10, tzinfo=dt.UTC)
    assert Order.objects.count() == 24  # archived deals are won all the same
    call = Interaction.objects.get(account=account)
    assert (call.kind, call.happened_at) == ("call", dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC))
    assert not RawRecord.objects.exclude(problem="").exists()
    before = end_state(connection)

    again = sync(connection)

    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0
    assert sum(again.steps.values_list("rows_created", flat=True)) == 0


def test_changes_archiving_and_deletions_are_followed(connect: Connect, world: Pipedrive) -> None:
    fill(world)
    connection = connect()
    sync(connection)
    world.put("organizations", 3, name="Company three")
    world.put("deals", 4, is_archived=True)
    world.put("deals", 5, is_deleted=True)
    world.put("deals", 6, status="lost")
    world.put("persons", 7, is_deleted=True)

    sync(connection)
    assert Account.objects.get(external_id="3").name == "Company three"
    states = dict(Order.objects.values_list("external_id", "status"))
    assert (states["4"], states["5"], states["6"]) == ("placed", "cancelled", "cancelled")
    assert Contact.objects.get(external_id="7").is_active  # not noticed before the sweep

    sync(connection, is_full=True)
    assert not Contact.objects.get(external_id="7").is_active
    assert Order.objects.get(external_id="4").status == "placed"


def test_a_plan_without_archive_and_a_cursor_that_is_forgotten(connect: Connect, world: Pipedrive) -> None:
    world.page = 4
    world.has_archive = False
    world.forgets = {base64.b64encode(b"8").decode(), base64.b64encode(b"4").decode()}
    fill(world)

    assert sync(connect()).state == SyncState.DONE
    assert (Account.objects.count(), Order.objects.count()) == (12, 12)


def test_custom_fields_are_read_once_they_are_mapped(connect: Connect, world: Pipedrive) -> None:
    fill(world, companies=2)
    world.custom = {"Branch": "varchar", "Other": "varchar"}
    world.put("organizations", 1, custom_fields={code_of("Branch"): "Food", code_of("Other"): "noise"})
    connection = connect()
    connector = open_connector(connection)
    named = {one.label: one.path for one in connector.fields("organizations")}
    connector.link.close()
    assert named["Branch"] == f"custom_fields.{code_of('Branch')}"
    save_map(connection, "organizations", {"name": "name", "industry": named["Branch"]})

    sync(connection)

    assert Account.objects.get(external_id="1").industry == "Food"
    payload = RawRecord.objects.get(stream="organizations", source_id="1").payload
    assert payload["custom_fields"] == {code_of("Branch"): "Food"}


def test_a_token_that_expired_is_renewed_and_a_dead_grant_asks_for_a_person(
    connect: Connect, world: Pipedrive
) -> None:
    fill(world, companies=2)
    connection = connect(**OAUTH, access_token="stale-token")
    assert sync(connection).state == SyncState.DONE
    connection.refresh_from_db()
    assert (world.refreshed, connection.credentials_expire_at is None) == (1, False)

    world.tokens.clear()
    world.refresh_token = "another"
    assert sync(connection).state == SyncState.FAILED
    connection.refresh_from_db()
    assert "invalid_grant" in connection.message


def test_a_person_can_sign_in(connect: Connect, world: Pipedrive, server: Server) -> None:
    connection = connect(client_id="app", client_secret="hush-client-secret")
    back, verifier = "https://mainstay.example.com/back/", new_verifier()
    address = sign_in_address(connection, back, "state-1", verifier)
    assert address.startswith(f"{server.address}/oauth/authorize?client_id=app&redirect_uri=https%3A")
    assert "code_challenge" not in address  # Pipedrive documents no PKCE
    with pytest.raises(SignInRefused):
        take_code(connection, "guessed", back, verifier, AdministratorFactory())
    take_code(connection, "code-one", back, verifier, AdministratorFactory())
    connection.refresh_from_db()
    assert unseal(connection.sealed_credentials)["api_domain"] == server.address
    assert connection.credentials_expire_at is not None


def test_the_budget_of_the_day_is_not_used_up_by_us(connect: Connect, world: Pipedrive) -> None:
    """Nor is the wall before Pipedrive taken for a refusal of our credentials."""
    fill(world, companies=2)
    connection = connect()
    world.spent = int(world.budget * 0.95)
    connector = open_connector(connection)
    connector.check()
    with pytest.raises(TryLater, match="95% of the API tokens"):
        connector.check()
    connector.link.close()

    world.spent, world.is_walled = 0, True
    connector = open_connector(connection)
    with pytest.raises(TryLater, match="blocks calls"):
        connector.check()
    connector.link.close()
    connection.refresh_from_db()
    assert connection.wait_until is not None


def test_write_back_makes_its_fields_and_tells_what_became_of_each(
    connect: Connect, world: Pipedrive
) -> None:
    fill(world, companies=3)
    world.custom = {FIELDS["tier"][0]: "text"}  # made by a person before
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    ids = dict(Account.objects.values_list("external_id", "pk"))
    told = {"tier": "Watch", "churn_probability": 0.4, "revenue_at_risk": "12.50", "next_touchpoint_on": None}
    queue_write_backs(connection, dict.fromkeys(ids.values(), told))
    world.rows["organizations"][3]["is_deleted"] = True

    sync(connection)

    own = {
        label: world.rows["organizations"][1]["custom_fields"].get(code_of(label))
        for label, _ in FIELDS.values()
    }
    assert own[FIELDS["tier"][0]] == "Watch"
    assert (own[FIELDS["churn_probability"][0]], own[FIELDS["revenue_at_risk"][0]]) == (0.4, 12.5)
    assert set(world.custom) == {label for label, _ in FIELDS.values()}
    rows = {one.account.external_id: one for one in WriteBack.objects.select_related("account")}
    assert rows["1"].state == WriteBackState.SENT
    assert (rows["3"].state, rows["3"].last_error) == (WriteBackState.FAILED, "Organization not found")
    echo = sync(connection).steps.get(action="pull", stream="organizations")
    assert (echo.rows_read >= 2, echo.rows_changed, echo.rows_created) == (True, 0, 0)


def test_fields_that_may_not_be_made_are_named(connect: Connect, world: Pipedrive) -> None:
    fill(world, companies=1)
    world.may_make_fields = False
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    queue_write_backs(connection, {Account.objects.get().pk: {"tier": "Watch"}})

    run = sync(connection)

    assert run.state == SyncState.FAILED
    assert "does not let us make the custom field 'Mainstay churn probability'" in run.message


def webhook(entity: str, key: int, phrase: str = "knock-knock") -> WebhookCall:
    signed = "Basic " + base64.b64encode(f"mainstay:{phrase}".encode()).decode()
    meta = {"action": "change", "entity": entity, "entity_id": str(key), "version": "2.0"}
    body = json.dumps({"meta": meta, "data": {"name": "An old name"}, "previous": {}}).encode()
    return WebhookCall("POST", "https://mainstay.example.com/hooks/1/", {"authorization": signed}, body)


def test_webhooks_are_hints_and_archived_deals_are_found_by_them(connect: Connect, world: Pipedrive) -> None:
    fill(world, companies=3)
    connection = connect()
    sync(connection)
    world.put("organizations", 2, name="Newest name")
    world.put("deals", 1, is_archived=True)
    world.put("persons", 3, is_deleted=True)
    for entity, key in (("organization", 2), ("deal", 1), ("person", 3), ("organization", 2), ("lead", 5)):
        take_webhook(connection, webhook(entity, key))
    assert ReadHint.objects.count() == 3

    run = sync(connection)

    assert run.steps.get(action="hints").rows_read == 2
    assert Account.objects.get(external_id="2").name == "Newest name"
    assert Order.objects.get(external_id="1").status == "placed"
    assert not Contact.objects.get(external_id="3").is_active
    assert not ReadHint.objects.exists()


@pytest.mark.parametrize("how", ["guessed", "without", "nonsense", "no password here"])
def test_webhooks_that_are_not_genuine_are_refused(connect: Connect, how: str) -> None:
    connection = connect(api_token="personal-token") if how == "no password here" else connect()
    call = webhook("deal", 1, phrase={"guessed": "guess", "no password here": ""}.get(how, "knock-knock"))
    if how == "without":
        call = WebhookCall(call.method, call.url, {}, call.body)
    if how == "nonsense":
        call = WebhookCall(call.method, call.url, call.headers, b"[1, 2]")
    with pytest.raises(WebhookRefused):
        take_webhook(connection, call)
    assert not ReadHint.objects.exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"due_date": "2025-06-01", "due_time": "12:00"}, "2025-06-01T12:00+00:00"),
        ({"due_date": "2025-06-01"}, "2025-06-01"),
        ({"marked_as_done_time": "2025-05-01T08:00:00Z"}, "2025-05-01T08:00:00Z"),
        ({"due_date": "2025-06-01", "marked_as_done_time": "2025-05-01T08:00:00Z"}, "2025-05-01T08:00:00Z"),
        ({"due_date": "2025-06-01", "marked_as_done_time": "2025-06-01T08:00:00Z"}, "2025-06-01"),
        (
            {"due_date": "2025-06-01", "due_time": "12:00", "marked_as_done_time": "2025-06-01T08:00:00Z"},
            "2025-06-01T08:00:00Z",
        ),
        ({}, None),
    ],
)
def test_when_an_activity_took_place(given: dict[str, Any], expected: str | None) -> None:
    assert _happened(given) == expected


def test_whatever_happens_on_the_way_the_end_state_is_the_same(
    connect: Connect, world: Pipedrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.page = 2
    fill(world, companies=6)
    weather(world, lambda name: connect(name, **OAUTH), monkeypatch, at_least=20, expire=world.tokens.clear)
