"""Lists and single records of the API: who sees what, in pages, filtered, in few queries."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from tests.factories import (
    AccountFactory,
    Cast,
    ContactFactory,
    ContractFactory,
    EnquiryFactory,
    HandbackFactory,
    InteractionFactory,
    IssueFactory,
    OrderFactory,
    PromiseFactory,
    PulseCheckFactory,
    ScoreFactory,
    ScoreRunFactory,
    TouchpointFactory,
    date_ago,
)

Api = Callable[[User], APIClient]
INSIDERS = ("owner", "teammate", "manager", "marketing", "administrator")
STRANGERS = ("stranger", "other_manager")


@pytest.fixture
def records(cast: Cast) -> dict[str, str]:
    """A record of every kind of the cast's account, and the address of each."""
    run = ScoreRunFactory()
    ScoreFactory(account=cast.account, run=run)
    return {
        "accounts": f"/api/v1/accounts/{cast.account.pk}/",
        "contacts": f"/api/v1/contacts/{ContactFactory(account=cast.account).pk}/",
        "orders": f"/api/v1/orders/{OrderFactory(account=cast.account).pk}/",
        "contracts": f"/api/v1/contracts/{ContractFactory(account=cast.account).pk}/",
        "interactions": f"/api/v1/interactions/{InteractionFactory(account=cast.account).pk}/",
        "issues": f"/api/v1/issues/{IssueFactory(account=cast.account).pk}/",
        "promises": f"/api/v1/promises/{PromiseFactory(account=cast.account).pk}/",
        "enquiries": f"/api/v1/enquiries/{EnquiryFactory(account=cast.account).pk}/",
        "handbacks": f"/api/v1/handbacks/{HandbackFactory(account=cast.account).pk}/",
        "pulse-checks": f"/api/v1/pulse-checks/{PulseCheckFactory(account=cast.account, taken_by=cast.teammate).pk}/",
        "touchpoints": f"/api/v1/touchpoints/{TouchpointFactory(account=cast.account).pk}/",
        "scores": f"/api/v1/accounts/{cast.account.pk}/scores/",
    }


KINDS = (
    "accounts", "contacts", "orders", "contracts", "interactions", "issues", "promises", "enquiries", "handbacks",
    "pulse-checks", "touchpoints", "scores",
)  # fmt: skip


