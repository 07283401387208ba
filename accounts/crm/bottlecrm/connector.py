"""BottleCRM: accounts, contacts, invoices, tickets and completed tasks, with who won the first deal; scores written back
as custom fields.

Its interface has no filter on the time of change, so every pass reads everything and the hash tells what is new. Lists
are cut by offset in the order of random ids, so what is added or deleted meanwhile shifts them: a pass whose total
changes under way begins anew. Paths and shapes as its package has them (django-crm 1.35: accounts/views.py,
contacts/views.py, invoices/api_views.py, opportunity/views, cases/views.py, tasks/views, common/scopes.py); a server
shows them at /swagger-ui/.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.crm.errors import CrmError, NotShown, SignInRefused
from accounts.crm.link import Reply
from accounts.crm.outbox import FIELDS
from accounts.crm.protocol import Ask, Change, IdPage, Page, Position, Pushed, Record, Stream, Way
from accounts.crm.protocol import Connector as Base

PAGE = 100
MOST_RESTARTS = 5
OURS = "mainstay_"
NO_ORGANISATION = "Organization context is required"
# Figures that it works out (some of them by its clock), and who did what when.
LEFT_OUT = frozenset(
    {
        "rollups", "org", "updated_at", "created_by", "is_overdue", "is_sla_first_response_breached",
        "is_sla_resolution_breached", "is_sla_first_response_at_risk", "is_sla_resolution_at_risk",
        "first_response_sla_deadline", "resolution_sla_deadline", "sla_paused_at", "escalation_count",
        "last_escalation_fired_at", "parent_summary", "child_count", "time_summary",
    }
)  # fmt: skip
FIELD_TYPES = {"number": "number", "text": "textarea", "date": "date"}
STREAMS = (
    Stream(
        "accounts",
        "accounts",
        {
            "name": "name",
            "industry": "industry",
            "country": "country",
            "region": "state",
            "currency": "currency",
            "account_manager": "assigned_to.0.email",
        },
    ),
    Stream(
        "contacts",
        "contacts",
        {
            "account": "company",
            "name": {"join": ["first_name", "last_name"]},
            "email": "email",
            "phone": "phone",
            "job_title": "title",
            "is_active": "is_active",
        },
    ),
    Stream(
        "invoices",
        "orders",
        {
            "account": "account",
            "ordered_at": "issue_date",
            "amount": "total_amount",
            "currency": "currency",
            "salesperson": "won_by",
        },
        {"status": ["Sent", "Viewed", "Paid", "Partially_Paid", "Overdue"]},
    ),
    Stream(
        "tickets",
        "issues",
        {
            "account": "account.id",
            "opened_at": "created_at",
            "resolved_at": "solved_at",
            "description": "name",
            "theme": "case_type",
            "severity": {
                "field": "priority",
                "values": {"Low": "low", "Normal": "medium", "High": "high", "Urgent": "high"},
            },
            "owner": "assigned_to.0.email",
        },
        {"status": ["New", "Assigned", "Pending", "Closed"]},
    ),
    Stream(
        "tasks",
        "interactions",
        {
            "account": "account.id",
            "happened_at": "happened_at",
            "kind": "kind",
            "subject": "title",
            "user": "assigned_to.0.email",
        },
        {"status": ["Completed"]},
    ),
)
PATHS = {"tickets": "cases"}
# What a token may lack the scope for, and an organisation may have switched off, without harm to the rest.
OPTIONAL = frozenset({"tickets", "tasks"})
READ = "accounts:read, contacts:read, invoices:read and opportunities:read"
WAYS = (
    Way(
        "token",
        "With a personal access token",
        (
            Ask(
                "address",
                "Address",
                "Of its interface: https://api.crm.example.com",
                is_credential=False,
                is_hidden=False,
            ),
            Ask("token", "Token", "Begins with “bcrm_pat_”."),
        ),
        (
            "In BottleCRM sign in as an administrator (others see only what is assigned to them) and make a personal"
            " access token for Mainstay in your profile.",
            f"Give it the scopes {READ}; for tickets and tasks also cases:read and tasks:read; to write scores back"
            " also accounts:write, custom-fields:read and custom-fields:write. Copy the token: it is shown once.",
            "A BottleCRM inside your own network has to be named in MAINSTAY_CRM_PRIVATE_HOSTS first.",
        ),
        "https://bottlecrm.io/docs/api/authentication",
    ),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a list, how long it is, and how many records there are in all."""

    rows: list[dict[str, Any]]
    length: int
    total: int
    asked_at: dt.datetime | None


