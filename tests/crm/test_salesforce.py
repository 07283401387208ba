"""Salesforce against the local stand-in: first load by query and by job, changes, deletions, limits, write-back."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from accounts.crm.engine import open_connector
from accounts.crm.errors import CrmError, SignInRefused, TryLater
from accounts.crm.outbox import FIELDS, queue_write_backs
from accounts.crm.pkce import challenge_of, new_verifier
from accounts.crm.salesforce import connector as salesforce
from accounts.crm.vault import unseal
from accounts.models import (
    Account,
    Connection,
    Contact,
    FieldMap,
    Interaction,
    Issue,
    Order,
    RawRecord,
    WriteBack,
)
from accounts.models.crm import SyncState, WriteBackState
from accounts.services.connecting import create_connection, sample_stream, sign_in_address, take_code
from accounts.services.crm import check_connection
from tests.crm.servers.salesforce import Salesforce, Server, fill, sf_id
from tests.crm.storm import weather
from tests.crm.syncing import end_state, sync
from tests.factories import AdministratorFactory, SalesRepFactory

Connect = Callable[..., Connection]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(salesforce, "BULK_WAIT", 0.0)
    with Server() as running:
        yield running


@pytest.fixture
def world(server: Server) -> Salesforce:
    return server.world


@pytest.fixture
def connect(db: None, server: Server) -> Connect:
    def make(name: str = "crm", **credentials: str) -> Connection:
        given = {"client_id": "app", "client_secret": "hush-client-secret"} | credentials
        return create_connection(name, "salesforce", options={"address": server.address}, credentials=given)

    return make


def test_a_first_sync_brings_everything_and_a_second_one_changes_nothing(
    connect: Connect, world: Salesforce
) -> None:
    SalesRepFactory(email="rep@example.com")
    fill(world)
    connection = connect()

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert (Account.objects.count(), Contact.objects.count(), Order.objects.count()) == (20, 20, 20)
    account = Account.objects.get(external_id=sf_id("Account", 3))
    assert (account.name, account.country) == ("Company 3", "Austria")
    assert account.account_manager is None  # an owner whom nobody here knows
    assert account.original_salesperson is not None
    assert account.original_salesperson.email == "rep@example.com"
    assert account.orders.get().amount == Decimal("300.5")
    issue = Issue.objects.get(account=account)
    assert (issue.severity, issue.theme, issue.description) == ("high", "Delivery", "Late, again")
    assert issue.opened_at == dt.datetime(2025, 5, 2, 9, 30, tzinfo=dt.UTC)
    call = Interaction.objects.get(account=account)
    assert (call.kind, call.direction) == ("call", "out")
    assert call.happened_at == dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC)
    assert not RawRecord.objects.exclude(problem="").exists()
    before = end_state(connection)

    again = sync(connection)

    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0
    assert sum(again.steps.values_list("rows_created", flat=True)) == 0


def test_a_large_first_load_is_a_job_and_a_query_later_finds_nothing_new(
    connect: Connect, world: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSV and JSON write the same record differently; it is the same record."""
    monkeypatch.setattr(salesforce, "BULK_FROM", 15)
    monkeypatch.setattr(salesforce, "BULK_PAGE", 7)
    fill(world)
    world.put("Account", 5, Name='Comma, "quoted"\nand broken')
    connection = connect()

    assert sync(connection).state == SyncState.DONE

    assert len(world.jobs) == 5  # users are few
    assert len([one for one in world.requests if one.path.endswith("/results")]) == 3 + 3 + 6 + 3 + 3
    assert Account.objects.get(external_id=sf_id("Account", 5)).name == 'Comma, "quoted" and broken'
    before = end_state(connection)
    for name in world.records:  # everything is touched, nothing is changed
        for key in list(world.records[name]):
            world.put(name, key)

    again = sync(connection)

    assert again.steps.get(action="pull", stream="accounts").rows_read == 20
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0
    assert end_state(connection) == before


def test_samples_are_to_be_had_without_a_job(
    connect: Connect, world: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salesforce, "BULK_FROM", 2)
    fill(world, companies=3)
    connection = connect()
    opportunities = sample_stream(connection, FieldMap.objects.get(stream="opportunities"))
    assert not world.jobs
    assert [row["amount"] for row in opportunities.mapped] == ["100.5", "200.5", "300.5"]
    assert "Amount" in {one.path for one in opportunities.fields}


