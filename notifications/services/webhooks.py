"""Telling other programs what happens. Events are rows of the transaction that caused them; calls leave later, from the outbox."""

from __future__ import annotations

import datetime as dt
import json
import secrets as random_secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.crm.guard import check_url
from accounts.crm.vault import seal, unseal
from accounts.models import Account, User
from accounts.services.audit import write_audit
from notifications.channels.webhook import SIGNATURE, Outcome, call_webhook, sign
from notifications.models import EventKind, WebhookDelivery, WebhookEvent, WebhookSubscription
from notifications.models import OutboxState as State
from notifications.services import LEASE, notify_administrators

PREFIX = "whsec_"
OLD_SECRET_SIGNS = dt.timedelta(days=1)
BACK_OFF_MINUTES = (1, 5, 15, 60, 240, 720, 1440)
MOST_ATTEMPTS = len(BACK_OFF_MINUTES) + 1
LONGEST_WAIT = dt.timedelta(days=1)
DISABLED_AFTER = dt.timedelta(days=3)
KEPT = dt.timedelta(days=30)
GONE = 410


# ── what happened ──────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Fact:
    """An event to tell of; `data` is plain (texts, numbers, days)."""

    kind: str
    account_id: int | None
    data: Mapping[str, Any]


def is_anybody_listening(*kinds: str) -> bool:
    """Whether any address wants to be told of one of `kinds`; else there is no need to look what to tell."""
    return WebhookSubscription.objects.filter(is_active=True, events__overlap=list(kinds)).exists()


@transaction.atomic
def publish(facts: Iterable[Fact]) -> int:
    """Write down what the subscribed addresses are to be told, in the order given; how many events. Of what nobody listens to,
    nothing is written."""
    listening = list(WebhookSubscription.objects.filter(is_active=True))
    wanted = {kind for subscription in listening for kind in subscription.events}
    heard = [fact for fact in facts if fact.kind in wanted]
    if not heard:
        return 0
    named = _accounts({fact.account_id for fact in heard if fact.account_id is not None})
    events = WebhookEvent.objects.bulk_create(
        [
            WebhookEvent(
                kind=fact.kind,
                account_id=fact.account_id,
                data={**fact.data, "account": named.get(fact.account_id)}
                if fact.account_id
                else dict(fact.data),
            )
            for fact in heard
        ],
        batch_size=1000,
    )
    WebhookDelivery.objects.bulk_create(
        [
            WebhookDelivery(subscription=subscription, event=event, account_id=event.account_id)
            for event in events
            for subscription in listening
            if event.kind in subscription.events
        ],
        batch_size=1000,
    )
    return len(events)


def _accounts(ids: set[int]) -> dict[int | None, dict[str, Any]]:
    rows = Account.objects.filter(pk__in=ids).order_by()
    return {row["id"]: dict(row) for row in rows.values("id", "record_source", "external_id", "name")}


# ── subscriptions ──────────────────────────────────────────────────────
def new_secret() -> str:
    return PREFIX + random_secrets.token_urlsafe(32)


@transaction.atomic
def subscribe(user: User, *, name: str, url: str, events: Sequence[str]) -> tuple[WebhookSubscription, str]:
    """A new subscription and its secret, which cannot be shown again. AddressRefused or TryLater when the address must not or
    cannot be reached."""
    check_url(url, settings.CRM_PRIVATE_HOSTS)
    secret = new_secret()
    made = WebhookSubscription.objects.create(
        name=name,
        url=url,
        events=sorted(events),
        sealed_credentials=seal({"secret": secret}),
        hint=secret[-4:],
        created_by=user,
    )
    write_audit(user, "subscribe", made, url=url, events=sorted(events))
    return made, secret


@transaction.atomic
def change_subscription(
    subscription: WebhookSubscription, user: User, *, name: str, url: str, events: Sequence[str]
) -> None:
    """Another name, address or choice of events."""
    check_url(url, settings.CRM_PRIVATE_HOSTS)
    subscription.name, subscription.url, subscription.events = name, url, sorted(events)
    subscription.save(update_fields=["name", "url", "events", "updated_at"])
    write_audit(user, "change_subscription", subscription, url=url, events=sorted(events))


@transaction.atomic
def rotate_secret(subscription: WebhookSubscription, user: User) -> str:
    """A new secret, shown once; for a day calls are signed with the old one as well, so that the other side can change over."""
    row = WebhookSubscription.objects.select_for_update().get(pk=subscription.pk)
    secret, old = new_secret(), unseal(row.sealed_credentials)["secret"]
    row.sealed_credentials = seal({"secret": secret, "previous": old})
    row.hint, row.previous_until = secret[-4:], timezone.now() + OLD_SECRET_SIGNS
    row.save(update_fields=["sealed_credentials", "hint", "previous_until", "updated_at"])
    write_audit(user, "rotate_webhook_secret", row)
    return secret


@transaction.atomic
def turn_subscription(subscription: WebhookSubscription, user: User, *, is_on: bool) -> None:
    """Off: nothing is sent and nothing new is noted. On again: what waits is sent."""
    subscription.is_active, subscription.disabled_because, subscription.failing_since = is_on, "", None
    subscription.save(update_fields=["is_active", "disabled_because", "failing_since", "updated_at"])
    if is_on:
        waiting = subscription.deliveries.filter(state=State.WAITING)
        waiting.update(next_attempt_at=timezone.now())
    write_audit(user, "turn_subscription", subscription, is_on=is_on)


@transaction.atomic
def unsubscribe(subscription: WebhookSubscription, user: User) -> None:
    """Gone with its log."""
    write_audit(user, "unsubscribe", subscription, name=subscription.name, url=subscription.url)
    subscription.delete()


