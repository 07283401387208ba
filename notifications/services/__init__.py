"""Telling people things: into their inbox and, where they want it, by mail.

Rows are written in the transaction that caused them, so a message exists exactly when its cause does. Mail leaves
later, from the outbox.
"""

from __future__ import annotations

import datetime as dt
import smtplib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Role, User
from notifications.channels.mail import send_mail
from notifications.digests import Digest
from notifications.models import Channel, Notification, OutboxMessage, Preference, Topic
from notifications.models import OutboxState as State
from notifications.selectors import Wishes, get_wishes, is_wanted
from notifications.topics import CHOICES

# A sender that dies between claiming and sending leaves the mail to the next one after this time.
LEASE = dt.timedelta(minutes=5)
BACK_OFF_MINUTES = (1, 5, 15, 60, 240, 720, 1440)
MOST_REFUSALS = len(BACK_OFF_MINUTES)
PERMANENT = 500  # SMTP reply codes from here on will not change by asking again (RFC 5321, 4.2.1)
KEEP_SENT = dt.timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell one person. `path` leads to it within Mainstay; a `dedupe_key` is said once per person."""

    user: User
    topic: str
    title: str
    account: Account | None = None
    body: str = ""
    path: str = ""
    dedupe_key: str = ""


def notify(
    user: User,
    topic: str,
    title: str,
    *,
    account: Account | None = None,
    body: str = "",
    path: str = "",
    dedupe_key: str = "",
) -> None:
    """Tell one person one thing, on the channels they want."""
    notify_all([Message(user, topic, title, account, body, path, dedupe_key)])


@transaction.atomic
def notify_all(messages: Iterable[Message]) -> None:
    """Tell many people many things, in three statements however many there are."""
    messages = list(messages)
    wishes = get_wishes(message.user for message in messages)
    inbox = [_inbox_row(message) for message in messages if _is_wanted(wishes, message, Channel.INBOX)]
    Notification.objects.bulk_create(inbox, ignore_conflicts=True, batch_size=1000)
    mails = [_mail_row(message) for message in messages if _is_wanted(wishes, message, Channel.EMAIL)]
    OutboxMessage.objects.bulk_create(mails, ignore_conflicts=True, batch_size=1000)


def notify_administrators(title: str, *, body: str = "", path: str = "", dedupe_key: str = "") -> None:
    """Tell every administrator that something needs one of them."""
    administrators = User.objects.filter(role=Role.ADMINISTRATOR, is_active=True)
    notify_all(
        Message(user, Topic.SYSTEM, title, body=body, path=path, dedupe_key=dedupe_key)
        for user in administrators
    )


def _is_wanted(wishes: Wishes, message: Message, channel: str) -> bool:
    return is_wanted(wishes, message.user, message.topic, channel)


def _inbox_row(message: Message) -> Notification:
    return Notification(
        user=message.user,
        topic=message.topic,
        account=message.account,
        title=message.title[:200],
        body=message.body,
        path=message.path,
        dedupe_key=message.dedupe_key,
        is_sample=message.user.is_sample,
    )


def _mail_row(message: Message) -> OutboxMessage:
    now = timezone.now()
    key = message.dedupe_key or uuid.uuid4().hex
    link = f"\n\n{settings.BASE_URL}{message.path}" if message.path else ""
    return OutboxMessage(
        user=message.user,
        topic=message.topic,
        to_address=message.user.email,
        subject=one_line(message.title),
        body=f"{message.body or message.title}{link}\n{footer()}",
        dedupe_key=f"{message.user.pk}:{key}"[:200],
        next_attempt_at=now,
    )


def write_to_customer(
    *, to_address: str, subject: str, body: str, topic: str, reply_to: str, dedupe_key: str
) -> None:
    """Put a mail to somebody outside into the outbox, once per `dedupe_key`; it goes out in the company's name, and an answer
    to it reaches `reply_to`."""
    mail = OutboxMessage(
        topic=topic,
        to_address=to_address,
        reply_to=reply_to,
        subject=one_line(subject),
        body=body,
        dedupe_key=dedupe_key,
        next_attempt_at=timezone.now(),
    )
    OutboxMessage.objects.bulk_create([mail], ignore_conflicts=True)


def one_line(text: str) -> str:
    """A subject: no line breaks, at most 200 characters."""
    return " ".join(text.split())[:200]


def footer() -> str:
    return f"\n--\nChoose what you are told about: {settings.BASE_URL}/settings/notifications/\n"


@transaction.atomic
def send_digest(user: User, local_date: dt.date, digest: Digest) -> bool:
    """Put the digest of one day into the outbox, once; False when there is nothing to say, or it is not wanted."""
    if digest.is_empty or not is_wanted(get_wishes([user]), user, Topic.DIGEST, Channel.EMAIL):
        return False
    message = OutboxMessage(
        user=user,
        topic=Topic.DIGEST,
        to_address=user.email,
        subject=one_line(digest.subject),
        body=digest.text(settings.BASE_URL) + footer(),
        dedupe_key=f"{user.pk}:digest:{local_date}",
        next_attempt_at=timezone.now(),
    )
    already = OutboxMessage.objects.filter(dedupe_key=message.dedupe_key).exists()
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)
    return not already


def deliver_outbox(limit: int = 500) -> int:
    """Send what is due, one mail at a time; how many were sent.

    A claimed mail is invisible to other senders for LEASE. When the sender dies after the mail server took a mail
    and before that is written down, that one mail is sent again: at most one duplicate per crash. A mail server
    that cannot be reached, or will not let us in, ends the round; nothing is given up for that, however long it lasts.
    """
    sent = 0
    while sent < limit and (message := _claim()) is not None:
        if not _may_be_sent(message):
            _drop(message)
            continue
        try:
            send_mail(message)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refusal:
            _refused(message, refusal)
        except (
            ValueError
        ) as fault:  # an address or a subject that no mail can have: asking again will not mend it
            _give_up(message, str(fault))
        except (OSError, smtplib.SMTPException) as outage:
            _reschedule(message, str(outage))
            break
        else:
            OutboxMessage.objects.filter(pk=message.pk).update(
                state=State.SENT, sent_at=timezone.now(), last_error=""
            )
            sent += 1
    return sent


def _may_be_sent(message: OutboxMessage) -> bool:
    """Whoever was disabled or left while the mail waited gets it no more."""
    return message.user is None or (message.user.is_active and message.user.left_on is None)


def _drop(message: OutboxMessage) -> None:
    message.state, message.last_error = (
        State.FAILED,
        "Not sent: this person has left or was disabled meanwhile.",
    )
    message.save(update_fields=["state", "last_error", "updated_at"])


@transaction.atomic
def _claim() -> OutboxMessage | None:
    now = timezone.now()
    due = OutboxMessage.objects.filter(state=State.WAITING, next_attempt_at__lte=now)
    message = (
        due.select_for_update(skip_locked=True, of=["self"])
        .select_related("user")
        .order_by("next_attempt_at", "pk")
        .first()
    )
    if message is not None:
        message.next_attempt_at = now + LEASE
        message.save(update_fields=["next_attempt_at", "updated_at"])
    return message


def _refused(message: OutboxMessage, refusal: smtplib.SMTPException) -> None:
    """The server refused this very mail: for good (5xx), or for now (4xx, greylisting), which is tried ever less often."""
    message.attempts += 1
    if _is_for_good(refusal) or message.attempts >= MOST_REFUSALS:
        _give_up(message, str(refusal))
    else:
        _reschedule(message, str(refusal))


def _is_for_good(refusal: smtplib.SMTPException) -> bool:
    if isinstance(refusal, smtplib.SMTPRecipientsRefused):
        return all(code >= PERMANENT for code, _ in refusal.recipients.values())
    return isinstance(refusal, smtplib.SMTPResponseException) and refusal.smtp_code >= PERMANENT


def _reschedule(message: OutboxMessage, reason: str) -> None:
    minutes = BACK_OFF_MINUTES[min(message.attempts, len(BACK_OFF_MINUTES) - 1)]
    message.last_error = reason[:500]
    message.next_attempt_at = timezone.now() + dt.timedelta(minutes=minutes)
    message.save(update_fields=["attempts", "last_error", "next_attempt_at", "updated_at"])


@transaction.atomic
def _give_up(message: OutboxMessage, reason: str) -> None:
    message.state, message.last_error = State.FAILED, reason[:500]
    message.save(update_fields=["state", "attempts", "last_error", "updated_at"])
    notify_administrators(
        f"A mail to {message.to_address} could not be delivered",
        body=f"Subject: {message.subject}. The mail server said: {message.last_error}",
        path="/status/",
        dedupe_key=f"undelivered:{message.pk}",
    )


def forget_sent_mail(now: dt.datetime) -> int:
    """Delete what was sent more than 90 days ago; how many."""
    return OutboxMessage.objects.filter(state=State.SENT, sent_at__lt=now - KEEP_SENT).delete()[0]


def mark_read(user: User, pk: int) -> Notification | None:
    """Mark one of one's own messages as read; None when there is no such message."""
    message = Notification.objects.visible_to(user).filter(pk=pk).first()
    if message is not None and message.read_at is None:
        message.read_at = timezone.now()
        message.save(update_fields=["read_at", "updated_at"])
    return message


def mark_all_read(user: User) -> int:
    """Mark everything in one's inbox as read; how many were not."""
    return Notification.objects.visible_to(user).unread().update(read_at=timezone.now())


@transaction.atomic
def save_preferences(user: User, wanted: Mapping[tuple[str, str], bool]) -> None:
    """Keep what `user` chose for every topic and channel."""
    Preference.objects.bulk_create(
        (
            Preference(user=user, topic=topic, channel=channel, is_wanted=wanted[topic, channel])
            for topic, channel in CHOICES
        ),
        update_conflicts=True,
        unique_fields=["user", "topic", "channel"],
        update_fields=["is_wanted"],
    )
