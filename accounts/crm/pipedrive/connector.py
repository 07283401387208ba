"""Pipedrive: organizations, persons, won deals and done activities, with users; scores written back to custom fields of
organizations.

Everything by API v2 but the users, which only v1 has. What changed is asked for by update_time and walked through by
Pipedrive's cursor, in the order of ids. Deals that were archived are listed apart. Custom fields have hashes for names, and
are found by their label.

https://pipedrive.readme.io/docs/pipedrive-api-v2-migration-guide
https://pipedrive.readme.io/docs/core-api-concepts-pagination
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from accounts.crm.errors import CrmError, SignInRefused, TryLater, WebhookRefused
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

ADDRESS = "https://api.pipedrive.com"
SIGN_IN = "https://oauth.pipedrive.com"
PAGE = 500
IDS_AT_ONCE = 100
WAIT_FOR_TOKENS = 900.0  # seconds until we look whether tokens have come free
LEFT_TO_OTHERS = 0.1  # of the tokens of a day, which all programs of the company share
MOST_RESTARTS = 3  # of a pass whose cursor Pipedrive knows no more
WEBHOOK_USER = "mainstay"
USERS, DEALS = "users", "deals"
# Where the records of a stream are listed, one list after the other.
LISTS = {
    "organizations": ("/api/v2/organizations",),
    "persons": ("/api/v2/persons",),
    DEALS: ("/api/v2/deals", "/api/v2/deals/archived"),
    "activities": ("/api/v2/activities",),
}
ALL_DEALS = "open,won,lost,deleted"
FIELD_LISTS = {
    "organizations": "organizationFields",
    "persons": "personFields",
    DEALS: "dealFields",
    "activities": "activityFields",
}
ENTITIES = {"organization": "organizations", "person": "persons", "deal": DEALS, "activity": "activities"}
OWNER = {"field": "owner_id", "lookup": USERS, "take": "email"}
STREAMS = (
    Stream(USERS),
    Stream(
        "organizations",
        "accounts",
        {
            "name": "name",
            "country": "address.country",
            "region": "address.admin_area_level_1",
            "account_manager": OWNER,
        },
    ),
    Stream(
        "persons",
        "contacts",
        {"account": "org_id", "name": "name", "email": "email", "phone": "phone"},
    ),
    Stream(
        DEALS,
        "orders",
        {
            "account": "org_id",
            "ordered_at": "won_time",
            "amount": "value",
            "currency": "currency",
            "salesperson": OWNER,
        },
        {"status": ["won"]},
    ),
    Stream(
        "activities",
        "interactions",
        {
            "account": "org_id",
            "happened_at": "happened_at",
            "kind": "kind",
            "subject": "subject",
            "user": OWNER,
        },
        {"done": ["true"]},
    ),
)
KINDS = {"call": "call", "email": "email", "meeting": "meeting", "lunch": "meeting"}
FIELD_TYPES = {"number": "double", "text": "text", "date": "date"}
# Says nothing new, or changes with what we write back ourselves.
LEFT_OUT = {"update_time", "custom_fields", "stage_change_time", "label_ids", "visible_to", "probability"}
# Where these are found: https://pipedrive.readme.io/docs/how-to-find-the-api-token
ADDRESS_ASK = Ask(
    "address",
    "Address of your Pipedrive",
    "As the browser shows it: https://yourcompany.pipedrive.com",
    is_credential=False,
    is_hidden=False,
)
WEBHOOK_ASK = Ask(
    "webhook_password",
    "Password for webhooks",
    "One you think of yourself; only where you set webhooks up.",
    is_needed=False,
)
WAYS = (
    Way(
        "token",
        "With a token",
        (ADDRESS_ASK, Ask("api_token", "API token"), WEBHOOK_ASK),
        (
            "Sign in at Pipedrive as a user who may see all organizations, persons, deals and activities.",
            "Open Personal preferences, then API, and copy your personal API token into the field here.",
            "To have scores written back the user has to be allowed to edit organizations and to make custom fields.",
        ),
        "https://pipedrive.readme.io/docs/how-to-find-the-api-token",
    ),
    Way(
        "oauth",
        "By signing in at Pipedrive",
        (
            Ask("client_id", "Client ID", is_hidden=False),
            Ask("client_secret", "Client secret"),
            WEBHOOK_ASK,
        ),
        (
            "You need an app of your own in Pipedrive's Developer Hub; its OAuth & access scopes show both.",
            "Give it the scopes Contacts, Deals, Activities and Users (read); to write scores back also Contacts (full)"
            " and Contact fields (full).",
        ),
        "https://pipedrive.readme.io/docs/marketplace-oauth-authorization",
        signs_in=True,
    ),
)


class Connector(Base):
    """Credentials: api_token; or, with OAuth, refresh_token, client_id and client_secret. webhook_password is what
    webhooks bring along (basic authentication, user "mainstay"). Options: address."""

    label = "Pipedrive"
    credential_names = (
        "api_token",
        "client_id",
        "client_secret",
        "refresh_token",
        "access_token",
        "api_domain",
        "webhook_password",
    )
    # The smallest plan allows 20 calls in two seconds.
    calls_per_second = 5.0
    burst = 10
    can_push = True
    push_size = 50
    has_webhooks = True
    about = "Organizations, persons, won deals with who won them, and done activities."
    ways = WAYS
    webhook_how_to = (
        "In Pipedrive open Tools and apps, then Webhooks, and choose Create new webhook.",
        "Event action: all; event object: organization; enter this address as the endpoint, version 2.",
        f"HTTP Auth username: {WEBHOOK_USER}; password: the one for webhooks that you gave here.",
        "Do the same for person, deal and activity.",
    )

    _left: float = 1.0

    @property
    def address(self) -> str:
        """OAuth tells the address of the company with the token."""
        told = self.link.secrets.get("api_domain") or self.link.options.get("address") or ADDRESS
        return str(told).rstrip("/")

    def auth_headers(self) -> Mapping[str, str]:
        if self.link.secrets.get("api_token"):
            return {"x-api-token": self.link.secrets["api_token"]}
        return {"Authorization": f"Bearer {self.link.secrets.get('access_token', '')}"}

    def _call(self, method: str, path: str, *, accept: tuple[int, ...] = (), **given: Any) -> Reply:
        """One call. TryLater while the tokens of the day are nearly used up, or Pipedrive blocks us for asking too often:
        https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting"""
        if self._left < LEFT_TO_OTHERS:
            raise TryLater(
                f"{1 - self._left:.0%} of the API tokens of your Pipedrive for today are used; the rest is left to others.",
                WAIT_FOR_TOKENS,
            )
        if not (self.link.secrets.get("api_token") or self.link.secrets.get("access_token")):
            self.link.renew()
        reply = self.link.call(method, self.address + path, accept=(*accept, 403), **given)
        self._left = _left(reply.headers)
        if reply.status == 403 and 403 not in accept:
            self._refused(reply)
        return reply

    def _refused(self, reply: Reply) -> None:
        """A refusal of Pipedrive itself is JSON; the wall before it answers with a page."""
        if isinstance(reply.data, dict) and reply.data.get("success") is False:
            raise SignInRefused(f"The user of the connection may not do this ({_said(reply.data)}).")
        self.link.pace.block(WAIT_FOR_TOKENS)
        raise TryLater("Pipedrive blocks calls for a while.", WAIT_FOR_TOKENS)

    def check(self) -> str:
        found = self._call("GET", "/api/v2/organizations", params={"limit": 1}).data
        return (
            "Organizations can be read."
            if found.get("data")
            else "Signed in; there are no organizations yet."
        )

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    def fields(self, stream: str) -> Sequence[Field]:
        if stream not in FIELD_LISTS:
            return ()
        found = []
        for one in self._described(stream):
            code, label = str(one["field_code"]), str(one["field_name"])
            if one.get("is_custom_field"):
                if not label.startswith("Mainstay "):
                    found.append(Field(f"custom_fields.{code}", label))
            else:
                found.append(Field(code, label))
        made = {"persons": ("email", "phone"), "activities": ("happened_at", "kind")}.get(stream, ())
        return [*(Field(name, name.replace("_", " ").capitalize()) for name in made), *found]

    def _described(self, stream: str) -> Iterator[Mapping[str, Any]]:
        cursor = None
        while True:
            params = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
            data = self._call("GET", f"/api/v2/{FIELD_LISTS[stream]}", params=params).data
            yield from data["data"]
            cursor = _cursor(data)
            if not cursor:
                return

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        if stream == USERS:
            reply = self._call("GET", "/api/v1/users")
            return Page([_user(one) for one in reply.data["data"] or ()], None, reply.date)
        at = position or {"list": 0, "cursor": None, "restarts": 0}
        # Times with parts of a second are refused.
        changed = {"updated_since": f"{since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"} if since else {}
        status = {"status": ALL_DEALS} if stream == DEALS and since else {}
        reply, following = self._list(stream, at, changed | status)
        return Page(self._records(stream, _rows(reply)), following, reply.date)

    def _list(self, stream: str, at: Position, asked: Mapping[str, Any]) -> tuple[Reply, Position | None]:
        """One part of a list, and where to go on: in it, in the next one, or (its cursor is known no more) at its
        beginning."""
        paths = LISTS[stream]
        cursor = {"cursor": at["cursor"]} if at["cursor"] else {}
        is_extra = at["list"] > 0  # not every plan has it
        accept = (400, 402, 403, 404) if is_extra else (400,)
        params = {"limit": PAGE, "sort_by": "id", **asked, **cursor}
        reply = self._call("GET", paths[at["list"]], params=params, accept=accept)
        if reply.status == 400:
            if not at["cursor"] or at["restarts"] >= MOST_RESTARTS:
                raise CrmError(f"Pipedrive does not list {stream}: {_said(reply.data)}")
            return reply, at | {"cursor": None, "restarts": at["restarts"] + 1}
        following = _cursor(reply.data) if reply.status < 400 else None
        if following:
            return reply, at | {"cursor": following}
        if at["list"] + 1 < len(paths):
            return reply, at | {"list": at["list"] + 1, "cursor": None}
        return reply, None

    def _records(self, stream: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Activities of no organization are nothing to us."""
        wanted = self._mapped_custom(stream)
        kept = (one for one in rows if stream != "activities" or one.get("org_id"))
        return [_record(stream, one, wanted) for one in kept]

    def _mapped_custom(self, stream: str) -> set[str]:
        """The custom fields that the map reads; our own are not among them."""
        shipped = next(one for one in STREAMS if one.name == stream)
        paths = (path.split(".") for path in self.link.mapped_fields(shipped))
        return {path[1] for path in paths if path[0] == "custom_fields" and len(path) > 1}

    def ids(self, stream: str, position: Position | None) -> IdPage:
        if stream == USERS:
            found = self._call("GET", "/api/v1/users").data["data"] or ()
            return IdPage([str(one["id"]) for one in found], None)
        reply, following = self._list(stream, position or {"list": 0, "cursor": None, "restarts": 0}, {})
        return IdPage([str(one["id"]) for one in _rows(reply) if not one.get("is_deleted")], following)

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        if stream == USERS:
            return [one for one in self.pull(USERS, None, None).records if one.source_id in ids]
        records: list[Record] = []
        for number, path in enumerate(LISTS[stream]):
            for start in range(0, len(ids), IDS_AT_ONCE):
                params = {"ids": ",".join(ids[start : start + IDS_AT_ONCE]), "limit": PAGE}
                accept = (402, 403, 404) if number else ()
                reply = self._call("GET", path, params=params, accept=accept)
                records += self._records(stream, _rows(reply))
        return records

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """One call for each organization: API v2 has none for several."""
        codes = self._own_fields()
        return [self._tell(one, codes) for one in changes]

    def _tell(self, change: Change, codes: Mapping[str, str]) -> Pushed:
        """https://developers.pipedrive.com/docs/api/v1/Organizations#updateOrganization"""
        values = {codes[name]: _value(name, value) for name, value in change.fields.items()}
        path = f"/api/v2/organizations/{int(change.source_id)}"
        reply = self._call("PATCH", path, body={"custom_fields": values}, accept=(400, 404, 410, 422))
        return Pushed(change.source_id, _said(reply.data) if reply.status >= 400 else "")

    def _own_fields(self) -> dict[str, str]:
        """Field -> its hash over there, found by label; those that lack are made."""
        known = {str(one["field_name"]): str(one["field_code"]) for one in self._described("organizations")}
        return {
            name: known.get(label) or self._make_field(label, kind) for name, (label, kind) in FIELDS.items()
        }

    def _make_field(self, label: str, kind: str) -> str:
        """https://pipedrive.readme.io/docs/adding-a-new-custom-field"""
        body = {"field_name": label, "field_type": FIELD_TYPES[kind]}
        reply = self._call("POST", "/api/v2/organizationFields", body=body, accept=(400, 403))
        if reply.status >= 400:
            raise CrmError(
                f"Pipedrive does not let us make the custom field '{label}' ({_said(reply.data)}). Make it yourself, for"
                " organizations (the documentation names all of them)."
            )
        return str(reply.data["data"]["field_code"])

    # Signing ----------------------------------------------------------------------------------------------------

    @property
    def _oauth(self) -> str:
        return str(self.link.options.get("sign_in") or SIGN_IN).rstrip("/")

    def sign_in_address(self, back: str, state: str, proof: Mapping[str, str]) -> str:
        asked = {"client_id": self.link.secrets["client_id"], "redirect_uri": back, "state": state, **proof}
        return f"{self._oauth}/oauth/authorize?{urlencode(asked)}"

    def take_code(self, code: str, back: str, proof: Mapping[str, str]) -> Renewed:
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        return self._tokens(self.link.secrets, Secrets({**asked, **proof}))

    def refresh(self, credentials: Mapping[str, str]) -> Renewed | None:
        """https://pipedrive.readme.io/docs/marketplace-oauth-authorization"""
        if not credentials.get("refresh_token"):
            return None
        token = credentials["refresh_token"]
        return self._tokens(credentials, {"grant_type": "refresh_token", "refresh_token": token})

    def _tokens(self, credentials: Mapping[str, str], asked: Mapping[str, str]) -> Renewed:
        # As Secrets, because an error page shows what local variables hold.
        form = Secrets(asked)
        signed = Secrets(
            {"Authorization": _basic(credentials.get("client_id", ""), credentials.get("client_secret", ""))}
        )
        url = f"{self._oauth}/oauth/token"
        reply = self.link.call("POST", url, form=form, headers=signed, signs_in=False, accept=(400, 401))
        if reply.status >= 400:
            raise SignInRefused(f"Pipedrive gives no new token ({_said(reply.data)}); connect it anew.")
        names = ("access_token", "refresh_token", "api_domain")
        fresh = Secrets({name: str(reply.data[name]) for name in names if reply.data.get(name)})
        if "access_token" not in fresh:
            raise CrmError("Pipedrive gave no access token.")
        began = reply.date or dt.datetime.now(dt.UTC)
        return Renewed(fresh, began + dt.timedelta(seconds=int(reply.data.get("expires_in", 3600))))

    def verify_webhook(self, call: WebhookCall, now: dt.datetime) -> Sequence[Hint]:
        """Webhooks are not signed; they bring a user and a password along (basic authentication).
        https://pipedrive.readme.io/docs/guide-for-webhooks-v2"""
        password = self.link.secrets.get("webhook_password", "")
        brought = call.headers.get("authorization", "").encode()
        if not password or not hmac.compare_digest(_basic(WEBHOOK_USER, password).encode(), brought):
            raise WebhookRefused("The call does not bring the right user and password.")
        return _hints(call.body)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _hints(body: bytes) -> list[Hint]:
    try:
        meta = json.loads(body)["meta"]
        stream, key = ENTITIES.get(meta["entity"]), str(meta["entity_id"])
    except (ValueError, KeyError, TypeError):
        raise WebhookRefused("The call is no webhook of version 2.") from None
    return [Hint(stream, key)] if stream and key.isdigit() else []


