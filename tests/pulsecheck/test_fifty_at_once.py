"""Fifty people accept one handback at the same moment: through the page, and through the API."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import Client

from accounts.models import Account, AccountMember, ApiToken, AuditEntry, User
from notifications.models import Notification
from pulsecheck.models import Handback
from tests.factories import AccountFactory, HandbackFactory, SalesRepFactory

PEOPLE, AT_ONCE = 50, 25


@pytest.fixture
def handback(committed_db: None) -> Handback:
    """One that all fifty see: they are on the account's retention team."""
    account = AccountFactory(name="Hotel Seeblick", original_salesperson=SalesRepFactory())
    people = [SalesRepFactory.build(email=f"rep{n}@example.com", name=f"Rep {n}") for n in range(PEOPLE)]
    for person in User.objects.bulk_create(people):
        AccountMember.objects.create(account=account, user=person)
    return HandbackFactory(account=account)


def all_at_once(ask: Callable[[User], HttpResponse]) -> list[tuple[User, HttpResponse]]:
    """The answers; threads wait for one another, so that as many as possible ask in the same moment."""
    gate = Barrier(AT_ONCE)

    def one(person: User) -> tuple[User, HttpResponse]:
        try:
            gate.wait(30)
            return person, ask(person)
        finally:
            connections["default"].close()

    people = list(User.objects.filter(email__startswith="rep"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, people))


def winner_of(handback: Handback) -> User:
    handback.refresh_from_db()
    assert handback.state == "accepted"
    assert handback.salesperson is not None
    entry = AuditEntry.objects.get(action="accept_handback")
    assert (entry.user, entry.subject_id) == (handback.salesperson, handback.pk)
    assert Account.objects.get().handbacks.count() == 1
    assert not Notification.objects.filter(topic="escalation").exists()
    return handback.salesperson


def test_on_the_page_one_wins_and_the_others_are_told_who(handback: Handback) -> None:
    clients = {}
    for person in User.objects.filter(email__startswith="rep"):
        clients[person.pk] = Client()
        clients[person.pk].force_login(person)

    answers = all_at_once(
        lambda person: clients[person.pk].post(
            f"/handbacks/{handback.pk}/accept/", {"given_to": handback.salesperson_id}
        )
    )

    winner = winner_of(handback)
    assert Counter(answer.status_code for _, answer in answers) == {302: 1, 409: PEOPLE - 1}
    assert [person for person, answer in answers if answer.status_code == 302] == [winner]
    said = f"{winner.name} has accepted this handback already."
    assert all(said in answer.content.decode() for _, answer in answers if answer.status_code == 409)


def test_over_the_api_one_wins_and_the_others_are_told_who(handback: Handback) -> None:
    secrets = {u.pk: ApiToken.objects.issue(u, "t")[1] for u in User.objects.filter(email__startswith="rep")}

    answers = all_at_once(
        lambda person: Client(headers={"Authorization": f"Token {secrets[person.pk]}"}).post(
            f"/api/v1/handbacks/{handback.pk}/accept/"
        )
    )

    winner = winner_of(handback)
    assert Counter(answer.status_code for _, answer in answers) == {200: 1, 409: PEOPLE - 1}
    assert [person for person, answer in answers if answer.status_code == 200] == [winner]
    said = f"{winner.name} has accepted this handback already."
    assert all(said in answer.content.decode() for _, answer in answers if answer.status_code == 409)