class Connector(Base):
    """Credential: token (personal access token). Option: address."""

    label = "BottleCRM"
    credential_names = ("token",)
    calls_per_second = 10.0
    burst = 10
    can_push = True
    about = "Accounts, contacts and invoices, with who closed the first deal that was won; tickets and completed tasks."
    ways = WAYS

    _winners: Mapping[str, str] | None = None

    def auth_headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.link.secrets.get('token', '')}"}

    def _call(self, method: str, path: str, accept: tuple[int, ...] = (), **given: Any) -> Reply:
        address = str(self.link.options.get("address", "")).rstrip("/")
        reply = self.link.call(method, f"{address}/api/{path}", accept=(401, 403, 404, *accept), **given)
        # A token that it does not know leaves a call without an organisation, which it refuses as 403.
        if reply.status == 401 or (reply.status == 403 and _said(reply.data).startswith(NO_ORGANISATION)):
            raise SignInRefused("BottleCRM does not accept the token: it is wrong, revoked or expired.")
        if reply.status == 403 and 403 not in accept:
            raise SignInRefused(
                f"The token may not {_verb(method)} {path.split('/')[0]} ({_said(reply.data)})."
            )
        if reply.status == 404 and 404 not in accept:
            raise CrmError(f"There is no BottleCRM at {address}.")
        return reply

    def check(self) -> str:
        found, hidden = [], []
        for stream in (one.name for one in STREAMS):
            try:
                found.append(f"{self._list(stream, 0, 1).length:,} {stream}")
            except NotShown:
                hidden.append(stream)
        self._list("opportunities", 0, 1)
        unread = f" Not shown to this token: {', '.join(hidden)}." if hidden else ""
        return f"{', '.join(found)} can be read.{unread}"

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        try:
            rows, later, asked_at = self._walk(stream, position)
        except NotShown:
            return Page([], None)
        return Page([self._record(stream, row) for row in rows], later, asked_at)

    def ids(self, stream: str, position: Position | None) -> IdPage:
        rows, later, _ = self._walk(stream, position)
        return IdPage([str(row["id"]) for row in rows if not _is_gone(stream, row)], later)

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        wanted = set(ids)
        return [self._record(stream, row) for row in self._all(stream) if str(row["id"]) in wanted]

    def _walk(
        self, stream: str, position: Position | None
    ) -> tuple[list[dict[str, Any]], Position | None, dt.datetime | None]:
        """The next rows of a list, and where to go on: at the beginning when its total changed under way."""
        at = position or {"offset": 0, "total": None, "restarts": 0}
        piece = self._list(stream, at["offset"], PAGE)
        rows = [row for row in piece.rows if _is_wanted(stream, row)]
        if at["total"] not in (None, piece.total):
            if at["restarts"] >= MOST_RESTARTS:
                raise CrmError(f"The {stream} of BottleCRM change faster than they can be read.")
            again = {"offset": 0, "total": None, "restarts": at["restarts"] + 1}
            return rows, again, piece.asked_at
        offset = at["offset"] + PAGE
        later = {"offset": offset, "total": piece.total, "restarts": at["restarts"]}
        return rows, later if offset < piece.length else None, piece.asked_at

    def _all(self, stream: str) -> Iterator[dict[str, Any]]:
        position: Position | None = None
        while True:
            rows, position, _ = self._walk(stream, position)
            yield from rows
            if position is None:
                return

    def _list(self, stream: str, offset: int, limit: int) -> Piece:
        """A piece of a list, without what forms choose from (slim). Accounts that are in use and those that are not come
        side by side in one answer, each cut at the same offset."""
        path = PATHS.get(stream, stream)
        asked = {"limit": limit, "offset": offset, "slim": "true"}
        reply = self._call("GET", f"{path}/", (403, 404) if stream in OPTIONAL else (), params=asked)
        if reply.status in (403, 404):
            raise NotShown(f"BottleCRM does not show {stream}: {_said(reply.data)}")
        data = reply.data
        if stream == "accounts":
            used, unused = data["active_accounts"], data["closed_accounts"]
            counts = (int(used["open_accounts_count"]), int(unused["close_accounts_count"]))
            rows = [*used["open_accounts"], *unused["close_accounts"]]
            return Piece(rows, max(counts), sum(counts), reply.date)
        rows_at, count_at = ("results", "count") if "results" in data else (path, f"{path}_count")
        count = int(data[count_at])
        return Piece(data[rows_at], count, count, reply.date)

    def _record(self, stream: str, row: dict[str, Any]) -> Record:
        """A record without figures that BottleCRM works out, and without what is ours."""
        payload = {name: value for name, value in row.items() if name not in LEFT_OUT}
        payload["assigned_to"] = [_person(one) for one in row.get("assigned_to") or []]
        own = row.get("custom_fields") or {}
        payload["custom_fields"] = {name: own[name] for name in own if not name.startswith(OURS)}
        if stream == "contacts":
            linked = [one["id"] for one in row.get("linked_accounts") or []]
            payload["company"] = row.get("account") or next(iter(linked), None)
        if stream == "invoices":
            payload["won_by"] = self._won_by().get(str(row.get("account")))
        if stream == "tickets":
            payload["solved_at"] = _solved(row)
        if stream == "tasks":
            payload |= {"kind": "other", "happened_at": _happened(row)}
        return Record(str(row["id"]), payload, is_deleted=_is_gone(stream, row))

    def _won_by(self) -> Mapping[str, str]:
        """Account -> the e-mail of whoever closed its first deal that was won, else of whom that deal was given to."""
        if self._winners is None:
            won = [
                deal
                for deal in self._all("opportunities")
                if deal.get("stage_kind") == "won" and deal["account"]
            ]
            found: dict[str, str] = {}
            for deal in sorted(won, key=lambda one: (str(one.get("closed_on") or "9999"), str(one["id"]))):
                people = (
                    [deal["closed_by"], *deal["assigned_to"]] if deal["closed_by"] else deal["assigned_to"]
                )
                if people:
                    found.setdefault(str(deal["account"]["id"]), _person(people[0])["email"])
            self._winners = found
        return self._winners

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """Each account by itself: its other custom fields stay as they are."""
        self._make_fields()
        return [self._tell(one) for one in changes]

    def _tell(self, change: Change) -> Pushed:
        body = {"custom_fields": {f"{OURS}{name}": value for name, value in change.fields.items()}}
        reply = self._call("PATCH", f"accounts/{change.source_id}/", body=body, accept=(400, 404))
        if reply.status == 404:
            return Pushed(change.source_id, "This account is not there any more.")
        return Pushed(change.source_id, _said(reply.data) if reply.status == 400 else "")

    def _make_fields(self) -> None:
        """Our custom fields of accounts, made once per connection; only an administrator's token can."""
        if self.link.options.get("has_fields"):
            return
        asked = {"target_model": "Account", "include_counts": "false"}
        known = {one["key"] for one in self._call("GET", "custom-fields/", params=asked).data["definitions"]}
        for order, (name, (label, kind)) in enumerate(FIELDS.items()):
            if f"{OURS}{name}" not in known:
                body = {
                    "target_model": "Account",
                    "key": f"{OURS}{name}",
                    "label": label,
                    "field_type": FIELD_TYPES[kind],
                    "display_order": order,
                }
                self._call("POST", "custom-fields/", body=body)
        self.link.remember({"has_fields": True})


