"""Salesforce: accounts, contacts, won opportunities, cases and completed tasks, with users; scores written back to custom
fields of accounts.

Changes are asked for in the order (SystemModstamp, Id), deleted records included (queryAll). The rest of a query is read
by the locator Salesforce gives, which lives two days; when it is gone, the pass goes on behind the last record by its
(SystemModstamp, Id). A first load of more than 10,000 records is a query job (Bulk API 2.0) that answers in CSV.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_queryall.htm
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/query_create_job.htm
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from accounts.crm.errors import CrmError, SignInRefused, TryLater
from accounts.crm.link import Reply, retry_after
from accounts.crm.outbox import FIELDS
from accounts.crm.protocol import (
    Ask,
    Change,
    Field,
    IdPage,
    Page,
    Position,
    Pushed,
    Record,
    Renewed,
    Stream,
    Way,
)
from accounts.crm.protocol import Connector as Base
from accounts.crm.vault import Secrets

ADDRESS = "https://login.salesforce.com"
DATA = "/services/data/v62.0"
PAGE = 2_000  # as many as a query answers with at once
SAMPLE = 200
BULK_FROM = 10_000
BULK_PAGE = 10_000
BULK_WAIT = 5.0  # seconds between two looks at a job that is not done
WAIT_FOR_CALLS = 900.0  # seconds until we look whether calls of the day have come free
MOST_USED = 0.9  # of the organisation's calls a day: the last tenth is for its other programs
USERS = "users"
OBJECTS = {
    USERS: "User",
    "accounts": "Account",
    "contacts": "Contact",
    "opportunities": "Opportunity",
    "cases": "Case",
    "tasks": "Task",
}
# Cases and tasks that belong to no account (but to a lead, say) are nothing to us.
ONLY = {"cases": "AccountId != null", "tasks": "AccountId != null"}
# Fields that are made of others here, and those others.
MADE = {"tasks": ("TaskSubtype", "Type", "CompletedDateTime", "ActivityDate")}
OWNER = {"field": "OwnerId", "lookup": USERS, "take": "Email"}
STREAMS = (
    Stream(USERS),
    Stream(
        "accounts",
        "accounts",
        {
            "name": "Name",
            "industry": "Industry",
            "country": "BillingCountry",
            "region": "BillingState",
            "source": "AccountSource",
            "currency": "CurrencyIsoCode",
            "account_manager": OWNER,
        },
    ),
    Stream(
        "contacts",
        "contacts",
        {"account": "AccountId", "name": "Name", "email": "Email", "phone": "Phone", "job_title": "Title"},
    ),
    Stream(
        "opportunities",
        "orders",
        {
            "account": "AccountId",
            "ordered_at": "CloseDate",
            "amount": "Amount",
            "currency": "CurrencyIsoCode",
            "salesperson": OWNER,
        },
        {"IsWon": ["true"]},
    ),
    Stream(
        "cases",
        "issues",
        {
            "account": "AccountId",
            "opened_at": "CreatedDate",
            "resolved_at": "ClosedDate",
            "description": "Subject",
            "theme": "Type",
            "severity": {"field": "Priority", "values": {"Low": "low", "Medium": "medium", "High": "high"}},
            "owner": OWNER,
        },
    ),
    Stream(
        "tasks",
        "interactions",
        {
            "account": "AccountId",
            "happened_at": "done_at",
            "kind": "kind",
            "direction": {"field": "CallType", "values": {"Inbound": "in", "Outbound": "out"}},
            "subject": "Subject",
            "note": "Description",
            "user": OWNER,
        },
        {"IsClosed": ["true"]},
    ),
)
KINDS = {"call": "call", "email": "email", "listemail": "email", "meeting": "meeting"}
NUMBERS = {"currency", "double", "int", "long", "percent"}
BUSY = {"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE"}  # of a row; try it again
IDS = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
# Where these are found: https://help.salesforce.com/s/articleView?id=xcloud.create_a_local_external_client_app.htm
MAKE_APP = (
    "In Salesforce open Setup, then External Client App Manager, and choose New External Client App. You have to be an"
    " administrator. Distribution State: Local."
)
KEYS = (
    "Open the app's Settings, OAuth Settings, Consumer Key and Secret, and copy both into the fields here.",
    "To have scores written back, make the custom fields of accounts that the documentation names.",
)
ADDRESS_ASK = Ask(
    "address",
    "Address of your Salesforce",
    "As the browser shows it after signing in: https://yourcompany.my.salesforce.com",
    is_credential=False,
    is_hidden=False,
)
APP = (
    Ask("client_id", "Consumer key", is_hidden=False),
    Ask("client_secret", "Consumer secret"),
    Ask(
        "currency",
        "Currency",
        "Like EUR; only where your Salesforce has one currency, and another one than your company here.",
        is_credential=False,
        is_hidden=False,
        is_needed=False,
    ),
)
WAYS = (
    Way(
        "app",
        "With an app of your own",
        (ADDRESS_ASK, *APP),
        (
            MAKE_APP,
            "Enable OAuth with the scope \u201cManage user data via APIs (api)\u201d and the Client Credentials Flow.",
            "In its Policies name the user it runs as: one that may see what shall be read, with the permission API Enabled.",
            *KEYS,
        ),
        "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm",
    ),
    Way(
        "oauth",
        "By signing in at Salesforce",
        (ADDRESS_ASK, *APP),
        (
            MAKE_APP,
            "Enable OAuth with the scopes \u201cManage user data via APIs (api)\u201d and \u201cPerform requests at any time"
            " (refresh_token, offline_access)\u201d; leave Require Proof Key for Code Exchange (PKCE) on.",
            *KEYS,
        ),
        "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_web_server_flow.htm",
        signs_in=True,
    ),
)


class Connector(Base):
    """Credentials: client_id and client_secret of an app (client credentials flow), and refresh_token where a person
    signed in. Options: address (My Domain), and `currency` for organisations that have one only and do not say it."""

    label = "Salesforce"
    credential_names = ("client_id", "client_secret", "refresh_token", "access_token", "instance_url")
    calls_per_second = 10.0
    burst = 10
    overlap = dt.timedelta(minutes=10)
    push_size = 200
    can_push = True
    takes_proof = True
    about = "Accounts, contacts, won opportunities with who won them, cases and completed tasks."
    ways = WAYS

    _described: dict[str, dict[str, dict[str, Any]]] | None = None
    _used: float = 0.0

    @property
    def address(self) -> str:
        return str(self.link.options.get("address") or ADDRESS).rstrip("/")

    def auth_headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.link.secrets.get('access_token', '')}"}

    def _call(self, method: str, path: str, *, accept: tuple[int, ...] = (), **given: Any) -> Reply:
        """One call to the instance that the token belongs to. TryLater while the calls of the day are used up:
        https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm"""
        if self._used > MOST_USED:
            raise TryLater(
                f"{self._used:.0%} of the calls a day of your Salesforce are used; the rest is left to others.",
                WAIT_FOR_CALLS,
            )
        if not self.link.secrets.get("access_token"):
            self.link.renew()
        instance = str(self.link.secrets.get("instance_url") or self.address).rstrip("/")
        reply = self.link.call(method, instance + path, accept=(*accept, 403), **given)
        self._used = _used(reply.headers.get("sforce-limit-info", ""))
        if reply.status == 403:
            self._refused(reply)
        return reply

    def _refused(self, reply: Reply) -> None:
        """https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm"""
        code, said = _error(reply.data)
        if code != "REQUEST_LIMIT_EXCEEDED":
            raise SignInRefused(f"The user of the connection may not do this ({said}).")
        seconds = retry_after(reply.headers) or WAIT_FOR_CALLS
        self.link.pace.block(seconds)
        raise TryLater(f"The calls of your Salesforce are used up ({said}).", seconds)

    def check(self) -> str:
        missing = [f"{OBJECTS[one.name]}.{name}" for one in STREAMS if one.kind for name in self._unseen(one)]
        found = f"{self._count('accounts'):,} accounts can be read."
        return found + (f" The user may not see {', '.join(missing)}." if missing else "")

    def _unseen(self, stream: Stream) -> list[str]:
        """Mapped fields that the user may not see; the currency is there only where there are several."""
        described = self._describe(stream.name)
        return sorted(self._asked(stream.name) - set(described) - {"CurrencyIsoCode"})

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    def fields(self, stream: str) -> Sequence[Field]:
        made = [Field("done_at", "Completed at"), Field("kind", "Kind")] if stream in MADE else []
        known = self._describe(stream).items()
        return [
            *made,
            *(Field(name, str(one["label"])) for name, one in known if not name.startswith("Mainstay_")),
        ]

    # What there is ----------------------------------------------------------------------------------------------

    def _describe(self, stream: str) -> dict[str, dict[str, Any]]:
        """The fields of an object that the user may see, by name:
        https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_describe.htm"""
        if self._described is None:
            self._described = {}
        if stream not in self._described:
            name = OBJECTS[stream]
            reply = self._call("GET", f"{DATA}/sobjects/{name}/describe", accept=(404,))
            if reply.status == 404:
                raise CrmError(f"The user of the connection may not see {name}; allow it, or leave it out.")
            self._described[stream] = {one["name"]: one for one in reply.data["fields"]}
        return self._described[stream]

    def _asked(self, stream: str) -> set[str]:
        shipped = next(one for one in STREAMS if one.name == stream)
        made = {"done_at", "kind"} if stream in MADE else set()
        fields = self.link.mapped_fields(shipped) - made | set(MADE.get(stream, ()))
        return fields | ({"Email", "Name"} if stream == USERS else set())

    def _fields(self, stream: str) -> list[str]:
        """The fields to ask for: those the map reads and the user may see."""
        return sorted(self._asked(stream) & set(self._describe(stream)))

    def _count(self, stream: str) -> int:
        soql = f"SELECT count() FROM {OBJECTS[stream]}{_where(ONLY.get(stream))}"  # noqa: S608 - SOQL of ours
        return int(self._call("GET", f"{DATA}/query", params={"q": soql}).data["totalSize"])

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        at = position or {}
        if "job" in at:
            return self._from_job(stream, at)
        if position is None and since is None and self._count(stream) > BULK_FROM:
            return self._begin_job(stream)
        return self._query(stream, since, at)

    def sample(self, stream: str) -> Sequence[Record]:
        soql = f"{self._soql(stream, None, {})} LIMIT {SAMPLE}"
        rows = self._call("GET", f"{DATA}/query", params={"q": soql}).data["records"]
        return [self._record(stream, row) for row in rows]

    def _query(self, stream: str, since: dt.datetime | None, at: Position) -> Page:
        reply = self._call("GET", _path(at["next"]), accept=(400, 404)) if at.get("next") else None
        if reply is not None and reply.status >= 400 and _error(reply.data)[0] != "INVALID_QUERY_LOCATOR":
            raise CrmError(f"Salesforce does not go on with the query: {_error(reply.data)[1]}")
        if reply is None or reply.status >= 400:
            kind = "query" if since is None else "queryAll"
            reply = self._call("GET", f"{DATA}/{kind}", params={"q": self._soql(stream, since, at)})
        rows = reply.data["records"]
        records = [self._record(stream, row) for row in rows]
        if reply.data.get("done", True) or not rows:
            return Page(records, None, reply.date)
        last = {"at": _literal(_time(rows[-1]["SystemModstamp"])), "id": rows[-1]["Id"]}
        return Page(records, {"next": reply.data["nextRecordsUrl"], **last}, reply.date)

    def _soql(self, stream: str, since: dt.datetime | None, at: Position) -> str:
        later = f"SystemModstamp >= {_literal(since)}" if since else None
        if at.get("id"):
            later = (
                f"(SystemModstamp > {at['at']} OR (SystemModstamp = {at['at']} AND Id > '{_id(at['id'])}'))"
            )
        return f"{self._select(stream)}{_where(later, ONLY.get(stream))} ORDER BY SystemModstamp, Id"

    def _select(self, stream: str) -> str:
        deleted = ["IsDeleted"] if "IsDeleted" in self._describe(stream) else []
        names = {"Id", "SystemModstamp", *deleted, *self._fields(stream)}
        return f"SELECT {', '.join(sorted(names))} FROM {OBJECTS[stream]}"  # noqa: S608 - SOQL of names it gave

    def _begin_job(self, stream: str) -> Page:
        body = {"operation": "query", "query": self._select(stream) + _where(ONLY.get(stream))}
        reply = self._call("POST", f"{DATA}/jobs/query", body=body)
        return Page([], {"job": str(reply.data["id"])}, reply.date)

    def _from_job(self, stream: str, at: Position) -> Page:
        """A part of the result of a job, or nothing while it is worked on. A job that failed or is gone is replaced by
        a query."""
        path = f"{DATA}/jobs/query/{_id(at['job'])}"
        if not at.get("is_done"):
            state = self._call("GET", path, accept=(404,))
            name = str((state.data or {}).get("state")) if state.status < 400 else "gone"
            if name in {"UploadComplete", "InProgress"}:
                self.link.still_here()
                time.sleep(BULK_WAIT)
                return Page([], at, state.date)
            if name != "JobComplete":
                return Page([], {"by": "query"}, state.date)
        asked = {"maxRecords": BULK_PAGE, **({"locator": at["locator"]} if at.get("locator") else {})}
        reply = self._call("GET", f"{path}/results", params=asked, accept=(404,))
        if reply.status == 404:
            return Page([], {"by": "query"}, reply.date)
        rows = _rows(reply)
        locator = reply.headers.get("sforce-locator", "null")
        on = None if locator in {"", "null"} else {"job": at["job"], "is_done": True, "locator": locator}
        return Page([self._record(stream, row) for row in rows], on, reply.date)

    def _record(self, stream: str, row: Mapping[str, Any]) -> Record:
        """A record without its time of change: that also moves when we write our own fields."""
        described = self._describe(stream)
        payload: dict[str, Any] = {"Id": row["Id"]}
        for name in self._fields(stream):
            payload[name] = _plain(row.get(name), str(described[name]["type"]))
        if stream in MADE:
            payload |= _made(payload)
        if "CurrencyIsoCode" in self._asked(stream) and not payload.get("CurrencyIsoCode"):
            payload["CurrencyIsoCode"] = self.link.options.get("currency")
        is_deleted = _plain(row.get("IsDeleted"), "boolean") is True
        return Record(str(row["Id"]), payload, _time(row["SystemModstamp"]), is_deleted)

    def ids(self, stream: str, position: Position | None) -> IdPage:
        after = f"Id > '{_id(position['after'])}'" if position else None
        soql = f"SELECT Id FROM {OBJECTS[stream]}{_where(after, ONLY.get(stream))} ORDER BY Id LIMIT {PAGE}"  # noqa: S608
        rows = self._call("GET", f"{DATA}/query", params={"q": soql}).data["records"]
        ids = [str(row["Id"]) for row in rows]
        return IdPage(ids, {"after": ids[-1]} if len(ids) == PAGE else None)

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        wanted = ", ".join(f"'{_id(one)}'" for one in ids)
        soql = self._select(stream) + _where(f"Id IN ({wanted})")
        rows = self._call("GET", f"{DATA}/query", params={"q": soql}).data["records"]
        return [self._record(stream, row) for row in rows]

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """Up to 200 accounts in one call, each with a result of its own in the order they were sent:
        https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_update.htm"""
        self._check_fields()
        body = {"allOrNone": False, "records": [_as_account(one) for one in changes]}
        reply = self._call("PATCH", f"{DATA}/composite/sobjects", body=body, accept=(400,))
        if reply.status >= 400 and len(changes) > 1:
            # A request that is not well formed fails as a whole: each by itself says which.
            return [result for one in changes for result in self.push([one])]
        if reply.status >= 400:
            return [Pushed(changes[0].source_id, _error(reply.data)[1])]
        return [_result(one, row) for one, row in zip(changes, reply.data, strict=True)]

    def _check_fields(self) -> None:
        """Custom fields are made by an administrator: an app that could would need the right to change everything."""
        described = self._describe("accounts")
        missing = [
            label
            for name, (label, _) in FIELDS.items()
            if not described.get(_custom(name), {}).get("updateable")
        ]
        if missing:
            raise CrmError(
                f"Accounts in Salesforce have no field {', '.join(missing)} that the user of the connection may edit."
                " Make them in Setup, Object Manager, Account, Fields & Relationships (the documentation says how)."
            )

    # Signing ----------------------------------------------------------------------------------------------------

    def sign_in_address(self, back: str, state: str, proof: Mapping[str, str]) -> str:
        asked = {
            "response_type": "code",
            "client_id": self.link.secrets["client_id"],
            "redirect_uri": back,
            "scope": "api refresh_token",
            "state": state,
            **proof,
        }
        return f"{self.address}/services/oauth2/authorize?{urlencode(asked)}"

    def take_code(self, code: str, back: str, proof: Mapping[str, str]) -> Renewed:
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        return self._tokens(self.link.secrets, Secrets({**asked, **proof}))

    def refresh(self, credentials: Mapping[str, str]) -> Renewed | None:
        """Access tokens say no time of expiry: they are renewed when one is refused (401 INVALID_SESSION_ID).
        https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_refresh_token_flow.htm"""
        if credentials.get("refresh_token"):
            token = credentials["refresh_token"]
            return self._tokens(credentials, {"grant_type": "refresh_token", "refresh_token": token})
        if credentials.get("client_id") and credentials.get("client_secret"):
            return self._tokens(credentials, {"grant_type": "client_credentials"})
        return None

    def _tokens(self, credentials: Mapping[str, str], asked: Mapping[str, str]) -> Renewed:
        names = ("client_id", "client_secret")
        # As Secrets, because an error page shows what local variables hold.
        form = Secrets({**asked, **{name: credentials.get(name, "") for name in names}})
        url = f"{self.address}/services/oauth2/token"
        reply = self.link.call("POST", url, form=form, signs_in=False, accept=(400, 401))
        if reply.status >= 400:
            said = (reply.data or {}).get("error_description") or (reply.data or {}).get("error")
            raise SignInRefused(f"Salesforce gives no new token ({said}); connect it anew.")
        given = ("access_token", "refresh_token", "instance_url")
        fresh = Secrets({name: str(reply.data[name]) for name in given if reply.data.get(name)})
        if "access_token" not in fresh:
            raise CrmError("Salesforce gave no access token.")
        return Renewed(fresh, None)


def _where(*conditions: str | None) -> str:
    found = [one for one in conditions if one]
    return f" WHERE {' AND '.join(found)}" if found else ""


def _literal(moment: dt.datetime | None) -> str:
    """A time as SOQL takes it: UTC, milliseconds, rounded down."""
    assert moment is not None
    utc = moment.astimezone(dt.UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def _id(text: Any) -> str:
    """An id that may stand in a query."""
    if not IDS.fullmatch(str(text)):
        raise CrmError(f"'{str(text)[:30]}' is no id of Salesforce.")
    return str(text)


def _path(text: Any) -> str:
    """Where a query goes on: a path of the instance, and no other address."""
    if not str(text).startswith("/services/data/"):
        raise CrmError("Salesforce names a strange address to go on at.")
    return str(text)


def _time(text: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(str(text))


def _plain(value: Any, kind: str) -> Any:
    """A value the same whether it came as JSON (query) or as CSV (job): nothing as None, numbers as text without
    needless zeros, times in UTC."""
    if value in (None, ""):
        return None
    if kind == "boolean":
        return value is True or str(value).lower() == "true"
    if kind in NUMBERS:
        try:
            return f"{Decimal(str(value)).normalize():f}"
        except InvalidOperation:
            return str(value)
    if kind == "datetime":
        return _time(value).astimezone(dt.UTC).isoformat()
    return value if isinstance(value, Mapping) else str(value)


def _made(task: Mapping[str, Any]) -> dict[str, Any]:
    """When a task was done (tasks closed before 2018 only have a day), and what kind of touch it was."""
    words = [str(task.get(name) or "").lower() for name in ("TaskSubtype", "Type")]
    kind = next((KINDS[word] for word in words if word in KINDS), "other")
    return {"done_at": task.get("CompletedDateTime") or task.get("ActivityDate"), "kind": kind}


def _rows(reply: Reply) -> list[dict[str, Any]]:
    """The records of a CSV part. TryLater when fewer came than were announced.
    https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/query_get_job_results.htm"""
    try:
        rows = list(csv.DictReader(io.StringIO(str(reply.data or ""), newline="")))
    except csv.Error:
        rows = []
    announced = reply.headers.get("sforce-numberofrecords", "")
    if announced != str(len(rows)) or any(None in row or None in row.values() for row in rows):
        raise TryLater("Salesforce answered with a part of the records only.", 5)
    return rows


def _used(header: str) -> float:
    """The share of the calls of a day that is used: `api-usage=18/5000`."""
    found = re.search(r"api-usage=(\d+)/(\d+)", header)
    return int(found.group(1)) / int(found.group(2)) if found and int(found.group(2)) else 0.0


def _error(data: Any) -> tuple[str, str]:
    """Code and message of an error answer: a list with one object."""
    first = data[0] if isinstance(data, list) and data else data
    first = first if isinstance(first, Mapping) else {}
    return str(first.get("errorCode", "")), str(first.get("message") or "no reason given")[:300]


def _custom(name: str) -> str:
    """The field that Salesforce makes of our label."""
    return FIELDS[name][0].replace(" ", "_") + "__c"


def _as_account(change: Change) -> dict[str, Any]:
    told = {}
    for name, value in change.fields.items():
        is_number = FIELDS[name][1] == "number" and value is not None
        told[_custom(name)] = float(value) if is_number else value
    return {"attributes": {"type": "Account"}, "id": change.source_id, **told}


def _result(change: Change, row: Mapping[str, Any]) -> Pushed:
    if row.get("success"):
        return Pushed(change.source_id)
    error: Mapping[str, Any] = next(iter(row.get("errors") or ()), {})
    code = str(error.get("statusCode", ""))
    return Pushed(change.source_id, f"{error.get('message', 'refused')} ({code})"[:300], code not in BUSY)