@pytest.mark.parametrize("who", INSIDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_insiders_list_and_read(cast: Cast, api: Api, records: dict[str, str], who: str, kind: str) -> None:
    client = api(getattr(cast, who))
    listed = client.get(f"/api/v1/{kind}/")
    assert listed.status_code == 200, listed.content
    assert len(listed.json()["results"]) == 1
    assert client.get(records[kind]).status_code == 200


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("kind", KINDS)
def test_strangers_do_not_learn_that_it_exists(
    cast: Cast, api: Api, records: dict[str, str], who: str, kind: str
) -> None:
    client = api(getattr(cast, who))
    assert client.get(f"/api/v1/{kind}/").json()["results"] == []
    refused = client.get(records[kind])
    missing = client.get(records[kind].replace(str(cast.account.pk), "999999"))
    assert refused.status_code == missing.status_code == 404
    assert refused["Content-Type"] == "application/problem+json"


def test_columns_are_those_of_the_files(cast: Cast, api: Api, records: dict[str, str]) -> None:
    client = api(cast.owner)
    account = client.get(records["accounts"]).json()
    assert account["original_salesperson"] == cast.owner.email
    assert account["account_manager"] == cast.teammate.email
    order = client.get(records["orders"]).json()
    assert order["account"] == cast.account.external_id
    assert order["amount"] == "250.00"


def test_pages_of_fifty_do_not_shift(cast: Cast, api: Api) -> None:
    AccountFactory.create_batch(60, original_salesperson=cast.owner)
    client = api(cast.owner)
    first = client.get("/api/v1/accounts/").json()
    AccountFactory(original_salesperson=cast.owner, name="Aaa comes later")
    second = client.get(first["next"]).json()
    seen = [account["id"] for account in first["results"] + second["results"]]
    assert len(first["results"]) == 50
    assert len(seen) == len(set(seen)) == 62


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("accounts", 3),
        ("contacts", 3),
        ("orders", 3),
        ("contracts", 3),
        ("scores", 3),
        ("handbacks", 7),
        ("pulse-checks", 4),
        ("touchpoints", 3),
    ],
)
def test_the_number_of_queries_does_not_grow(
    cast: Cast,
    api: Api,
    kind: str,
    most: int,
    django_assert_max_num_queries: Callable[[int], CaptureQueriesContext],
) -> None:
    client = api(cast.owner)
    client.get("/api/v1/accounts/")  # the token notes its first use of the day
    run = ScoreRunFactory()
    for account in AccountFactory.create_batch(20, original_salesperson=cast.owner):
        for factory in (
            ContactFactory,
            OrderFactory,
            ContractFactory,
            HandbackFactory,
            PulseCheckFactory,
            TouchpointFactory,
        ):
            factory(account=account)
        ScoreFactory(account=account, run=run)
    with django_assert_max_num_queries(most):
        found = client.get(f"/api/v1/{kind}/").json()["results"]
    assert len(found) >= 20


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=seebl", 1),
        ("name=nowhere", 0),
        ("segment=Hotels", 1),
        ("original_salesperson=olga@nowhere.example", 0),
        ("billing_mode=contract", 0),
        ("updated_since=2020-01-01T00:00:00Z", 1),
    ],
)
def test_accounts_are_filtered(cast: Cast, api: Api, query: str, expected: int) -> None:
    assert len(api(cast.owner).get(f"/api/v1/accounts/?{query}").json()["results"]) == expected


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("accounts/?billing_mode=sometimes", "billing_mode"),
        ("accounts/?updated_since=yesterday", "updated_since"),
        ("accounts/?updated_since=0001-01-01T00:00:00%2B20:00", "updated_since"),
        ("orders/?account_id=x", "account_id"),
        ("contracts/?ends_from=30.02.2026", "ends_from"),
        ("scores/?tier=purple", "tier"),
    ],
)
def test_a_filter_nobody_understands_names_the_field(cast: Cast, api: Api, address: str, field: str) -> None:
    answer = api(cast.owner).get(f"/api/v1/{address}")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer["Content-Type"] == "application/problem+json"


def test_scores_are_of_the_newest_run_and_the_history_has_all(cast: Cast, api: Api) -> None:
    for days in (1, 31, 61):
        ScoreFactory(account=cast.account, run=ScoreRunFactory(as_of=date_ago(days)))
    ScoreFactory(account=cast.account, run=ScoreRunFactory(as_of=date_ago(0), state="scoring"))
    client = api(cast.owner)
    newest: list[dict[str, Any]] = client.get("/api/v1/scores/").json()["results"]
    assert [score["as_of"] for score in newest] == [date_ago(1).isoformat()]
    history = client.get(f"/api/v1/accounts/{cast.account.pk}/scores/").json()["results"]
    assert [score["as_of"] for score in history] == [date_ago(days).isoformat() for days in (1, 31, 61)]
    assert history[0]["reasons"][0]["sentence"].startswith("Last order 74 days ago")


def test_a_cursor_nobody_gave_out_is_refused(cast: Cast, api: Api) -> None:
    assert api(cast.owner).get("/api/v1/accounts/?cursor=nonsense").status_code == 400


def test_a_moment_may_have_any_offset(cast: Cast, api: Api) -> None:
    """Beyond sixteen hours PostgreSQL knows none."""
    assert (
        api(cast.owner).get("/api/v1/accounts/?updated_since=2020-01-01T00:00:00%2B21:48").status_code == 200
    )
