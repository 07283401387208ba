"""Stripe: customers, subscriptions, paid invoices, payments without an invoice, refunds and credit notes; scores
written back as metadata of customers.

Lists come newest first and know no time of change, so the first load reads them whole
(https://docs.stripe.com/api/pagination) and later passes read the events (https://docs.stripe.com/api/events/list).
Events are kept for 30 days; after a longer gap the lists are read once more. An event is only a hint: what it names is
read again, because its data has the shape of another version (https://docs.stripe.com/api/events/list). A record
therefore counts as changed at the moment at which it was read.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.crm.errors import WebhookRefused
from accounts.crm.link import Link, Reply
from accounts.crm.protocol import (
    Ask,
    Change,
    Hint,
    IdPage,
    Page,
    Position,
    Pushed,
    Record,
    Stream,
    Way,
    WebhookCall,
)
from accounts.crm.protocol import Connector as Base
from accounts.crm.shops import CUSTOMERS, GUEST, Buyers

ADDRESS = "https://api.stripe.com"
# The last version in which a payment names its invoice (https://docs.stripe.com/changelog/basil); any version can be
# asked for with each call (https://docs.stripe.com/api/versioning).
VERSION = "2025-02-24.acacia"
PAGE = 100
EVENTS_KEPT = dt.timedelta(days=29)  # 30; one for what is being read
OLDEST_WEBHOOK = 300  # seconds, as Stripe's own libraries
LONGEST_VALUE = 500  # of metadata (https://docs.stripe.com/api/metadata)
# Currencies whose amounts are not in hundredths. ISK and UGX have no decimals, and yet come in hundredths
# (https://docs.stripe.com/currencies#special-cases).
NO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
A_YEAR = {"day": 365, "week": 52, "month": 12, "year": 1}
RUNNING = ("active", "trialing", "past_due", "unpaid", "paused")
PERMISSIONS = "Customers, Charges and Refunds, Invoices, Credit notes, Subscriptions and Events"

Made = tuple[str, dict[str, Any]] | None  # source id and payload; None: nothing to us


@dataclass(frozen=True, slots=True)
class Part:
    """One list that a stream is read from. `events`: type -> the field of the event's object that names the record;
    `wide` are fields to be sent whole instead of as an id."""

    path: str
    make: Callable[[Connector, Mapping[str, Any]], Made]
    events: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    wide: tuple[str, ...] = ()
    prefix: str = ""
    has_own_ids: bool = True


def _account(_: Connector, one: Mapping[str, Any]) -> Made:
    address, subscriptions = one.get("address") or {}, (one.get("subscriptions") or {}).get("data") or []
    return one["id"], {
        "label": one.get("name") or one.get("email") or one["id"],
        "email": one.get("email"),
        "description": one.get("description"),
        "country": address.get("country"),
        "state": address.get("state"),
        "currency": (one.get("currency") or "").upper() or None,
        # Who has a subscription has invoices as well, and is looked at in both ways.
        "billing": "both" if any(sub["status"] in RUNNING for sub in subscriptions) else None,
        "metadata": _metadata(one),
    }


def _contact(_: Connector, one: Mapping[str, Any]) -> Made:
    name = one.get("name") or one.get("email")
    if not name:
        return None
    shown = {"name": name, "email": one.get("email"), "phone": one.get("phone"), "customer": one["id"]}
    return one["id"], {**shown, "metadata": _metadata(one)}


def _guest(self: Connector, charge: Mapping[str, Any]) -> Made:
    """The account of somebody who paid without being a customer."""
    billed = _billed(charge)
    if charge.get("customer") or not _is_sale(charge) or not billed["email"]:
        return None
    account = self.buyers.of(billed["email"])
    if not account.startswith(GUEST):
        return None
    shown = {name: billed[name] for name in ("label", "email", "country", "state")}
    return account, {**shown, "currency": charge["currency"].upper()}


def _guest_contact(self: Connector, charge: Mapping[str, Any]) -> Made:
    guest = _guest(self, charge)
    if guest is None:
        return None
    billed = _billed(charge)
    shown = {"name": billed["label"], "email": billed["email"], "phone": billed["phone"]}
    return guest[0], {**shown, "customer": guest[0]}


def _subscription(_: Connector, one: Mapping[str, Any]) -> Made:
    ends = one.get("ended_at") or one.get("cancel_at") or one.get("current_period_end")
    is_ending = bool(one.get("cancel_at_period_end") or one.get("cancel_at") or one.get("ended_at"))
    return one["id"], {
        "customer": one["customer"],
        "status": one["status"],
        "starts_on": _day(one.get("start_date") or one["created"]),
        "ends_on": _day(ends),
        "cancelled_on": _day(one.get("canceled_at")),
        "renews": not is_ending and one["status"] in RUNNING,
        "annual_value": _annual_value(one),
        "currency": _currency_of(one),
        "metadata": _metadata(one),
    }


def _invoice(_: Connector, one: Mapping[str, Any]) -> Made:
    if not one["total"]:
        return None  # of a trial: nothing was bought
    moments = one.get("status_transitions") or {}
    return one["id"], {
        "customer": one.get("customer"),
        "number": one.get("number"),
        "status": one["status"],
        "made_at": _time(moments.get("finalized_at") or one["created"]),
        "paid_at": _time(moments.get("paid_at")),
        "amount": money(one["total"], one["currency"]),
        "discount": money(
            sum(cut["amount"] for cut in one.get("total_discount_amounts") or ()), one["currency"]
        ),
        "currency": one["currency"].upper(),
        "subscription": one.get("subscription"),
        "metadata": _metadata(one),
    }


def _payment(self: Connector, charge: Mapping[str, Any]) -> Made:
    """A payment that belongs to no invoice: a sale of its own."""
    if charge.get("invoice") or not _is_sale(charge):
        return None
    return charge["id"], {
        "customer": self.payer(charge),
        "made_at": _time(charge["created"]),
        "amount": money(charge.get("amount_captured") or charge["amount"], charge["currency"]),
        "currency": charge["currency"].upper(),
        "description": charge.get("description"),
        "metadata": _metadata(charge),
    }


def _refund(self: Connector, one: Mapping[str, Any]) -> Made:
    charge = one.get("charge")
    if not isinstance(charge, Mapping):
        return None
    return one["id"], _returned(
        one, self.payer(charge), one["amount"], one.get("status") or "succeeded", one.get("reason")
    )


def _credit_note(_: Connector, one: Mapping[str, Any]) -> Made:
    """What a credit note gives that is no refund; its refund is a record of its own."""
    refund = one.get("refund")
    paid_back = refund["amount"] if isinstance(refund, Mapping) else 0
    if one["amount"] <= paid_back:
        return None
    return one["id"], _returned(
        one, one["customer"], one["amount"] - paid_back, one["status"], one.get("reason")
    )


def _returned(
    one: Mapping[str, Any], customer: str | None, amount: int, status: str, reason: Any
) -> dict[str, Any]:
    return {
        "customer": customer,
        "made_at": _time(one["created"]),
        "amount": money(-amount, one["currency"]),
        "currency": one["currency"].upper(),
        "kind": "returned",
        "status": status,
        "reason": reason,
    }


CUSTOMER_EVENTS = {"customer.created": "id", "customer.updated": "id", "customer.deleted": "id"}
SUBSCRIPTION_EVENTS = tuple(
    f"customer.subscription.{what}" for what in ("created", "updated", "deleted", "paused", "resumed")
)
PAID = {"charge.succeeded": "id", "charge.captured": "id"}
# https://docs.stripe.com/api/events/types
PARTS: Mapping[str, tuple[Part, ...]] = {
    CUSTOMERS: (
        Part(
            "/v1/customers", _account, {**CUSTOMER_EVENTS, **dict.fromkeys(SUBSCRIPTION_EVENTS, "customer")},
            wide=("subscriptions",),
        ),
        Part("/v1/charges", _guest, PAID, has_own_ids=False),
    ),
    "contacts": (
        Part("/v1/customers", _contact, CUSTOMER_EVENTS),
        Part("/v1/charges", _guest_contact, PAID, has_own_ids=False),
    ),
    "subscriptions": (
        Part("/v1/subscriptions", _subscription, dict.fromkeys(SUBSCRIPTION_EVENTS, "id"), {"status": "all"}),
    ),
    "invoices": (
        Part(
            "/v1/invoices", _invoice,
            dict.fromkeys(("invoice.paid", "invoice.updated", "invoice.voided", "invoice.marked_uncollectible"), "id"),
            {"status": "paid"},
        ),
    ),
    "payments": (Part("/v1/charges", _payment, {**PAID, "charge.updated": "id"}),),
    "returns": (
        Part(
            "/v1/refunds", _refund,
            dict.fromkeys(("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"), "id"),
            wide=("charge",),
        ),
        Part(
            "/v1/credit_notes", _credit_note,
            dict.fromkeys(("credit_note.created", "credit_note.updated", "credit_note.voided"), "id"),
            wide=("refund",), prefix="cn_",
        ),
    ),
}  # fmt: skip
SALE = {"account": "customer", "ordered_at": "made_at", "amount": "amount", "currency": "currency"}
STREAMS = (
    Stream(
        CUSTOMERS,
        "accounts",
        {
            "name": "label",
            "country": "country",
            "region": "state",
            "currency": "currency",
            "billing_mode": "billing",
        },
    ),
    Stream(
        "contacts", "contacts", {"account": "customer", "name": "name", "email": "email", "phone": "phone"}
    ),
    Stream(
        "subscriptions",
        "contracts",
        {
            "account": "customer",
            "starts_on": "starts_on",
            "ends_on": "ends_on",
            "annual_value": "annual_value",
            "currency": "currency",
            "auto_renews": "renews",
            "cancelled_on": "cancelled_on",
        },
        {"status": [*RUNNING, "canceled"]},
    ),
    Stream("invoices", "orders", {**SALE, "discount": "discount"}, {"status": ["paid"]}),
    Stream("payments", "orders", SALE),
    Stream("returns", "orders", {**SALE, "status": "kind"}, {"status": ["succeeded", "pending", "issued"]}),
)


class Connector(Base):
    """Credentials: api_key, a restricted key; webhook_secret, the signing secret of the webhook endpoint."""

    label = "Stripe"
    credential_names = ("api_key", "webhook_secret")
    # 100 a second live, 25 in a sandbox and of each kind (https://docs.stripe.com/rate-limits).
    calls_per_second = 20.0
    burst = 20
    push_size = 20
    can_push = True
    looks_at_landed = True  # guests, at customers
    has_webhooks = True
    about = "Customers, subscriptions, paid invoices, other payments, refunds and credit notes."
    ways = (
        Way(
            "key",
            "With a restricted key",
            (
                Ask("api_key", "Restricted key", "Begins with \u201crk_live_\u201d."),
                Ask(
                    "webhook_secret",
                    "Signing secret",
                    "Only for webhooks: begins with \u201cwhsec_\u201d.",
                    is_needed=False,
                ),
            ),
            (
                "In the Stripe Dashboard open Developers, then API keys, and choose Create restricted key.",
                f"Give it Read on {PERMISSIONS}; to write scores back, Write on Customers.",
                "Create it and copy it into the field here; Stripe shows it once.",
            ),
            "https://docs.stripe.com/keys#create-restricted-api-secret-key",
        ),
    )
    webhook_how_to = (
        "In the Stripe Dashboard open Developers, then Webhooks, and add an endpoint with this address.",
        "Choose the events of customers, subscriptions, invoices, charges, refunds and credit notes.",
        "Copy its signing secret into the credentials here.",
    )

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.buyers = Buyers(link.connection_id)

    @property
    def address(self) -> str:
        return str(self.link.options.get("address", ADDRESS)).rstrip("/")

    def auth_headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.link.secrets.get('api_key', '')}", "Stripe-Version": VERSION}

    def _get(self, path: str, params: Mapping[str, Any], accept: tuple[int, ...] = ()) -> Reply:
        return self.link.call("GET", self.address + path, params=params, accept=accept)

    def check(self) -> str:
        """Every list is tried, because a restricted key may be allowed some of them."""
        paths = {part.path: None for parts in PARTS.values() for part in parts}
        found = {path: self._get(path, {"limit": 1}).data["data"] for path in (*paths, "/v1/events")}
        more = "" if found["/v1/customers"] else " There are no customers yet."
        return f"Customers, invoices and payments can be read.{more}"

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    def payer(self, charge: Mapping[str, Any]) -> str | None:
        """The account of a payment: its customer, else who has the e-mail of the bill."""
        email = _billed(charge)["email"]
        return charge.get("customer") or (self.buyers.of(email) if email else None)

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        if position is None:
            has_events = since is not None and since > timezone.now() - EVENTS_KEPT
            position = {"how": "events" if has_events else "list", "part": 0, "after": None}
        if position["how"] == "events":
            return self._events(stream, since, position)
        part = PARTS[stream][position["part"]]
        reply = self._list(part, position)
        moment = reply.date or timezone.now()
        records = [
            _record(made, moment) for one in reply.data["data"] if (made := part.make(self, one)) is not None
        ]
        return Page(records, _next(stream, position, reply.data), reply.date)

    def _list(self, part: Part, position: Position) -> Reply:
        """A page of a list. Where the record to go on from is gone, we go on from its time."""
        params = {"limit": PAGE, **part.params, **_expand(part, "data.")}
        if position["after"] is None:
            return self._get(part.path, params)
        reply = self._get(part.path, {**params, "starting_after": position["after"]}, accept=(400, 404))
        if reply.status >= 400:
            reply = self._get(part.path, {**params, "created[lte]": position["created"]})
        return reply

    def _events(self, stream: str, since: dt.datetime | None, position: Position) -> Page:
        """What changed since: https://docs.stripe.com/api/events/list, newest first."""
        types = sorted({name for part in PARTS[stream] for name in part.events})
        params: dict[str, Any] = {"limit": PAGE, "types[]": types}
        # Kept in the position, so that the pages of one pass agree.
        params["created[gte]"] = position.get("from") or (int(since.timestamp()) if since else 0)
        if position["after"]:
            params["starting_after"] = position["after"]
        reply = self._get("/v1/events", params)
        records = list(self._changed(stream, reply.data["data"]))
        on = _next(stream, position, reply.data) if reply.data["has_more"] else None
        return Page(records, on and {**on, "from": params["created[gte]"]}, reply.date)

    def _changed(self, stream: str, events: Sequence[Mapping[str, Any]]) -> Iterator[Record]:
        """The records that events name, each read once."""
        for part in PARTS[stream]:
            names = (_named(part, event) for event in events)
            for source_id in sorted({name for name in names if name}):
                yield from self._read_one(part, source_id)

    def _read_one(self, part: Part, source_id: str) -> Iterator[Record]:
        reply = self._get(f"{part.path}/{source_id}", _expand(part), accept=(404,))
        moment = reply.date or timezone.now()
        if reply.status == 404 or reply.data.get("deleted"):
            if part.has_own_ids:
                yield Record(source_id, {}, moment, is_deleted=True)
            return
        made = part.make(self, reply.data)
        if made is not None:
            yield _record(made, moment)

    def ids(self, stream: str, position: Position | None) -> IdPage:
        position = position or {"part": 0, "after": None}
        part = PARTS[stream][position["part"]]
        data = self._list(part, position).data
        made = (part.make(self, one) for one in data["data"])
        return IdPage([one[0] for one in made if one is not None], _next(stream, position, data))

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        found: list[Record] = []
        for source_id in ids:
            parts = PARTS[stream]
            part = next((one for one in parts if one.prefix and source_id.startswith(one.prefix)), parts[0])
            found += (one for one in self._read_one(part, source_id) if not one.is_deleted)
        return found

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """Metadata of customers, one by one: https://docs.stripe.com/api/customers/update. An empty value removes."""
        return [self._push_one(change) for change in changes]

    def _push_one(self, change: Change) -> Pushed:
        if change.source_id.startswith(GUEST):
            return Pushed(change.source_id, "A guest has no record in Stripe to write to.")
        told = {
            f"metadata[mainstay_{name}]": "" if value is None else str(value)[:LONGEST_VALUE]
            for name, value in change.fields.items()
        }
        # A key for this very write: with one made of its content, a value that changes and changes back within a day
        # would be answered from Stripe's memory (https://docs.stripe.com/api/idempotent_requests).
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        url = f"{self.address}/v1/customers/{change.source_id}"
        reply = self.link.call("POST", url, form=told, headers=headers, accept=(400, 404))
        if reply.status < 400:
            return Pushed(change.source_id)
        said = str(
            ((reply.data or {}).get("error") or {}).get("message") or "Stripe does not know this customer."
        )
        return Pushed(change.source_id, said[:300])

    # Webhooks ---------------------------------------------------------------------------------------------------

    def verify_webhook(self, call: WebhookCall, now: dt.datetime) -> Sequence[Hint]:
        """HMAC-SHA256 over time, full stop and body, not older than five minutes; during a change of the secret there
        are several signatures: https://docs.stripe.com/webhooks#verify-manually"""
        given = [part.partition("=") for part in call.headers.get("stripe-signature", "").split(",")]
        stamp = next((value for name, _, value in given if name.strip() == "t"), "")
        if not stamp.isdigit() or abs(now.timestamp() - int(stamp)) > OLDEST_WEBHOOK:
            raise WebhookRefused("The call is too old, or says no time.")
        secret = self.link.secrets.get("webhook_secret", "")
        expected = sign(secret, stamp, call.body).encode()
        signatures = [value.encode() for name, _, value in given if name.strip() == "v1"]
        if not secret or not any(hmac.compare_digest(expected, one) for one in signatures):
            raise WebhookRefused("The signature does not fit.")
        return _hints(call.body)


