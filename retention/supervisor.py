"""Child processes that are started together, started again when they die, and stopped together.

Plain Python; `manage.py up` says which children there are.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 25
LONGEST_PAUSE = 30.0
GOOD_RUN = 60.0


@dataclass
class Child:
    """One program: how to start it, where it writes, and how it fares."""

    name: str
    command: list[str]
    log: Path
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    pause: float = field(default=0.0, init=False)
    started_at: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Start it in a session of its own: the terminal's Ctrl-C reaches the supervisor alone."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.pass_fds,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        self.started_at = time.monotonic()

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def signal_group(self, number: int) -> None:
        """Reach the program and the children it forked."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def due_again(self) -> float:
        """When a dead child is to be started again: at once after a good run, ever later when it keeps dying."""
        good = time.monotonic() - self.started_at > GOOD_RUN
        self.pause = 1.0 if good or not self.pause else min(self.pause * 2, LONGEST_PAUSE)
        return time.monotonic() + self.pause


class Supervisor:
    """Keeps children running until told to stop."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.children: list[Child] = []
        self.say = say
        self._due: dict[str, float] = {}

    def start(self, child: Child) -> None:
        self.children.append(child)
        child.start()

    def look_after(self) -> None:
        """Notice who has died, and start again whose pause is over. Call it often."""
        for child in self.children:
            if not child.has_ended():
                continue
            if child.name not in self._due:
                self._mourn(child)
            elif time.monotonic() >= self._due[child.name]:
                del self._due[child.name]
                child.start()

    def _mourn(self, child: Child) -> None:
        assert child.process is not None
        child.signal_group(signal.SIGKILL)  # what it forked must not go on beside its successor
        self._due[child.name] = child.due_again()
        self.say(
            f"{child.name} ended ({_how(child.process.returncode)}) and is started again; {child.log} says why."
        )

    def stop(self) -> None:
        """Ask all to finish, wait, then insist; nothing they forked is left either."""
        for child in self.children:
            if child.process is not None and not child.has_ended():
                child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children:
            if child.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(0.0, deadline - time.monotonic()))
                child.signal_group(signal.SIGKILL)
                child.process.wait()


def _how(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit {returncode}"


def end_with_parent() -> None:
    """Linux ends the child when the supervisor itself is killed with -9 and cannot stop anybody."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
