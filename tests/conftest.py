"""What every test can ask for: a throw-away PostgreSQL and Valkey, a real Celery worker, a real browser.

Each pytest session has servers of its own in a temporary directory, so sessions side by side do not meet, and
nobody's DATABASE_URL is touched. Fixtures:

- `db`, `transactional_db`, `live_server`: pytest-django's, on that PostgreSQL
- `committed_db`: rows other processes can see, with the rows the migrations made put back for every test
- `celery_worker`: a worker process on the test database; it can be killed and started again
- `page`, `page_for(user)`: a page in headless Chromium on `live_server`; `axe(page)`: accessibility findings
"""

import contextlib
import functools
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from retention import embedded

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from redis import Redis

    from accounts.models import User

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(tempfile.mkdtemp(prefix="mainstay-test-"))
# Of several processes that share the tests each has servers and a database of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
TEST_DATABASE = f"test_{embedded.NAME}" + (f"_{WORKER}" if WORKER else "")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# How long an example takes says more of the machine than of the code.
settings.register_profile("mainstay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mainstay")

# Before Django reads its settings: nothing of the developer's own environment may reach the tests.
for name in [
    key for key in os.environ if key.startswith("MAINSTAY_") or key in {"DATABASE_URL", "REDIS_URL"}
]:
    del os.environ[name]
_session = contextlib.ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and read the settings; pytest-django sets Django up right after this."""
    if config.getoption("numprocesses", None) and not WORKER:
        _session.callback(shutil.rmtree, DATA_DIR)
        return  # only hands the tests out
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "retention.settings",
        "MAINSTAY_DATA_DIR": str(DATA_DIR),
        # Playwright keeps an event loop in the thread the test and its queries run in.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
    }
    (DATA_DIR / "static").mkdir()
    _session.callback(shutil.rmtree, DATA_DIR)
    _session.enter_context(embedded.servers(DATA_DIR, durable=False))

    from django.conf import settings

    # Files as they are in the tree: no collectstatic before a test, fast passwords in factories.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_unconfigure() -> None:
    _session.close()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data directory of this session's servers."""
    return DATA_DIR


@pytest.fixture(autouse=True)
def no_calls_counted() -> None:
    """Nobody has called in this minute, whatever tests before did."""
    server = broker()
    if counted := server.keys("mainstay:calls:*"):
        server.delete(*counted)


class FirstRows:
    """The rows the migrations made: churn reasons, themes, policies and the like, kept beside the database.

    Django's own way, to empty all tables and to save each of these rows one by one, took most of the time of a short
    test that commits.
    """

    # Beyond this deleting row by row is no longer quick, and what was deleted is still read over.
    FEW_BYTES = 4_000_000

    def __init__(self) -> None:
        from django.db import connection

        self.tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        self.rows: dict[str, str] = {}
        with connection.cursor() as cursor:
            for table in self._filled(cursor):
                text = io.StringIO()
                cursor.copy_expert(f"COPY {table} TO STDOUT", text)
                self.rows[table] = text.getvalue()

    def restore(self) -> None:
        """Have these rows in the database, and no others."""
        from django.db import connection, transaction

        tables = ", ".join(self.tables)
        with transaction.atomic(), connection.cursor() as cursor:
            # What another process or thread is writing is waited for, or it would stay.
            cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute("SET LOCAL session_replication_role = replica")  # foreign keys in any order
            cursor.execute("SELECT sum(pg_relation_size(name::regclass)) FROM unnest(%s) name", [self.tables])
            if cursor.fetchone()[0] > self.FEW_BYTES:
                cursor.execute(f"TRUNCATE {tables}")
            else:
                for table in self._filled(cursor):
                    cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
            for table, text in self.rows.items():
                cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(text))

    def _filled(self, cursor: Any) -> list[str]:
        each = (f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in self.tables)  # noqa: S608
        cursor.execute(" UNION ALL ".join(each))
        return [table for (table,) in cursor.fetchall()]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database; after every test that commits it is as the migrations left it."""
    from django.test import TransactionTestCase

    with django_db_blocker.unblock():
        first = FirstRows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: first.restore())
        yield


@pytest.fixture
def committed_db(transactional_db: None) -> None:
    """A database whose rows other processes see; the migrations' own rows are there for every test."""