def sign(secret: str, stamp: str, body: bytes) -> str:
    """Stripe's signature v1 of a call."""
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _hints(body: bytes) -> list[Hint]:
    try:
        event = json.loads(body)
        return [
            Hint(stream, named)
            for stream, parts in PARTS.items()
            for part in parts
            if part.has_own_ids and (named := _named(part, event))
        ]
    except (ValueError, TypeError, AttributeError, KeyError):
        raise WebhookRefused("The call is no event.") from None


def _named(part: Part, event: Mapping[str, Any]) -> str:
    """The record of a part that an event is about; nothing where it is about another. Previews have no id."""
    name = part.events.get(event["type"])
    return str(event["data"]["object"].get(name) or "") if name else ""


def _record(made: tuple[str, dict[str, Any]], moment: dt.datetime) -> Record:
    return Record(made[0], {"id": made[0], **made[1]}, moment)


def _expand(part: Part, before: str = "") -> dict[str, list[str]]:
    return {"expand[]": [before + name for name in part.wide]} if part.wide else {}


def _next(stream: str, position: Position, data: Mapping[str, Any]) -> Position | None:
    """Where the list goes on, or the next list of the stream begins."""
    if data["has_more"] and data["data"]:
        last = data["data"][-1]
        return {**position, "after": last["id"], "created": last["created"]}
    if position["part"] + 1 < len(PARTS[stream]):
        return {**position, "part": position["part"] + 1, "after": None}
    return None


