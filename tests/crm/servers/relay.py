"""A TCP port that leads to a Unix socket: the embedded PostgreSQL listens on none, and customers' servers do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PAGE_BYTES = 300


@dataclass
class Relay:
    """What leads to the server. With `breaks`, a connection breaks in the middle of each page of rows the first time it
    comes; `broken` are the pages it happened to. An answer with rows begins with a T:
    https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ROWDESCRIPTION
    """

    port: int
    breaks: bool = False
    broken: set[bytes] = field(default_factory=set)

    def let_through(self, data: bytes) -> bytes:
        """How much of what the server says arrives."""
        if not self.breaks or data[:1] != b"T" or len(data) < PAGE_BYTES or data in self.broken:
            return data
        self.broken.add(data)
        return data[: len(data) // 2]


@contextlib.contextmanager
def relay_to(path: Path) -> Iterator[Relay]:
    """The port, for as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, path, relay), daemon=True).start()
        yield relay
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, path: Path, relay: Relay) -> None:
    while True:
        try:
            outside, _ = listener.accept()
        except OSError:
            return
        inside = socket.socket(socket.AF_UNIX)
        inside.connect(str(path))
        threading.Thread(target=_ask, args=(outside, inside), daemon=True).start()
        threading.Thread(target=_answer, args=(inside, outside, relay), daemon=True).start()


def _ask(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _answer(source: socket.socket, target: socket.socket, relay: Relay) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            arrives = relay.let_through(data)
            target.sendall(arrives)
            if len(arrives) < len(data):
                break
        target.shutdown(socket.SHUT_RDWR)
        source.shutdown(socket.SHUT_RDWR)
