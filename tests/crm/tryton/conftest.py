"""A real Tryton on this machine, with the company of world.py in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.crm.servers.environments import CACHE, free_port, is_ready, started
from tests.crm.tryton.prepare import DATABASE, OUR_KEY, PERSONS_KEY, SOURCES, write_settings

if TYPE_CHECKING:
    from accounts.models import Connection


class Tryton:
    """The server as a person who works with it would find it: with a key of that person's own."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(
            base_url=f"{self.address}/{DATABASE}/rest/model/",
            headers={
                "Authorization": f"bearer {PERSONS_KEY}",
                "X-Tryton-Context": urlsafe_b64encode(b'{"company": 1}').decode(),
            },
            timeout=60,
        )

    def find(self, model: str, domain: list[Any], *fields: str) -> list[dict[str, Any]]:
        asked = {"d": urlsafe_b64encode(json.dumps(domain).encode()).decode(), "f": list(fields)}
        found: list[dict[str, Any]] = self._done(self.client.get(model, params=asked))
        return found

    def make(self, model: str, **values: Any) -> int:
        return int(self._done(self.client.post(model, json=values))["id"])

    def change(self, model: str, number: int, **values: Any) -> None:
        self._done(self.client.put(f"{model}/{number}", json=values))

    def do(self, model: str, number: int, action: str) -> None:
        self._done(self.client.post(f"{model}/{number}/{action}", json={}))

    def delete(self, model: str, number: int) -> None:
        self._done(self.client.delete(f"{model}/{number}"))

    def _done(self, answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    if not is_ready("tryton", SOURCES):
        pytest.fail("There is no Tryton to test against; 'make install-test' installs it.")
    folder = tmp_path_factory.mktemp("tryton")
    shutil.copy(CACHE / "tryton" / f"{DATABASE}.sqlite", folder)
    port = free_port()
    settings = write_settings(folder, port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(CACHE / "tryton/venv/bin/trytond"), "-c", str(settings), "-d", DATABASE],
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    server = Tryton(port)
    with started(process, folder / "log", lambda: server.find("company.company", [], "id")):
        yield server
        server.client.close()


@pytest.fixture
def connection(db: None, tryton: Tryton, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """A connection to it, in pages of five."""
    from accounts.crm.tryton import connector

    monkeypatch.setattr(connector, "PAGE", 5)
    monkeypatch.setattr(connector, "IDS_AT_ONCE", 5)
    monkeypatch.setattr(connector.Connector, "calls_per_second", 100_000.0)
    monkeypatch.setattr(connector.Connector, "burst", 100_000)
    return connect(tryton)


def connect(server: Tryton, key: str = OUR_KEY, **options: str) -> Connection:
    from accounts.services.connecting import create_connection

    given = {"address": server.address, "database": DATABASE} | options
    return create_connection("erp", "tryton", options=given, credentials={"key": key})
