"""Clients of the API for everybody of the cast.

Django is set up after conftest files are read, so what needs it is imported inside the fixtures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rest_framework.test import APIClient

    from accounts.models import User
    from tests.factories import Cast


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Of the company and the sums of another test."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def cast(db: None) -> Cast:
    from tests.factories import make_cast

    return make_cast()


@pytest.fixture
def api() -> Callable[[User], APIClient]:
    """A client that signs in with a token of the person."""
    from rest_framework.test import APIClient

    from accounts.models import ApiToken

    def client_of(user: User) -> APIClient:
        _, secret = ApiToken.objects.issue(user, "test")
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
        return client

    return client_of
