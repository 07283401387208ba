"""Webhooks against a real receiver on this machine: signed, in order, repeated until they arrive, never into a private network."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.crm.errors import AddressRefused
from accounts.crm.vault import rotate_all
from accounts.models import ApiToken
from notifications.models import EventKind, Notification, WebhookDelivery, WebhookEvent, WebhookSubscription
from notifications.services import webhooks
from notifications.services.webhooks import Fact, deliver_webhooks, publish, subscribe
from pulsecheck.risk import RiskSnapshot
from pulsecheck.services.closing import close_handback
from pulsecheck.services.opening import open_handback
from retention.services.announcing import announce_scores
from tests.factories import (
    AccountFactory,
    AdministratorFactory,
    Cast,
    ScoreFactory,
    ScoreRunFactory,
    date_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db


class Receiver(ThreadingHTTPServer):
    """Another program. `statuses` are answered in turn, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def told(self) -> list[Any]:
        return [json.loads(body) for _, body in self.calls]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((dict(self.headers), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quietly."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.CRM_PRIVATE_HOSTS = ["127.0.0.1"]
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cast() -> Cast:
    return make_cast()


def listen(receiver: Receiver, *events: str) -> tuple[WebhookSubscription, str]:
    wanted = events or tuple(kind for kind in EventKind.values if kind != EventKind.TEST)
    return subscribe(AdministratorFactory(), name="Warehouse", url=receiver.url, events=wanted)


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As docs/api.md tells receivers to check it."""
    parts = [part.split("=", 1) for part in headers["Mainstay-Signature"].split(",")]
    moment = next(value for name, value in parts if name == "t")
    wanted = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(name == "v1" and hmac.compare_digest(value, wanted) for name, value in parts)


def test_the_care_loop_is_told_as_it_happens(cast: Cast, receiver: Receiver) -> None:
    _, secret = listen(receiver)
    handback = open_handback(cast.account, RiskSnapshot(), opened_by=cast.owner)
    close_handback(handback, cast.owner, "saved")
    assert receiver.calls == []  # nothing leaves before the transaction is over and a worker looks
    assert deliver_webhooks() == 2
    first, second = receiver.told()
    assert (first["type"], second["type"]) == ("handback.opened", "handback.closed")
    assert first["data"]["account"]["external_id"] == cast.account.external_id
    assert (second["data"]["outcome"], second["data"]["closed_by"]) == ("saved", cast.owner.email)
    assert all(is_signed(headers, body, secret) for headers, body in receiver.calls)
    headers, body = receiver.calls[0]
    assert not is_signed(headers, body + b" ", secret)
    assert not is_signed(headers, body, "whsec_other")
    assert headers["Mainstay-Delivery"] == first["id"]
    assert deliver_webhooks() == 0


def test_nothing_is_written_for_nobody_and_nothing_when_it_did_not_happen(
    cast: Cast, receiver: Receiver
) -> None:
    assert publish([Fact(EventKind.PULSE_LOGGED, cast.account.pk, {})]) == 0
    listen(receiver, EventKind.HANDBACK_OPENED)
    publish([Fact(EventKind.PULSE_LOGGED, cast.account.pk, {})])
    with transaction.atomic():
        publish([Fact(EventKind.HANDBACK_OPENED, cast.account.pk, {})])
        transaction.set_rollback(True)
    assert not WebhookEvent.objects.exists()


def test_published_scores_tell_what_changed(cast: Cast, receiver: Receiver) -> None:
    listen(receiver)
    before, now = ScoreRunFactory(as_of=date_ago(8)), ScoreRunFactory(as_of=date_ago(1))
    same, new = AccountFactory(), AccountFactory()
    ScoreFactory(account=cast.account, run=before, tier="steady")
    ScoreFactory(account=cast.account, run=now, tier="at_risk")
    for run in (before, now):
        ScoreFactory(account=same, run=run, tier="at_risk")
    ScoreFactory(account=new, run=now, tier="thriving")
    announce_scores(now)
    deliver_webhooks()
    told = [(one["type"], one["data"].get("account", {}).get("id")) for one in receiver.told()]
    assert told == [
        ("account.tier_changed", cast.account.pk),
        ("account.at_risk", cast.account.pk),
        ("scores.published", None),
    ]
    assert receiver.told()[0]["data"]["previous_tier"] == "steady"
    announce_scores(before)  # an earlier day, scored again
    assert deliver_webhooks() == 0


def test_what_fails_comes_again_in_the_order_of_its_account(cast: Cast, receiver: Receiver) -> None:
    listen(receiver, EventKind.PULSE_LOGGED)
    other = AccountFactory()
    publish(Fact(EventKind.PULSE_LOGGED, cast.account.pk, {"n": n}) for n in (1, 2))
    receiver.statuses = [503]
    assert deliver_webhooks() == 0
    publish([Fact(EventKind.PULSE_LOGGED, other.pk, {"n": 3})])
    assert deliver_webhooks() == 1  # another account does not wait
    assert [one["data"]["n"] for one in receiver.told()] == [1, 3]
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=2), tick=False):
        assert deliver_webhooks() == 2
    assert [one["data"]["n"] for one in receiver.told()] == [1, 3, 1, 2]
    first, again = receiver.told()[0], receiver.told()[2]
    assert first["id"] == again["id"]
    assert receiver.calls[0][1] == receiver.calls[2][1]


def test_a_wait_that_is_asked_for_is_kept(cast: Cast, receiver: Receiver) -> None:
    listen(receiver, EventKind.PULSE_LOGGED)
    publish([Fact(EventKind.PULSE_LOGGED, cast.account.pk, {})])
    receiver.statuses, receiver.headers = [429], {"Retry-After": "1800"}
    deliver_webhooks()
    waits = WebhookDelivery.objects.get().next_attempt_at - timezone.now()
    assert dt.timedelta(minutes=29) < waits <= dt.timedelta(minutes=30)


def test_an_address_that_never_answers_is_turned_off_and_said_so(cast: Cast, receiver: Receiver) -> None:
    subscription, _ = listen(receiver, EventKind.PULSE_LOGGED)
    publish(Fact(EventKind.PULSE_LOGGED, cast.account.pk, {"n": n}) for n in range(3))
    receiver.statuses = [500] * 100
    began = timezone.now()
    for hours in range(0, 24 * 4, 6):
        with time_machine.travel(began + dt.timedelta(hours=hours), tick=False):
            deliver_webhooks()
    subscription.refresh_from_db()
    assert (subscription.is_active, "three days" in subscription.disabled_because) == (False, True)
    assert Notification.objects.filter(
        title__contains="Warehouse", path__endswith=f"/{subscription.pk}/"
    ).exists()
    asked, receiver.statuses = len(receiver.calls), []
    with time_machine.travel(began + dt.timedelta(days=5), tick=False):
        assert deliver_webhooks() == 0
        assert len(receiver.calls) == asked
        webhooks.turn_subscription(subscription, cast.administrator, is_on=True)
        assert deliver_webhooks() >= 2  # what waited


def test_gone_is_gone_at_once(cast: Cast, receiver: Receiver) -> None:
    subscription, _ = listen(receiver, EventKind.PULSE_LOGGED)
    publish([Fact(EventKind.PULSE_LOGGED, cast.account.pk, {})])
    receiver.statuses = [410]
    deliver_webhooks()
    subscription.refresh_from_db()
    assert not subscription.is_active


def test_a_redirect_is_not_followed(cast: Cast, receiver: Receiver) -> None:
    listen(receiver, EventKind.PULSE_LOGGED)
    publish([Fact(EventKind.PULSE_LOGGED, cast.account.pk, {})])
    receiver.statuses, receiver.headers = [302], {"Location": f"{receiver.url}/elsewhere"}
    assert deliver_webhooks() == 0
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::1]/",
        "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest/", "https://10.0.0.1/", "https://192.168.1.1/",
        "https://[fe80::1]/", "https://localhost/", "https://user:secret@example.com/", "ftp://example.com/",
        "https://[64:ff9b::7f00:1]/", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_no_address_inside_is_reached(cast: Cast, url: str) -> None:
    with pytest.raises(AddressRefused):
        subscribe(cast.administrator, name="Inside", url=url, events=[EventKind.PULSE_LOGGED])
    row = WebhookSubscription.objects.create(
        name="Inside",
        url=url,
        events=["pulse.logged"],
        sealed_credentials=webhooks.seal({"secret": "x" * 9}),
        hint="x",
    )
    webhooks.send_test(row)
    assert deliver_webhooks() == 0
    assert row.deliveries.get().last_status is None


def test_a_new_secret_signs_beside_the_old_one_for_a_day(cast: Cast, receiver: Receiver) -> None:
    subscription, old = listen(receiver)
    new = webhooks.rotate_secret(subscription, cast.administrator)
    assert rotate_all() >= 1  # keys of the installation may be changed as well
    for days, signs_old in ((0, True), (2, False)):
        webhooks.send_test(subscription)
        with time_machine.travel(timezone.now() + dt.timedelta(days=days), tick=False):
            deliver_webhooks()
        headers, body = receiver.calls[-1]
        assert (is_signed(headers, body, new), is_signed(headers, body, old)) == (True, signs_old)


def test_by_the_api_and_the_secret_is_shown_once(cast: Cast, receiver: Receiver) -> None:
    _, token = ApiToken.objects.issue(cast.administrator, "test")
    client = APIClient(headers={"Authorization": f"Token {token}"})
    body = {"name": "Shop", "url": receiver.url, "events": ["pulse.logged"]}
    made = client.post("/api/v1/webhooks/", body, headers={"Idempotency-Key": "k"})
    again = client.post("/api/v1/webhooks/", body, headers={"Idempotency-Key": "k"})
    assert made.status_code == again.status_code == 201
    secret, path = made.json()["secret"], f"/api/v1/webhooks/{made.json()['id']}/"
    assert "secret" not in again.json()
    assert secret not in client.get(path).content.decode()
    assert secret not in str(list(WebhookSubscription.objects.values()))
    client.post(f"{path}test/")
    deliver_webhooks()
    assert is_signed(*receiver.calls[0], secret)
    call = client.get("/api/v1/webhook-calls/?state=sent").json()["results"][0]
    assert (call["kind"], call["last_status"]) == ("webhook.test", 200)
    client.post(f"/api/v1/webhook-calls/{call['id']}/replay/")
    assert deliver_webhooks() == 1
    assert receiver.calls[0][1] == receiver.calls[1][1]
    refused = client.post("/api/v1/webhooks/", body | {"url": "https://10.0.0.1/"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "url")
    assert client.post(f"{path}unsubscribe/").status_code == 204
    assert not WebhookDelivery.objects.exists()


def test_the_page_adds_shows_and_sends_again(cast: Cast, receiver: Receiver, client: Any) -> None:
    client.force_login(cast.administrator)
    form = {"name": "Shop", "url": receiver.url, "events": ["handback.opened"]}
    made = client.post("/settings/webhooks/", form)
    secret, row = made.context["secret"], WebhookSubscription.objects.get()
    path = f"/settings/webhooks/{row.pk}/"
    assert secret in made.content.decode()
    assert secret not in client.get(path).content.decode()
    open_handback(cast.account, RiskSnapshot(), opened_by=cast.owner)
    deliver_webhooks()
    page = client.get(path).content.decode()
    assert "handback.opened" in page
    assert cast.account.name in page
    client.post(f"/settings/webhooks/calls/{row.deliveries.get().pk}/replay/")
    assert deliver_webhooks() == 1
    assert (
        "begins with https"
        in client.post(f"{path}change/", form | {"url": "ftp://example.com/"}).content.decode()
    )
    client.post(f"{path}delete/")
    assert not WebhookSubscription.objects.exists()