def _left(headers: Mapping[str, str]) -> float:
    """The share of the tokens of the day that is left; 1 where Pipedrive does not say."""
    limit = headers.get("x-daily-ratelimit-token-limit", "")
    left = headers.get("x-daily-ratelimit-token-remaining", "")
    return int(left) / int(limit) if limit.isdigit() and left.isdigit() and int(limit) else 1.0


def _said(data: Any) -> str:
    """What an error answer says: {"success": false, "error": ..., "error_info": ...}."""
    said = data if isinstance(data, Mapping) else {}
    return str(said.get("error") or said.get("message") or said.get("error_info") or "no reason given")[:300]


def _rows(reply: Reply) -> list[dict[str, Any]]:
    """The records of a list; none where the list is not to be had. An empty list may be null."""
    return (reply.data.get("data") or []) if reply.status < 400 else []


def _cursor(data: Mapping[str, Any]) -> str | None:
    return (data.get("additional_data") or {}).get("next_cursor") or None


def _user(one: Mapping[str, Any]) -> Record:
    payload = {name: one.get(name) for name in ("id", "name", "email", "active_flag")}
    return Record(str(one["id"]), payload)


def _record(stream: str, one: Mapping[str, Any], custom: set[str]) -> Record:
    """A record without its time of change: that also moves when we write our own fields."""
    payload = {name: value for name, value in one.items() if name not in LEFT_OUT}
    own = one.get("custom_fields") or {}
    if custom:
        payload["custom_fields"] = {name: own.get(name) for name in sorted(custom)}
    if stream == "persons":
        payload |= {"email": _primary(one.get("emails")), "phone": _primary(one.get("phones"))}
    if stream == "activities":
        payload |= {"kind": KINDS.get(str(one.get("type")), "other"), "happened_at": _happened(one)}
    changed = one.get("update_time") or one.get("add_time")
    return Record(str(one["id"]), payload, _moment(changed) if changed else None, bool(one.get("is_deleted")))


def _primary(entries: Any) -> str | None:
    """Of several addresses or numbers the one that is marked, else the first."""
    found = sorted(entries or (), key=lambda entry: not entry.get("primary"))
    return (found[0].get("value") or None) if found else None


def _happened(activity: Mapping[str, Any]) -> str | None:
    """When an activity took place: when it was due (UTC), but not after it was ticked off."""
    done = activity.get("marked_as_done_time")
    due = activity.get("due_date")
    if not due:
        return str(done) if done else None
    if activity.get("due_time"):
        due = f"{due}T{activity['due_time']}+00:00"
        is_early = bool(done) and _moment(done) < _moment(due)
    else:
        is_early = bool(done) and str(done)[:10] < due
    return str(done if is_early else due)


def _moment(text: Any) -> dt.datetime:
    """RFC 3339; a time without zone is UTC."""
    moment = dt.datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _value(name: str, value: Any) -> Any:
    """Numbers as numbers (text is refused); nothing clears a field."""
    return float(value) if FIELDS[name][1] == "number" and value is not None else value
