"""Connections to local stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts.models import Connection
    from tests.crm.servers.hubspot import Server


@pytest.fixture(autouse=True)
def nearby(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins live on this machine, and nobody has to be spared."""
    from accounts.crm import link
    from accounts.crm.systems import connector_class, known_systems

    settings.CRM_PRIVATE_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(link, "BACK_OFF", 0.001)
    for system in known_systems():
        monkeypatch.setattr(connector_class(system), "calls_per_second", 100_000.0)
        monkeypatch.setattr(connector_class(system), "burst", 100_000)


@pytest.fixture
def server() -> Iterator[Server]:
    from tests.crm.servers.hubspot import Server

    with Server() as running:
        yield running


@pytest.fixture
def connect(db: None, server: Server) -> Callable[..., Connection]:
    """A connection to the stand-in: `connect()`, `connect(refresh_token=...)`."""
    from accounts.services.connecting import create_connection

    def make(name: str = "crm", **credentials: str) -> Connection:
        given = {"access_token": "token-one", "client_secret": "hush-client-secret"} | credentials
        return create_connection(name, "hubspot", options={"address": server.address}, credentials=given)

    return make
