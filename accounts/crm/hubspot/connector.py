"""HubSpot: companies, contacts, deals, tickets, calls, meetings and e-mails, with owners; scores written back as custom
properties of companies.

The first load lists; later passes search by time of change. A search gives no more than 10,000 results, so it is cut
into windows: when one is nearly full, the next begins at the time of the last record; when more records than that
share one millisecond (an import over there), they are walked through by id.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from accounts.crm.errors import CrmError, NotShown, SignInRefused, WebhookRefused
from accounts.crm.link import Reply
from accounts.crm.outbox import FIELDS
from accounts.crm.protocol import (
    Ask,
    Change,
    Field,
    Hint,
    IdPage,
    Page,
    Position,
    Pushed,
    Record,
    Renewed,
    Stream,
    Way,
    WebhookCall,
)
from accounts.crm.protocol import Connector as Base
from accounts.crm.vault import Secrets

ADDRESS = "https://api.hubapi.com"
PAGE = 100
SEARCH_STOP = 10_000
OLDEST_WEBHOOK = dt.timedelta(minutes=5)
OWNERS = "owners"
TICKETS = "tickets"
KINDS = {"calls": "call", "meetings": "meeting", "emails": "email"}  # of interactions here
# What a key may lack the right to without harm to the rest. Of no company, they are nothing to us.
OPTIONAL = (TICKETS, *KINDS)
CHANGED = {
    "companies": "hs_lastmodifieddate",
    "contacts": "lastmodifieddate",
    "deals": "hs_lastmodifieddate",
    **dict.fromkeys(OPTIONAL, "hs_lastmodifieddate"),
}
# Fields that others here are made of.
MADE = {"emails": ("hs_email_direction", "hs_email_status")}
# https://developers.hubspot.com/docs/guides/crm/understanding-the-crm
OBJECT_TYPES = {
    "0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": TICKETS, "0-47": "meetings", "0-48": "calls", "0-49": "emails",
}  # fmt: skip
SUBSCRIPTIONS = {"contact": "contacts", "company": "companies", "deal": "deals", "ticket": TICKETS}
OWNER = {"field": "properties.hubspot_owner_id", "lookup": OWNERS, "take": "email"}
WON = {"properties.hs_is_closed_won": ["true"]}
OF_COMPANIES = frozenset({"deals", *OPTIONAL})  # whose company is asked for apart
CONVERSATION = {"account": "company", "happened_at": "properties.hs_timestamp", "kind": "kind", "user": OWNER}
STREAMS = (
    Stream(OWNERS),
    Stream(
        "companies",
        "accounts",
        {
            "name": "properties.name",
            "industry": "properties.industry",
            "country": "properties.country",
            "region": "properties.state",
            "account_manager": OWNER,
            "source": "properties.hs_analytics_source",
        },
    ),
    Stream(
        "contacts",
        "contacts",
        {
            "account": "properties.associatedcompanyid",
            "name": {"join": ["properties.firstname", "properties.lastname"]},
            "email": "properties.email",
            "phone": "properties.phone",
            "job_title": "properties.jobtitle",
        },
    ),
    Stream(
        "deals",
        "orders",
        {
            "account": "company",
            "ordered_at": "properties.closedate",
            "amount": "properties.amount",
            "currency": "properties.deal_currency_code",
            "salesperson": OWNER,
        },
        WON,
    ),
    Stream(
        TICKETS,
        "issues",
        {
            "account": "company",
            "opened_at": "properties.createdate",
            "resolved_at": "properties.closed_date",
            "description": "properties.subject",
            "theme": "properties.hs_ticket_category",
            "severity": {
                "field": "properties.hs_ticket_priority",
                "values": {"LOW": "low", "MEDIUM": "medium", "HIGH": "high", "URGENT": "high"},
            },
            "owner": OWNER,
        },
    ),
    Stream(
        "calls",
        "interactions",
        {
            **CONVERSATION,
            "direction": {
                "field": "properties.hs_call_direction",
                "values": {"INBOUND": "in", "OUTBOUND": "out"},
            },
            "subject": "properties.hs_call_title",
        },
        {"properties.hs_call_status": ["COMPLETED"]},
    ),
    Stream(
        "meetings",
        "interactions",
        {**CONVERSATION, "subject": "properties.hs_meeting_title"},
        {"properties.hs_meeting_outcome": ["COMPLETED"]},
    ),
    Stream(
        "emails",
        "interactions",
        {
            **CONVERSATION,
            "direction": {
                "field": "properties.hs_email_direction",
                "values": {"INCOMING_EMAIL": "in", "EMAIL": "out"},
            },
            "subject": "properties.hs_email_subject",
        },
        {"arrived": ["true"]},
    ),
)
# What HubSpot leaves encoded or not when it signs an address (its documentation of signature v3).
DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
# Association types of the primary company: of a deal and of a ticket; what else there is has none.
# https://developers.hubspot.com/docs/api-reference/crm-associations-v4/guide
PRIMARY = frozenset({5, 26})
PROPERTY_TYPES = {"number": ("number", "number"), "text": ("string", "textarea"), "date": ("date", "date")}
SIGN_IN = "https://app.hubspot.com/oauth/authorize"
SCOPES = (
    "oauth crm.objects.companies.read crm.objects.contacts.read crm.objects.deals.read crm.objects.owners.read"
    " crm.objects.companies.write crm.schemas.companies.write"
)
NAMED_SCOPES = (
    "crm.objects.companies.read, crm.objects.contacts.read, crm.objects.deals.read and crm.objects.owners.read; to"
    " write scores back also crm.objects.companies.write and crm.schemas.companies.write; for tickets and e-mails also"
    " tickets and sales-email-read"
)
MAY_LACK = "tickets sales-email-read"
SECRET = Ask(
    "client_secret",
    "Client secret",
    "Only for webhooks, which a service key does not have: the secret of the app whose token this is.",
    is_needed=False,
)
# Where these are found: https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/account-service-keys
WAYS = (
    Way(
        "key",
        "With a key",
        (
            Ask(
                "access_token",
                "Key or access token",
                "A service key, or the access token of a private app.",
            ),
            SECRET,
        ),
        (
            "In HubSpot open Development, then Keys, then Service keys, and choose Create service key. You have to be a"
            " super admin.",
            f"Add the scopes {NAMED_SCOPES}.",
            "Create it, open it, choose Show, and copy the key into the field here.",
        ),
        "https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/account-service-keys",
    ),
    Way(
        "oauth",
        "By signing in at HubSpot",
        (
            Ask("client_id", "Client ID", is_hidden=False),
            Ask("client_secret", "Client secret", "It also proves that webhooks are genuine."),
        ),
        (
            "You need an app of your own at HubSpot with OAuth; its Auth settings show client ID and client secret.",
            f"Give it the scopes {NAMED_SCOPES} (these two as optional scopes).",
        ),
        "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/working-with-oauth",
        signs_in=True,
    ),
)


class Connector(Base):
    """Credentials: access_token of a private app; or, with OAuth, refresh_token, client_id and client_secret (the
    access token is then fetched). client_secret is also what webhooks are signed with."""

    label = "HubSpot"
    credential_names = ("access_token", "refresh_token", "client_id", "client_secret")
    # Private apps have 190 calls in 10 s, but the search of an account has 5 a second in all.
    calls_per_second = 4.0
    burst = 4
    overlap = dt.timedelta(minutes=10)
    can_push = True
    has_webhooks = True
    about = "Companies, contacts and won deals, with who won them; tickets, calls, meetings and e-mails."
    ways = WAYS
    webhook_how_to = (
        "In your app at HubSpot open Webhooks and enter this address as the target URL.",
        "Subscribe to company, contact, deal and ticket: created, deleted, property changed.",
    )

    _wanted: dict[str, list[str]] | None = None

    @property
    def address(self) -> str:
        return str(self.link.options.get("address", ADDRESS)).rstrip("/")

    def auth_headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.link.secrets.get('access_token', '')}"}

    def _call(self, method: str, path: str, **given: Any) -> Reply:
        return self.link.call(method, self.address + path, **given)

    def _ask(self, stream: str, method: str, path: str, accept: tuple[int, ...] = (), **given: Any) -> Reply:
        """A call about records of a stream. NotShown where the key lacks the right to them and need not have it."""
        is_optional = stream in OPTIONAL
        reply = self._call(method, path, accept=(*accept, 403) if is_optional else accept, **given)
        if reply.status == 403:
            said = reply.data if isinstance(reply.data, dict) else {}
            if said.get("category") == "MISSING_SCOPES":
                raise NotShown(f"HubSpot does not show {stream} to this key.")
            raise SignInRefused(f"HubSpot refuses {stream} to this key ({said.get('message', '403')}).")
        return reply

    def check(self) -> str:
        found = self._call("GET", "/crm/v3/objects/companies", params={"limit": 1}).data
        said = "Companies can be read." if found.get("results") else "Signed in; there are no companies yet."
        hidden = [stream for stream in OPTIONAL if not self._is_shown(stream)]
        return f"{said} Not shown to this key: {', '.join(hidden)}." if hidden else said

    def _is_shown(self, stream: str) -> bool:
        try:
            self._ask(stream, "GET", f"/crm/v3/objects/{stream}", params={"limit": 1})
        except NotShown:
            return False
        return True

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    def fields(self, stream: str) -> Sequence[Field]:
        """The properties of an object type: https://developers.hubspot.com/docs/api-reference/legacy/crm/properties/get-properties"""
        if stream == OWNERS:
            return ()
        try:
            found = self._ask(stream, "GET", f"/crm/v3/properties/{stream}").data["results"]
        except NotShown:
            return ()
        known = [
            Field(f"properties.{one['name']}", str(one.get("label") or one["name"]))
            for one in found
            if not one.get("hidden") and not one["name"].startswith("mainstay_")
        ]
        return [*([Field("company", "Primary company")] if stream in OF_COMPANIES else []), *known]

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        """What the key has no right to brings nothing, until somebody gives it the right and begins a full sync."""
        if stream == OWNERS:
            return self._owners(position)
        try:
            if (position or {}).get("how", "list" if since is None else "search") == "list":
                return self._list(stream, position)
            return self._search(stream, since, position)
        except NotShown:
            return Page([], None)

    def _owners(self, position: Position | None) -> Page:
        reply = self._call("GET", "/crm/v3/owners", params={"limit": PAGE, **_after(position)})
        records = [
            Record(str(one["id"]), one, _time(one.get("updatedAt")), volatile=frozenset({"updatedAt"}))
            for one in reply.data["results"]
        ]
        return Page(records, _next(reply.data), reply.date)

    def _list(self, stream: str, position: Position | None) -> Page:
        params = {"limit": PAGE, "properties": ",".join(self._properties(stream)), **_after(position)}
        reply = self._ask(stream, "GET", f"/crm/v3/objects/{stream}", params=params)
        after = _next(reply.data)
        return Page(
            self._records(stream, reply.data["results"]), after and {"how": "list", **after}, reply.date
        )

    def _search(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        at = position or {"how": "search", "from": _milliseconds(since), "after": None, "id": None}
        reply = self._ask(stream, "POST", f"/crm/v3/objects/{stream}/search", body=self._question(stream, at))
        records = self._records(stream, reply.data["results"])
        return Page(records, self._next_window(stream, at, reply.data), reply.date)

    def _question(self, stream: str, at: Position) -> dict[str, Any]:
        """By time from `from` on; with `id`, only those of that very millisecond, by id."""
        changed = CHANGED[stream]
        filters = [{"propertyName": changed, "operator": "GTE", "value": str(at["from"])}]
        order = changed
        if at["id"] is not None:
            filters = [
                {"propertyName": changed, "operator": "EQ", "value": str(at["from"])},
                {"propertyName": "hs_object_id", "operator": "GT", "value": str(at["id"])},
            ]
            order = "hs_object_id"
        question = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
            "properties": self._properties(stream),
            "limit": PAGE,
        }
        return question | ({"after": at["after"]} if at["after"] else {})

    def _next_window(self, stream: str, at: Position, data: Mapping[str, Any]) -> Position | None:
        after, results = _next(data), data["results"]
        if at["id"] is not None:
            if results and after:
                return at | {"id": max(int(one["id"]) for one in results)}
            return {"how": "search", "from": at["from"] + 1, "after": None, "id": None}
        if after is None:
            return None
        if int(after["after"]) + PAGE <= SEARCH_STOP:
            return at | {"after": after["after"]}
        last = _milliseconds(_changed(stream, results[-1]))
        if last > at["from"]:
            return {"how": "search", "from": last, "after": None, "id": None}
        return {"how": "search", "from": last, "after": None, "id": 0}

    def _records(self, stream: str, results: Sequence[dict[str, Any]]) -> list[Record]:
        companies = self._companies_of(stream, results) if stream in OF_COMPANIES else {}
        return [
            self._record(stream, one, companies)
            for one in results
            if stream not in OPTIONAL or str(one["id"]) in companies
        ]

    def _record(self, stream: str, one: Mapping[str, Any], companies: Mapping[str, str]) -> Record:
        """A record without its times of change: they also move when we write our own properties."""
        properties = {name: one["properties"].get(name) for name in self._properties(stream)}
        properties.pop(CHANGED[stream], None)
        payload: dict[str, Any] = {"id": str(one["id"]), "properties": properties}
        if stream in OF_COMPANIES:
            payload["company"] = companies.get(str(one["id"]))
        if stream in KINDS:
            payload["kind"] = KINDS[stream]
        if stream == "emails":
            payload["arrived"] = _has_arrived(one["properties"])
        return Record(str(one["id"]), payload, _changed(stream, one), bool(one.get("archived")))

    def _companies_of(self, stream: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Record -> its primary company (the first one where none is marked): searches do not tell."""
        if not rows:
            return {}
        reply = self._ask(
            stream,
            "POST",
            f"/crm/v4/associations/{stream}/companies/batch/read",
            body={"inputs": [{"id": str(row["id"])} for row in rows]},
            accept=(207,),
        )
        found = {}
        for one in reply.data["results"]:
            ranked = sorted(one["to"], key=lambda to: (not _is_primary(to), int(to["toObjectId"])))
            if ranked:
                found[str(one["from"]["id"])] = str(ranked[0]["toObjectId"])
        return found

    def _properties(self, stream: str) -> list[str]:
        """The properties to ask for: those the map reads, and the time of change. Our own are not among them."""
        if self._wanted is None:
            self._wanted = {}
        if stream not in self._wanted:
            shipped = next(one for one in STREAMS if one.name == stream)
            names = {
                name.removeprefix("properties.")
                for name in self.link.mapped_fields(shipped)
                if name.startswith("properties.")
            }
            self._wanted[stream] = sorted(names | {CHANGED[stream], *MADE.get(stream, ())})
        return self._wanted[stream]

    def ids(self, stream: str, position: Position | None) -> IdPage:
        path = "/crm/v3/owners" if stream == OWNERS else f"/crm/v3/objects/{stream}"
        data = self._ask(stream, "GET", path, params={"limit": PAGE, **_after(position)}).data
        return IdPage([str(one["id"]) for one in data["results"]], _next(data))

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        reply = self._ask(
            stream,
            "POST",
            f"/crm/v3/objects/{stream}/batch/read",
            body={"properties": self._properties(stream), "inputs": [{"id": one} for one in ids]},
            accept=(207,),
        )
        return self._records(stream, reply.data["results"])

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """Batch update; companies that HubSpot does not take are named in its answer (207), the others are saved."""
        self._make_properties()
        body = {"inputs": [{"id": one.source_id, "properties": _properties_of(one)} for one in changes]}
        reply = self._call(
            "POST", "/crm/v3/objects/companies/batch/update", body=body, accept=(207, 400, 404)
        )
        saved = {str(one["id"]) for one in reply.data.get("results", [])}
        errors = _errors_by_id(reply.data)
        if reply.status >= 400 and len(changes) > 1:
            # One bad row may fail the whole batch: each by itself says which.
            return [result for one in changes for result in self.push([one])]
        why = str(reply.data.get("message", "")) or "HubSpot does not know this company."
        return [
            Pushed(one.source_id)
            if one.source_id in saved
            else Pushed(one.source_id, errors.get(one.source_id, why))
            for one in changes
        ]

    def _make_properties(self) -> None:
        """Our properties, made once per connection; one that is there already (409) is fine."""
        if self.link.options.get("has_properties"):
            return
        group = {"name": "mainstay", "label": "Mainstay"}
        self._call("POST", "/crm/v3/properties/companies/groups", body=group, accept=(409,))
        for name, (label, kind) in FIELDS.items():
            type_, field_type = PROPERTY_TYPES[kind]
            body = {
                "name": f"mainstay_{name}",
                "label": label,
                "groupName": "mainstay",
                "type": type_,
                "fieldType": field_type,
            }
            self._call("POST", "/crm/v3/properties/companies", body=body, accept=(409,))
        self.link.remember({"has_properties": True})

    # Signing ----------------------------------------------------------------------------------------------------

    def sign_in_address(self, back: str, state: str, proof: Mapping[str, str]) -> str:
        """https://developers.hubspot.com/docs/apps/legacy-apps/authentication/working-with-oauth"""
        asked = {
            "client_id": self.link.secrets["client_id"],
            "redirect_uri": back,
            "scope": SCOPES,
            "optional_scope": MAY_LACK,
            "state": state,
            **proof,
        }
        return f"{self.link.options.get('sign_in', SIGN_IN)}?{urlencode(asked)}"

    def take_code(self, code: str, back: str, proof: Mapping[str, str]) -> Renewed:
        given = {name: self.link.secrets[name] for name in ("client_id", "client_secret")}
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        return self._tokens(Secrets({**asked, **given, **proof}))

    def refresh(self, credentials: Mapping[str, str]) -> Renewed | None:
        if not credentials.get("refresh_token"):
            return None
        names = ("refresh_token", "client_id", "client_secret")
        # As Secrets, because an error page shows what local variables hold.
        form = Secrets({"grant_type": "refresh_token", **{name: credentials.get(name, "") for name in names}})
        return self._tokens(form)

    def _tokens(self, form: Secrets) -> Renewed:
        reply = self._call("POST", "/oauth/v1/token", form=form, signs_in=False)
        fresh = Secrets(
            {name: reply.data[name] for name in ("access_token", "refresh_token") if reply.data.get(name)}
        )
        if "access_token" not in fresh:
            raise CrmError("HubSpot gave no access token.")
        began = reply.date or dt.datetime.now(dt.UTC)
        return Renewed(fresh, began + dt.timedelta(seconds=int(reply.data.get("expires_in", 1800))))

    def verify_webhook(self, call: WebhookCall, now: dt.datetime) -> Sequence[Hint]:
        """Signature v3: base64 of HMAC-SHA256 over method, address, body and time, not older than five minutes."""
        stamp = call.headers.get("x-hubspot-request-timestamp", "")
        if (
            not stamp.isdigit()
            or abs(now.timestamp() * 1000 - int(stamp)) > OLDEST_WEBHOOK.total_seconds() * 1000
        ):
            raise WebhookRefused("The call is too old, or says no time.")
        secret = self.link.secrets.get("client_secret", "")
        expected = sign_v3(secret, call.method, call.url, call.body, stamp)
        if not secret or not hmac.compare_digest(
            expected.encode(), call.headers.get("x-hubspot-signature-v3", "").encode()
        ):
            raise WebhookRefused("The signature does not fit.")
        return _hints(call.body)


def sign_v3(secret: str, method: str, url: str, body: bytes, stamp: str) -> str:
    """HubSpot's signature v3 of a call."""
    address = re.sub(
        "|".join(DECODED), lambda found: DECODED[found.group().upper()], url, flags=re.IGNORECASE
    )
    text = method.upper().encode() + address.encode() + body + stamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


def _hints(body: bytes) -> list[Hint]:
    try:
        events = json.loads(body)
    except ValueError:
        raise WebhookRefused("The call is no JSON.") from None
    hints = []
    for event in events if isinstance(events, list) else [events]:
        thing = str(event.get("subscriptionType", "")).split(".")[0]
        stream = SUBSCRIPTIONS.get(thing) or OBJECT_TYPES.get(str(event.get("objectTypeId", "")))
        if stream and str(event.get("objectId", "")).isdigit():
            hints.append(Hint(stream, str(event["objectId"])))
    return hints


def _after(position: Position | None) -> dict[str, str]:
    after = (position or {}).get("after")
    return {"after": after} if after else {}


def _next(data: Mapping[str, Any]) -> Position | None:
    after = ((data.get("paging") or {}).get("next") or {}).get("after")
    return {"after": str(after)} if after else None


def _is_primary(to: Mapping[str, Any]) -> bool:
    return any(one.get("typeId") in PRIMARY for one in to.get("associationTypes", ()))


def _has_arrived(email: Mapping[str, Any]) -> bool:
    """Whether an e-mail came in, or was sent and did not bounce. One forwarded to HubSpot does not say whose it was.
    https://developers.hubspot.com/docs/api-reference/crm-emails-v3/guide"""
    direction, status = email.get("hs_email_direction"), email.get("hs_email_status")
    return direction == "INCOMING_EMAIL" or (direction == "EMAIL" and status == "SENT")


def _changed(stream: str, one: Mapping[str, Any]) -> dt.datetime | None:
    return _time(one["properties"].get(CHANGED[stream]) or one.get("updatedAt"))


def _time(text: Any) -> dt.datetime | None:
    """A time as HubSpot writes it: ISO 8601, or milliseconds since 1970."""
    if not text:
        return None
    if str(text).isdigit():
        return dt.datetime.fromtimestamp(int(text) / 1000, dt.UTC)
    return dt.datetime.fromisoformat(str(text))


def _milliseconds(moment: dt.datetime | None) -> int:
    """Whole milliseconds since 1970, rounded down: HubSpot keeps no more."""
    if moment is None:
        return 0
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def _properties_of(change: Change) -> dict[str, Any]:
    """Custom properties and their values; nothing becomes an empty text, which clears a property."""
    return {f"mainstay_{name}": "" if value is None else value for name, value in change.fields.items()}


def _errors_by_id(data: Mapping[str, Any]) -> dict[str, str]:
    errors = {}
    for error in data.get("errors", ()):
        for one in (error.get("context") or {}).get("ids", ()):
            errors[str(one)] = str(error.get("message", "refused"))[:300]
    return errors
