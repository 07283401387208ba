"""What every resource of the API shares: orders, pages, sparse fields, ETags, scopes, limits told, problems."""

import datetime as dt
import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import ApiToken, User
from accounts.selectors import company_today
from pulsecheck.models import Handback, HandbackAttempt
from tests.factories import AccountFactory, Cast, HandbackFactory, OrderFactory, days_ago, make_cast

Api = Callable[[User], APIClient]
ACCOUNTS, ORDERS = "/api/v1/accounts/", "/api/v1/orders/"


# ── orders and pages ───────────────────────────────────────────────────
@pytest.mark.parametrize("sort", ["amount", "-amount", "ordered_at", "-id", "id"])
def test_pages_hold_every_row_once_in_order_there_and_back(cast: Cast, api: Api, sort: str) -> None:
    """Five rows share each amount, so ties run over the ends of pages."""
    for n in range(23):
        OrderFactory(account=cast.account, amount=10 * (n // 5), ordered_at=days_ago(n % 7))
    client = api(cast.owner)
    pages, address = [], f"{ORDERS}?sort={sort}&page_size=4"
    while address:
        page = client.get(address).json()
        pages.append(page)
        address = page["next"]
    ids = [row["id"] for page in pages for row in page["results"]]
    column = sort.lstrip("-")
    values = [
        float(row[column]) if column == "amount" else row[column] for page in pages for row in page["results"]
    ]
    assert len(ids) == len(set(ids)) == 23
    assert values == sorted(values, reverse=sort.startswith("-"))
    back, address = [pages[-1]["results"]], pages[-1]["previous"]
    while address:
        page = client.get(address).json()
        back.append(page["results"])
        address = page["previous"]
    assert back[::-1] == [page["results"] for page in pages]
    assert pages[0]["previous"] is None


def test_new_rows_do_not_shift_a_page(cast: Cast, api: Api) -> None:
    known = [OrderFactory(account=cast.account).pk for _ in range(4)]
    client = api(cast.owner)
    first = client.get(f"{ORDERS}?page_size=2").json()
    OrderFactory(account=cast.account)
    second = client.get(first["next"]).json()
    assert [row["id"] for row in first["results"] + second["results"]] == known[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=colour", "sort"),
        ("page_size=0", "page_size"),
        ("page_size=501", "page_size"),
        ("page_size=٣", "page_size"),
        ("cursor=nonsense", "cursor"),
        ("fields=", "fields"),
        ("fields=id,secret", "fields"),
        ("colour=red", "colour"),
    ],
)
def test_a_parameter_that_means_nothing_is_named(cast: Cast, api: Api, query: str, field: str) -> None:
    answer = api(cast.owner).get(f"{ACCOUNTS}?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_cursor_is_of_one_order_and_was_not_tampered_with(cast: Cast, api: Api) -> None:
    for _ in range(3):
        OrderFactory(account=cast.account)
    client = api(cast.owner)
    following = client.get(f"{ORDERS}?page_size=1").json()["next"]
    assert client.get(f"{following}&sort=amount").status_code == 400
    assert client.get(following.replace("cursor=W", "cursor=X")).status_code == 400


def test_only_what_was_asked_for(cast: Cast, api: Api) -> None:
    client = api(cast.owner)
    row = client.get(f"{ACCOUNTS}?fields=name, segment").json()["results"][0]
    assert set(row) == {"id", "name", "segment"}
    assert set(client.get(f"{ACCOUNTS}{cast.account.pk}/?fields=name").json()) == {"id", "name"}


# ── ETags ──────────────────────────────────────────────────────────────
@pytest.mark.parametrize("address", [ACCOUNTS, f"{ACCOUNTS}{{}}/"])
def test_a_reader_is_told_that_nothing_has_changed(cast: Cast, api: Api, address: str) -> None:
    client, path = api(cast.owner), address.format(cast.account.pk)
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": f'W/"x", {first["ETag"]}'})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    cast.account.name = "Hotel Bergblick"
    cast.account.save()
    changed = client.get(path, headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed["ETag"] != first["ETag"]) == (200, True)
    assert "Authorization" in changed["Vary"]


def test_of_two_who_read_the_same_the_second_to_write_is_told(cast: Cast, api: Api) -> None:
    path = f"/api/v1/handbacks/{HandbackFactory(account=cast.account).pk}/"
    client = api(cast.owner)
    read = client.get(path)["ETag"]
    body, match = {"kind": "call", "note": "Nobody there"}, {"If-Match": read}
    assert client.post(f"{path}attempts/", body, headers=match).status_code == 200
    late = client.post(f"{path}attempts/", body, headers=match)
    assert (late.status_code, late["Content-Type"]) == (412, "application/problem+json")
    assert HandbackAttempt.objects.count() == 1
    match = {"If-Match": client.get(path)["ETag"]}
    assert client.post(f"{path}accept/", headers=match).json()["state"] == "accepted"
    assert client.post(f"{path}attempts/", body, headers={"If-Match": "*"}).status_code == 200


# ── tokens ─────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (["read", "write"], 200, 200),
        (["read"], 200, 403),
        (["write"], 403, 200),
        (["records:read"], 200, 403),
        (["care:write"], 403, 200),
        (["scores:read"], 403, 403),
    ],
)
def test_a_token_does_what_it_was_made_for(cast: Cast, scopes: list[str], reads: int, writes: int) -> None:
    _, secret = ApiToken.objects.issue(cast.owner, "shop", scopes)
    client, handback = (
        APIClient(headers={"Authorization": f"Token {secret}"}),
        HandbackFactory(account=cast.account),
    )
    assert client.get(ACCOUNTS).status_code == reads
    refused = client.post(f"/api/v1/handbacks/{handback.pk}/accept/")
    assert refused.status_code == writes
    if writes == 403:
        assert "care:write" in refused.json()["detail"]


