"""A local stand-in for HubSpot, written by us after its published API: paging by `after`, searches that stop at 10,000
results, 429 with Retry-After, tokens that expire, 207 for batches of which rows are refused. It is not HubSpot,
and proves nothing about it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.crm.servers import base
from tests.crm.servers.base import Answer, Request

__all__ = ["HubSpot", "Request", "Server"]

MOST_RESULTS = 10_000
KINDS = ("companies", "contacts", "deals", "tickets", "calls", "meetings", "emails")
CHANGED = dict.fromkeys(KINDS, "hs_lastmodifieddate") | {"contacts": "lastmodifieddate"}
PRIMARY = {"deals": 5, "tickets": 26}  # association types


@dataclass
class HubSpot(base.World):
    """The data, and how the server behaves."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    owners: dict[str, dict[str, Any]] = field(default_factory=dict)
    companies_of: dict[str, str] = field(default_factory=dict)
    properties: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=lambda: {"token-one"})
    refresh_token: str = "refresh-me"
    refreshed: int = 0
    code: str = "good-code"
    labels: dict[str, dict[str, str]] = field(default_factory=dict)  # object type -> property -> its label
    unknown_to_batch: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)  # kinds that the key has no right to
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

    def judge(self, request: Request) -> Answer:
        if request.path == "/oauth/v1/token":
            return Answer(*self.renew(request.body))
        if request.bearer not in self.tokens:
            said = {"status": "error", "category": "EXPIRED_AUTHENTICATION"}
            return Answer(401, said | {"message": f"bad token {request.headers.get('authorization')}"})
        return Answer(*self.answer(request))

    def answer(self, request: Request) -> tuple[int, Any]:
        path = request.path.strip("/").split("/")
        if self.hidden.intersection(path):
            return 403, {"status": "error", "category": "MISSING_SCOPES", "message": "not granted"}
        if path[:2] == ["crm", "v3"] and path[2] == "owners":
            return self._page(list(self.owners.values()), request.query)
        if path[:3] == ["crm", "v3", "properties"] and request.method == "GET":
            return 200, {"results": self._described(path[3])}
        if path[:3] == ["crm", "v3", "properties"]:
            return self._property(path, request.body)
        if path[:3] == ["crm", "v4", "associations"]:
            return self._associations(path[3], request.body)
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

    def _associations(self, kind: str, body: dict[str, Any]) -> tuple[int, Any]:
        results = [
            {
                "from": {"id": one["id"]},
                "to": [
                    {
                        "toObjectId": int(self.companies_of[one["id"]]),
                        "associationTypes": [
                            {"category": "HUBSPOT_DEFINED", "typeId": PRIMARY.get(kind, 0), "label": None}
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

    def _described(self, kind: str) -> list[dict[str, Any]]:
        labels = self.labels.get(kind, {})
        names = {name for one in self.objects[kind].values() for name in one["properties"]} | set(labels)
        return [
            {
                "name": name,
                "label": labels.get(name, name),
                "type": "string",
                "fieldType": "text",
                "hidden": False,
            }
            for name in sorted(names)
        ]

    def renew(self, form: dict[str, str]) -> tuple[int, Any]:
        is_known = form.get("refresh_token") == self.refresh_token
        if form.get("grant_type") == "authorization_code":
            is_known = form.get("code") == self.code and bool(form.get("redirect_uri"))
        if not is_known or form.get("client_secret") != "hush-client-secret":
            return 400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"}
        self.refreshed += 1
        fresh = f"token-fresh-{self.refreshed}"
        self.tokens = {fresh}
        return 200, {"access_token": fresh, "refresh_token": self.refresh_token, "expires_in": 1800}


class Server(base.Server):
    """The stand-in on a port of its own: `with Server() as server`, `server.address`, `server.world`."""

    world: HubSpot

    def __init__(self) -> None:
        super().__init__(HubSpot())
