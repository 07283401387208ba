"""Mail: nothing lost while the mail server is away, nothing sent twice while all is well."""

import datetime as dt
import threading

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.utils import timezone

from notifications import services
from notifications.models import Notification, OutboxMessage, Topic
from notifications.models import OutboxState as State
from notifications.services import deliver_outbox, notify
from tests.factories import AdministratorFactory, UserFactory
from tests.notifications.mailserver import MailServer

pytestmark = pytest.mark.django_db


def write_mail(count: int = 1) -> None:
    for _ in range(count):
        notify(UserFactory(), Topic.HANDBACK, "Handed back")


def test_what_waits_is_sent_once():
    write_mail(3)
    assert deliver_outbox() == 3
    assert deliver_outbox() == 0
    assert len(mail.outbox) == 3
    assert set(OutboxMessage.objects.values_list("state", flat=True)) == {State.SENT}
    assert mail.outbox[0].extra_headers["Message-ID"].startswith("<outbox-")


@pytest.fixture
def mail_server(settings):
    """A mail server on this machine that can be told to refuse, and can be away."""
    with MailServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        yield server


def test_a_mail_server_that_is_away_loses_nothing(mail_server):
    write_mail(20)
    mail_server.close()
    start = timezone.now()
    for hour in range(24 * 10):
        with time_machine.travel(start + dt.timedelta(hours=hour), tick=False):
            assert deliver_outbox() == 0
    assert OutboxMessage.objects.filter(state=State.WAITING).count() == 20

    mail_server.open()
    with time_machine.travel(start + dt.timedelta(days=12), tick=False):
        assert deliver_outbox() == 20
    assert len(mail_server.received) == len(set(mail_server.received)) == 20


def test_an_address_that_does_not_exist_is_given_up_and_said(mail_server):
    administrator = AdministratorFactory()
    mail_server.refuse = {"gone@ours.example": "550 no such user"}
    notify(UserFactory(email="gone@ours.example"), Topic.HANDBACK, "Handed back")
    write_mail()
    assert deliver_outbox() == 1
    failed = OutboxMessage.objects.get(state=State.FAILED)
    assert "no such user" in failed.last_error
    said = Notification.objects.get(user=administrator)
    assert said.title == "A mail to gone@ours.example could not be delivered"


def test_a_server_that_keeps_refusing_a_mail_is_asked_less_and_less_then_given_up(mail_server):
    mail_server.refuse_data = "451 try again later"
    write_mail()
    start = timezone.now()
    for minutes in range(0, 60 * 24 * 4, 30):
        with time_machine.travel(start + dt.timedelta(minutes=minutes), tick=False):
            deliver_outbox()
    failed = OutboxMessage.objects.get()
    assert (failed.state, failed.attempts) == (State.FAILED, services.MOST_REFUSALS)
    assert mail_server.tries == services.MOST_REFUSALS


def test_an_address_that_is_refused_for_now_is_tried_again(mail_server):
    mail_server.refuse = {"slow@ours.example": "450 greylisted, come back"}
    notify(UserFactory(email="slow@ours.example"), Topic.HANDBACK, "Handed back")
    assert deliver_outbox() == 0
    mail_server.refuse = {}
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=10), tick=False):
        assert deliver_outbox() == 1


def test_a_server_that_does_not_let_us_in_is_an_outage_not_a_refusal(mail_server):
    mail_server.greeting = "421 too busy"
    write_mail(3)
    start = timezone.now()
    for day in range(20):
        with time_machine.travel(start + dt.timedelta(days=day), tick=False):
            assert deliver_outbox() == 0
    assert OutboxMessage.objects.filter(state=State.WAITING).count() == 3


def test_who_was_disabled_while_the_mail_waited_gets_it_no_more():
    write_mail()
    message = OutboxMessage.objects.get()
    message.user.is_active = False
    message.user.save()
    assert deliver_outbox() == 0
    assert mail.outbox == []
    message.refresh_from_db()
    assert (message.state, message.last_error[:9]) == (State.FAILED, "Not sent:")


def test_a_sender_that_died_leaves_its_mail_to_the_next_one():
    write_mail()
    claimed = services._claim()
    assert claimed is not None
    assert deliver_outbox() == 0
    with time_machine.travel(timezone.now() + services.LEASE + dt.timedelta(seconds=1), tick=False):
        assert deliver_outbox() == 1


def test_two_senders_at_once_send_each_mail_once(transactional_db):
    write_mail(30)
    together = threading.Barrier(4)
    sent: list[int] = []

    def send() -> None:
        together.wait()
        sent.append(deliver_outbox())
        connection.close()

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sum(sent) == 30
    ids = [message.extra_headers["Message-ID"] for message in mail.outbox]
    assert len(ids) == len(set(ids)) == 30


def test_sent_mail_is_forgotten_after_ninety_days_and_no_other():
    write_mail(2)
    deliver_outbox()
    write_mail(1)
    now = timezone.now()
    assert services.forget_sent_mail(now + dt.timedelta(days=89)) == 0
    assert services.forget_sent_mail(now + dt.timedelta(days=91)) == 2
    assert OutboxMessage.objects.get().state == State.WAITING