def test_a_token_without_scopes_opens_nothing(cast: Cast) -> None:
    from django.urls import get_resolver, reverse

    _, secret = ApiToken.objects.issue(cast.administrator, "shop", [])
    client = APIClient(headers={"Authorization": f"Token {secret}"})
    api_urls = get_resolver().namespace_dict["api"][1]
    names = {name for name in api_urls.reverse_dict if isinstance(name, str) and name.endswith("-list")}
    assert len(names) > 20
    for name in names:
        takes_account = name.startswith("account-") and name != "account-list"
        address = reverse(f"api:{name}", kwargs={"account_id": cast.account.pk} if takes_account else {})
        assert client.get(address).status_code == 403, name
        assert client.post(address, {}).status_code in {403, 405}, name


def test_a_token_ends_with_its_last_day(cast: Cast) -> None:
    today = company_today()
    for days, code in ((0, 200), (-1, 401)):
        _, secret = ApiToken.objects.issue(cast.owner, "shop", expires_on=today + dt.timedelta(days=days))
        assert APIClient(headers={"Authorization": f"Token {secret}"}).get(ACCOUNTS).status_code == code


def test_the_page_makes_tokens_with_scopes_and_an_end(cast: Cast, client: Client) -> None:
    client.force_login(cast.owner)
    until = company_today() + dt.timedelta(days=30)
    client.post(
        "/settings/tokens/", {"name": "Shop", "scopes": ["records:read"], "expires_on": until.isoformat()}
    )
    token = ApiToken.objects.get()
    assert (token.scopes, token.expires_on) == (["records:read"], until)
    for wrong in (
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": ["read"], "expires_on": "2020-01-01"},
    ):
        client.post("/settings/tokens/", {"name": "Shop"} | wrong)
    assert ApiToken.objects.count() == 1


# ── limits and problems ────────────────────────────────────────────────
def test_every_answer_tells_what_is_left_of_the_limit(cast: Cast, api: Api) -> None:
    client = api(cast.owner)
    client.get(ACCOUNTS)  # notes the use of the token, and learns who the company is
    for address in (ACCOUNTS, "/api/v1/schema/", f"{ACCOUNTS}999999/"):
        answer = client.get(address)
        limit, left = int(answer["RateLimit-Limit"]), int(answer["RateLimit-Remaining"])
        assert 0 < left < limit
        assert 0 <= int(answer["RateLimit-Reset"]) <= 60


def test_every_refusal_is_a_problem(cast: Cast, api: Api) -> None:
    client = api(cast.administrator)
    bulk = f"{ACCOUNTS}bulk/"
    answers = {
        401: APIClient().get(ACCOUNTS),
        404: client.get("/api/v1/nonsense/"),
        405: client.delete(ACCOUNTS),
        406: client.get(ACCOUNTS, headers={"Accept": "text/html"}),
        413: client.generic("POST", bulk, b" " * (10 * 1024 * 1024 + 1), content_type="application/json"),
        415: client.generic("POST", bulk, b"a=1", content_type="application/x-www-form-urlencoded"),
    }
    for code, answer in answers.items():
        assert (answer.status_code, answer["Content-Type"]) == (code, "application/problem+json")
        problem = answer.json()
        assert (problem["status"], problem["type"], bool(problem["detail"])) == (code, "about:blank", True)


class TestTwentyAtOnce:
    """The care loop too: twenty identical calls at the same moment have one effect and one answer."""

    @pytest.fixture
    def cast(self, committed_db: None) -> Cast:
        return make_cast()

    def test_of_a_pulse_check_and_an_attempt(self, cast: Cast, api: Api) -> None:
        handback, client = HandbackFactory(account=cast.account), api(cast.owner)
        day = company_today().isoformat()
        pulse = {"account_id": cast.account.pk, "score": 5, "next_step": "Ring", "next_step_due_on": day}
        for path, body in (
            ("/api/v1/pulse-checks/", pulse),
            (f"/api/v1/handbacks/{handback.pk}/attempts/", {"kind": "call"}),
        ):
            answers: list[bytes] = []

            def call(path: str = path, body: object = body, answers: list[bytes] = answers) -> None:
                try:
                    answers.append(client.post(path, body, headers={"Idempotency-Key": path}).content)
                finally:
                    connection.close()

            threads = [threading.Thread(target=call) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(answers) == 20
        assert cast.account.pulse_checks.count() == 1
        assert Handback.objects.get().attempts.count() == 1


def test_lists_cost_as_many_queries_for_many_as_for_one(
    cast: Cast, api: Api, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    for _ in range(6):
        OrderFactory(account=AccountFactory(original_salesperson=cast.owner))
    client = api(cast.owner)
    # The first call of all makes the company's row, and the first of a day dates the token.
    client.get(ACCOUNTS)
    for address in (
        ACCOUNTS,
        ORDERS,
        "/api/v1/order-lines/",
        "/api/v1/users/",
        "/api/v1/teams/",
        "/api/v1/products/",
    ):
        with django_assert_max_num_queries(6):  # type: ignore[attr-defined]
            assert client.get(address).status_code == 200
