import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser

from retention.embedded import EmbeddedError, Servers, servers
from retention.supervisor import Child, Supervisor

HOST = "127.0.0.1"
PAGES_SECONDS = 120


class Command(BaseCommand):
    help = "Start everything - database, broker, web server, workers, clock - and say where to sign in."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-sample", action="store_true", help="start empty, without the sample company"
        )

    def handle(self, *args: Any, no_sample: bool, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, _leave)
        with contextlib.suppress(_StopAsked):
            self._run(no_sample)
        self.stdout.write("Mainstay has stopped.")

    def _run(self, no_sample: bool) -> None:
        with _claimed_port() as port, _embedded() as held:
            self._prepare(no_sample)
            supervisor = Supervisor(lambda sentence: self.stderr.write(sentence))
            try:
                for child in _children(port):
                    supervisor.start(child)
                sign_in = _manage("first_sign_in")
                self._wait_for_pages(supervisor)
                self._print_sign_in(sign_in)
                self._look_after(supervisor, held)
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
                supervisor.stop()

    def _prepare(self, no_sample: bool) -> None:
        self._say("Preparing the database ...")
        _manage("migrate", "--no-input", "--verbosity", "0")
        self._collect_static()
        if no_sample:
            return
        if "load_sample" not in get_commands():
            self._say("This version has no sample company; starting empty.")
            return
        self._say("Loading the sample company, if there are no accounts yet ...")
        self._say(_manage("load_sample", "--if-empty"))

    def _collect_static(self) -> None:
        """Once for each state of the front-end files, because compressing them takes seconds."""
        stamp = Path(settings.STATIC_ROOT) / ".collected"
        state = _static_state()
        if stamp.exists() and stamp.read_text() == state:
            return
        self._say("Preparing the front-end files ...")
        _manage("collectstatic", "--no-input", "--clear", "--verbosity", "0")
        stamp.write_text(state)

    def _wait_for_pages(self, supervisor: Supervisor) -> None:
        deadline = time.monotonic() + PAGES_SECONDS
        web = supervisor.children[0]
        while not _page_loads():
            if web.has_ended() or time.monotonic() > deadline:
                raise CommandError(f"The web server did not come up ({_last_line(web.log)}); see {web.log}.")
            time.sleep(0.1)

    def _print_sign_in(self, sign_in: str) -> None:
        ways_in = sign_in.replace("\n", "\n    ")
        self._say(f"\nMainstay is ready:\n\n    http://{HOST}:{settings.PORT}\n\n    {ways_in}\n")
        self._say("Press Ctrl-C to stop it.")

    def _look_after(self, supervisor: Supervisor, held: Servers | None) -> None:
        while True:
            supervisor.look_after()
            for label in held.revive() if held else []:
                self.stderr.write(f"{label} had ended and was started again.")
            time.sleep(0.5)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


class _StopAsked(BaseException):
    """Ctrl-C or SIGTERM; not an Exception, so that nothing on the way takes it for a failure."""


def _leave(number: int, frame: FrameType | None) -> None:
    raise _StopAsked


@contextlib.contextmanager
def _claimed_port() -> Iterator[socket.socket]:
    """The web port, taken before anything is started and handed to the web server as an open socket."""
    with socket.socket() as claimed:
        claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            claimed.bind((HOST, settings.PORT))
        except OSError as refusal:
            raise CommandError(
                f"Port {settings.PORT} cannot be used ({refusal.strerror}); stop the program that uses it - perhaps "
                "another Mainstay - or set MAINSTAY_PORT to a free one."
            ) from refusal
        yield claimed


@contextlib.contextmanager
def _embedded() -> Iterator[Servers | None]:
    """The embedded servers, as far as the environment names no others."""
    database, broker = not os.environ.get("DATABASE_URL"), not os.environ.get("REDIS_URL")
    if not (database or broker):
        yield None
        return
    try:
        with servers(settings.DATA_DIR, database=database, broker=broker) as held:
            yield held
    except EmbeddedError as failure:
        raise CommandError(str(failure)) from failure


def _children(port: socket.socket) -> list[Child]:
    """Web server, a worker for people's tasks, one for the nightly batch, and the clock."""
    python, logs = sys.executable, Path(settings.DATA_DIR) / "logs"
    celery = [python, "-m", "celery", "-A", "retention"]
    worker = [*celery, "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    web = [python, "-m", "gunicorn", "retention.wsgi", "--config", "gunicorn.conf.py"]
    batch = str(min(4, max(1, (os.cpu_count() or 2) - 1)))
    return [
        Child("web", [*web, "--bind", f"fd://{port.fileno()}"], logs / "web.log", (port.fileno(),)),
        Child("worker", [*worker, "-Q", "default", "-c", "1", "-n", "default@%h"], logs / "worker.log"),
        Child("batch worker", [*worker, "-Q", "batch", "-c", batch, "-n", "batch@%h"], logs / "batch.log"),
        Child("clock", [*celery, "beat", "--loglevel", "INFO", "--pidfile="], logs / "beat.log"),
    ]


def _manage(*arguments: str) -> str:
    """Run a command in a process of its own; what it printed, or its own sentence as ours when it fails."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "it gave no reason").splitlines()[-1]
        raise CommandError(f"'manage.py {arguments[0]}' failed: {said}")
    return done.stdout.strip()


def _static_state() -> str:
    """A digest of all front-end files' names, sizes and times."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            found = os.stat(storage.path(name))
            digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _page_loads() -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{settings.PORT}/", timeout=10) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or ["it gave no reason"])[-1]