def _metadata(one: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata without what we wrote ourselves."""
    given = one.get("metadata") or {}
    return {name: value for name, value in given.items() if not name.startswith("mainstay_")}


def _is_sale(charge: Mapping[str, Any]) -> bool:
    """Paid and taken: an authorisation that was not captured is no sale."""
    return charge["status"] == "succeeded" and bool(charge.get("paid")) and bool(charge.get("captured"))


def _billed(charge: Mapping[str, Any]) -> dict[str, Any]:
    billed = charge.get("billing_details") or {}
    address, email = billed.get("address") or {}, billed.get("email") or charge.get("receipt_email")
    return {
        "email": email,
        "label": billed.get("name") or email,
        "phone": billed.get("phone"),
        "country": address.get("country"),
        "state": address.get("state"),
    }


def money(amount: int | Decimal | None, currency: str) -> str:
    """An amount in the smallest unit as a decimal number: https://docs.stripe.com/currencies#minor-units"""
    code = currency.upper()
    decimals = 0 if code in NO_DECIMALS else 3 if code in THREE_DECIMALS else 2
    return format(Decimal(amount or 0).scaleb(-decimals), "f")


def _annual_value(subscription: Mapping[str, Any]) -> str:
    """What the fixed prices of a subscription come to in a year, before discounts and tax."""
    total = Decimal(0)
    for item in subscription["items"]["data"]:
        price = item.get("price") or {}
        every = price.get("recurring") or {}
        unit = price.get("unit_amount_decimal") or price.get("unit_amount")
        if unit is None or not every or every.get("usage_type") == "metered":
            continue
        times = Decimal(A_YEAR[every["interval"]]) / int(every.get("interval_count") or 1)
        total += Decimal(str(unit)) * int(item.get("quantity") or 0) * times
    return money(total.quantize(Decimal(1)), _currency_of(subscription))


def _currency_of(subscription: Mapping[str, Any]) -> str:
    prices = [item.get("price") or item.get("plan") or {} for item in subscription["items"]["data"]]
    given = subscription.get("currency") or next((price.get("currency") for price in prices), "")
    return str(given or "").upper()


def _time(stamp: int | None) -> str | None:
    return None if stamp is None else dt.datetime.fromtimestamp(stamp, dt.UTC).isoformat()


def _day(stamp: int | None) -> str | None:
    """The day of a moment, in UTC."""
    return None if stamp is None else dt.datetime.fromtimestamp(stamp, dt.UTC).date().isoformat()
