"""Meetings, actions, references and products over the API."""

import pytest

from accounts.selectors import company_today
from pulsecheck.models import Action, Reference, RetentionMeeting
from pulsecheck.services.products import study_products
from tests.factories import (
    AccountFactory,
    ActionFactory,
    ContactFactory,
    IssueFactory,
    MeetingFactory,
    OrderFactory,
    OrderLineFactory,
    ProductFactory,
    ReferenceFactory,
    date_ago,
    days_ago,
)

MEETINGS, ACTIONS, REFERENCES = "/api/v1/meetings/", "/api/v1/actions/", "/api/v1/references/"
SOON, LATER = date_ago(-7).isoformat(), date_ago(-40).isoformat()


# ── meetings ───────────────────────────────────────────────────────────
def test_a_meeting_is_set_once_and_kept_with_its_agenda(cast, api):
    IssueFactory(account=cast.account)
    client = api(cast.owner)
    body = {"account_id": cast.account.pk, "held_on": SOON, "repeats": "monthly"}
    first = client.post(MEETINGS, body, headers={"Idempotency-Key": "a"})
    again = client.post(MEETINGS, body, headers={"Idempotency-Key": "a"})
    refused = client.post(MEETINGS, body)
    assert (first.status_code, again.json(), refused.status_code) == (201, first.json(), 400)
    path = f"{MEETINGS}{first.json()['id']}/"
    assert client.get(path).json()["agenda"]["sections"]

    held = client.post(f"{path}hold/", {"attended": [cast.teammate.email], "next_on": LATER}).json()
    assert (held["state"], held["attended"]) == ("held", [cast.teammate.email])
    assert RetentionMeeting.objects.planned().get().follows_id == held["id"]
    cast.account.issues.all().delete()
    assert client.get(path).json()["agenda"]["sections"]
    assert client.post(f"{path}cancel/").status_code == 400


def test_nobody_writes_over_minutes_unseen(cast, api):
    path = f"{MEETINGS}{MeetingFactory(account=cast.account, chair=cast.owner).pk}/minutes/"
    mine, theirs = api(cast.owner), api(cast.teammate)
    first = mine.post(path, {"minutes": "Mine", "minutes_version": 0}).json()
    late = theirs.post(path, {"minutes": "Theirs", "minutes_version": 0})
    assert (first["minutes_version"], late.status_code) == (1, 409)
    assert late["Content-Type"] == "application/problem+json"
    assert RetentionMeeting.objects.get().minutes == "Mine"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"held_on": SOON},
        {"held_on": "2020-01-01", "account_id": 1},
        {"held_on": SOON, "account_id": 10**9},
        {"held_on": SOON, "team_id": 10**9},
        {"held_on": SOON, "account_id": 1, "team_id": 1},
    ],
)
def test_a_meeting_has_to_be_about_something_of_ones_own(cast, api, body):
    assert api(cast.owner).post(MEETINGS, body).status_code == 400


# ── actions ────────────────────────────────────────────────────────────
def test_an_action_from_agreeing_to_done(cast, api):
    mine, colleague = api(cast.owner), api(cast.teammate)
    body = {"text": "Visit them", "owner": cast.teammate.email, "due_on": SOON, "account_id": cast.account.pk}
    made = mine.post(ACTIONS, body).json()
    path = f"{ACTIONS}{made['id']}/"
    assert (made["owner"], made["account"]) == (cast.teammate.email, cast.account.external_id)
    assert cast.teammate.notifications.filter(title__contains="an action is yours").count() == 1

    changed = colleague.post(f"{path}change/", {"due_on": LATER}).json()
    assert (changed["due_on"], changed["text"]) == (LATER, "Visit them")
    assert colleague.post(f"{path}change/", {"due_on": "2020-01-01"}).status_code == 400
    assert colleague.post(f"{path}complete/").json()["done_by"] == cast.teammate.email
    assert colleague.post(f"{path}change/", {"text": "Something else"}).status_code == 400
    assert mine.post(f"{path}reopen/").json()["done_at"] is None
    assert mine.post(f"{path}follow-up/", {"outcome": "better"}).status_code == 400


