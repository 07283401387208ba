"""Looking at the operating system's processes from outside, as a person with `ps` would."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil

BASE_DIR = Path(__file__).resolve().parents[2]


def processes_of(data_dir: Path) -> list[str]:
    """Every living process that belongs to a data directory: by its environment, or by working inside it."""
    return [
        f"{process.pid} {' '.join(process.cmdline()[:6])}"
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _belongs(process, data_dir)
    ]


def _belongs(process: psutil.Process, data_dir: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        inside = Path(process.cwd()).is_relative_to(data_dir.resolve())
        return inside or process.environ().get("MAINSTAY_DATA_DIR") == str(data_dir)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """The environment of a fresh installation with its data in `data_dir`."""
    inherited = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    return inherited | {"MAINSTAY_DATA_DIR": str(data_dir)} | more


def manage(data_dir: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env=environment(data_dir, **more),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
