"""Servers that nobody here wrote: environments of their own below .cache (which git does not keep), started and ended."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx

BASE_DIR = Path(__file__).resolve().parents[3]
CACHE = BASE_DIR / ".cache"


def prepare(name: str, interpreter: str, sources: Sequence[Path], finish: Callable[[Path], None]) -> Path:
    """The folder .cache/NAME with an environment of the packages that `sources[0]` pins, and whatever `finish` puts
    beside it. Made anew when any of the sources changed; there as a whole or not at all."""
    folder = CACHE / name
    if is_ready(name, sources):
        return folder
    print(f"Installing {name} for the tests ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run([interpreter, "-m", "venv", str(folder / "venv")])
    python = str(folder / "venv/bin/python")
    wanted = ["--quiet", "--require-hashes", "-r", str(sources[0])]
    uv = shutil.which("uv")
    run(
        [uv, "pip", "install", "--python", python, *wanted]
        if uv
        else [python, "-m", "pip", "install", *wanted]
    )
    finish(folder)
    (folder / "ready").write_text(_mark(sources))
    return folder


def is_ready(name: str, sources: Sequence[Path]) -> bool:
    mark = CACHE / name / "ready"
    return mark.exists() and mark.read_text() == _mark(sources)


def _mark(sources: Sequence[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


def run(command: Sequence[str], folder: Path = BASE_DIR, **environment: str) -> None:
    """A command to its end, in `folder`; what it said is shown when it fails."""
    done = subprocess.run(
        command, env=os.environ | environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def started(process: subprocess.Popen[bytes], log: Path, ask: Callable[[], object]) -> Iterator[None]:
    """A server that answers `ask`, until the block ends."""
    try:
        until = time.monotonic() + 180
        while True:
            try:
                ask()
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(30)
