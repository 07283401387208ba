"""A local stand-in for Pipedrive, written by us after its published API v2: cursors that may be forgotten, updated_since
without parts of a second, archived deals in a list of their own, deleted ones for who asks, custom fields by hash, token
budget, tokens that expire, 403 of the wall before it. It is not Pipedrive, and proves nothing about it.

https://developers.pipedrive.com/docs/api/v1
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.crm.servers import base
from tests.crm.servers.base import Answer, Request

KINDS = ("organizations", "persons", "deals", "activities")
CLIENT = "Basic " + base64.b64encode(b"app:hush-client-secret").decode()
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
STANDARD = ("id", "name", "owner_id", "update_time")


def code_of(label: str) -> str:
    """Forty characters, as a custom field is called."""
    return hashlib.sha1(label.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Pipedrive(base.World):
    """The company, and how it behaves."""

    rows: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    users: list[dict[str, Any]] = field(default_factory=list)
    custom: dict[str, str] = field(default_factory=dict)  # label -> type, of organizations
    may_make_fields: bool = True
    has_archive: bool = True
    api_token: str = "personal-token"
    tokens: set[str] = field(default_factory=set)
    refresh_token: str = "refresh-me"
    refreshed: int = 0
    domain: str = ""
    page: int = 500
    forgets: set[str] = field(default_factory=set)  # cursors
    budget: int = 30_000
    spent: int = 0
    is_walled: bool = False
    now: datetime = datetime(2025, 10, 1, 8, tzinfo=UTC)

    def tick(self) -> str:
        self.now += timedelta(seconds=1)
        return f"{self.now:%Y-%m-%dT%H:%M:%SZ}"

    def put(self, kind: str, key: int, **values: Any) -> int:
        known = self.rows[kind].get(key, {"id": key, "is_deleted": False, "custom_fields": {}})
        self.rows[kind][key] = known | values | {"update_time": self.tick()}
        return key

    # Answers ----------------------------------------------------------------------------------------------------

    def judge(self, request: Request) -> Answer:
        if request.path == "/oauth/token":
            return self._token(request)
        if self.is_walled:
            return Answer(403, "<html>blocked</html>", content_type="text/html")
        if request.headers.get("x-api-token") != self.api_token and request.bearer not in self.tokens:
            return _failure(401, "unauthorized access")
        self.spent += 10
        answer = self._answer(request, request.path.strip("/").split("/"))
        left = {
            "x-daily-ratelimit-token-limit": str(self.budget),
            "x-daily-ratelimit-token-remaining": str(max(self.budget - self.spent, 0)),
        }
        return Answer(answer.status, answer.data, left)

    def _answer(self, request: Request, path: list[str]) -> Answer:
        if path == ["api", "v1", "users"]:
            return Answer(200, {"success": True, "data": self.users})
        if path[:2] != ["api", "v2"]:
            return _failure(404, "unknown method")
        if path[2] == "organizationFields":
            return self._make_field(request.body) if request.method == "POST" else self._fields(request.query)
        if path[2] not in KINDS:
            return _failure(404, "unknown method")
        if request.method == "PATCH":
            return self._update(path[2], int(path[3]), request.body)
        return self._list(path[2], path[3:] == ["archived"], request.query)

    def _list(self, kind: str, of_archive: bool, query: dict[str, str]) -> Answer:
        if of_archive and not self.has_archive:
            return _failure(403, "This feature is not part of your plan")
        rows = [row for row in self.rows[kind].values() if bool(row.get("is_archived")) is of_archive]
        if "deleted" not in query.get("status", ""):
            rows = [row for row in rows if not row["is_deleted"]]
        if "updated_since" in query:
            if not SECONDS.fullmatch(query["updated_since"]):
                return _failure(400, "updated_since: invalid date-time")
            rows = [row for row in rows if row["update_time"] >= query["updated_since"]]
        if "ids" in query:
            wanted = {int(one) for one in query["ids"].split(",")}
            if len(wanted) > 100:
                return _failure(400, "ids: at most 100")
            rows = [row for row in rows if row["id"] in wanted]
        return self._page(sorted(rows, key=lambda row: int(row["id"])), query)

    def _page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> Answer:
        limit = int(query.get("limit", 100))
        if limit > 500:
            return _failure(400, "limit: at most 500")
        limit, cursor = min(limit, self.page), query.get("cursor", "")
        if cursor in self.forgets:
            self.forgets.discard(cursor)
            return _failure(400, "cursor: invalid")
        if cursor:
            after = int(base64.b64decode(cursor))
            rows = [row for row in rows if row["id"] > after]
        more = base64.b64encode(str(rows[limit - 1]["id"]).encode()).decode() if len(rows) > limit else None
        return Answer(200, {"success": True, "data": rows[:limit], "additional_data": {"next_cursor": more}})

    def _fields(self, query: dict[str, str]) -> Answer:
        rows = [{"field_code": name, "field_name": name, "is_custom_field": False} for name in STANDARD] + [
            {"field_code": code_of(label), "field_name": label, "field_type": kind, "is_custom_field": True}
            for label, kind in self.custom.items()
        ]
        numbered = [row | {"id": number} for number, row in enumerate(rows, 1)]
        return self._page(numbered, query)

    def _make_field(self, body: dict[str, Any]) -> Answer:
        if not self.may_make_fields:
            return _failure(403, "You do not have permissions to do this")
        self.custom[body["field_name"]] = body["field_type"]
        return Answer(201, {"success": True, "data": {"field_code": code_of(body["field_name"])}})

    def _update(self, kind: str, key: int, body: dict[str, Any]) -> Answer:
        if key not in self.rows[kind] or self.rows[kind][key]["is_deleted"]:
            return _failure(404, "Organization not found")
        types = {code_of(label): field_type for label, field_type in self.custom.items()}
        for code, value in body["custom_fields"].items():
            if code not in types:
                return _failure(400, f"custom_fields.{code}: unknown")
            if types[code] == "double" and isinstance(value, str):
                return _failure(400, f"custom_fields.{code}: expected a number")
        self.put(kind, key, custom_fields=self.rows[kind][key]["custom_fields"] | body["custom_fields"])
        return Answer(200, {"success": True, "data": self.rows[kind][key]})

    def _token(self, request: Request) -> Answer:
        form = request.body
        given = form.get("refresh_token") or form.get("code")
        if request.headers.get("authorization") != CLIENT or given not in {self.refresh_token, "code-one"}:
            return Answer(400, {"success": False, "message": "Invalid grant", "error": "invalid_grant"})
        self.refreshed += 1
        fresh = f"token-fresh-{self.refreshed}"
        self.tokens = {fresh}
        told = {"access_token": fresh, "refresh_token": self.refresh_token, "expires_in": 3599}
        return Answer(200, told | {"api_domain": self.domain, "token_type": "Bearer"})


def _failure(status: int, said: str) -> Answer:
    return Answer(status, {"success": False, "error": said, "error_info": "Please check the reference."})


class Server(base.Server):
    """The stand-in on a port of its own."""

    world: Pipedrive

    def __init__(self) -> None:
        super().__init__(Pipedrive())
        self.world.domain = self.address


def fill(world: Pipedrive, companies: int = 12) -> None:
    """`companies` organizations with a person, a won deal, an archived won deal, an open one and a done call each."""
    world.users = [
        {"id": 7, "name": "Rep", "email": "rep@example.com", "active_flag": True},
        {"id": 8, "name": "Elsewhere", "email": "nobody-here@example.com", "active_flag": False},
    ]
    for number in range(1, companies + 1):
        world.put(
            "organizations",
            number,
            name=f"Company {number}",
            owner_id=8,
            address={"country": "Austria", "value": "A"},
        )
        world.put(
            "persons", number, name=f"Ann Of {number}", org_id=number, owner_id=7,
            emails=[
                {"value": "old@customer.example", "primary": False, "label": "work"},
                {"value": f"ann{number}@customer.example", "primary": True, "label": "work"},
            ],
            phones=[],
        )  # fmt: skip
        deal = {"org_id": number, "owner_id": 7, "currency": "EUR"}
        world.put(
            "deals", number, status="won", value=100.5 * number, won_time="2025-03-04T10:00:00Z", **deal
        )
        world.put(
            "deals",
            500 + number,
            status="won",
            value=50,
            won_time="2024-03-04T10:00:00Z",
            is_archived=True,
            **deal,
        )
        world.put("deals", 900 + number, status="open", value=9, won_time=None, **deal)
        world.put(
            "activities", number, type="call", subject="Called", done=True, org_id=number, owner_id=7,
            due_date="2025-06-01", due_time="12:00:00", marked_as_done_time="2025-06-02T08:00:00Z",
        )  # fmt: skip
    world.put(
        "activities", 9_001, type="task", subject="Tidy up", done=True, org_id=None, due_date="2025-06-01"
    )
