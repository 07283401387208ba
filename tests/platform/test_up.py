"""`manage.py up` as a person uses it: started, looked at, disturbed, stopped."""

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.conftest import wait_until
from tests.platform.processes import BASE_DIR, environment, free_port, manage, processes_of


@dataclass
class Up:
    """A running `up` and what it has printed so far."""

    data_dir: Path
    port: int
    process: subprocess.Popen[str] = field(init=False)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--no-sample"],
            cwd=BASE_DIR,
            env=environment(self.data_dir, MAINSTAY_PORT=str(self.port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)

    def wait_for(self, text: str, seconds: float = 180) -> None:
        wait_until(
            lambda: text in self.output or self.process.poll() is not None, seconds, lambda: self.output
        )
        assert text in self.output, self.output

    @property
    def output(self) -> str:
        return "".join(self.said)

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as page:
            return page.status, page.read().decode()

    def find(self, words: str) -> list[psutil.Process]:
        """The direct children whose command line has these words."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if words in " ".join(child.cmdline())]

    def end(self) -> None:
        """Whatever the test did, nothing stays."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up") / "data", free_port())
    try:
        running.wait_for("Press Ctrl-C")
        yield running
    finally:
        running.end()


def test_it_prints_where_to_go_and_how_to_sign_in(up: Up) -> None:
    assert f"http://127.0.0.1:{up.port}" in up.output
    assert re.search(r"administrator@example\.com +Administrator", up.output)
    assert re.search(r"Password for each: \S{10,}", up.output)


def test_the_page_and_its_style_sheet_load(up: Up) -> None:
    status, page = up.get("/")
    assert status == 200
    style = re.search(r'href="(/static/[^"]+\.css)"', page)
    assert style is not None
    assert up.get(style.group(1))[0] == 200


def test_web_workers_and_clock_are_running(up: Up) -> None:
    for words in ("gunicorn", "-Q default", "-Q batch", "beat"):
        assert len(up.find(words)) == 1, words


def test_a_second_one_says_that_the_port_is_taken(up: Up) -> None:
    done = manage(up.data_dir, "up", MAINSTAY_PORT=str(up.port))
    assert done.returncode == 1
    assert re.fullmatch(
        rf"CommandError: Port {up.port} cannot be used \(.+\); stop the program that uses it - perhaps another Mainstay - "
        r"or set MAINSTAY_PORT to a free one\.\n",
        done.stderr,
    )
    assert up.get("/")[0] == 200


def test_other_commands_share_its_servers_and_leave_them_running(up: Up) -> None:
    done = manage(up.data_dir, "first_sign_in")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] in up.output
    assert up.get("/")[0] == 200


@pytest.mark.parametrize(
    ("words", "name"), [("gunicorn", "web"), ("-Q batch", "batch worker"), ("beat", "clock")]
)
def test_a_killed_child_is_started_again(up: Up, words: str, name: str) -> None:
    (child,) = up.find(words)
    child.kill()
    up.wait_for(f"{name} ended (signal 9) and is started again")
    wait_until(lambda: [found.pid for found in up.find(words)] not in ([], [child.pid]), 60)


def test_a_killed_database_is_started_again(up: Up) -> None:
    os.kill(int((up.data_dir / "postgres/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    up.wait_for("PostgreSQL had ended and was started again.")
    assert manage(up.data_dir, "first_sign_in").returncode == 0


def test_ctrl_c_ends_it_and_leaves_no_process(up: Up) -> None:
    os.killpg(up.process.pid, signal.SIGINT)  # a terminal tells the whole group
    assert up.process.wait(60) == 0
    up.wait_for("Mainstay has stopped.")
    assert processes_of(up.data_dir) == []


def test_stopped_while_it_starts_it_leaves_no_process_either(tmp_path: Path) -> None:
    starting = Up(tmp_path / "data", free_port())
    starting.wait_for("Preparing the database")
    starting.process.terminate()
    assert starting.process.wait(60) == 0
    assert processes_of(starting.data_dir) == []


def test_a_port_that_is_no_port_is_refused(tmp_path: Path) -> None:
    done = manage(tmp_path, "up", MAINSTAY_PORT="80000")
    assert done.returncode == 1
    assert done.stderr == "MAINSTAY_PORT is '80000'; use a number from 1 to 65535.\n"