@transaction.atomic
def send_test(subscription: WebhookSubscription) -> WebhookDelivery:
    """Put a test on its way to one address, whatever events it wants."""
    event = WebhookEvent.objects.create(kind=EventKind.TEST, data={"says": "This is a test."})
    return WebhookDelivery.objects.create(subscription=subscription, event=event)


@transaction.atomic
def replay(delivery: WebhookDelivery, user: User) -> None:
    """Send it once more, under the same id; the other side knows it again by that."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        state=State.WAITING, attempts=0, next_attempt_at=timezone.now(), updated_at=timezone.now()
    )
    write_audit(user, "replay_webhook", delivery)


# ── on the way ─────────────────────────────────────────────────────────
def deliver_webhooks(limit: int = 500) -> int:
    """Make the calls that are due, one at a time; how many arrived.

    A claimed delivery is invisible to other workers for LEASE. An address that fails is left alone for the rest of the round.
    A worker that dies after the other side took a call makes it once more: at least once, with the same id.
    """
    arrived, failing = 0, set[int]()
    for _ in range(limit):
        delivery = _claim(failing)
        if delivery is None:
            break
        outcome = _call(delivery)
        if outcome.has_arrived:
            _arrived(delivery, outcome)
            arrived += 1
        else:
            failing.add(delivery.subscription_id)
            _failed(delivery, outcome)
    return arrived


@transaction.atomic
def _claim(failing: set[int]) -> WebhookDelivery | None:
    now = timezone.now()
    before = WebhookDelivery.objects.filter(
        subscription=OuterRef("subscription"),
        account=OuterRef("account"),
        state=State.WAITING,
        pk__lt=OuterRef("pk"),
    )
    due = WebhookDelivery.objects.filter(
        ~Exists(before), state=State.WAITING, next_attempt_at__lte=now, subscription__is_active=True
    ).exclude(subscription__in=failing)
    found = due.select_for_update(skip_locked=True, of=("self",)).select_related("subscription", "event")
    delivery = found.order_by("next_attempt_at", "pk").first()
    if delivery is not None:
        delivery.next_attempt_at = now + LEASE
        delivery.attempts += 1
        delivery.save(update_fields=["next_attempt_at", "attempts", "updated_at"])
    return delivery


def body_of(event: WebhookEvent) -> bytes:
    """What is sent: the same bytes however often."""
    told = {
        "id": str(event.uid),
        "type": event.kind,
        "api_version": "v1",
        "created_at": event.created_at.astimezone(dt.UTC).isoformat(),
        "data": event.data,
    }
    return json.dumps(told, cls=DjangoJSONEncoder, sort_keys=True).encode()


def _call(delivery: WebhookDelivery) -> Outcome:
    subscription, body = delivery.subscription, body_of(delivery.event)
    kept = unseal(subscription.sealed_credentials)
    keys = [kept["secret"]]
    if "previous" in kept and subscription.previous_until and subscription.previous_until > timezone.now():
        keys.append(kept["previous"])
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Mainstay-Webhooks/1",
        "Mainstay-Event": delivery.event.kind,
        "Mainstay-Delivery": str(delivery.event.uid),
        SIGNATURE: sign(body, keys, int(timezone.now().timestamp())),
    }
    return call_webhook(subscription.url, body, headers)


@transaction.atomic
def _arrived(delivery: WebhookDelivery, outcome: Outcome) -> None:
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        state=State.SENT, sent_at=timezone.now(), last_status=outcome.status, last_error=""
    )
    failing = WebhookSubscription.objects.filter(pk=delivery.subscription_id, failing_since__isnull=False)
    failing.update(failing_since=None)


@transaction.atomic
def _failed(delivery: WebhookDelivery, outcome: Outcome) -> None:
    """Try again ever less often; give this one up after the last time, and the address after three days without any success."""
    now = timezone.now()
    has_more = delivery.attempts < MOST_ATTEMPTS
    minutes = BACK_OFF_MINUTES[min(delivery.attempts, len(BACK_OFF_MINUTES)) - 1]
    asked = min(dt.timedelta(seconds=outcome.wait or 0), LONGEST_WAIT)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        state=State.WAITING if has_more else State.FAILED,
        next_attempt_at=now + max(dt.timedelta(minutes=minutes), asked),
        last_status=outcome.status or None,
        last_error=outcome.error[:300],
    )
    row = WebhookSubscription.objects.select_for_update().get(pk=delivery.subscription_id)
    row.failing_since = row.failing_since or now
    if row.is_active and (outcome.status == GONE or now - row.failing_since >= DISABLED_AFTER):
        _disable(row, outcome)
    row.save(update_fields=["failing_since", "is_active", "disabled_because", "updated_at"])


def _disable(row: WebhookSubscription, outcome: Outcome) -> None:
    why = "It said that it is gone (410)." if outcome.status == GONE else "Nothing arrived for three days."
    row.is_active, row.disabled_because = False, f"{why} The last time: {outcome.error}"[:300]
    notify_administrators(
        f"The webhook {row.name} was turned off",
        body=f"{row.disabled_because} What waits for it is kept, and sent once it is turned on again.",
        path=f"/settings/webhooks/{row.pk}/",
        dedupe_key=f"webhook-off:{row.pk}:{row.failing_since}",
    )


def forget_old_events(now: dt.datetime) -> int:
    """Delete events of more than 30 days ago that wait for nobody; how many."""
    old = WebhookEvent.objects.filter(created_at__lt=now - KEPT)
    waiting = WebhookDelivery.objects.filter(event=OuterRef("pk"), state=State.WAITING)
    return old.filter(~Q(Exists(waiting))).delete()[0]