def _is_gone(stream: str, row: Mapping[str, Any]) -> bool:
    return stream == "accounts" and not row.get("is_active", True)


def _is_wanted(stream: str, row: Mapping[str, Any]) -> bool:
    """Tickets and tasks of no account are nothing to us, and neither is a task before its day: BottleCRM does not keep
    when one was completed."""
    if stream not in OPTIONAL:
        return True
    return bool(row["account"]) and str(row.get("due_date") or "") <= timezone.localdate().isoformat()


def _solved(ticket: Mapping[str, Any]) -> str | None:
    """When a ticket was closed. Of some only the day is known, whose beginning may lie before they were opened."""
    if ticket["resolved_at"] is None and ticket["closed_on"]:
        return max(str(ticket["closed_on"]), str(ticket["created_at"]))
    return ticket["resolved_at"]


def _happened(task: Mapping[str, Any]) -> str:
    """The day a task was for, else when it was written down."""
    return str(task["due_date"] or task["created_at"])


def _person(profile: Mapping[str, Any]) -> dict[str, str]:
    """Who a profile is: the rest of it (last sign-in) changes without meaning anything."""
    return {"id": str(profile["id"]), "email": str(profile["user_details"]["email"])}


def _verb(method: str) -> str:
    return "read" if method == "GET" else "change"


def _said(data: Any) -> str:
    """What BottleCRM gives as reason, in one line."""
    text = (data.get("detail") or data.get("errors") or data.get("message")) if isinstance(data, dict) else ""
    return " ".join(str(text or "no reason given").split())[:200]
