"""The API describes itself without gaps, for programs and for people."""

import pytest
from django.core.management import call_command
from django.test import Client

from tests.factories import Cast


def test_the_schema_has_no_warning(db: None, tmp_path: object) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", f"{tmp_path}/schema.yml")


def test_the_schema_is_for_those_who_have_signed_in(cast: Cast, client: Client) -> None:
    assert client.get("/api/v1/schema/").status_code == 401
    client.force_login(cast.owner)
    schema = client.get("/api/v1/schema/").json()
    assert {"/api/v1/accounts/", "/api/v1/scores/", "/api/v1/accounts/bulk/"} <= set(schema["paths"])


def test_every_call_says_how_it_refuses(cast: Cast, client: Client) -> None:
    client.force_login(cast.owner)
    schema = client.get("/api/v1/schema/").json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert {"401", "403", "429"} <= set(operation["responses"]), f"{method} {path}"


@pytest.mark.parametrize("who", ["owner", "marketing", "administrator"])
def test_the_page_names_every_address(cast: Cast, client: Client, who: str) -> None:
    client.force_login(getattr(cast, who))
    page = client.get("/api/docs/").content.decode()
    schema = client.get("/api/v1/schema/").json()
    missing = [path for path in schema["paths"] if path not in page and not path.endswith("/schema/")]
    assert missing == []