@pytest.fixture
def test_environment(committed_db: None) -> dict[str, str]:
    """The environment for a child process that works on the test database."""
    url = embedded.addresses(DATA_DIR).database_url.replace(f"/{embedded.NAME}?", f"/{TEST_DATABASE}?")
    return os.environ | {"DATABASE_URL": url, "MAINSTAY_TRIAL": "true", "PYTHONPATH": str(BASE_DIR)}


class WorkerProcess:
    """A Celery worker with its children, as the operating system sees it."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        from retention.celery import app

        command = [sys.executable, "-m", "celery", "-A", "retention", "worker", "-c", "2", "-l", "INFO"]
        command += ["-Q", "default,batch", "--without-gossip", "--without-mingle"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=BASE_DIR, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(lambda: self._ended() or bool(app.control.ping(timeout=0.5)), 600, self.log.read_text)
        assert not self._ended(), self.log.read_text()

    def kill(self) -> None:
        """kill -9 for the worker and all its children, as the kernel does when memory runs out."""
        self._signal_group(signal.SIGKILL)

    def kill_child(self) -> None:
        """kill -9 for one of the children that run tasks."""
        assert self.process is not None
        os.kill(self.children()[0], signal.SIGKILL)

    def children(self) -> list[int]:
        """The processes that run tasks."""
        assert self.process is not None
        said = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(word) for word in said.stdout.split()]

    def stop(self) -> None:
        """Let it finish what it does and end."""
        if self.process is not None and not self._ended():
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _signal_group(self, number: int) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(10)


@pytest.fixture
def celery_worker(test_environment: dict[str, str], tmp_path: Path) -> Iterator[WorkerProcess]:
    """A running worker on the test database, with an empty broker: `.kill()`, `.start()`, `.kill_child()`."""
    flush_broker()
    worker = WorkerProcess(test_environment, tmp_path / "worker.log")
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def no_tasks(committed_db: None) -> None:
    """An empty broker and no worker."""
    flush_broker()


def flush_broker() -> None:
    """Forget every task rung so far."""
    broker().flushall()


@functools.cache
def broker() -> "Redis":
    """This session's Valkey."""
    import redis

    return redis.Redis.from_url(embedded.addresses(DATA_DIR).redis_url)


def wait_until(
    condition: Callable[[], bool], seconds: float = 60, explain: Callable[[], str] = lambda: ""
) -> None:
    """Wait for a condition; fail with the explanation when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {explain()}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Headless Chromium: the machine's own, or the one `make install-test` got."""
    from django.db import connections
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()
        # While its event loop runs in this thread, Django works with a connection of its own there, which nobody else
        # would close before the database is dropped.
        connections.close_all()


@pytest.fixture
def page_for(browser: "Browser", live_server: Any, committed_db: None) -> Iterator[Callable[..., "Page"]]:
    """Open a page as a user (or a stranger): `page = page_for(user, width=390, dark=True)`.

    Addresses may be relative: `page.goto("/at-risk/")`. At the end the test fails if a page threw a JavaScript
    error or did what the content security policy forbids.
    """
    contexts, faults = [], []

    def open_page(user: "User | None" = None, *, width: int = 1280, dark: bool = False) -> "Page":
        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        # The first page imports everything, on a machine that may be busy.
        context.set_default_timeout(90_000)
        contexts.append(context)
        if user is not None:
            context.add_cookies([session_cookie(user, live_server.url)])
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(page_for: Callable[..., "Page"]) -> "Page":
    """A stranger's page, 1280 pixels wide."""
    return page_for()


def session_cookie(user: "User", url: str) -> Any:
    """The cookie of someone who has just signed in."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(user)
    return {"name": settings.SESSION_COOKIE_NAME, "value": client.session.session_key, "url": url}


@pytest.fixture(scope="session")
def axe() -> Callable[["Page"], list[str]]:
    """Check a page with axe-core: `assert axe(page) == []` (WCAG 2.2 A and AA, serious or worse)."""
    source = (BASE_DIR / "node_modules/axe-core/axe.min.js").read_text()
    # Of what passes nothing is described, and nothing is sent: on a long page that is most of the work.
    rules = {
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
        "resultTypes": ["violations"],
    }

    def find_violations(page: "Page") -> list[str]:
        page.evaluate(source)
        found = page.evaluate("async rules => (await axe.run(document, rules)).violations", rules)
        return [
            f"{finding['id']}: {node['target']} {node['failureSummary']}"
            for finding in found
            if finding["impact"] in {"serious", "critical"}
            for node in finding["nodes"]
        ]

    return find_violations
