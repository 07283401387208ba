"""What the local stand-ins have in common: a port of their own, a record of what was asked, and faults.

A stand-in is a `World` (data, and `judge`, which answers a request the way the published API says) behind a `Server`.
Faults are put in by `world.fault`, which sees every request before it is answered.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as the server saw it; `number` counts from 1, header names are in lower case. `query` holds the first
    value of each parameter, `values` all of them."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    values: dict[str, list[str]] = field(default_factory=dict, repr=False)

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True)
class Answer:
    """What is sent back; texts and bytes go out as they are, anything else as JSON."""

    status: int
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Fault = Callable[[Request], str]  # "", "cut", "truncate", "short", "slow", "hang", "500", "502", "429"


@dataclass
class World:
    """The data of a stand-in, and how it behaves."""

    requests: list[Request] = field(default_factory=list)
    calls_per_second: int = 0
    refused_for_pace: int = 0
    fault: Fault = lambda request: ""
    after_page: Callable[[Request], None] = lambda request: None
    hangs: threading.Event = field(default_factory=threading.Event)  # set: what hangs is answered

    def judge(self, request: Request) -> Answer:
        """The answer to a request that nothing happens to, sign-in included."""
        raise NotImplementedError


class Server:
    """A world on a port of its own: `with Server(World()) as server`, `server.address`, `server.world`."""

    def __init__(self, world: World) -> None:
        self.world: Any = world
        self.lock = threading.Lock()
        self.recent: list[float] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"owner": self}))
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> Any:
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def is_too_fast(self) -> bool:
        now = time.monotonic()
        self.recent = [moment for moment in self.recent if moment > now - 1] + [now]
        return bool(self.world.calls_per_second) and len(self.recent) > self.world.calls_per_second


class Handler(BaseHTTPRequestHandler):
    """Answers for the Server it belongs to."""

    protocol_version = "HTTP/1.1"
    # Head and content go out together; apart, the second waits 40 ms until the first is acknowledged.
    wbufsize = -1
    owner: Server

    def do_GET(self) -> None:
        self._serve(None)

    def do_DELETE(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "json" in self.headers.get("Content-Type", ""):
            self._serve(json.loads(content))
        else:
            self._serve({name: values[0] for name, values in _read_form(content.decode()).items()})

    do_PATCH = do_PUT = do_POST  # noqa: N815 - the names http.server looks for

    def _serve(self, body: Any) -> None:
        world, parts = self.owner.world, urlsplit(self.path)
        values = _read_form(parts.query)
        query = {name: given[0] for name, given in values.items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.owner.lock:
            number = len(world.requests) + 1
            request = Request(number, self.command, unquote(parts.path), query, body, headers, values)
            world.requests.append(request)
            fault = world.fault(request)
            if self.owner.is_too_fast():
                world.refused_for_pace += 1
                fault = "429"
            answer = self._judge(request, fault)
        self._send(answer, fault)
        world.after_page(request)

    def _judge(self, request: Request, fault: str) -> Answer:
        if fault == "429":
            return Answer(429, {"message": "not now"}, {"Retry-After": "1"})
        if fault in {"500", "502"}:
            return Answer(int(fault), {"message": "not now"})
        return Answer(200) if fault == "cut" else self.owner.world.judge(request)

    def _send(self, answer: Answer, fault: str) -> None:
        if fault == "cut":
            self.close_connection = True
            self.connection.close()
            return
        content = _as_bytes(answer.data)
        if fault == "hang":
            self.owner.world.hangs.wait(60)
        if fault == "slow":
            time.sleep(0.5)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        # "truncate": whole by its length, broken in its content; "short": less than was promised.
        content = content[: len(content) // 2] if fault == "truncate" else content
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:-5] if fault == "short" else content)
        if fault == "short":
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


def _read_form(text: str) -> dict[str, list[str]]:
    return parse_qs(text, keep_blank_values=True)


def _as_bytes(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    return data.encode() if isinstance(data, str) else json.dumps(data).encode()
