"""A real BottleCRM on this machine, with the organisation of world.py in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.crm.bottlecrm.prepare import (
    DATABASE,
    OUR_TOKEN,
    PERSONS_TOKEN,
    SOURCES,
    WITHOUT,
    environment,
    find_interpreter,
)
from tests.crm.servers.environments import CACHE, free_port, is_ready, started

if TYPE_CHECKING:
    from accounts.models import Connection


class BottleCRM:
    """The server as a person who works with it would find it: with a token of that person's own."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        headers = {"Authorization": f"Bearer {PERSONS_TOKEN}"}
        self.client = httpx.Client(base_url=f"{self.address}/api/", headers=headers, timeout=60)

    def call(self, method: str, path: str, **given: Any) -> Any:
        answer = self.client.request(method, path, **given)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def account(self, name: str) -> dict[str, Any]:
        found = self.call("GET", "accounts/", params={"name": name})["active_accounts"]["open_accounts"]
        (one,) = [row for row in found if row["name"] == name]
        return dict(one)


@pytest.fixture(scope="session")
def bottlecrm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BottleCRM]:
    if not is_ready("bottlecrm", SOURCES):
        if find_interpreter() is None:
            pytest.skip(WITHOUT)
        pytest.fail("There is no BottleCRM to test against; 'make install-test' installs it.")
    folder = tmp_path_factory.mktemp("bottlecrm")
    shutil.copy(CACHE / "bottlecrm" / DATABASE, folder)
    port = free_port()
    command = [
        str(CACHE / "bottlecrm/venv/bin/gunicorn"), "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread",
        "--threads", "2", "--no-control-socket", "crm.wsgi",
    ]  # fmt: skip
    server = BottleCRM(port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=os.environ | environment(folder / DATABASE)
        )
    with started(process, folder / "log", lambda: server.call("GET", "accounts/", params={"limit": 1})):
        yield server
        server.client.close()


@pytest.fixture
def connection(db: None, bottlecrm: BottleCRM, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """A connection to it, in pages of three."""
    from accounts.crm.bottlecrm import connector

    monkeypatch.setattr(connector, "PAGE", 3)
    monkeypatch.setattr(connector.Connector, "calls_per_second", 100_000.0)
    monkeypatch.setattr(connector.Connector, "burst", 100_000)
    return connect(bottlecrm)


def connect(server: BottleCRM, token: str = OUR_TOKEN) -> Connection:
    from accounts.services.connecting import create_connection

    return create_connection(
        "crm", "bottlecrm", options={"address": server.address}, credentials={"token": token}
    )
