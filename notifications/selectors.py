"""Reads about messages."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Q, QuerySet

from accounts.models import User
from notifications.models import (
    Notification,
    NotificationQuerySet,
    OutboxMessage,
    Preference,
    WebhookDelivery,
    WebhookSubscription,
)
from notifications.topics import CHOICES, is_wanted_by_default

Wishes = dict[tuple[int, str, str], bool]


def get_wishes(users: Iterable[User]) -> Wishes:
    """What these people chose: (user id, topic, channel) -> wanted. Only what differs from the default is in it."""
    rows = Preference.objects.filter(user__in={user.pk for user in users})
    return {(row.user_id, row.topic, row.channel): row.is_wanted for row in rows}


def is_wanted(wishes: Wishes, user: User, topic: str, channel: str) -> bool:
    """Whether `user` hears of `topic` on `channel`; one who left or was disabled hears of nothing."""
    wanted = wishes.get((user.pk, topic, channel), is_wanted_by_default(topic, channel))
    return user.is_active and user.left_on is None and wanted


def get_preferences(user: User) -> dict[tuple[str, str], bool]:
    """Every choice there is, with what holds for `user` now."""
    wishes = get_wishes([user])
    return {
        (topic, channel): wishes.get((user.pk, topic, channel), is_wanted_by_default(topic, channel))
        for topic, channel in CHOICES
    }


def inbox_of(user: User, *, only_unread: bool = False) -> NotificationQuerySet:
    """The messages of `user`, newest first."""
    messages = Notification.objects.visible_to(user).select_related("account")
    return messages.unread() if only_unread else messages


def unread_count(user: User) -> int:
    return Notification.objects.visible_to(user).unread().count()


def outbox_counts() -> dict[str, int]:
    """How many mails wait, were sent, and were given up."""
    return dict(OutboxMessage.objects.order_by().values_list("state").annotate(Count("pk")))


def webhook_subscriptions() -> QuerySet[WebhookSubscription]:
    """All of them with how many calls wait and how many were given up."""
    count = {state: Count("deliveries", filter=Q(deliveries__state=state)) for state in ("waiting", "failed")}
    return WebhookSubscription.objects.annotate(waiting=count["waiting"], given_up=count["failed"])


def deliveries_of(subscription: WebhookSubscription, after: str, size: int) -> list[WebhookDelivery]:
    """Its calls, the newest first, below the one numbered `after`."""
    rows = subscription.deliveries.select_related("event", "account").order_by("-pk")
    if after.isdecimal():
        rows = rows.filter(pk__lt=min(int(after), 2**63 - 1))
    return list(rows[:size])
