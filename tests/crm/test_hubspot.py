"""HubSpot against the local stand-in: first load, changes, deletions, searches that stop, write-back, webhooks."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.crm.engine import open_connector, work_on_step
from accounts.crm.errors import WebhookRefused
from accounts.crm.hubspot import connector as hubspot
from accounts.crm.hubspot.connector import sign_v3
from accounts.crm.outbox import queue_write_backs
from accounts.crm.protocol import WebhookCall
from accounts.crm.runs import cancel_run, claim_step, start_sync
from accounts.models import (
    Account,
    Connection,
    Contact,
    Interaction,
    Issue,
    Order,
    RawRecord,
    ReadHint,
    StreamCursor,
    SyncLog,
    WriteBack,
)
from accounts.models.crm import StepAction, SyncState, WriteBackState
from accounts.services.crm import take_webhook
from tests.crm.servers.hubspot import Server
from tests.crm.syncing import end_state, sync
from tests.crm.world import add_deal, converse, fill
from tests.factories import SalesRepFactory

Connect = Callable[..., Connection]
CLIENT_SECRET = "hush-client-secret"


def test_a_first_sync_brings_everything_and_a_second_one_changes_nothing(
    connect: Connect, server: Server
) -> None:
    fill(server.world)
    add_deal(server.world, 99_000, 1, amount=5, won="false")
    connection = connect()

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert Account.objects.count() == 40
    assert Contact.objects.get(external_id="1001").account.external_id == "1"
    assert Order.objects.count() == 80  # the deal that is not won is none
    first = Account.objects.get(external_id="1")
    assert first.account_manager is None  # an owner whom nobody here knows
    assert first.original_salesperson is not None
    assert first.original_salesperson.email == "rep@example.com"
    before = end_state(connection)

    again = sync(connection)

    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0
    assert sum(again.steps.values_list("rows_created", flat=True)) == 0


def test_whoever_won_the_first_deal_that_says_so_is_the_salesperson(connect: Connect, server: Server) -> None:
    """Company 1: an earlier deal is of somebody nobody here knows, an earlier one yet was lost. Company 2: nobody is known.
    Company 3: two deals of one moment."""
    fill(server.world, companies=3, deals_each=0)
    SalesRepFactory(email="later@example.com")
    world = server.world
    world.owners["9"] = {"id": "9", "email": "later@example.com", "updatedAt": "2025-01-01T00:00:00Z"}
    for deal, company, day, owner, won in (
        (501, 1, "2025-05-04", "9", "true"),
        (502, 1, "2025-03-04", "7", "true"),
        (503, 1, "2025-01-04", "8", "true"),
        (504, 1, "2024-12-04", "9", "false"),
        (505, 2, "2025-03-04", "8", "true"),
        (506, 3, "2025-03-04", "9", "true"),
        (507, 3, "2025-03-04", "7", "true"),
    ):
        add_deal(world, deal, company, amount=5, won=won)
        world.put("deals", deal, closedate=f"{day}T10:00:00Z", hubspot_owner_id=owner)
    connection = connect()

    sync(connection)
    assert salespeople() == {"1": "rep@example.com", "2": None, "3": "later@example.com"}

    add_deal(world, 508, 2, amount=5)
    add_deal(world, 509, 1, amount=5)
    world.put("deals", 509, closedate="2025-02-01T10:00:00Z", hubspot_owner_id="9")
    sync(connection)
    assert salespeople() == {"1": "rep@example.com", "2": "rep@example.com", "3": "later@example.com"}


def test_salespeople_are_named_after_a_run_that_was_given_up_before_it_named_them(
    connect: Connect, server: Server
) -> None:
    fill(server.world, companies=2)
    connection = connect()
    run = start_sync(connection)
    while (step := claim_step(run.pk)) and step.action != StepAction.SALES:
        work_on_step(step)
    cancel_run(run)
    assert salespeople() == {"1": None, "2": None}

    server.world.put("deals", 10_010, amount="7")  # of the first company; nothing of the second one is new
    sync(connection)

    assert salespeople() == {"1": "rep@example.com", "2": "rep@example.com"}


def salespeople() -> dict[str, str | None]:
    """Source id of each account -> e-mail of its original salesperson."""
    return dict(Account.objects.values_list("external_id", "original_salesperson__email"))


def test_changes_deletions_and_returns_are_followed(connect: Connect, server: Server) -> None:
    fill(server.world)
    connection = connect()
    sync(connection)
    world = server.world
    kept = world.objects["deals"]["10020"]
    world.put("companies", 3, name="Company three")
    world.delete("contacts", 1005)
    world.delete("deals", 10020)
    world.put("deals", 10030, hs_is_closed_won="false")

    sync(connection)
    assert Account.objects.get(external_id="3").name == "Company three"
    assert Contact.objects.get(external_id="1005").is_active  # not noticed before the sweep
    assert Order.objects.get(external_id="10030").status == "cancelled"

    sync(connection, is_full=True)
    assert not Contact.objects.get(external_id="1005").is_active
    assert Order.objects.get(external_id="10020").status == "cancelled"

    world.objects["deals"]["10020"] = kept
    sync(connection, is_full=True)
    assert Order.objects.get(external_id="10020").status == "placed"


def test_a_sweep_that_finds_almost_nothing_asks_first(connect: Connect, server: Server) -> None:
    fill(server.world)
    connection = connect()
    sync(connection)
    server.world.objects["companies"].clear()

    run = sync(connection, is_full=True)

    assert run.state == SyncState.FAILED
    assert "40 of 40 records are not listed any more" in run.message
    assert not RawRecord.objects.filter(deleted_at__isnull=False).exists()
    assert sync(connection, is_full=True, accepts_deletions=True).state == SyncState.DONE
    assert set(Account.objects.values_list("lifecycle_stage", flat=True)) == {"former"}


def test_tickets_and_conversations_come_with_their_company(connect: Connect, server: Server) -> None:
    world = server.world
    fill(world, companies=2)
    converse(world, companies=2)
    world.put("calls", 30_009, hs_call_status="NO_ANSWER", hs_timestamp="2025-05-06T09:30:00Z")
    world.companies_of["30009"] = "1"
    connection = connect()

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    ticket = Issue.objects.get(external_id="20001")
    assert (ticket.account.external_id, ticket.description, ticket.theme) == (
        "1",
        "It came late",
        "PRODUCT_ISSUE",
    )
    assert (ticket.severity, ticket.owner.email if ticket.owner else "") == ("high", "rep@example.com")
    assert ticket.opened_at == dt.datetime(2025, 5, 1, 8, tzinfo=dt.UTC)
    assert ticket.resolved_at == dt.datetime(2025, 5, 2, 8, tzinfo=dt.UTC)
    told = Interaction.objects.filter(account__external_id="2").order_by("external_id")
    assert list(told.values_list("external_id", "kind", "direction", "subject", "user__email")) == [
        ("30002", "call", "out", "How it goes", "rep@example.com"),
        ("40002", "meeting", "out", "Tasting", "rep@example.com"),
        ("50002", "email", "in", "A question", "rep@example.com"),
    ]
    assert set(told.values_list("happened_at", flat=True)) == {dt.datetime(2025, 5, 6, 9, 30, tzinfo=dt.UTC)}
    # Those of nobody we know of, and a call that nobody took, are not among them.
    assert (Issue.objects.count(), Interaction.objects.count()) == (2, 6)
    assert not RawRecord.objects.filter(connection=connection, source_id__in=["20003", "30003"]).exists()

    world.put("tickets", 20_001, closed_date=None, subject="It came late again")
    sync(connection)
    ticket.refresh_from_db()
    assert (ticket.resolved_at, ticket.description) == (None, "It came late again")
    closed = dt.datetime(2025, 6, 2, 8, tzinfo=dt.UTC)
    world.put("tickets", 20_001, closed_date=closed.isoformat())
    sync(connection)
    ticket.refresh_from_db()
    assert ticket.resolved_at == closed
    before = end_state(connection)
    again = sync(connection, is_full=True)
    assert end_state(connection) == before
    assert sum(again.steps.values_list("rows_changed", flat=True)) == 0


def test_emails_that_went_or_came_are_conversations(connect: Connect, server: Server) -> None:
    """Not those that bounced or wait, nor those forwarded to HubSpot, which do not say whose they were."""
    world = server.world
    fill(world, companies=1)
    for number, (direction, status) in enumerate(
        (
            ("EMAIL", "SENT"),
            ("INCOMING_EMAIL", "SENDING"),
            ("INCOMING_EMAIL", None),
            ("EMAIL", "BOUNCED"),
            ("EMAIL", "SCHEDULED"),
            ("EMAIL", None),
            ("FORWARDED_EMAIL", "SENT"),
        )
    ):
        sent = {"hs_email_direction": direction, "hs_email_status": status}
        world.put("emails", 50_001 + number, hs_timestamp="2025-05-06T09:30:00Z", **sent)
        world.companies_of[str(50_001 + number)] = "1"

    sync(connect())

    found = Interaction.objects.order_by("external_id").values_list("external_id", "direction")
    assert list(found) == [("50001", "out"), ("50002", "in"), ("50003", "in")]


def test_what_a_key_has_no_right_to_is_named_and_not_taken_for_gone(connect: Connect, server: Server) -> None:
    world = server.world
    fill(world, companies=2)
    converse(world, companies=2)
    connection = connect()
    assert open_connector(connection).check() == "Companies can be read."
    sync(connection)
    before = end_state(connection)

    world.hidden = {"tickets", "emails"}
    assert (
        open_connector(connection).check() == "Companies can be read. Not shown to this key: tickets, emails."
    )
    run = sync(connection, is_full=True)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert end_state(connection) == before
    assert not RawRecord.objects.filter(connection=connection, deleted_at__isnull=False).exists()
    said = "HubSpot does not show tickets to this key. Nothing is taken for gone."
    assert SyncLog.objects.filter(run=run, text__contains=said).exists()

    world.hidden = {"deals"}
    assert sync(connection, is_full=True).state == SyncState.FAILED


@pytest.mark.parametrize("same", [False, True])
def test_searches_get_past_ten_thousand_results(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """Also when all of them changed in the same millisecond. The stop is set to 100 on both sides, to be quick."""
    monkeypatch.setattr(hubspot, "PAGE", 10)
    monkeypatch.setattr(hubspot, "SEARCH_STOP", 100)
    monkeypatch.setattr("tests.crm.servers.hubspot.MOST_RESULTS", 100)
    connection = connect()
    since = dt.datetime.fromtimestamp(1_759_900_000, dt.UTC)
    StreamCursor.objects.filter(connection=connection).update(since=since)
    for number in range(1, 351):
        server.world.put(
            "companies", number, at=1_760_000_000_000 + (0 if same else number), name=f"C {number}"
        )

    run = sync(connection)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert Account.objects.count() == 350
    assert len([one for one in server.world.requests if one.path.endswith("/companies/search")]) < 60


def test_write_back_sends_changes_only_and_its_echo_is_ignored(connect: Connect, server: Server) -> None:
    fill(server.world, companies=5)
    connection = connect()
    sync(connection)
    Connection.objects.update(writes_back=True)
    connection.refresh_from_db()
    ids = dict(Account.objects.values_list("external_id", "pk"))
    queue_write_backs(connection, {pk: {"tier": "watch", "churn_probability": 0.4} for pk in ids.values()})
    server.world.unknown_to_batch = {"5"}

    sync(connection)

    company = server.world.objects["companies"]["1"]["properties"]
    assert (company["mainstay_tier"], company["mainstay_churn_probability"]) == ("watch", 0.4)
    refused = WriteBack.objects.get(account_id=ids["5"])
    assert (refused.state, refused.last_error) == (WriteBackState.FAILED, "resource not found")
    assert WriteBack.objects.filter(state=WriteBackState.SENT).count() == 4

    queue_write_backs(connection, {ids["1"]: {"tier": "at_risk", "churn_probability": 0.4}})
    queue_write_backs(connection, {ids["2"]: {"tier": "watch", "churn_probability": 0.4}})
    server.world.requests.clear()
    run = sync(connection)

    updates = [one for one in server.world.requests if one.path.endswith("/batch/update")]
    assert [one.body["inputs"] for one in updates] == [
        [{"id": "1", "properties": {"mainstay_tier": "at_risk"}}]
    ]
    pulled = run.steps.get(action="pull", stream="companies")
    assert pulled.rows_read >= 4  # our own writes moved their times of change
    assert (pulled.rows_changed, pulled.rows_created) == (0, 0)
    assert not RawRecord.objects.filter(is_pending=True).exclude(stream="owners").exists()


def test_an_expired_token_is_renewed_once_and_stored(connect: Connect, server: Server) -> None:
    fill(server.world, companies=3)
    server.world.tokens = set()
    connection = connect(refresh_token="refresh-me", client_id="app")

    run = sync(connection)

    assert run.state == SyncState.DONE
    assert server.world.refreshed == 1
    connection.refresh_from_db()
    assert connection.credentials_expire_at is not None
    assert connection.credentials_expire_at > timezone.now()


def webhook(server: Server, body: bytes, secret: str = CLIENT_SECRET, age: float = 0) -> WebhookCall:
    url, stamp = (
        "https://mainstay.example.com/hooks/1/?a=b%3Ac",
        str(int((timezone.now().timestamp() - age) * 1000)),
    )
    signed = sign_v3(secret, "POST", url, body, stamp)
    headers = {"x-hubspot-signature-v3": signed, "x-hubspot-request-timestamp": stamp}
    return WebhookCall("POST", url, headers, body)


def test_webhooks_repeated_shuffled_and_late_read_the_record_once(connect: Connect, server: Server) -> None:
    fill(server.world)
    connection = connect()
    sync(connection)
    server.world.put("companies", 2, name="Newest name")
    server.world.delete("contacts", 1003)
    events = [
        {"subscriptionType": "company.propertyChange", "objectId": 2, "propertyValue": "An old name"},
        {"subscriptionType": "contact.deletion", "objectId": 1003},
        {"subscriptionType": "object.propertyChange", "objectTypeId": "0-2", "objectId": 4},
        {"subscriptionType": "line_item.creation", "objectId": 9},
    ]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 0, 2]):
        take_webhook(connection, webhook(server, json.dumps([events[n] for n in order]).encode()))
    assert ReadHint.objects.count() == 3

    run = sync(connection)

    assert run.steps.get(action="hints").rows_read == 2
    assert Account.objects.get(external_id="2").name == "Newest name"
    assert not Contact.objects.get(external_id="1003").is_active
    assert not ReadHint.objects.exists()


@pytest.mark.parametrize("how", ["forged", "changed", "old", "unsigned"])
def test_webhooks_that_are_not_genuine_are_refused(connect: Connect, server: Server, how: str) -> None:
    connection = connect()
    body = b'[{"subscriptionType": "company.creation", "objectId": 2}]'
    call = webhook(
        server, body, secret="guessed" if how == "forged" else "hush-client-secret", age=301 * (how == "old")
    )
    if how == "changed":
        call = WebhookCall(call.method, call.url, call.headers, body.replace(b"2", b"3"))
    if how == "unsigned":
        call = WebhookCall(call.method, call.url, {}, body)

    with pytest.raises(WebhookRefused):
        take_webhook(connection, call)
    assert not ReadHint.objects.exists()


def test_the_signature_is_the_documented_one() -> None:
    """HMAC-SHA256 of method + address + body + time, worked out by hand with openssl; %3A is signed as a colon."""
    signed = sign_v3("secret", "POST", "https://a.example/x?y=b%3Ac", b'{"a":1}', "1700000000000")
    assert signed == SIGNED_BY_OPENSSL


SIGNED_BY_OPENSSL = "S75q3IMkqKe5JkMGVw/OQY4ybGIOwmDM5SxeQ9W9yi4="
