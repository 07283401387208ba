"""Telling people things: who hears what, where, and only once."""

import datetime as dt

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import User
from notifications import services
from notifications.models import Channel, Notification, OutboxMessage, Preference, Topic
from notifications.selectors import get_preferences, unread_count
from notifications.services import Message, notify, notify_administrators, notify_all
from notifications.topics import CHOICES
from tests.factories import AccountFactory, AdministratorFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_handback_is_told_in_the_inbox_and_by_mail_with_a_link(settings):
    settings.BASE_URL = "https://mainstay.example"
    user = UserFactory(email="amara@ours.example")
    notify(user, Topic.HANDBACK, "Old Mill is handed back", body="Silent for 41 days.", path="/handbacks/7/")

    said = Notification.objects.get(user=user)
    assert (said.title, said.path, said.read_at) == ("Old Mill is handed back", "/handbacks/7/", None)
    mail = OutboxMessage.objects.get()
    assert mail.to_address == "amara@ours.example"
    assert mail.body.startswith("Silent for 41 days.\n\nhttps://mainstay.example/handbacks/7/\n")


def test_what_can_wait_is_not_mailed_until_asked_for():
    user = UserFactory()
    notify(user, Topic.PULSE_DUE, "A pulse check is due")
    assert OutboxMessage.objects.count() == 0
    Preference.objects.create(user=user, topic=Topic.PULSE_DUE, channel=Channel.EMAIL, is_wanted=True)
    notify(user, Topic.PULSE_DUE, "A pulse check is due")
    assert OutboxMessage.objects.count() == 1
    assert unread_count(user) == 2


def test_who_switched_a_topic_off_hears_nothing_of_it():
    user, other = UserFactory(), UserFactory()
    for channel in Channel.values:
        Preference.objects.create(user=user, topic=Topic.HANDBACK, channel=channel, is_wanted=False)
    notify_all(Message(person, Topic.HANDBACK, "Handed back") for person in (user, other))
    assert [n.user for n in Notification.objects.all()] == [other]
    assert [m.user for m in OutboxMessage.objects.all()] == [other]


@pytest.mark.parametrize("gone", [{"is_active": False}, {"left_on": dt.date(2026, 1, 1)}])
def test_who_left_or_was_disabled_hears_nothing(gone):
    notify(UserFactory(**gone), Topic.HANDBACK, "Handed back")
    assert Notification.objects.count() == OutboxMessage.objects.count() == 0


def test_a_key_is_said_once_per_person():
    user, other = UserFactory(), UserFactory()
    for person in (user, user, other):
        notify(person, Topic.ESCALATION, "Overdue", dedupe_key="handback:7:escalated")
    assert Notification.objects.filter(user=user).count() == 1
    assert OutboxMessage.objects.filter(user=user).count() == 1
    assert OutboxMessage.objects.filter(user=other).count() == 1


def test_without_a_key_the_same_words_are_said_each_time():
    user = UserFactory()
    notify_all([Message(user, Topic.HANDBACK, "Handed back")] * 2)
    assert Notification.objects.count() == OutboxMessage.objects.count() == 2


def test_a_message_goes_with_its_cause(transactional_db):
    user = UserFactory()

    @transaction.atomic
    def fail_after_telling() -> None:
        notify(user, Topic.HANDBACK, "Handed back")
        raise RuntimeError("the cause failed")

    with pytest.raises(RuntimeError, match="the cause failed"):
        fail_after_telling()
    assert Notification.objects.count() == OutboxMessage.objects.count() == 0


def test_a_title_with_line_breaks_makes_no_mail_header():
    notify(UserFactory(), Topic.HANDBACK, "Handed back\r\nBcc: everybody@example.com " + "x" * 300)
    subject = OutboxMessage.objects.get().subject
    assert subject.startswith("Handed back Bcc: everybody@example.com xxx")
    assert len(subject) == 200


def test_telling_a_hundred_people_takes_as_many_queries_as_telling_one(django_assert_num_queries):
    people = UserFactory.create_batch(100)
    with django_assert_num_queries(5):  # preferences, two inserts, and the savepoint around them
        notify_all(Message(person, Topic.HANDBACK, "Handed back") for person in people)
    assert OutboxMessage.objects.count() == 100


