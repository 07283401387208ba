"""A local stand-in for HubSpot, written by us after its published API: paging by `after`, searches that stop at 10,000
results, 429 with Retry-After, tokens that expire, 207 for batches of which rows are refused. Faults are put in by
`server.fault`, which sees every request before it is answered. It is not HubSpot, and proves nothing about it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MOST_RESULTS = 10_000
CHANGED = {"companies": "hs_lastmodifieddate", "contacts": "lastmodifieddate", "deals": "hs_lastmodifieddate"}


@dataclass(frozen=True)
class Request:
    """One request as the server saw it; `number` counts from 1."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    body: Any


Fault = Callable[[Request], str]  # "", "cut", "truncate", "slow", "500", "502", "429"


@dataclass
class HubSpot:
    """The data, and how the server behaves."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {"companies": {}, "contacts": {}, "deals": {}}
    )
    owners: dict[str, dict[str, Any]] = field(default_factory=dict)
    companies_of: dict[str, str] = field(default_factory=dict)
    properties: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=lambda: {"token-one"})
    refresh_token: str = "refresh-me"
    refreshed: int = 0
    unknown_to_batch: set[str] = field(default_factory=set)
    calls_per_second: int = 0
    requests: list[Request] = field(default_factory=list)
    refused_for_pace: int = 0
    fault: Fault = lambda request: ""
    after_page: Callable[[Request], None] = lambda request: None
    now_ms: int = 1_760_000_000_000

    def tick(self) -> int:
        """The next moment of this world."""
        self.now_ms += 1_000
        return self.now_ms

    def put(self, kind: str, object_id: int | str, *, at: int | None = None, **properties: Any) -> None:
        """Create or change an object; `at` in milliseconds."""
        at = at or self.tick()
        known = self.objects[kind].get(str(object_id), {"properties": {}})
        told = {**known["properties"], **properties, CHANGED[kind]: str(at), "hs_object_id": str(object_id)}
        self.objects[kind][str(object_id)] = {"id": str(object_id), "properties": told, "archived": False}

    def delete(self, kind: str, object_id: int | str) -> None:
        del self.objects[kind][str(object_id)]

    # Answers ----------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> tuple[int, Any]:
        path = request.path.strip("/").split("/")
        if path[:2] == ["crm", "v3"] and path[2] == "owners":
            return self._page(list(self.owners.values()), request.query)
        if path[:3] == ["crm", "v3", "properties"]:
            return self._property(path, request.body)
        if path[:3] == ["crm", "v4", "associations"]:
            return self._associations(request.body)
        if path[:3] == ["crm", "v3", "objects"] and path[3] in self.objects:
            return self._objects(path[3], path[4:], request)
        return 404, {"status": "error", "message": "resource not found"}

    def _objects(self, kind: str, rest: list[str], request: Request) -> tuple[int, Any]:
        everything = sorted(self.objects[kind].values(), key=lambda one: int(one["id"]))
        if not rest:
            names = request.query.get("properties", "").split(",")
            return self._page([self._shown(one, names) for one in everything], request.query)
        if rest == ["search"]:
            return self._search(kind, everything, request.body)
        if rest == ["batch", "read"]:
            found = [self.objects[kind].get(str(one["id"])) for one in request.body["inputs"]]
            shown = [self._shown(one, request.body["properties"]) for one in found if one]
            return (200 if all(found) else 207), {"status": "COMPLETE", "results": shown}
        if rest == ["batch", "update"]:
            return self._update(kind, request.body["inputs"])
        return 404, {"status": "error", "message": "resource not found"}

    @staticmethod
    def _shown(one: dict[str, Any], names: list[str]) -> dict[str, Any]:
        told = {name: one["properties"].get(name) for name in [*names, "hs_object_id"] if name}
        return {"id": one["id"], "properties": told, "archived": False}

    @staticmethod
    def _page(rows: list[Any], query: dict[str, str]) -> tuple[int, Any]:
        limit, after = int(query.get("limit", 10)), int(query.get("after", 0))
        if limit > 100:
            return 400, {"status": "error", "message": "limit must be at most 100"}
        part = [one for one in sorted(rows, key=lambda one: int(one["id"])) if int(one["id"]) > after]
        answer: dict[str, Any] = {"results": part[:limit]}
        if len(part) > limit:
            answer["paging"] = {"next": {"after": part[limit - 1]["id"]}}
        return 200, answer

    def _search(self, kind: str, rows: list[dict[str, Any]], body: dict[str, Any]) -> tuple[int, Any]:
        limit, after = int(body.get("limit", 10)), int(body.get("after") or 0)
        if after + limit > MOST_RESULTS:
            return 400, {"status": "error", "message": "The total number of results exceeds 10000"}
        tests = {"GTE": int.__ge__, "EQ": int.__eq__, "GT": int.__gt__}
        for one in body["filterGroups"][0]["filters"]:
            name, test = one["propertyName"], tests[one["operator"]]
            rows = [row for row in rows if test(int(row["properties"][name]), int(one["value"]))]
        order = body["sorts"][0]["propertyName"]
        rows = sorted(rows, key=lambda row: int(row["properties"][order]))
        answer: dict[str, Any] = {
            "total": len(rows),
            "results": [self._shown(row, body["properties"]) for row in rows[after : after + limit]],
        }
        if after + limit < len(rows):
            answer["paging"] = {"next": {"after": str(after + limit)}}
        return 200, answer

    def _update(self, kind: str, inputs: list[dict[str, Any]]) -> tuple[int, Any]:
        results, errors = [], []
        for one in inputs:
            unknown = set(one["properties"]) - self.properties
            if unknown:
                return 400, {"status": "error", "message": f"Property {unknown.pop()} does not exist"}
            if one["id"] not in self.objects[kind] or one["id"] in self.unknown_to_batch:
                errors.append(
                    {"status": "error", "message": "resource not found", "context": {"ids": [one["id"]]}}
                )
                continue
            self.put(kind, one["id"], **one["properties"])
            results.append({"id": one["id"], "properties": one["properties"]})
        answer = {"status": "COMPLETE", "results": results}
        return (207, answer | {"numErrors": len(errors), "errors": errors}) if errors else (200, answer)

    def _associations(self, body: dict[str, Any]) -> tuple[int, Any]:
        results = [
            {
                "from": {"id": one["id"]},
                "to": [
                    {
                        "toObjectId": int(self.companies_of[one["id"]]),
                        "associationTypes": [
                            {"category": "HUBSPOT_DEFINED", "typeId": 5, "label": "Primary"}
                        ],
                    }
                ],
            }
            for one in body["inputs"]
            if one["id"] in self.companies_of
        ]
        return (200 if len(results) == len(body["inputs"]) else 207), {
            "status": "COMPLETE",
            "results": results,
        }

    def _property(self, path: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        name = ("group:" if path[-1] == "groups" else "") + body["name"]
        if name in self.properties:
            return 409, {"status": "error", "message": "already exists"}
        self.properties.add(name)
        return 201, body

    def renew(self, form: dict[str, str]) -> tuple[int, Any]:
        if (
            form.get("refresh_token") != self.refresh_token
            or form.get("client_secret") != "hush-client-secret"
        ):
            return 400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"}
        self.refreshed += 1
        fresh = f"token-fresh-{self.refreshed}"
        self.tokens = {fresh}
        return 200, {"access_token": fresh, "refresh_token": self.refresh_token, "expires_in": 1800}


class Server:
    """The stand-in on a port of its own: `with Server() as server`, `server.address`, `server.world`."""

    def __init__(self) -> None:
        self.world = HubSpot()
        self.lock = threading.Lock()
        self.recent: list[float] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"owner": self}))
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> Server:
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
    owner: Server

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "json" in self.headers.get("Content-Type", ""):
            self._serve(json.loads(content))
        else:
            self._serve({name: values[0] for name, values in parse_qs(content.decode()).items()})

    def _serve(self, body: Any) -> None:
        world, parts = self.owner.world, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.owner.lock:
            request = Request(len(world.requests) + 1, self.command, parts.path, query, body)
            world.requests.append(request)
            fault = world.fault(request)
            if self.owner.is_too_fast():
                world.refused_for_pace += 1
                fault = "429"
            status, answer = self._judge(request, fault)
        self._send(status, answer, fault)
        world.after_page(request)

    def _judge(self, request: Request, fault: str) -> tuple[int, Any]:
        world = self.owner.world
        if request.path == "/oauth/v1/token":
            return world.renew(request.body)
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in world.tokens:
            said = {"status": "error", "category": "EXPIRED_AUTHENTICATION"}
            return 401, said | {"message": f"bad token {self.headers.get('Authorization')}"}
        if fault in {"500", "502", "429"}:
            return int(fault), {"status": "error", "message": "not now"}
        return (200, None) if fault == "cut" else world.answer(request)

    def _send(self, status: int, answer: Any, fault: str) -> None:
        if fault == "cut":
            self.close_connection = True
            self.connection.close()
            return
        content = json.dumps(answer).encode()
        if fault == "slow":
            time.sleep(0.5)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if fault == "429":
            self.send_header("Retry-After", "1")
        # "truncate": whole by its length, broken as JSON; "short": less than was promised.
        content = content[: len(content) // 2] if fault == "truncate" else content
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:-5] if fault == "short" else content)
        if fault == "short":
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass
