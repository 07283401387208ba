"""A local stand-in for Salesforce, written by us after its published REST and Bulk 2.0 API: SOQL of the kind we ask,
answers in parts with locators that expire, query jobs that answer in CSV, deleted records in queryAll only, fields
that the user may not see, 401 for tokens that expired, 403 REQUEST_LIMIT_EXCEEDED, a result per row of a collection.
It is not Salesforce, and proves nothing about it.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_list.htm
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.crm.servers import base
from tests.crm.servers.base import Answer, Request

PREFIXES = {
    "User": "005",
    "Account": "001",
    "Contact": "003",
    "Opportunity": "006",
    "Case": "500",
    "Task": "00T",
}
REFERENCES = {"OwnerId": "reference", "AccountId": "reference"}
OWNED = {"Id": "id", "SystemModstamp": "datetime", "IsDeleted": "boolean", "OwnerId": "reference"}
SCHEMA: dict[str, dict[str, str]] = {
    "User": {"Id": "id", "SystemModstamp": "datetime", "Name": "string", "Email": "email"},
    "Account": OWNED | {
        "Name": "string", "Industry": "picklist", "BillingCountry": "string", "BillingState": "string",
        "AccountSource": "picklist",
    },
    "Contact": OWNED | {
        "AccountId": "reference", "Name": "string", "Email": "email", "Phone": "phone", "Title": "string",
    },
    "Opportunity": OWNED | {
        "AccountId": "reference", "Amount": "currency", "CloseDate": "date", "IsWon": "boolean",
    },
    "Case": OWNED | {
        "AccountId": "reference", "CreatedDate": "datetime", "ClosedDate": "datetime", "Subject": "string",
        "Type": "picklist", "Priority": "picklist",
    },
    "Task": OWNED | {
        "AccountId": "reference", "TaskSubtype": "picklist", "Type": "picklist", "CompletedDateTime": "datetime",
        "ActivityDate": "date", "CallType": "picklist", "Subject": "string", "Description": "textarea",
        "IsClosed": "boolean",
    },
}  # fmt: skip
CUSTOM = (
    "Mainstay_churn_probability__c", "Mainstay_tier__c", "Mainstay_reasons__c", "Mainstay_revenue_at_risk_a_year__c",
    "Mainstay_currency__c", "Mainstay_next_touchpoint__c",
)  # fmt: skip
QUERY = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<object>\w+)(?: WHERE (?P<where>.+?))?"
    r"(?: ORDER BY (?P<order>[\w, ]+?))?(?: LIMIT (?P<limit>\d+))?"
)
TOKEN = re.compile(r"\s*(\(|\)|AND\b|OR\b|IN\b|>=|!=|>|=|,|'[^']*'|[\w.:+-]+)")


def sf_id(object_name: str, number: int | str) -> str:
    """An id of eighteen characters."""
    return number if isinstance(number, str) else f"{PREFIXES[object_name]}5g{number:010d}AAA"


class Where:
    """A condition of SOQL, as far as we ask: comparisons, AND, OR, IN, parentheses."""

    def __init__(self, text: str) -> None:
        self.tokens = TOKEN.findall(text)
        self.at = 0

    def holds(self, row: dict[str, Any]) -> bool:
        self.at = 0
        result = self._either(row)
        assert self.at == len(self.tokens), f"SOQL is not understood from {self.tokens[self.at :]}"
        return result

    def _next(self) -> str:
        self.at += 1
        return str(self.tokens[self.at - 1])

    def _peek(self) -> str:
        return str(self.tokens[self.at]) if self.at < len(self.tokens) else ""

    def _either(self, row: dict[str, Any]) -> bool:
        found = self._both(row)
        while self._peek() == "OR":
            self._next()
            found = self._both(row) or found
        return found

    def _both(self, row: dict[str, Any]) -> bool:
        found = self._one(row)
        while self._peek() == "AND":
            self._next()
            found = self._one(row) and found
        return found

    def _one(self, row: dict[str, Any]) -> bool:
        token = self._next()
        if token == "(":
            found = self._either(row)
            assert self._next() == ")"
            return found
        value, how = row.get(token), self._next()
        if how == "IN":
            assert self._next() == "("
            wanted = []
            while (word := self._next()) != ")":
                wanted.append(word.strip("'"))
            return value in wanted
        other: Any = self._next()
        if other == "null":
            return (value is not None) is (how == "!=")
        if not other.startswith("'"):  # a time
            other, value = datetime.fromisoformat(other), datetime.fromisoformat(str(value))
        else:
            other = other.strip("'")
        return {">": value > other, ">=": value >= other, "=": value == other}[how]


@dataclass
class Salesforce(base.World):
    """The organisation, and how it behaves."""

    records: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {name: {} for name in SCHEMA}
    )
    hidden: set[str] = field(default_factory=set)  # "Account.Industry"
    custom: set[str] = field(default_factory=lambda: set(CUSTOM))
    tokens: set[str] = field(default_factory=lambda: {"token-one"})
    refresh_token: str = "refresh-me"
    refreshed: int = 0
    agreed: int = 0
    codes: dict[str, str] = field(default_factory=dict)  # code -> challenge
    instance_url: str = ""
    page: int = 2_000
    locators: dict[str, tuple[list[dict[str, Any]], int]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks_until_done: int = 1
    job_state: str = "JobComplete"
    used_calls: int = 0
    daily_calls: int = 15_000
    locked: set[str] = field(default_factory=set)
    now: datetime = datetime(2025, 10, 1, 8, tzinfo=UTC)

    def tick(self) -> str:
        self.now += timedelta(seconds=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def put(self, name: str, number: int | str, *, at: str = "", **values: Any) -> str:
        """Create or change a record; its id."""
        key = sf_id(name, number)
        known = self.records[name].get(key, {"Id": key, "IsDeleted": False})
        self.records[name][key] = known | values | {"SystemModstamp": at or self.tick()}
        return key

    def delete(self, name: str, number: int) -> None:
        """Into the recycle bin."""
        self.put(name, number, IsDeleted=True)

    def purge(self, name: str, number: int) -> None:
        del self.records[name][sf_id(name, number)]

    # Answers ----------------------------------------------------------------------------------------------------

    def judge(self, request: Request) -> Answer:
        if request.path == "/services/oauth2/token":
            return self._token(request.body)
        if request.bearer not in self.tokens:
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        self.used_calls += 1
        if self.used_calls > self.daily_calls:
            return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        answer = self._answer(request, request.path.removeprefix("/services/data/v62.0/").split("/"))
        usage = {"Sforce-Limit-Info": f"api-usage={self.used_calls}/{self.daily_calls}"}
        return Answer(answer.status, answer.data, {**answer.headers, **usage}, answer.content_type)

    def _answer(self, request: Request, path: list[str]) -> Answer:
        if path[0] in {"query", "queryAll"}:
            return self._more(path[1]) if len(path) > 1 else self._query(path[0], request.query["q"])
        if path[0] == "sobjects" and path[2:] == ["describe"]:
            return self._describe(path[1])
        if path[:2] == ["jobs", "query"]:
            return self._job(request, path[2:])
        if path == ["composite", "sobjects"] and request.method == "PATCH":
            return self._update(request.body)
        return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def _visible(self, name: str) -> dict[str, str]:
        own = dict.fromkeys(sorted(self.custom), "string") if name == "Account" else {}
        return {
            key: kind for key, kind in {**SCHEMA[name], **own}.items() if f"{name}.{key}" not in self.hidden
        }

    def _describe(self, name: str) -> Answer:
        if name not in SCHEMA or name in self.hidden:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        fields = [
            {"name": key, "label": key, "type": kind, "updateable": key != "Id"}
            for key, kind in self._visible(name).items()
        ]
        return Answer(200, {"name": name, "fields": fields})

    def _find(self, soql: str, with_deleted: bool) -> tuple[list[str], list[dict[str, Any]]] | Answer:
        found = QUERY.fullmatch(soql)
        if found is None:
            return _error(400, "MALFORMED_QUERY", f"unexpected token in {soql}")
        name, fields = found["object"], [one.strip() for one in found["fields"].split(",")]
        if name in self.hidden:
            return _error(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
        for unknown in set(fields) - set(self._visible(name)) - {"count()"}:
            return _error(400, "INVALID_FIELD", f"No such column '{unknown}' on entity '{name}'")
        where = Where(found["where"]) if found["where"] else None
        rows = [
            row
            for row in self.records[name].values()
            if (with_deleted or not row["IsDeleted"]) and (where is None or where.holds(row))
        ]
        if found["order"]:
            rows.sort(key=lambda row: tuple(row[key.strip()] for key in found["order"].split(",")))
        return fields, rows[: int(found["limit"])] if found["limit"] else rows

    def _query(self, kind: str, soql: str) -> Answer:
        found = self._find(soql, kind == "queryAll")
        if isinstance(found, Answer):
            return found
        fields, rows = found
        if fields == ["count()"]:
            return Answer(200, {"totalSize": len(rows), "done": True, "records": []})
        shown = [{"attributes": {"type": "x"}, **{key: row.get(key) for key in fields}} for row in rows]
        locator = f"0r8{len(self.locators):012d}AAA"
        self.locators[locator] = (shown, 0)
        return self._part(locator, shown, 0)

    def _more(self, text: str) -> Answer:
        locator, _, offset = text.partition("-")
        if locator not in self.locators:
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._part(locator, self.locators[locator][0], int(offset))

    def _part(self, locator: str, rows: list[dict[str, Any]], offset: int) -> Answer:
        end = offset + self.page
        answer: dict[str, Any] = {
            "totalSize": len(rows),
            "done": end >= len(rows),
            "records": rows[offset:end],
        }
        if end < len(rows):
            answer["nextRecordsUrl"] = f"/services/data/v62.0/query/{locator}-{end}"
        return Answer(200, answer)

    def _job(self, request: Request, rest: list[str]) -> Answer:
        if not rest:
            found = self._find(request.body["query"], request.body["operation"] == "queryAll")
            if isinstance(found, Answer):
                return found
            if "ORDER BY" in request.body["query"]:
                return _error(400, "API_ERROR", "ORDER BY is not supported")
            key = f"750{len(self.jobs):012d}AAA"
            self.jobs[key] = {"fields": found[0], "rows": found[1], "looks": 0}
            return Answer(200, {"id": key, "operation": "query", "state": "UploadComplete"})
        job = self.jobs.get(rest[0])
        if job is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        if len(rest) == 1:
            job["looks"] += 1
            is_done = job["looks"] > self.looks_until_done
            return Answer(200, {"id": rest[0], "state": self.job_state if is_done else "InProgress"})
        return self._results(job, request.query)

    @staticmethod
    def _results(job: dict[str, Any], query: dict[str, str]) -> Answer:
        start, most = int(query.get("locator", 0)), int(query["maxRecords"])
        rows = job["rows"][start : start + most]
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(job["fields"])
        writer.writerows([_cell(row.get(key)) for key in job["fields"]] for row in rows)
        locator = str(start + most) if start + most < len(job["rows"]) else "null"
        headers = {"Sforce-Locator": locator, "Sforce-NumberOfRecords": str(len(rows))}
        return Answer(200, text.getvalue(), headers, "text/csv; charset=UTF-8")

    def _update(self, body: dict[str, Any]) -> Answer:
        if len(body["records"]) > 200:
            return _error(400, "EXCEEDED_MAX_SIZE_REQUEST", "record limit reached: 200")
        return Answer(200, [self._save(one) for one in body["records"]])

    def _save(self, one: dict[str, Any]) -> dict[str, Any]:
        name, key = one["attributes"]["type"], one["id"]
        values = {field_: value for field_, value in one.items() if field_ not in {"attributes", "id"}}
        row = self.records[name].get(key)
        if row is None or row["IsDeleted"]:
            return _refusal("ENTITY_IS_DELETED", "entity is deleted")
        if key in self.locked:
            return _refusal("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        for unknown in set(values) - set(self._visible(name)):
            return _refusal("INVALID_FIELD", f"No such column '{unknown}' on sobject of type {name}")
        self.put(name, key, **values)
        return {"id": key, "success": True, "errors": []}

    def agree(self, address: str) -> str:
        """What somebody who agrees on the page at `address` comes back with. The app requires proof (PKCE, RFC 7636).
        https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_pkce.htm"""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["client_id"] == "app"
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == 43
        self.agreed += 1
        code = f"code-{self.agreed}"
        self.codes[code] = asked["code_challenge"]
        return code

    def _token(self, form: dict[str, str]) -> Answer:
        known = form.get("client_id") == "app" and form.get("client_secret") == "hush-client-secret"
        is_good = {
            "refresh_token": form.get("refresh_token") == self.refresh_token,
            "client_credentials": True,
            "authorization_code": form.get("code") in self.codes,
        }.get(form.get("grant_type", ""), False)
        if known and form.get("code") in self.codes:
            challenge = self.codes.pop(form["code"])  # good for one call
            if challenge != _challenge(form.get("code_verifier", "")):
                said = {"error": "invalid_grant", "error_description": "invalid code verifier"}
                return Answer(400, said)
        if not known or not is_good:
            said = "expired access/refresh token" if known else "invalid client credentials"
            return Answer(400, {"error": "invalid_grant", "error_description": said})
        self.refreshed += 1
        fresh = f"token-fresh-{self.refreshed}"
        self.tokens = {fresh}
        answer = {"access_token": fresh, "instance_url": self.instance_url, "token_type": "Bearer"}
        if form["grant_type"] == "authorization_code":
            answer["refresh_token"] = self.refresh_token
        return Answer(200, answer)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _cell(value: Any) -> Any:
    """As CSV writes it: times with Z, numbers with their zeros."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.endswith("+0000"):
        return value.removesuffix("+0000") + "Z"
    return "" if value is None else value


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, [{"message": message, "errorCode": code}])


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}


class Server(base.Server):
    """The stand-in on a port of its own."""

    world: Salesforce

    def __init__(self) -> None:
        super().__init__(Salesforce())
        self.world.instance_url = self.address


def fill(world: Salesforce, companies: int = 20) -> None:
    """`companies` accounts with a contact, a won and an open opportunity, a case and a completed call each. User 7 won
    everything; user 8 manages all accounts."""
    seller = world.put("User", 7, Name="Rep", Email="rep@example.com")
    manager = world.put("User", 8, Name="Elsewhere", Email="nobody-here@example.com")
    for number in range(1, companies + 1):
        account = world.put(
            "Account",
            number,
            Name=f"Company {number}",
            Industry="Food",
            BillingCountry="Austria",
            OwnerId=manager,
        )
        world.put(
            "Contact",
            number,
            AccountId=account,
            Name=f"Ann Of {number}",
            Email=f"ann{number}@customer.example",
        )
        for won in (True, False):
            world.put(
                "Opportunity", number * 10 + won, AccountId=account, Amount=100.0 * number + 0.5, IsWon=won,
                CloseDate=f"2025-03-{1 + number % 28:02d}", OwnerId=seller,
            )  # fmt: skip
        world.put(
            "Case", number, AccountId=account, CreatedDate="2025-05-02T09:30:00.000+0000", Subject="Late, again",
            Type="Delivery", Priority="High", OwnerId=seller,
        )  # fmt: skip
        world.put(
            "Task", number, AccountId=account, TaskSubtype="Call", CallType="Outbound", IsClosed=True,
            CompletedDateTime="2025-06-01T12:00:00.000+0000", Subject="Called", OwnerId=seller,
        )  # fmt: skip
    world.put("Case", 9_001, AccountId=None, CreatedDate="2025-05-02T09:30:00.000+0000", Subject="Nobody's")
    world.put("Task", 9_001, AccountId=None, TaskSubtype="Task", IsClosed=True, ActivityDate="2025-06-01")
