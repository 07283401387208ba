"""Who may call at all: tokens, sessions, people who may not sign in any more, and too many calls."""

from collections.abc import Callable

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import ApiToken, User
from tests.factories import Cast

Api = Callable[[User], APIClient]
LIST = "/api/v1/accounts/"


def test_nobody_without_a_token(cast: Cast) -> None:
    answer = APIClient().get(LIST)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert answer.json()["title"] == "Unauthorized"


def test_a_session_will_do(cast: Cast, client: Client) -> None:
    client.force_login(cast.owner)
    assert client.get(LIST).status_code == 200


def test_a_session_writes_only_with_the_csrf_token(cast: Cast) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(cast.administrator)
    assert client.post("/api/v1/accounts/bulk/", {"rows": []}).status_code == 403


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token wrong", "Token \xff", "Basic dXNlcg==", "Bearer x"]
)
def test_a_wrong_token_is_refused(cast: Cast, header: str) -> None:
    assert APIClient().get(LIST, HTTP_AUTHORIZATION=header).status_code == 401


def test_the_token_of_somebody_disabled_is_refused(cast: Cast, api: Api) -> None:
    client = api(cast.owner)
    assert client.get(LIST).status_code == 200
    User.objects.filter(pk=cast.owner.pk).update(is_active=False)
    assert client.get(LIST).status_code == 401


def test_a_revoked_token_is_refused(cast: Cast, api: Api) -> None:
    client = api(cast.owner)
    ApiToken.objects.filter(user=cast.owner).delete()
    assert client.get(LIST).status_code == 401


def test_a_token_notes_the_day_of_its_use(cast: Cast, api: Api) -> None:
    api(cast.owner).get(LIST)
    assert ApiToken.objects.get(user=cast.owner).last_used_on is not None


def test_the_secret_is_not_stored(cast: Cast) -> None:
    token, secret = ApiToken.objects.issue(cast.owner, "shop")
    stored = ApiToken.objects.filter(pk=token.pk).values().get()
    assert len(secret) > 40
    assert all(secret not in str(value) for value in stored.values())


def test_too_many_calls_are_told_when_to_come_back(cast: Cast, api: Api, settings: object) -> None:
    settings.API_CALLS_PER_MINUTE = 3  # type: ignore[attr-defined]
    client = api(cast.owner)
    codes = [client.get(LIST).status_code for _ in range(8)]
    assert codes.count(200) <= 6  # three in each of two minutes, when the clock turns meanwhile
    assert codes[-1] == 429 or 429 in codes
    settings.API_CALLS_PER_MINUTE = 0  # type: ignore[attr-defined]
    refused = client.get(LIST)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 60


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_single_records_are_not_written(cast: Cast, api: Api, method: str) -> None:
    answer = getattr(api(cast.administrator), method)(f"{LIST}{cast.account.pk}/", {"name": "x"})
    assert answer.status_code == 405


def test_a_body_that_is_not_json_is_refused(cast: Cast, api: Api) -> None:
    client = api(cast.administrator)
    broken = client.generic("POST", "/api/v1/accounts/bulk/", "{", content_type="application/json")
    form = client.generic(
        "POST", "/api/v1/accounts/bulk/", "a=1", content_type="application/x-www-form-urlencoded"
    )
    assert (broken.status_code, form.status_code) == (400, 415)


class TestTokenPage:
    ADDRESS = "/settings/tokens/"

    def test_a_token_is_shown_once_and_works(self, cast: Cast, client: Client) -> None:
        client.force_login(cast.owner)
        made = client.post(self.ADDRESS, {"name": "Web shop", "scopes": ["read"]})
        secret = made.context["secret"]
        assert secret in made.content.decode()
        assert secret not in client.get(self.ADDRESS).content.decode()
        assert APIClient().get(LIST, HTTP_AUTHORIZATION=f"Token {secret}").status_code == 200

    def test_a_token_needs_a_name(self, cast: Cast, client: Client) -> None:
        client.force_login(cast.owner)
        client.post(self.ADDRESS, {"name": " ", "scopes": ["read"]})
        assert not ApiToken.objects.exists()

    def test_it_is_revoked_by_its_owner_only(self, cast: Cast, client: Client) -> None:
        token, _ = ApiToken.objects.issue(cast.owner, "shop")
        client.force_login(cast.administrator)
        assert client.post(f"{self.ADDRESS}{token.pk}/revoke/").status_code == 404
        client.force_login(cast.owner)
        assert client.post(f"{self.ADDRESS}{token.pk}/revoke/").status_code == 302
        assert not ApiToken.objects.exists()
