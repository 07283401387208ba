"""The morning mail: news or nothing, and once a day."""

import datetime as dt

import pytest

from notifications.digests import Digest, DigestLine
from notifications.models import Channel, OutboxMessage, Preference, Topic
from notifications.services import send_digest
from tests.factories import UserFactory

TODAY = dt.date(2026, 3, 29)
WORSE = DigestLine("Old Mill moved from watch to at risk: silent for 41 days.", "/accounts/3/")
DUE = DigestLine("Pulse check at Fennick Foods.", "/accounts/4/pulse/")


def test_what_is_merely_due_is_no_news():
    assert Digest("Amara", due=[DUE]).is_empty
    assert not Digest("Amara", worse=[WORSE], due=[DUE]).is_empty


def test_the_subject_counts_what_is_new():
    digest = Digest("Amara", worse=[WORSE, WORSE], handbacks=[WORSE], due=[DUE])
    assert digest.subject == "Since yesterday: 1 new handback, 2 accounts at more risk"


def test_the_text_has_each_sentence_with_its_link():
    text = Digest("Amara", worse=[WORSE], due=[DUE]).text("https://mainstay.example")
    assert text == (
        "Good morning Amara,\n\n"
        "At more risk than yesterday\n"
        "- Old Mill moved from watch to at risk: silent for 41 days.\n  https://mainstay.example/accounts/3/\n\n"
        "Due today\n"
        "- Pulse check at Fennick Foods.\n  https://mainstay.example/accounts/4/pulse/\n"
    )


@pytest.mark.django_db
class TestSending:
    def test_once_a_day(self):
        user, digest = UserFactory(), Digest("Amara", worse=[WORSE])
        assert [send_digest(user, TODAY, digest) for _ in range(3)] == [True, False, False]
        assert send_digest(user, TODAY + dt.timedelta(days=1), digest)
        assert OutboxMessage.objects.count() == 2

    def test_nothing_changed_nothing_said(self):
        assert not send_digest(UserFactory(), TODAY, Digest("Amara", due=[DUE]))
        assert OutboxMessage.objects.count() == 0

    def test_who_does_not_want_it_gets_none(self):
        user = UserFactory()
        Preference.objects.create(user=user, topic=Topic.DIGEST, channel=Channel.EMAIL, is_wanted=False)
        assert not send_digest(user, TODAY, Digest("Amara", worse=[WORSE]))
        assert OutboxMessage.objects.count() == 0
