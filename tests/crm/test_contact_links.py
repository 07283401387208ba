"""Contacts of a connected system that are known from elsewhere: linked, quarantined, decided, followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.ingest.load import import_rows
from accounts.models import (
    Account,
    Connection,
    Contact,
    Interaction,
    Quarantine,
    RawRecord,
    RecordAlias,
    SyncRun,
)
from accounts.models.crm import Decision
from accounts.services.connecting import create_connection, settle_record
from tests.crm.servers import pipedrive
from tests.crm.servers.hubspot import Server
from tests.crm.syncing import go_on, sync
from tests.crm.world import fill
from tests.factories import AccountFactory, AdministratorFactory, ContactFactory, InteractionFactory

Connect = Callable[..., Connection]


@pytest.fixture
def other() -> Iterator[pipedrive.Server]:
    with pipedrive.Server() as running:
        yield running


def known(name: str, email: str = "", phone: str = "", number: int = 1) -> Contact:
    """Somebody a file told us of, at a company HubSpot has, too."""
    account = Account.objects.filter(external_id=f"F{number}").first() or AccountFactory(
        name=f"Company {number}", record_source="file", external_id=f"F{number}"
    )
    contact: Contact = ContactFactory(
        account=account, name=name, email=email, phone=phone, record_source="file"
    )
    return contact


CASES: dict[str, tuple[list[tuple[str, str, str]], str]] = {
    "the same e-mail": ([("A. O.", "ANN1@customer.example", "")], "linked"),
    "the same name and telephone": ([("ann  of 1", "ann@home.example", "+49 40 5551234")], "linked"),
    "the telephone alone, no e-mail": ([("Switchboard", "", "0049-40-5551234")], "waits"),
    "a switchboard, an e-mail each": ([("Bob", "bob@customer.example", "040/5551234")], "new"),
    "two with the e-mail": (
        [("A", "ann1@customer.example", ""), ("B", "ann1@customer.example", "")],
        "waits",
    ),
    "two with the e-mail, one with the name": (
        [("Ann Of 1", "ann1@customer.example", ""), ("B", "ann1@customer.example", "")],
        "linked",
    ),
    "one by e-mail, another by telephone": (
        [("Ann Of 1", "", "+49 40 5551234"), ("B", "ann1@customer.example", "")],
        "waits",
    ),
    "nothing in common": ([("Carl", "carl@customer.example", "+49 40 7777777")], "new"),
    "too short a number": ([("Ann Of 1", "", "1234")], "new"),
}


@pytest.mark.parametrize("case", CASES)
def test_who_is_known_is_not_made_twice(connect: Connect, server: Server, case: str) -> None:
    entries, outcome = CASES[case]
    people = [known(*entry) for entry in entries]
    fill(server.world, companies=2, deals_each=1)
    server.world.put("contacts", 1001, phone="1234" if "short" in case else "+49 (40) 555-1234")
    connection = connect()

    sync(connection)
    again = sync(connection, is_full=True)

    theirs = Contact.objects.filter(record_source=connection.record_source)
    assert theirs.filter(external_id="1002").exists()
    made = theirs.filter(external_id="1001")
    links = RecordAlias.objects.filter(contact__isnull=False)
    assert made.exists() == (outcome == "new")
    assert [link.contact for link in links] == (people[:1] if outcome == "linked" else [])
    waiting = Quarantine.objects.filter(kind="contacts")
    assert [sorted(one.candidates) for one in waiting] == (
        [sorted(one.pk for one in people)] if outcome == "waits" else []
    )
    if outcome == "linked":
        people[0].refresh_from_db()
        assert (people[0].name, people[0].email) == ("Ann Of 1", "ann1@customer.example")
        assert people[0].record_source == "file"
    assert sum(again.steps.values_list("rows_created", flat=True)) == 0
    assert not RawRecord.objects.exclude(problem="").exists()


def test_a_linked_contact_is_the_same_under_its_id_there(connect: Connect, server: Server) -> None:
    """Also when its e-mail changes, for what refers to it, and when it is gone there while the file still has it."""
    ann = known("Ann Of 1", "ann1@customer.example")
    fill(server.world, companies=2, deals_each=1)
    connection = connect()
    sync(connection)
    server.world.put("contacts", 1001, email="ann@elsewhere.example")
    sync(connection)

    ann.refresh_from_db()
    assert ann.email == "ann@elsewhere.example"
    assert ann.account.contacts.count() == 1
    call = {"account": "1", "contact": "1001", "happened_at": "2025-03-04T10:00:00Z", "kind": "call"}
    import_rows("interactions", [call], source=connection.record_source)
    assert Interaction.objects.get().contact == ann

    server.world.delete("contacts", 1001)
    server.world.delete("contacts", 1002)
    sync(connection, is_full=True)
    ann.refresh_from_db()
    assert ann.is_active
    assert not Contact.objects.get(external_id="1002").is_active


def test_two_records_there_are_not_one_contact_here_by_themselves(connect: Connect, server: Server) -> None:
    ann = known("Ann", "ann1@customer.example")
    fill(server.world, companies=1)
    server.world.put(
        "contacts", 2001, firstname="Twin", email="ann1@customer.example", associatedcompanyid="1"
    )
    connection = connect()
    sync(connection)
    assert RecordAlias.objects.get(contact=ann).external_id == "1001"
    one = Quarantine.objects.get()
    assert (one.raw.source_id, one.candidates, one.kind) == ("2001", [ann.pk], "contacts")
    assert one.reason == "Another record of crm is this contact already."


def test_a_second_system_finds_whom_the_first_one_brought(
    connect: Connect, server: Server, other: pipedrive.Server
) -> None:
    fill(server.world, companies=3, deals_each=1)
    first = connect("crm")
    sync(first)
    pipedrive.fill(other.world, companies=3)
    number = [{"value": "030 5557777", "primary": True, "label": "work"}]
    other.world.put("persons", 2, emails=[], phones=number)
    ann = Contact.objects.get(external_id="1002")
    Contact.objects.filter(pk=ann.pk).update(email="", phone="+4930 5557777", name="Anna")
    second = create_connection(
        "pipe",
        "pipedrive",
        options={"address": other.address, "sign_in": other.address},
        credentials={"api_token": "personal-token"},
    )
    sync(second)

    assert Account.objects.count() == 3
    assert not Contact.objects.filter(record_source=second.record_source).exists()
    links = RecordAlias.objects.filter(record_source=second.record_source, contact__isnull=False)
    assert {link.external_id: link.contact.external_id for link in links} == {"1": "1001", "3": "1003"}
    one = Quarantine.objects.get()
    settle_record(one.pk, AdministratorFactory(), record=ann)
    sync(second)
    ann.refresh_from_db()
    assert (ann.name, ann.aliases.get().external_id) == ("Ann Of 2", "2")
    assert Contact.objects.count() == 3


def doubtful(connect: Connect, server: Server) -> tuple[Connection, list[Contact], Quarantine]:
    fill(server.world, companies=1)
    people = [known(name, "ann1@customer.example") for name in ("A. Miller", "B. Miller")]
    connection = connect()
    sync(connection)
    return connection, people, Quarantine.objects.get()


def page(client: Client, name: str, pk: int, query: str = "") -> str:
    answer = client.get(reverse(f"accounts:{name}", args=[pk]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(AdministratorFactory())
    return client


def test_a_person_says_who_it_is(client: Client, connect: Connect, server: Server) -> None:
    connection, people, one = doubtful(connect, server)
    InteractionFactory(account=people[0].account, contact=people[0])
    colleague = known("Carla Miller")
    stranger = known("Dora Miller", number=9)
    assert "2 contacts could be this one." in page(client, "quarantine", connection.pk)
    body = page(client, "decide", one.pk)
    assert body.count("It is this one") == 2
    assert "It is a new contact" in body
    looked_for = page(client, "decide", one.pk, "?q=miller")
    assert "Carla Miller" in looked_for
    assert "Dora Miller" not in looked_for
    address = reverse("accounts:decide", args=[one.pk])
    assert client.post(f"{address}?q=miller", {"choice": str(stranger.pk)}).status_code == 422
    assert client.post(f"{address}?q=miller", {"choice": str(colleague.pk)}).status_code == 302
    assert client.post(address, {"choice": str(people[1].pk)}).status_code == 302  # on second thoughts

    sync(connection)

    one.refresh_from_db()
    people[1].refresh_from_db()
    assert (one.decision, one.contact, people[1].name) == (Decision.LINKED, people[1], "Ann Of 1")
    assert people[0].account.contacts.count() == 3
    assert "Is known: Ann Of 1" in page(client, "quarantine", connection.pk, "?state=decided")
    assert "It has come in since" in page(client, "decide", one.pk)


@pytest.mark.parametrize(("choice", "n"), [("new", 3), ("leave-out", 2)])
def test_a_person_says_that_it_is_new_or_nobody(
    client: Client, connect: Connect, server: Server, choice: str, n: int
) -> None:
    connection, people, one = doubtful(connect, server)
    address = reverse("accounts:decide", args=[one.pk])
    client.post(address, {"choice": str(people[0].pk)})
    client.post(address, {"choice": choice})  # what was said before is taken back with it
    assert not RecordAlias.objects.filter(contact__isnull=False).exists()
    sync(connection, is_full=True)
    assert Contact.objects.count() == n
    assert Quarantine.objects.get().contact is None


def test_new_stays_new_where_the_door_would_find_one_by_e_mail(connect: Connect, server: Server) -> None:
    known("Switchboard", "", "+49 40 5551234")
    fill(server.world, companies=1)
    server.world.put("contacts", 1001, email="", phone="+49 40 5551234")
    connection = connect()
    sync(connection)
    settle_record(Quarantine.objects.get().pk, AdministratorFactory(), is_new=True)
    Contact.objects.update(email="ann1@customer.example")
    server.world.put("contacts", 1001, email="ann1@customer.example")
    sync(connection)
    assert Contact.objects.count() == 2


def test_the_preview_tells_of_contacts_and_leaves_nothing(
    client: Client, connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.tasks.work_on_sync.delay_on_commit", lambda run_id: None)
    known("Ann", "ann1@customer.example")
    for name in ("One", "Other"):
        known(name, "ann2@customer.example", number=2)
    fill(server.world, companies=3)
    connection = connect()
    client.post(reverse("accounts:connection_preview", args=[connection.pk]))
    run: Any = go_on(SyncRun.objects.get())
    assert (run.found["linked"], run.found["linked_contacts"]) == (2, 1)
    assert [one["id"] for one in run.found["doubtful"]] == ["1002"]
    body = page(client, "connection_preview", connection.pk)
    assert "contact of yours is known there too" in body
    assert "2 contacts could be this one." in body
    assert not RecordAlias.objects.exists()
    assert not Quarantine.objects.exists()
