"""The pages while a server is away, seen over HTTP on servers that really are away."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest

from retention.embedded import Servers, servers
from tests.conftest import wait_until
from tests.platform.processes import BASE_DIR, environment, free_port, manage


@dataclass
class Web:
    """A web server on servers of its own."""

    port: int
    data_dir: Path
    held: Servers

    def get(self, path: str) -> tuple[int, Message, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as page:
                return page.status, page.headers, page.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read().decode()

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.get("/healthz")[0] == 200
        return False

    def kill(self, pid_file: str) -> None:
        os.kill(int((self.data_dir / pid_file).read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda: any(not server.is_alive() for server in (self.held.postgres, self.held.valkey)))

    def revive(self) -> None:
        self.held.revive()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    data_dir, port = tmp_path_factory.mktemp("outage") / "data", free_port()
    with servers(data_dir) as held:
        assert manage(data_dir, "migrate", "-v", "0").returncode == 0
        assert manage(data_dir, "collectstatic", "--no-input", "-v", "0").returncode == 0
        gunicorn = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "retention.wsgi", "-b", f"127.0.0.1:{port}"],
            cwd=BASE_DIR,
            env=environment(data_dir, MAINSTAY_PORT=str(port)),
            stderr=subprocess.DEVNULL,
        )
        running = Web(port, data_dir, held)
        try:
            wait_until(running.answers)
            yield running
        finally:
            gunicorn.terminate()
            gunicorn.wait(30)


def test_pages_work_without_the_broker(web: Web) -> None:
    web.kill("valkey/valkey.pid")
    try:
        assert web.get("/sign-in/")[0] == 200
        status, _, body = web.get("/readyz")
        assert (status, json.loads(body)) == (200, {"database": "ok", "broker": "down"})
        # Behind a limit of calls, which is counted there.
        assert web.get("/s/made-up/")[0] == 410
    finally:
        web.revive()


def test_a_bell_that_cannot_ring_does_not_disturb_who_pressed_it(web: Web) -> None:
    program = (
        "import django; django.setup(); from celery import shared_task\n"
        "@shared_task\ndef ring(): ...\n"
        "print(ring.delay())"
    )
    web.kill("valkey/valkey.pid")
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=BASE_DIR,
            env=environment(web.data_dir, DJANGO_SETTINGS_MODULE="retention.settings"),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        web.revive()
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr
    assert "waits for the next tick" in done.stderr


def test_while_the_database_is_away_pages_ask_for_patience(web: Web) -> None:
    web.kill("postgres/postmaster.pid")
    try:
        assert web.get("/healthz")[0] == 200
        assert web.get("/readyz")[0] == 503
        # A session cookie makes every page ask the database who is there.
        request = urllib.request.Request(
            f"http://127.0.0.1:{web.port}/", headers={"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}
        )
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request, timeout=30)  # noqa: S310 - our own server
    finally:
        web.revive()
    away = refusal.value
    assert away.code == 503
    assert int(away.headers["Retry-After"]) > 0
    assert "default-src 'self'" in away.headers["Content-Security-Policy"]
    assert "Back in a moment" in away.read().decode()


def test_pages_are_back_as_soon_as_the_database_is(web: Web) -> None:
    web.kill("postgres/postmaster.pid")
    web.revive()
    assert web.get("/readyz")[0] == 200
    assert web.get("/sign-in/")[0] == 200
