"""A TCP port that leads to a Unix socket: the embedded PostgreSQL listens on none, and customers' servers do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def relay_to(path: Path) -> Iterator[int]:
    """The port, for as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, path), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, path: Path) -> None:
    while True:
        try:
            outside, _ = listener.accept()
        except OSError:
            return
        inside = socket.socket(socket.AF_UNIX)
        inside.connect(str(path))
        for source, target in ((outside, inside), (inside, outside)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