def test_only_administrators_are_told_that_something_needs_one():
    administrator = AdministratorFactory()
    AdministratorFactory(is_active=False)
    UserFactory()
    notify_administrators("Nobody can take Old Mill", dedupe_key="unassigned:7")
    assert [n.user for n in Notification.objects.all()] == [administrator]


class TestPages:
    @pytest.fixture
    def user(self) -> User:
        return UserFactory()

    @pytest.fixture
    def signed_in(self, client: Client, user: User) -> Client:
        client.force_login(user)
        return client

    def test_the_inbox_shows_ones_own_messages_only(self, signed_in, user):
        notify(user, Topic.HANDBACK, "Mine", account=AccountFactory())
        notify(UserFactory(), Topic.HANDBACK, "Somebody else's")
        page = signed_in.get("/inbox/").content.decode()
        assert "Mine" in page
        assert "Somebody else" not in page

    def test_reading_a_message_marks_it_and_leads_on(self, signed_in, user):
        notify(user, Topic.HANDBACK, "Mine", path="/handbacks/7/")
        said = Notification.objects.get()
        answer = signed_in.post(f"/inbox/{said.pk}/read/")
        assert (answer.status_code, answer["Location"]) == (302, "/handbacks/7/")
        assert unread_count(user) == 0

    @pytest.mark.parametrize(
        "path", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""]
    )
    def test_a_message_never_leads_out_of_mainstay(self, signed_in, user, path):
        notify(user, Topic.HANDBACK, "Mine", path=path)
        answer = signed_in.post(f"/inbox/{Notification.objects.get().pk}/read/")
        assert answer["Location"] == "/inbox/"

    def test_somebody_elses_message_is_not_there(self, signed_in):
        notify(UserFactory(), Topic.HANDBACK, "Somebody else's")
        said = Notification.objects.get()
        assert signed_in.post(f"/inbox/{said.pk}/read/").status_code == 404
        said.refresh_from_db()
        assert said.read_at is None

    def test_marking_all_as_read_leaves_others_alone(self, signed_in, user):
        other = UserFactory()
        for person in (user, user, other):
            notify(person, Topic.HANDBACK, "Handed back")
        signed_in.post("/inbox/read/")
        assert (unread_count(user), unread_count(other)) == (0, 1)

    def test_older_messages_are_a_page_away(self, signed_in, user):
        notify_all(Message(user, Topic.HANDBACK, f"Message {n:03d}") for n in range(60))
        first = signed_in.get("/inbox/")
        assert "Message 059" in first.content.decode()
        assert "Message 009" not in first.content.decode()
        older = signed_in.get(f"/inbox/?before={first.context['older']}").content.decode()
        assert "Message 009" in older
        assert "Message 010" not in older

    @pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "1' OR 1=1"])
    def test_a_made_up_page_mark_is_harmless(self, signed_in, before):
        assert signed_in.get("/inbox/", {"before": before}).status_code == 200

    def test_fifty_messages_take_as_many_queries_as_one(self, signed_in, user, django_assert_max_num_queries):
        notify(user, Topic.HANDBACK, "One", account=AccountFactory())
        with django_assert_max_num_queries(15) as one:
            signed_in.get("/inbox/")
        notify_all(Message(user, Topic.HANDBACK, "More", AccountFactory()) for _ in range(49))
        with django_assert_max_num_queries(len(one)):
            signed_in.get("/inbox/")

    def test_a_title_cannot_bring_markup(self, signed_in, user):
        notify(user, Topic.HANDBACK, "<script>alert(1)</script>", body='"><img src=x onerror=alert(1)>')
        page = signed_in.get("/inbox/").content.decode()
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page

    def test_preferences_are_kept_for_every_topic_and_channel(self, signed_in, user):
        answer = signed_in.post("/settings/notifications/", {"thanks-email": "on"})
        assert answer.status_code == 302
        expected = {choice: choice == (Topic.THANKS, Channel.EMAIL) for choice in CHOICES}
        assert get_preferences(user) == expected
        assert 'name="thanks-email" class="form-check-input" id="id_thanks-email" checked' in " ".join(
            signed_in.get("/settings/notifications/").content.decode().split()
        )


def test_footer_says_where_to_choose(settings):
    settings.BASE_URL = "https://mainstay.example"
    assert "https://mainstay.example/settings/notifications/" in services.footer()