def test_an_action_is_changed_by_whom_it_concerns(cast, api):
    action = ActionFactory(account=cast.account, owner=cast.owner)
    path = f"{ACTIONS}{action.pk}/change/"
    assert api(cast.teammate).post(path, {"text": "Mine now"}).status_code == 403
    assert api(cast.stranger).post(path, {"text": "Mine now"}).status_code == 404
    assert api(cast.manager).post(path, {"owner": cast.teammate.email}).json()["owner"] == cast.teammate.email
    cast.teammate.is_active = False
    cast.teammate.save()
    assert api(cast.manager).post(path, {"owner": cast.teammate.email}).status_code == 400
    assert Action.objects.get().text == action.text


def test_an_action_does_not_name_an_account_its_owner_does_not_see(cast, api):
    ActionFactory(account=AccountFactory(), owner=cast.owner)
    row = api(cast.owner).get(ACTIONS).json()["results"][0]
    assert (row["account"], row["account_id"]) == (None, None)


# ── references ─────────────────────────────────────────────────────────
def test_consent_by_either_id_replaced_and_taken_back(cast, api):
    contact = ContactFactory(account=cast.account, external_id="C-9")
    client, today = api(cast.owner), company_today().isoformat()
    body = {
        "account_id": cast.account.pk,
        "agreed_by": "Ann",
        "agreed_on": today,
        "until": LATER,
        "quote": "Good",
    }
    first = client.post(REFERENCES, body | {"contact": "C-9"}).json()
    second = client.post(REFERENCES, body | {"contact_id": contact.pk, "takes_calls": True}).json()
    assert first["contact_id"] == second["contact_id"] == contact.pk
    assert client.post(REFERENCES, body | {"contact": "nobody"}).status_code == 400
    assert client.post(REFERENCES, body | {"quote": ""}).status_code == 400
    assert client.post(REFERENCES, body | {"until": "2020-01-01"}).status_code == 400
    in_force = client.get(f"{REFERENCES}?is_in_force=true").json()["results"]
    assert [row["id"] for row in in_force] == [second["id"]]
    client.post(f"{REFERENCES}{second['id']}/revoke/", {"reason": "They asked"})
    assert client.get(f"{REFERENCES}?is_in_force=true").json()["results"] == []
    assert Reference.objects.count() == 2
    assert api(cast.marketing).post(REFERENCES, body).status_code == 403
    assert len(api(cast.marketing).get(REFERENCES).json()["results"]) == 2


# ── products ───────────────────────────────────────────────────────────
def test_what_an_account_bought_and_could_buy_next(cast, api):
    coffee, cups = ProductFactory(sku="COF", series="Bar"), ProductFactory(sku="CUP", series="Bar")
    buyers = [AccountFactory(account_manager=cast.stranger) for _ in range(30)]
    for account in [*buyers, cast.account]:
        for product, days in ((coffee, 400), (cups, 300)):
            if product is coffee or account is not cast.account:
                order = OrderFactory(account=account, ordered_at=days_ago(days))
                OrderLineFactory(order=order, product=product)
    study_products(company_today())
    client, path = api(cast.owner), f"/api/v1/accounts/{cast.account.pk}/products/"
    told = client.get(path).json()
    assert [row["sku"] for row in told["bought"]] == ["COF"]
    assert [(s["sku"], s["after"], s["followers"]) for s in told["suggestions"]] == [("CUP", "COF", 30)]
    IssueFactory(account=cast.account)
    told = client.get(path).json()
    assert (told["suggestions"], told["held_back"]) == ([], ["an issue is open"])
    assert [row["sku"] for row in client.get("/api/v1/products/?series=Bar&sku=CUP").json()["results"]] == [
        "CUP"
    ]


# ── all of them ────────────────────────────────────────────────────────
@pytest.mark.parametrize("address", [MEETINGS, ACTIONS, REFERENCES])
def test_lists_hold_what_one_may_see_in_as_many_queries_as_for_one(
    cast, api, address, django_assert_max_num_queries
):
    for _ in range(4):
        account = AccountFactory(original_salesperson=cast.owner)
        MeetingFactory(account=account, chair=cast.owner)
        ActionFactory(account=account, owner=cast.teammate)
        ReferenceFactory(account=account, noted_by=cast.owner)
    hidden = AccountFactory()
    MeetingFactory(account=hidden, chair=cast.administrator)
    ActionFactory(account=hidden, owner=cast.administrator)
    ReferenceFactory(account=hidden, noted_by=cast.administrator)
    client = api(cast.owner)
    with django_assert_max_num_queries(10):
        rows = client.get(address).json()["results"]
    assert len(rows) == 4
    assert hidden.pk not in {row["account_id"] for row in rows}
    assert api(cast.stranger).get(address).json()["results"] == []
