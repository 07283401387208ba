"""Accounts that may be one customer: found, merged, and taken back as they were."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.ingest.undo import relations_of
from accounts.models import Account, AccountMerge, AuditEntry, Contact, DuplicatePair, Order, RecordAlias
from accounts.services.duplicates import find_duplicates
from accounts.services.merging import MergeError, keep_apart, merge_accounts, plan_merge, undo_merge
from tests.accounts.test_import import load
from tests.factories import (
    AccountFactory,
    AccountMemberFactory,
    AdministratorFactory,
    ClosedHandbackFactory,
    ContactFactory,
    ContractFactory,
    HandbackFactory,
    InteractionFactory,
    IssueFactory,
    MeetingFactory,
    OrderFactory,
    PromiseFactory,
    PulseCheckFactory,
    SalesRepFactory,
    ScoreFactory,
    ScoreRunFactory,
    SurveyAnswerFactory,
    TouchpointFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def found() -> dict[tuple[str, str], list[str]]:
    find_duplicates()
    pairs = DuplicatePair.objects.filter(state="waiting").select_related("first", "second")
    return {(p.first.name, p.second.name): [kind for kind, _ in p.evidence] for p in pairs}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller Feinkost GmbH & Co. KG", "MÜLLER FEINKOST"),
        ("Café Bleu S.A.R.L.", "café bleu sarl"),
        ("Harbour  Stores, Ltd.", "Harbour Stores Limited"),
        ("А-Б Торговля", "а б торговля"),
        ("A.B. Foods B.V.", "AB Foods"),
    ],
)
def test_one_name_written_in_two_ways(one: str, other: str) -> None:
    AccountFactory(name=one)
    AccountFactory(name=other, record_source="crm")
    assert found() == {(one, other): ["name"]}


def test_a_contact_in_both_or_number_and_domain_together() -> None:
    for name, email, phone in (
        ("Alpha", "jo@alpha.example", ""),
        ("Beta", "JO@alpha.example", ""),
        ("Gamma", "a@gamma.example", "+49 (40) 555 12 34-56"),
        ("Delta", "b@gamma.example", "040 5551234 56"),
    ):
        ContactFactory(account=AccountFactory(name=name), email=email, phone=phone)
    assert found() == {("Alpha", "Beta"): ["email", "domain"], ("Gamma", "Delta"): ["phone", "domain"]}


def test_what_many_share_says_nothing() -> None:
    for number in range(6):
        ContactFactory(account=AccountFactory(name=f"Shop {number}"), email="books@ledger.example", phone="")
    for name in ("Sister one", "Sister two"):
        ContactFactory(account=AccountFactory(name=name), email=f"{name[-3:]}@sisters.example", phone="")
    for name in ("Private one", "Private two"):
        ContactFactory(account=AccountFactory(name=name), email=f"{name[-3:]}@gmail.com", phone="")
    AccountFactory(name="Tidy Ltd", is_sample=True)
    AccountFactory(name="Tidy Ltd")
    assert found() == {}


def test_whoever_was_said_to_be_two_stays_two() -> None:
    AccountFactory(name="Alpha Ltd")
    AccountFactory(name="Alpha")
    assert find_duplicates() == 1
    keep_apart(DuplicatePair.objects.get(), AdministratorFactory())
    assert find_duplicates() == 0
    AccountFactory(name="ALPHA INC")
    assert len(found()) == 2


def test_what_is_not_the_same_any_more_is_forgotten() -> None:
    AccountFactory(name="Alpha Ltd")
    other = AccountFactory(name="Alpha")
    assert find_duplicates() == 1
    Account.objects.filter(pk=other.pk).update(name="Omega")
    assert find_duplicates() == 0


def everything() -> dict[str, Any]:
    """Every row of every table that belongs to an account or a contact, and the accounts, as the database has them."""
    relations = (*relations_of(Account), *relations_of(Contact))
    tables = {relation.related_model._meta.db_table for relation in relations}
    tables |= {"accounts_account"}
    tables -= {"accounts_accountmerge", "accounts_duplicatepair"}
    kept = {}
    with connection.cursor() as cursor:
        for table in sorted(tables):
            order = "account_id" if table == "pulsecheck_messagemix" else "id"
            cursor.execute(f"SELECT to_jsonb(t) - 'updated_at' FROM {table} t ORDER BY {order}")  # noqa: S608
            kept[table] = [row for (row,) in cursor.fetchall()]
    return kept


@pytest.fixture
def two() -> tuple[Account, Account]:
    """Two accounts with a little of everything."""
    person, other = UserFactory(), UserFactory()
    kept = AccountFactory(name="Alpha Ltd", segment="", became_customer_on=dt.date(2022, 5, 1))
    gone = AccountFactory(
        name="Alpha",
        record_source="crm",
        external_id="77",
        segment="Retail",
        became_customer_on=dt.date(2020, 1, 1),
    )
    run = ScoreRunFactory()
    for account in (kept, gone):
        order = OrderFactory(account=account, amount=Decimal("12.34"))
        assert order.pk
        ContactFactory(account=account)
        ContractFactory(account=account)
        IssueFactory(account=account)
        PromiseFactory(account=account)
        PulseCheckFactory(account=account)
        SurveyAnswerFactory(survey__account=account)
        ClosedHandbackFactory(account=account)
        ScoreFactory(account=account, run=run, as_of=run.as_of, churn_probability=0.1 + 0.2)
        TouchpointFactory(account=account, state="planned")
        AccountMemberFactory(account=account, user=person)
    AccountMemberFactory(account=gone, user=other)
    AccountFactory(name="Daughter", parent=gone)
    RecordAlias.objects.create(record_source="shop", external_id="S1", account=gone)
    return kept, gone


def test_everything_moves_and_comes_back(two: tuple[Account, Account]) -> None:
    kept, gone = two
    before, user = everything(), AdministratorFactory()

    merge = merge_accounts(kept.pk, gone.pk, user)

    assert not Account.objects.filter(pk=gone.pk).exists()
    kept.refresh_from_db()
    assert (kept.segment, kept.became_customer_on) == ("Retail", dt.date(2020, 1, 1))
    for relation in relations_of(Account):
        rows = relation.related_model._base_manager
        assert not rows.filter(**{f"{relation.field.name}_id": gone.pk}).exists(), relation
    assert kept.orders.count() == kept.contracts.count() == kept.handbacks.count() == 2
    assert kept.members.count() == 2
    assert (kept.scores.count(), kept.touchpoints.filter(state="planned").count()) == (1, 1)
    assert kept.children.get().name == "Daughter"
    assert {(a.record_source, a.external_id) for a in kept.aliases.all()} == {("crm", "77"), ("shop", "S1")}

    undo_merge(merge.pk, user)

    assert everything() == before
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"merge_accounts", "undo_merge"}


def person(account: Account, name: str, email: str = "", phone: str = "", **more: Any) -> Contact:
    contact: Contact = ContactFactory(account=account, name=name, email=email, phone=phone, **more)
    return contact


def test_one_person_in_both_becomes_one_and_two_again() -> None:
    kept, gone = AccountFactory(name="Alpha Ltd"), AccountFactory(name="Alpha", record_source="crm")
    ann = person(kept, "Ann Lee", "ann@alpha.example")
    bob = person(kept, "Bob Ray", phone="+49 40 5551234", job_title="Buyer")
    twin = person(
        gone,
        "A. Lee",
        "ANN@alpha.example",
        "040 999 88 77",
        role="champion",
        job_title="Chef",
        record_source="crm",
    )
    call = person(gone, "bob  ray", "bob@home.example", "(040) 555 1234", job_title="Cook")
    carl = person(gone, "Carl", "carl@alpha.example", "+49 40 5551234")
    talks = [InteractionFactory(account=one.account, contact=one) for one in (ann, twin, call, carl)]
    check = PulseCheckFactory(account=gone, contact=twin)
    elsewhere = InteractionFactory(account=AccountFactory(), contact=twin)  # moved to another account since
    RecordAlias.objects.create(record_source="shop", external_id="P1", contact=twin)
    before, user = everything(), AdministratorFactory()
    assert "3 contacts, 2 of them in both" in plan_merge(kept, gone).moved
    assert not any("contact" in words for words in plan_merge(kept, gone).set_aside)

    merge = merge_accounts(kept.pk, gone.pk, user)

    assert {one.name for one in kept.contacts.all()} == {"Ann Lee", "Bob Ray", "Carl"}
    for one in (ann, bob, check, elsewhere, *talks):
        one.refresh_from_db()
    assert (ann.phone, ann.role, ann.job_title) == ("040 999 88 77", "champion", "Chef")
    assert (bob.email, bob.job_title) == ("bob@home.example", "Buyer")
    assert [talk.contact for talk in talks] == [ann, ann, bob, carl]
    assert (check.contact, elsewhere.contact) == (ann, ann)
    ids = {(one.record_source, one.external_id) for one in ann.aliases.all()}
    assert ids == {("crm", twin.external_id), ("shop", "P1")}
    assert {one.external_id for one in kept.aliases.all()} == {gone.external_id}

    undo_merge(merge.pk, user)

    assert everything() == before


@pytest.mark.parametrize(
    ("ours", "theirs", "n"),
    [
        ([("Ann", "info@a.example", ""), ("Bob", "info@a.example", "")], [("Carl", "info@a.example", "")], 3),
        ([("Ann", "info@a.example", "")], [("Bob", "info@a.example", ""), ("Carl", "info@a.example", "")], 3),
        ([("Ann", "info@a.example", ""), ("Bob", "info@a.example", "")], [("ann", "INFO@a.example", "")], 2),
        ([("Ann", "", "040 5551234")], [("Bob", "", "040 5551234")], 2),
        ([("Ann", "", "")], [("Ann", "", "")], 2),
        ([("Ann", "ann@a.example", "")], [("Ann", "ann@a.example", ""), ("A", "ann@a.example", "")], 2),
    ],
    ids=[
        "several of ours",
        "several of theirs",
        "the name tells",
        "a switchboard",
        "a name alone",
        "once only",
    ],
)
def test_who_may_be_several_stays(
    ours: list[tuple[str, str, str]], theirs: list[tuple[str, str, str]], n: int
) -> None:
    kept, gone = AccountFactory(), AccountFactory()
    for account, people in ((kept, ours), (gone, theirs)):
        for one in people:
            person(account, *one)
    before = everything()
    merge = merge_accounts(kept.pk, gone.pk, AdministratorFactory())
    assert kept.contacts.count() == n
    undo_merge(merge.pk, AdministratorFactory())
    assert everything() == before


def test_what_was_learned_of_a_person_since_stays() -> None:
    kept, gone = AccountFactory(), AccountFactory()
    ann = person(kept, "Ann", "ann@a.example")
    twin = person(gone, "Ann", "ann@a.example", "040 5551234", job_title="Chef")
    merge = merge_accounts(kept.pk, gone.pk, AdministratorFactory())
    Contact.objects.filter(pk=ann.pk).update(phone="040 7777777")
    new = InteractionFactory(account=kept, contact=ann)

    undo_merge(merge.pk, AdministratorFactory())

    ann.refresh_from_db()
    new.refresh_from_db()
    assert (ann.phone, ann.job_title, new.contact) == ("040 7777777", "", ann)
    assert Contact.objects.get(pk=twin.pk).phone == "040 5551234"


def test_a_file_that_names_both_people_changes_one(tmp_path: Path) -> None:
    load("accounts", tmp_path, "external_id,name\nA,Alpha\nB,Alpha Ltd\n")
    people = "external_id,account,name,email\nP,A,Ann,ann@a.example\nQ,B,A. Lee,ann@a.example\n"
    load("contacts", tmp_path, people)
    kept, gone = Account.objects.get(external_id="A"), Account.objects.get(external_id="B")
    merge_accounts(kept.pk, gone.pk, AdministratorFactory())

    again = load("contacts", tmp_path, people.replace("Ann", "Ann Lee"))
    load("interactions", tmp_path, "account,contact,happened_at,kind\nB,Q,2025-03-04,call\n")

    assert (again.rows_created, again.rows_changed, again.rows_rejected) == (0, 1, 0)
    ann = Contact.objects.get()
    assert (ann.name, ann.interactions.count()) == ("Ann Lee", 1)


def test_what_came_since_stays_with_the_kept_one(two: tuple[Account, Account]) -> None:
    kept, gone = two
    user = AdministratorFactory()
    merge = merge_accounts(kept.pk, gone.pk, user)
    new = OrderFactory(account=kept)
    Account.objects.filter(pk=kept.pk).update(segment="Wholesale")

    undo_merge(merge.pk, user)

    kept.refresh_from_db()
    new.refresh_from_db()
    assert (kept.segment, new.account_id) == ("Wholesale", kept.pk)
    with pytest.raises(MergeError, match="already"):
        undo_merge(merge.pk, user)


def test_merges_are_taken_back_last_first() -> None:
    a, b, c = (AccountFactory(name=name) for name in "abc")
    user = AdministratorFactory()
    first = merge_accounts(a.pk, b.pk, user)
    second = merge_accounts(c.pk, a.pk, user)

    with pytest.raises(MergeError, match="a was merged into it later"):
        undo_merge(first.pk, user)
    undo_merge(second.pk, user)
    undo_merge(first.pk, user)

    assert set(Account.objects.values_list("name", flat=True)) == {"a", "b", "c"}


def test_records_under_the_other_id_come_to_the_kept_one(tmp_path: Path) -> None:
    load("accounts", tmp_path, "external_id,name\nA,Alpha\nB,Alpha Ltd\n")
    kept, gone = Account.objects.get(external_id="A"), Account.objects.get(external_id="B")
    merge_accounts(kept.pk, gone.pk, AdministratorFactory())

    run = load("orders", tmp_path, "customer,date,amount\nA,2024-01-31,1\nB,2024-02-01,2\n")
    again = load("accounts", tmp_path, "external_id,name\nB,Alpha Limited\n")

    assert (run.rows_created, again.rows_created, again.rows_changed) == (2, 0, 1)
    assert set(Order.objects.values_list("account", flat=True)) == {kept.pk}
    assert Account.objects.get().name == "Alpha Limited"


def refusals() -> Iterator[tuple[str, Any]]:
    yield "open handback", lambda one: HandbackFactory(account=one)
    yield "open retention meeting", lambda one: MeetingFactory(account=one)


@pytest.mark.parametrize(("words", "make"), list(refusals()), ids=[words for words, _ in refusals()])
def test_what_is_open_on_both_has_to_end_first(words: str, make: Any) -> None:
    kept, gone = AccountFactory(), AccountFactory()
    for one in (kept, gone):
        make(one)
    before = everything()

    with pytest.raises(MergeError, match=f"Both have an {words}: end one of them first"):
        merge_accounts(kept.pk, gone.pk, AdministratorFactory())

    assert everything() == before


def test_nobody_is_below_itself() -> None:
    mother = AccountFactory()
    daughter = AccountFactory(parent=mother)
    user = AdministratorFactory()
    before = everything()
    merge = merge_accounts(daughter.pk, mother.pk, user)
    daughter.refresh_from_db()
    assert daughter.parent_id is None
    undo_merge(merge.pk, user)
    assert everything() == before


def test_an_account_is_not_taken_into_itself_or_the_sample() -> None:
    one, sample = AccountFactory(), AccountFactory(is_sample=True)
    assert plan_merge(one, one).refusals == ["An account cannot be taken into itself."]
    assert "sample company" in plan_merge(one, sample).refusals[0]
    with pytest.raises(MergeError, match="not there any more"):
        merge_accounts(one.pk, 987_654, AdministratorFactory())


def test_an_administrator_merges_and_takes_back_in_the_browser(client: Client) -> None:
    client.force_login(AdministratorFactory())
    kept, gone = AccountFactory(name="Alpha Ltd", segment=""), AccountFactory(name="Alpha", segment="Retail")
    OrderFactory(account=kept)
    for account in (kept, gone):
        person(account, "Ann", "ann@alpha.example")
    assert "No duplicates" in client.get(reverse("accounts:duplicates")).content.decode()
    client.post(reverse("accounts:look_for_duplicates"))
    assert "Alpha Ltd" in client.get(reverse("accounts:duplicates")).content.decode()
    address = reverse("accounts:duplicate", args=[DuplicatePair.objects.get().pk])
    body = client.get(address).content.decode()
    assert body.index("Alpha Ltd</a></h2>") < body.index("Alpha</a></h2>")
    assert "It learns segment Retail" in body
    assert "It gets 1 contact, 1 of them in both." in body
    assert "Say which one" in client.post(address, follow=True).content.decode()
    assert "is part of" in client.post(address, {"keep": kept.pk}, follow=True).content.decode()
    assert list(Account.objects.values_list("pk", flat=True)) == [kept.pk]
    assert not DuplicatePair.objects.exists()
    merged = client.get(reverse("accounts:duplicates"), {"state": "merged"}).content.decode()
    assert "Take it back" in merged
    undo = reverse("accounts:undo_merge", args=[AccountMerge.objects.get().pk])
    assert "of its own again" in client.post(undo, follow=True).content.decode()
    assert Account.objects.filter(pk=gone.pk).exists()
    assert DuplicatePair.objects.exists()


def test_old_links_lead_to_the_kept_account_for_those_who_see_it(client: Client) -> None:
    person = SalesRepFactory()
    kept, gone = AccountFactory(original_salesperson=person), AccountFactory()
    last = AccountFactory(original_salesperson=person)
    user = AdministratorFactory()
    merge_accounts(kept.pk, gone.pk, user)
    merge_accounts(last.pk, kept.pk, user)
    address = reverse("retention:account", args=[gone.pk])
    client.force_login(person)
    assert client.get(address).headers["Location"] == reverse("retention:account", args=[last.pk])
    client.force_login(SalesRepFactory())
    assert client.get(address).status_code == 404


def test_the_list_asks_as_many_queries_for_few_as_for_many(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    client.force_login(AdministratorFactory())
    for number in range(60):
        for form in ("Ltd", "Limited"):
            AccountFactory(name=f"Shop {number} {form}")
    find_duplicates()
    with django_assert_max_num_queries(14):
        body = client.get(reverse("accounts:duplicates")).content.decode()
    assert body.count("data-row") == 50
    assert "page=2" in body


def test_one_file_may_name_both_ids(tmp_path: Path) -> None:
    """Of two ids of one account the account's own is taken; the other says nothing new, and refuses nothing."""
    load("accounts", tmp_path, "external_id,name\nA,Alpha\nB,Alpha Ltd\n")
    kept, gone = Account.objects.get(external_id="A"), Account.objects.get(external_id="B")
    merge_accounts(kept.pk, gone.pk, AdministratorFactory())

    run = load("accounts", tmp_path, "external_id,name\nA,Alpha One\nB,Alpha Two\nC,Gamma\n")

    assert (run.rows_created, run.rows_changed, run.rows_unchanged, run.rows_rejected) == (1, 1, 1, 0)
    assert set(Account.objects.values_list("name", flat=True)) == {"Alpha One", "Gamma"}
