"""The secret address under which a calendar program reads somebody's contacts."""

from __future__ import annotations

import secrets

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.models.api import digest_of
from accounts.services.audit import write_audit
from pulsecheck.models import CalendarFeed


@transaction.atomic
def make_feed(user: User) -> str:
    """A new secret; the one before stops working. It is not kept and cannot be shown again."""
    secret = secrets.token_urlsafe(32)
    feed, _ = CalendarFeed.objects.update_or_create(
        user=user, defaults={"digest": digest_of(secret), "created_at": timezone.now(), "read_at": None}
    )
    write_audit(user, "make_feed", feed)
    return secret


@transaction.atomic
def revoke_feed(user: User) -> None:
    """From now on the address leads nowhere."""
    for feed in CalendarFeed.objects.filter(user=user):
        write_audit(user, "revoke_feed", feed)
        feed.delete()


def open_feed(secret: str) -> CalendarFeed | None:
    """The feed of a secret, whose owner may still sign in; notes that it was read, at most once an hour."""
    feeds = CalendarFeed.objects.filter(digest=digest_of(secret), user__is_active=True, user__left_on=None)
    feed = feeds.select_related("user").first()
    now = timezone.now()
    if feed is not None and (feed.read_at is None or (now - feed.read_at).total_seconds() > 3600):
        feed.read_at = now
        feed.save(update_fields=["read_at"])
    return feed