@pytest.mark.parametrize("how", ["Failed", "gone"])
def test_a_job_that_comes_to_nothing_is_replaced_by_a_query(
    connect: Connect, world: Salesforce, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(salesforce, "BULK_FROM", 2)
    fill(world, companies=3)
    world.job_state = "Failed"
    if how == "gone":
        world.after_page = lambda request: world.jobs.clear()

    assert sync(connect()).state == SyncState.DONE
    assert Account.objects.count() == 3


def test_changes_deletions_and_what_was_purged_are_followed(connect: Connect, world: Salesforce) -> None:
    fill(world)
    connection = connect()
    sync(connection)
    world.put("Account", 3, Name="Company three")
    world.delete("Contact", 5)
    world.put("Opportunity", 41, IsWon=False)
    world.purge("Opportunity", 51)

    sync(connection)

    assert Account.objects.get(external_id=sf_id("Account", 3)).name == "Company three"
    assert not Contact.objects.get(external_id=sf_id("Contact", 5)).is_active  # queryAll tells at once
    assert Order.objects.get(external_id=sf_id("Opportunity", 41)).status == "cancelled"
    assert Order.objects.get(external_id=sf_id("Opportunity", 51)).status == "placed"

    sync(connection, is_full=True)
    assert Order.objects.get(external_id=sf_id("Opportunity", 51)).status == "cancelled"

    world.put("Contact", 5, IsDeleted=False)  # taken out of the recycle bin
    sync(connection)
    assert Contact.objects.get(external_id=sf_id("Contact", 5)).is_active


def test_a_query_goes_on_when_its_locator_is_gone(connect: Connect, world: Salesforce) -> None:
    """Also among records of the same second: the first load over there came with one time for all."""
    world.page = 4
    fill(world, companies=10)
    for number in range(1, 11):
        world.put("Account", number, at="2025-11-01T00:00:00.000+0000")
    world.after_page = lambda request: world.locators.clear()

    assert sync(connect()).state == SyncState.DONE
    assert Account.objects.count() == 10
    assert Contact.objects.count() == 10


def test_records_are_read_by_id_and_strange_ids_never_reach_a_query(
    connect: Connect, world: Salesforce
) -> None:
    fill(world, companies=2)
    connector = open_connector(connect())
    wanted = [sf_id("Account", 1), sf_id("Account", 99)]
    assert [one.source_id for one in connector.read("accounts", wanted)] == wanted[:1]
    with pytest.raises(CrmError, match="no id"):
        connector.read("accounts", ["001' OR Name != null OR Id = '"])
    connector.link.close()


def test_an_expired_token_is_renewed_and_a_dead_grant_asks_for_a_person(
    connect: Connect, world: Salesforce
) -> None:
    fill(world, companies=2)
    connection = connect(refresh_token="refresh-me", access_token="stale-token")
    assert sync(connection).state == SyncState.DONE
    assert world.refreshed == 1

    world.tokens.clear()
    world.refresh_token = "another"
    run = sync(connection)
    connection.refresh_from_db()
    assert run.state == SyncState.FAILED
    assert "expired access/refresh token" in connection.message


def test_a_person_can_sign_in_and_proves_who_began_it(
    connect: Connect, world: Salesforce, server: Server
) -> None:
    connection, back, verifier = connect(), "https://mainstay.example.com/back/", new_verifier()
    address = sign_in_address(connection, back, "state-1", verifier)
    assert address.startswith(f"{server.address}/services/oauth2/authorize?response_type=code&client_id=app&")
    assert verifier not in address

    code = world.agree(address)
    with pytest.raises(SignInRefused, match="invalid code verifier"):
        take_code(connection, code, back, new_verifier(), AdministratorFactory())
    with pytest.raises(SignInRefused, match="no new token"):
        take_code(connection, "guessed", back, verifier, AdministratorFactory())
    take_code(connection, world.agree(address), back, verifier, AdministratorFactory())

    connection.refresh_from_db()
    assert unseal(connection.sealed_credentials)["refresh_token"] == "refresh-me"


def test_the_challenge_is_the_one_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    challenge = challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_pages_keep_the_proof_until_one_is_back(
    client: Client, connect: Connect, world: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verifier is in no page, good for one return, and of no use to another session."""
    fill(world, companies=1)
    connection = connect()
    client.force_login(AdministratorFactory())
    page = reverse("accounts:credentials", args=[connection.pk]) + "?way=oauth"

    def begin() -> tuple[str, str]:
        body = unescape(client.get(page).content.decode())
        found = re.search(r'href="([^"]+/services/oauth2/authorize[^"]+)"', body)
        assert found
        assert client.session["connection-verifier"] not in body
        return world.agree(found[1]), dict(parse_qsl(urlsplit(found[1]).query))["state"]

    code, state = begin()
    body = client.get(reverse("accounts:signed_in"), {"code": code, "state": state}, follow=True)
    assert "is connected" in body.content.decode()
    assert "connection-verifier" not in client.session
    _, state = begin()
    stolen = {"code": code, "state": state}
    assert (
        "was not connected" in client.get(reverse("accounts:signed_in"), stolen, follow=True).content.decode()
    )
    assert "not begun here" in client.get(reverse("accounts:signed_in"), stolen, follow=True).content.decode()


def test_used_up_calls_are_waited_for_and_not_taken_for_a_refusal(
    connect: Connect, world: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, companies=2)
    connection = connect()
    world.used_calls = world.daily_calls
    connector = open_connector(connection)
    with pytest.raises(TryLater, match="TotalRequests"):
        connector.check()
    connection.refresh_from_db()
    assert connection.wait_until is not None

    Connection.objects.update(wait_until=None)
    world.used_calls = int(world.daily_calls * 0.95)
    connector = open_connector(connection)
    with pytest.raises(TryLater, match="95% of the calls"):
        connector.check()
    connector.link.close()
    world.used_calls = 0
    assert sync(connection).state == SyncState.DONE


def test_fields_and_objects_that_the_user_may_not_see(connect: Connect, world: Salesforce) -> None:
    fill(world, companies=2)
    world.hidden = {"Account.Industry", "Case"}
    connection = connect()
    with pytest.raises(CrmError, match="may not see Case"):
        check_connection(connection)
    connection.streams.filter(stream="cases").update(is_wanted=False)
    assert sync(connection).state == SyncState.DONE
    assert Account.objects.filter(industry="").count() == 2
    world.hidden = {"Account.Industry"}
    assert check_connection(connection).endswith("may not see Account.Industry.")


def test_write_back_tells_what_became_of_every_account(connect: Connect, world: Salesforce) -> None:
    fill(world, companies=4)
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    ids = dict(Account.objects.values_list("external_id", "pk"))
    told = {"tier": "Watch", "churn_probability": 0.4, "revenue_at_risk": "12.50", "next_touchpoint_on": None}
    queue_write_backs(connection, dict.fromkeys(ids.values(), told))
    world.delete("Account", 3)
    world.locked = {sf_id("Account", 4)}

    sync(connection)

    account = world.records["Account"][sf_id("Account", 1)]
    assert account["Mainstay_tier__c"] == "Watch"
    assert account["Mainstay_churn_probability__c"] == 0.4
    assert account["Mainstay_revenue_at_risk_a_year__c"] == 12.5
    states = {
        row.account.external_id: (row.state, row.last_error)
        for row in WriteBack.objects.select_related("account")
    }
    assert states[sf_id("Account", 1)] == (WriteBackState.SENT, "")
    assert states[sf_id("Account", 3)] == (WriteBackState.FAILED, "entity is deleted (ENTITY_IS_DELETED)")
    assert states[sf_id("Account", 4)][0] == WriteBackState.WAITING  # locked: tried again
    echo = sync(connection).steps.get(action="pull", stream="accounts")
    assert (echo.rows_read >= 2, echo.rows_changed, echo.rows_created) == (True, 0, 0)


def test_missing_custom_fields_are_named(connect: Connect, world: Salesforce) -> None:
    fill(world, companies=1)
    world.custom = {one for one in world.custom if "tier" not in one}
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    queue_write_backs(connection, {Account.objects.get().pk: {"tier": "Watch"}})

    run = sync(connection)

    assert run.state == SyncState.FAILED
    assert f"no field {FIELDS['tier'][0]} that" in run.message
    assert WriteBack.objects.get().state == WriteBackState.WAITING


def test_whatever_happens_on_the_way_the_end_state_is_the_same(
    connect: Connect, world: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request fails the first time, tokens expire; accounts come by a job, the rest by query."""
    world.page = 2
    fill(world, companies=8)
    world.put("Account", 9, Name="The ninth")
    monkeypatch.setattr(salesforce, "BULK_FROM", 8)
    monkeypatch.setattr(salesforce, "BULK_PAGE", 3)
    weather(world, connect, monkeypatch, at_least=30, expire=world.tokens.clear)
