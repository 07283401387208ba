"""Many records in one call, through the door that files use: one answer for each row, one effect for each call."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Account, Contact, Contract, IdempotentCall, ImportRun, Order, User
from tests.factories import Cast, make_cast

Api = Callable[[User], APIClient]
ACCOUNTS = "/api/v1/accounts/bulk/"
ROWS = [
    {"external_id": "A-1", "name": "Hotel Alster", "segment": "Hotels"},
    {"external_id": "A-2", "name": "Cafe Blau", "acquisition_cost": 120.5},
]


@pytest.fixture
def cast(committed_db: None) -> Cast:
    """Imports report their progress through a connection of their own, so rows are committed here."""
    return make_cast()


@pytest.fixture
def client(cast: Cast, api: Api) -> APIClient:
    return api(cast.administrator)


def test_each_row_has_its_answer(client: APIClient) -> None:
    first = client.post(ACCOUNTS, {"source": "crm", "rows": ROWS})
    assert first.status_code == 200, first.content
    assert [row["status"] for row in first.json()["results"]] == ["created", "created"]
    rows = [ROWS[0], ROWS[1] | {"name": "Cafe Grau"}, {"external_id": "A-3", "name": ""}]
    second = client.post(ACCOUNTS, {"source": "crm", "rows": rows}).json()
    assert [row["status"] for row in second["results"]] == ["unchanged", "changed", "rejected"]
    assert (second["created"], second["changed"], second["unchanged"], second["rejected"]) == (0, 1, 1, 1)
    refused = second["results"][2]
    assert refused["field"] == "name"
    assert refused["reason"]
    assert Account.objects.get(external_id="A-2").name == "Cafe Grau"
    assert ImportRun.objects.get(pk=second["import_run"]).file_name == "API"


def test_ids_are_compared_within_a_source(client: APIClient) -> None:
    for source in ("crm", "shop"):
        client.post(ACCOUNTS, {"source": source, "rows": ROWS})
    assert Account.objects.filter(external_id="A-1").count() == 2


def test_orders_contacts_and_contracts_refer_to_their_account(client: APIClient) -> None:
    client.post(ACCOUNTS, {"rows": ROWS})
    order = {"external_id": "O-1", "account": "A-1", "ordered_at": "2026-03-01T10:00:00Z", "amount": "99.50"}
    contact = {"external_id": "C-1", "account": "A-1", "name": "Rosa Graf", "is_active": True}
    contract = {
        "external_id": "K-1", "account": "A-2", "starts_on": "2026-01-01", "ends_on": "2026-12-31", "annual_value": 1200,
    }  # fmt: skip
    for kind, row in (("orders", order), ("contacts", contact), ("contracts", contract)):
        answer = client.post(f"/api/v1/{kind}/bulk/", {"rows": [row]}).json()
        assert answer["created"] == 1, answer
    assert Order.objects.get().account.name == Contact.objects.get().account.name == "Hotel Alster"
    assert Contract.objects.get().account.name == "Cafe Blau"


def test_what_passes_between_us_and_customers_comes_by_the_same_door(client: APIClient, cast: Cast) -> None:
    client.post(ACCOUNTS, {"rows": ROWS})
    at, day, who = "2026-03-01T10:00:00Z", "2026-03-01", cast.owner.email
    for kind, row in (
        ("interactions", {"happened_at": at, "kind": "call", "message_class": "information"}),
        ("issues", {"opened_at": at, "severity": "high"}),
        ("promises", {"text": "A list", "made_by": who, "made_on": day, "due_on": "2026-03-09"}),
        ("enquiries", {"received_at": at, "subject": "On Saturdays?"}),
    ):
        sent = {"rows": [{"external_id": "X-1", "account": "A-1"} | row]}
        answer = client.post(f"/api/v1/{kind}/bulk/", sent).json()
        assert answer["created"] == 1, answer
        read = client.get(f"/api/v1/{kind}/?account=A-1").json()["results"]
        assert [found["external_id"] for found in read] == ["X-1"]
    informed = client.get("/api/v1/interactions/?message_class=information").json()["results"]
    assert [found["message_class"] for found in informed] == ["information"]
    assert client.get("/api/v1/interactions/?message_class=promotion").json()["results"] == []


def test_an_unknown_account_is_refused_or_made(client: APIClient) -> None:
    row = {"external_id": "O-1", "account": "NEW", "ordered_at": "2026-03-01", "amount": 10}
    refused = client.post("/api/v1/orders/bulk/", {"rows": [row]}).json()
    assert refused["results"][0]["field"] == "account"
    made = client.post("/api/v1/orders/bulk/", {"rows": [row], "create_accounts": True}).json()
    assert (made["created"], made["accounts_created"]) == (1, 1)


def test_all_or_nothing_saves_nothing(client: APIClient) -> None:
    rows = [*ROWS, {"external_id": "A-3", "name": ""}]
    answer = client.post(ACCOUNTS, {"rows": rows, "all_or_nothing": True}).json()
    assert answer["rejected"] == 1
    assert not Account.objects.filter(external_id__startswith="A-").exists()
    assert "created" not in {row["status"] for row in answer["results"]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "rows"),
        ({"rows": []}, "rows"),
        ({"rows": "x"}, "rows"),
        ({"rows": [{"name": "no id"}]}, "rows.0.external_id"),
        ({"rows": [{"external_id": "1", "name": {"deep": 1}}]}, "rows.0.name"),
        ({"rows": [{"external_id": "1", "name": "x", "colour": "red"}]}, "rows"),
        ({"rows": [{"external_id": "1\0", "name": "x"}]}, "rows.0.external_id"),
        ({"rows": [{"external_id": "\ud800", "name": "x"}]}, "rows.0.external_id"),
        ({"rows": ["x"]}, "rows.0"),
        ({"rows": [{"external_id": "1", "name": "x"}], "source": "y" * 61}, "source"),
        ({"rows": [{"external_id": str(n), "name": "x"} for n in range(5001)]}, "rows"),
    ],
)
def test_an_unusable_call_names_the_field(client: APIClient, body: dict[str, Any], field: str) -> None:
    # As text of our own: half a surrogate pair can be written in JSON, and the test client would not write it.
    answer = client.post(ACCOUNTS, json.dumps(body), content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize("who", ["owner", "teammate", "marketing"])
def test_only_those_who_may_import_files(cast: Cast, api: Api, who: str) -> None:
    assert api(getattr(cast, who)).post(ACCOUNTS, {"rows": ROWS}).status_code == 403


def test_products_are_known_by_sku_and_lines_by_order_and_sku(client: APIClient) -> None:
    client.post(ACCOUNTS, {"rows": ROWS})
    order = {"external_id": "O-1", "account": "A-1", "ordered_at": "2026-03-01", "amount": 20}
    client.post("/api/v1/orders/bulk/", {"rows": [order]})
    products = [{"sku": "COF", "name": "Coffee"}, {"sku": "CUP", "name": "Cups"}]
    made = client.post("/api/v1/products/bulk/", {"rows": products}).json()["results"]
    assert [(row["external_id"], row["status"]) for row in made] == [("COF", "created"), ("CUP", "created")]
    lines = [
        {"order": "O-1", "sku": sku, "quantity": 2, "unit_price": "5.00"} for sku in ("COF", "CUP", "TEA")
    ]
    first = client.post("/api/v1/order-lines/bulk/", {"rows": lines}).json()["results"]
    assert [row["status"] for row in first] == ["created", "created", "rejected"]
    assert (first[2]["external_id"], first[2]["field"]) == ("O-1 TEA", "sku")
    again = client.post("/api/v1/order-lines/bulk/", {"rows": [lines[0] | {"quantity": 3}, lines[1]]}).json()
    assert [row["status"] for row in again["results"]] == ["changed", "unchanged"]
    read = client.get("/api/v1/order-lines/?order=O-1&sort=id").json()["results"]
    assert [(row["sku"], row["quantity"], row["id"]) for row in read] == [
        ("COF", "3.000", first[0]["id"]),
        ("CUP", "2.000", first[1]["id"]),
    ]


CSV = 'external_id,name,segment\r\nA-1,Hotel Alster,Hotels\r\nA-2,"Cafe, Blau",\r\nA-3,,\r\n'
NDJSON = '{"external_id": "A-1", "name": "Hotel Alster", "segment": "Hotels"}\n\n{"external_id": "A-2", "name": "Cafe, Blau"}\n{"external_id": "A-3"}'


@pytest.mark.parametrize(("form", "body"), [("text/csv", "\ufeff" + CSV), ("application/x-ndjson", NDJSON)])
def test_csv_and_ndjson_enter_by_the_same_door(client: APIClient, form: str, body: str) -> None:
    def send() -> dict[str, Any]:
        address = f"{ACCOUNTS}?source=crm&create_accounts=false"
        return client.generic(
            "POST", address, body.encode(), content_type=form, HTTP_IDEMPOTENCY_KEY="k"
        ).json()

    first = send()
    assert [row["status"] for row in first["results"]] == ["created", "created", "rejected"]
    assert send() == first
    assert Account.objects.get(external_id="A-2", record_source="crm").name == "Cafe, Blau"
    assert ImportRun.objects.count() == 1


@pytest.mark.parametrize(
    ("form", "body", "field"),
    [
        ("text/csv", "external_id,name\nA-1", "rows.0"),
        ("text/csv", "name,name\nA,B", "rows"),
        ("text/csv", "", "rows"),
        ("text/csv", 'external_id,name\n"A', None),
        ("text/csv", b"\xff\xfe", None),
        ("application/x-ndjson", '{"external_id": "A-1"}\n{', "rows.1"),
        ("application/x-ndjson", "[1]", "rows.0"),
        ("application/x-ndjson", '{"external_id": "A-1", "name": "x", "acquisition_cost": NaN}', "rows.0"),
        ("application/x-ndjson", "", "rows"),
    ],
)
def test_an_unusable_body_is_refused_with_the_place(
    client: APIClient, form: str, body: str | bytes, field: str | None
) -> None:
    sent = body.encode() if isinstance(body, str) else body
    answer = client.generic("POST", ACCOUNTS, sent, content_type=form)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    if field:
        assert field in [error["field"] for error in answer.json()["errors"]]
    assert not ImportRun.objects.exists()


class TestIdempotencyKey:
    def test_the_same_key_has_one_effect_and_one_answer(self, client: APIClient) -> None:
        first, second = (client.post(ACCOUNTS, {"rows": ROWS}, HTTP_IDEMPOTENCY_KEY="k-1") for _ in range(2))
        assert first.json() == second.json()
        assert second["Idempotency-Replayed"] == "true"
        assert ImportRun.objects.count() == 1

    def test_the_same_key_with_another_body_is_refused(self, client: APIClient) -> None:
        client.post(ACCOUNTS, {"rows": ROWS}, HTTP_IDEMPOTENCY_KEY="k-1")
        other = client.post(ACCOUNTS, {"rows": ROWS[:1]}, HTTP_IDEMPOTENCY_KEY="k-1")
        assert other.status_code == 422

    def test_a_refused_call_leaves_the_key_free(self, client: APIClient) -> None:
        client.post(ACCOUNTS, {"rows": []}, HTTP_IDEMPOTENCY_KEY="k-1")
        assert not IdempotentCall.objects.exists()
        assert client.post(ACCOUNTS, {"rows": ROWS}, HTTP_IDEMPOTENCY_KEY="k-1").status_code == 200

    def test_keys_of_two_people_do_not_meet(self, cast: Cast, api: Api, client: APIClient) -> None:
        client.post(ACCOUNTS, {"rows": ROWS}, HTTP_IDEMPOTENCY_KEY="k-1")
        other = api(cast.manager).post(ACCOUNTS, {"rows": ROWS[:1]}, HTTP_IDEMPOTENCY_KEY="k-1")
        assert other.status_code == 200

    def test_twenty_at_once_have_one_effect(self, cast: Cast, client: APIClient) -> None:
        answers = []

        def call() -> None:
            try:
                answers.append(client.post(ACCOUNTS, {"rows": ROWS}, HTTP_IDEMPOTENCY_KEY="k-1").json())
            finally:
                connection.close()

        threads = [threading.Thread(target=call) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 20
        assert all(answer == answers[0] for answer in answers)
        assert ImportRun.objects.count() == 1
