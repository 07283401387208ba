"""Calls of a connected system: genuine ones are hints, repeated and shuffled ones the same hints, others nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.crm import engine
from accounts.crm.errors import CrmError
from accounts.crm.hubspot.connector import Connector, sign_v3
from accounts.models import Account, Connection, ReadHint
from accounts.services.crm import webhook_address
from accounts.views import webhooks
from tests.crm.servers.hubspot import Server
from tests.crm.syncing import end_state, sync
from tests.crm.world import fill

Connect = Callable[..., Connection]
SECRET = "hush-client-secret"


@pytest.fixture(autouse=True)
def base_url(settings: Any) -> None:
    settings.BASE_URL = "https://mainstay.example"
    cache.clear()


def body_for(*companies: int) -> bytes:
    told = [{"subscriptionType": "company.propertyChange", "objectId": number} for number in companies]
    return json.dumps(told).encode()


def call(
    connection: Connection, body: bytes, *, secret: str = SECRET, age: float = 0, sent: bytes = b""
) -> int:
    """The status of a call as HubSpot makes it: signed over `body`, carrying `sent` where that is given."""
    address = webhook_address(connection)
    stamp = str(int((timezone.now().timestamp() - age) * 1000))
    signed = {
        "X-HubSpot-Signature-v3": sign_v3(secret, "POST", address, body, stamp),
        "X-HubSpot-Request-Timestamp": stamp,
    }
    path = address.removeprefix("https://mainstay.example")
    return Client().post(path, sent or body, content_type="application/json", headers=signed).status_code


def hinted() -> list[str]:
    return sorted(ReadHint.objects.values_list("source_id", flat=True))


def test_repeated_and_shuffled_calls_leave_what_one_pull_would(connect: Connect, server: Server) -> None:
    fill(server.world, companies=6)
    connection = connect()
    sync(connection)
    for number in range(1, 6):
        server.world.put("companies", number, name=f"Renamed {number}")
    server.world.delete("companies", 6)
    calls = [body_for(number) for number in (1, 2, 3, 4, 5, 6, 99)] * 3
    random.Random(7).shuffle(calls)

    assert [call(connection, body) for body in calls] == [204] * 21
    assert hinted() == ["1", "2", "3", "4", "5", "6", "99"]
    connection.refresh_from_db()
    assert connection.hook_at is not None

    sync(connection, only_hints=True)
    assert hinted() == []
    names = dict(Account.objects.values_list("external_id", "name"))
    assert [names[str(number)] for number in range(1, 6)] == [f"Renamed {number}" for number in range(1, 6)]
    assert Account.objects.get(external_id="6").lifecycle_stage == "former"
    after = end_state(connection)
    sync(connection, is_full=True)
    assert end_state(connection) == after


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "another-secret"},
        {"age": 301},
        {"age": -301},
        {"sent": body_for(2)},
        {"sent": body_for(1) + b" "},
    ],
)
def test_forged_and_replayed_calls_are_refused(connect: Connect, how: dict[str, Any]) -> None:
    connection = connect()
    assert call(connection, body_for(1), **how) == 400
    assert hinted() == []


def test_a_call_signed_for_another_connection_is_refused(connect: Connect) -> None:
    """Each has its own address and its own secret."""
    one, other = connect("one"), connect("other", client_secret="the-other-secret")
    assert one.hook_key != other.hook_key
    assert call(other, body_for(1)) == 400
    assert call(one, body_for(1)) == 204


def test_strangers_find_nothing_and_floods_are_stopped(connect: Connect, settings: Any) -> None:
    connection = connect()
    client = Client()
    assert client.post("/hooks/guessed/").status_code == 404
    assert client.get(f"/hooks/{connection.hook_key}/").status_code == 405
    assert call(connection, b"x" * (webhooks.LARGEST_CALL + 1)) == 413
    settings.CRM_WEBHOOKS_PER_MINUTE = 3
    statuses = [call(connection, body_for(1)) for _ in range(4)]
    assert 429 in statuses
    settings.PUBLIC_CALLS_PER_MINUTE = 2
    assert 429 in {client.post("/hooks/guessed/").status_code for _ in range(4)}


def test_a_record_that_cannot_be_read_again_does_not_keep_the_others_waiting(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server.world, companies=3)
    connection = connect()
    sync(connection)
    server.world.put("companies", 1, name="Renamed")
    assert call(connection, body_for(1, 2, 3)) == 204
    read = Connector.read

    def refuse_two(self: Connector, stream: str, ids: list[str]) -> Any:
        if "2" in ids:
            raise CrmError("no such id")
        return read(self, stream, ids)

    monkeypatch.setattr(Connector, "read", refuse_two)
    run = sync(connection, only_hints=True)
    assert run.state == "done"
    assert hinted() == []
    assert Account.objects.get(external_id="1").name == "Renamed"
    assert Account.objects.get(external_id="2").lifecycle_stage == "customer"
    assert "could not be read again" in " ".join(run.log.values_list("text", flat=True))


def test_an_answer_nobody_thought_of_ends_the_run_and_says_so(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server.world, companies=1)

    def stumble(*_: Any) -> Any:
        return {}["results"]

    monkeypatch.setattr(Connector, "pull", stumble)
    run = sync(connect())
    assert run.state == "failed"
    assert "unexpected came in (KeyError)" in run.message


def test_a_map_changed_while_records_are_taken_in_counts_for_all(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accounts.services.crm import save_map

    fill(server.world, companies=3)
    connection = connect()
    take, maps = engine.take_batch, {"name": "properties.industry"}

    def change_the_map_then(*given: Any) -> Any:
        taken = take(*given)
        if maps:
            save_map(connection, "companies", maps)
            maps.clear()
        return taken

    monkeypatch.setattr(engine, "take_batch", change_the_map_then)
    assert sync(connection).state == "done"
    assert set(Account.objects.values_list("name", flat=True)) == {"Food"}
