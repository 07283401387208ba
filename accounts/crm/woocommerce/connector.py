"""WooCommerce: customers and guests, orders, refunds, products; scores written back as meta data of customers.

Orders and products are walked in the order in which they were changed: each question begins a second before the last
record that was met, so that nothing is skipped when records change, and move, meanwhile. Customers cannot be asked for
by time of change (https://github.com/woocommerce/woocommerce/issues/41371): new ones are read each time, all of them
once a day. Reference: https://woocommerce.github.io/woocommerce-rest-api-docs/
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from accounts.crm.shops import CUSTOMERS, GUEST, Buyers, check_signature

API = "/wp-json/wc/v3"
PAGE = 100  # the most there is: https://woocommerce.github.io/woocommerce-rest-api-docs/#pagination
SHARED = 5  # records that two pages of a list share, so that a deletion meanwhile hides none
WHOLE_EVERY = dt.timedelta(days=1)
A_SECOND = dt.timedelta(seconds=1)
# Statuses of an order that was placed; what leaves them is cancelled here. A shop's own statuses are added to the map.
PLACED = {"processing": "placed", "on-hold": "placed", "completed": "delivered", "refunded": "placed"}
RESOURCES = {"customer": (CUSTOMERS, "contacts"), "order": ("orders",), "product": ("products",)}

Made = tuple[str, dict[str, Any]] | None  # source id and payload; None: nothing to us


@dataclass(frozen=True, slots=True)
class Part:
    """One list that a stream is read from, and how changes are found in it: by `modified`, by `created` (what never
    changes), or by `registered` (customers). `fields` are all that is asked for."""

    path: str
    how: str
    make: Callable[[Connector, Mapping[str, Any]], Made]
    fields: str


def _account(_: Connector, one: Mapping[str, Any]) -> Made:
    if not _buys(one):
        return None
    billing = one.get("billing") or {}
    return str(one["id"]), {
        "label": billing.get("company") or _name(one) or one.get("email") or one.get("username"),
        "email": one.get("email"),
        "country": billing.get("country"),
        "state": billing.get("state"),
        "role": one.get("role"),
        "meta": _meta(one),
    }


def _contact(_: Connector, one: Mapping[str, Any]) -> Made:
    if not _buys(one):
        return None
    billing, source_id = one.get("billing") or {}, str(one["id"])
    name = _name(one) or _name(billing) or one.get("email")
    shown = {"name": name, "email": one.get("email") or billing.get("email"), "phone": billing.get("phone")}
    return source_id, {**shown, "customer": source_id, "meta": _meta(one)}


def _guest(self: Connector, order: Mapping[str, Any]) -> Made:
    """The account of somebody who ordered without registering."""
    billing = order.get("billing") or {}
    account = None if order["customer_id"] or not billing.get("email") else self.buyers.of(billing["email"])
    if account is None or not account.startswith(GUEST) or order["status"] not in PLACED:
        return None
    return account, {
        "label": billing.get("company") or _name(billing) or billing["email"],
        "email": billing["email"],
        "country": billing.get("country"),
        "state": billing.get("state"),
    }


def _guest_contact(self: Connector, order: Mapping[str, Any]) -> Made:
    guest = _guest(self, order)
    if guest is None:
        return None
    billing = order["billing"]
    shown = {
        "name": _name(billing) or billing["email"],
        "email": billing["email"],
        "phone": billing.get("phone"),
    }
    return guest[0], {**shown, "customer": guest[0]}


def _order(self: Connector, one: Mapping[str, Any]) -> Made:
    return str(one["id"]), {
        "customer": self.buyer(one),
        "number": one.get("number"),
        "status": one["status"],
        "made_at": _moment_text(one["date_created_gmt"]),
        "completed_on": (one.get("date_completed_gmt") or "")[:10] or None,
        "total": one["total"],
        "discount": one.get("discount_total"),
        "currency": one["currency"],
        "meta": _meta(one),
    }


def _refund(self: Connector, one: Mapping[str, Any]) -> Made:
    order = self.orders.get(one["parent_id"])
    if order is None:
        return None
    return str(one["id"]), {
        "customer": self.buyer(order),
        "order": str(one["parent_id"]),
        "made_at": _moment_text(one["date_created_gmt"]),
        "total": f"-{one['amount']}",
        "currency": order["currency"],
        "kind": "returned",
        "reason": one.get("reason"),
    }


def _product(_: Connector, one: Mapping[str, Any]) -> Made:
    categories = one.get("categories") or [{}]
    return str(one["id"]), {
        "sku": one.get("sku") or str(one["id"]),
        "name": one["name"],
        "series": categories[0].get("name"),
        "price": one.get("regular_price") or one.get("price") or None,
    }


PERSON = "id,date_created_gmt,date_modified_gmt,email,first_name,last_name,role,username,billing,is_paying_customer,meta_data"
BUYER = "id,date_modified_gmt,customer_id,status,billing"
PARTS: Mapping[str, tuple[Part, ...]] = {
    CUSTOMERS: (
        Part("/customers", "registered", _account, PERSON),
        Part("/orders", "modified", _guest, BUYER),
    ),
    "contacts": (
        Part("/customers", "registered", _contact, PERSON),
        Part("/orders", "modified", _guest_contact, BUYER),
    ),
    "products": (
        Part(
            "/products",
            "modified",
            _product,
            "id,date_modified_gmt,sku,name,categories,regular_price,price",
        ),
    ),
    "orders": (
        Part(
            "/orders",
            "modified",
            _order,
            f"{BUYER},number,date_created_gmt,date_completed_gmt,total,discount_total,currency,meta_data",
        ),
    ),
    "refunds": (Part("/refunds", "created", _refund, "id,parent_id,date_created_gmt,amount,reason"),),
}
SALE = {"account": "customer", "ordered_at": "made_at", "amount": "total", "currency": "currency"}
STREAMS = (
    Stream(CUSTOMERS, "accounts", {"name": "label", "country": "country", "region": "state"}),
    Stream(
        "contacts", "contacts", {"account": "customer", "name": "name", "email": "email", "phone": "phone"}
    ),
    Stream("products", "products", {"sku": "sku", "name": "name", "series": "series", "unit_price": "price"}),
    Stream(
        "orders",
        "orders",
        {
            **SALE,
            "status": {"field": "status", "values": PLACED},
            "delivered_on": "completed_on",
            "discount": "discount",
        },
        {"status": list(PLACED)},
    ),
    Stream("refunds", "orders", {**SALE, "status": "kind"}),
)


class Connector(Base):
    """Options: address, of the shop. Credentials: consumer_key and consumer_secret; webhook_secret."""

    label = "WooCommerce"
    credential_names = ("consumer_key", "consumer_secret", "webhook_secret")
    # The shop's own server answers; there is no published limit, and we are not its customers.
    calls_per_second = 3.0
    burst = 3
    overlap = dt.timedelta(minutes=10)
    push_size = 100  # https://woocommerce.github.io/woocommerce-rest-api-docs/#batch-update-customers
    can_push = True
    looks_at_landed = True  # guests, at customers
    has_webhooks = True
    about = "Customers and guests, orders, refunds and products."
    ways = (
        Way(
            "key",
            "With a REST API key",
            (
                Ask(
                    "address",
                    "Address of the shop",
                    "As customers see it, with https://.",
                    is_credential=False,
                    is_hidden=False,
                ),
                Ask("consumer_key", "Consumer key", "Begins with \u201cck_\u201d."),
                Ask("consumer_secret", "Consumer secret", "Begins with \u201ccs_\u201d."),
                Ask(
                    "webhook_secret",
                    "Webhook secret",
                    "Only for webhooks: the secret you enter there.",
                    is_needed=False,
                ),
            ),
            (
                "In WordPress open WooCommerce, then Settings, Advanced, REST API, and choose Add key.",
                "Take a user who manages the shop; permissions Read, or Read/Write to write scores back.",
                "Generate the key and copy both parts into the fields here; they are shown once.",
            ),
            "https://woocommerce.com/document/woocommerce-rest-api/",
        ),
    )
    webhook_how_to = (
        "In WordPress open WooCommerce, then Settings, Advanced, Webhooks, and choose Add webhook.",
        "Enter this address as the delivery URL and a long secret; enter the same secret here.",
        "Make one each for the topics customer and order: created, updated, deleted.",
    )

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.buyers = Buyers(link.connection_id)
        self.orders: dict[int, Mapping[str, Any]] = {}

    @property
    def address(self) -> str:
        return str(self.link.options.get("address", "")).rstrip("/") + API

    def auth_headers(self) -> Mapping[str, str]:
        """Basic sign-in, over https: https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication-over-https"""
        pair = f"{self.link.secrets.get('consumer_key', '')}:{self.link.secrets.get('consumer_secret', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def _get(self, path: str, params: Mapping[str, Any]) -> Reply:
        return self.link.call("GET", self.address + path, params={"per_page": PAGE, **params})

    def check(self) -> str:
        """Every list is tried; refunds have a list of their own since WooCommerce 9.0."""
        paths = dict.fromkeys(part.path for parts in PARTS.values() for part in parts)
        found = {path: self._get(path, {"per_page": 1, "_fields": "id"}).data for path in paths}
        return (
            "Customers and orders can be read." if found["/orders"] else "Signed in; there are no orders yet."
        )

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    def buyer(self, order: Mapping[str, Any]) -> str | None:
        """The account of an order: its customer, else who has the e-mail of the bill."""
        email = (order.get("billing") or {}).get("email")
        return (
            str(order["customer_id"]) if order["customer_id"] else (self.buyers.of(email) if email else None)
        )

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        position = position or self._begin(stream, 0, since)
        part = PARTS[stream][position["part"]]
        if part.how == "registered":
            return self._registered(stream, part, since, position)
        return self._walk(stream, part, since, position)

    def _begin(self, stream: str, part: int, since: dt.datetime | None) -> Position:
        start: Position = {"part": part}
        if PARTS[stream][part].how == "registered":
            whole = since is None or self._is_whole_due(stream)
            return {**start, "offset": 0, "how": "all" if whole else "new"}
        return {**start, "after": None if since is None else _plain(since - A_SECOND), "page": 1}

    def _is_whole_due(self, stream: str) -> bool:
        last = self.link.options.get(f"whole_{stream}")
        return not last or dt.datetime.fromisoformat(last) < timezone.now() - WHOLE_EVERY

    def _end(self, stream: str, part: int, since: dt.datetime | None) -> Position | None:
        return self._begin(stream, part + 1, since) if part + 1 < len(PARTS[stream]) else None

    def _walk(self, stream: str, part: Part, since: dt.datetime | None, at: Position) -> Page:
        """A page of what changed after `after`, in the order of change."""
        by_change = part.how == "modified"
        asked: dict[str, Any] = {
            "orderby": "modified" if by_change else "date",
            "order": "asc",
            "page": at["page"],
            "dates_are_gmt": "true",
            "_fields": part.fields,
        }
        if at["after"]:
            asked["modified_after" if by_change else "after"] = at["after"]
        reply = self._get(part.path, asked)
        self._learn_orders(part, reply.data)
        records = self._records(part, reply.data)
        if not _has_more(reply, at["page"]):
            return Page(records, self._end(stream, at["part"], since), reply.date)
        last = _plain(_changed(reply.data[-1]) - A_SECOND)
        moved = at["after"] is None or last > at["after"]
        on = {"after": last, "page": 1} if moved else {"page": at["page"] + 1}
        return Page(records, {**at, **on}, reply.date)

    def _registered(self, stream: str, part: Part, since: dt.datetime | None, at: Position) -> Page:
        """Customers: all of them by id, or from the newest back to those known."""
        is_whole = at["how"] == "all"
        order = (
            {"orderby": "id", "order": "asc"} if is_whole else {"orderby": "registered_date", "order": "desc"}
        )
        reply = self._get(part.path, {"role": "all", **order, "offset": at["offset"], "_fields": part.fields})
        known = since is not None and any(_time(one["date_created_gmt"]) < since for one in reply.data)
        on = _next_offset(reply, at["offset"])
        if on is None or (not is_whole and known):
            if is_whole:
                self.link.remember({f"whole_{stream}": (reply.date or timezone.now()).isoformat()})
            return Page(self._records(part, reply.data), self._end(stream, at["part"], since), reply.date)
        return Page(self._records(part, reply.data), {**at, "offset": on}, reply.date)

    def _records(self, part: Part, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        made = ((part.make(self, one), one) for one in rows)
        return [
            Record(got[0], {"id": got[0], **got[1]}, _changed(one)) for got, one in made if got is not None
        ]

    def _learn_orders(self, part: Part, refunds: Sequence[Mapping[str, Any]]) -> None:
        """A refund names its order, and not who bought."""
        if part.how != "created" or not refunds:
            return
        wanted = ",".join(str(number) for number in sorted({one["parent_id"] for one in refunds}))
        found = self._get("/orders", {"include": wanted, "_fields": "id,customer_id,billing,currency"}).data
        self.orders = {one["id"]: one for one in found}

    def ids(self, stream: str, position: Position | None) -> IdPage:
        at = position or {"part": 0, "offset": 0}
        part = PARTS[stream][at["part"]]
        asked = {"role": "all"} if part.how == "registered" else {}
        reply = self._get(
            part.path,
            {**asked, "orderby": "id", "order": "asc", "offset": at["offset"], "_fields": part.fields},
        )
        self._learn_orders(part, reply.data)
        on = _next_offset(reply, at["offset"])
        ids = [record.source_id for record in self._records(part, reply.data)]
        if on is not None:
            return IdPage(ids, {**at, "offset": on})
        is_last = at["part"] + 1 == len(PARTS[stream])
        return IdPage(ids, None if is_last else {"part": at["part"] + 1, "offset": 0})

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        part = PARTS[stream][0]
        asked = {"role": "all"} if part.how == "registered" else {}
        found: list[Record] = []
        for begin in range(0, len(ids), PAGE):
            wanted = ",".join(ids[begin : begin + PAGE])
            reply = self._get(part.path, {**asked, "include": wanted, "_fields": part.fields})
            self._learn_orders(part, reply.data)
            found += self._records(part, reply.data)
        return found

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """Meta data of customers; those that are refused are named in the answer, the others are saved:
        https://woocommerce.github.io/woocommerce-rest-api-docs/#batch-update-customers"""
        customers = [change for change in changes if not change.source_id.startswith(GUEST)]
        guests = [change for change in changes if change.source_id.startswith(GUEST)]
        results = [
            Pushed(one.source_id, "A guest has no record in WooCommerce to write to.") for one in guests
        ]
        if customers:
            body = {"update": [{"id": int(one.source_id), "meta_data": _meta_of(one)} for one in customers]}
            reply = self.link.call("POST", f"{self.address}/customers/batch", body=body)
            results += [_pushed(row) for row in reply.data.get("update", [])]
        return results

    # Webhooks ---------------------------------------------------------------------------------------------------

    def verify_webhook(self, call: WebhookCall, now: dt.datetime) -> Sequence[Hint]:
        """base64 of HMAC-SHA256 over the body; no time is signed, so an old call is only a needless hint:
        https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks"""
        given = call.headers.get("x-wc-webhook-signature", "")
        if not given and call.body.startswith(b"webhook_id=") and len(call.body) < 40:
            return []  # the call that tries the address when a webhook is made; it is not signed and says nothing
        check_signature(self.link.secrets.get("webhook_secret", ""), call.body, given)
        return _hints(call)


def _hints(call: WebhookCall) -> list[Hint]:
    try:
        source_id = str(int(json.loads(call.body)["id"]))
    except (ValueError, TypeError, KeyError):
        raise WebhookRefused("The call names no record.") from None
    streams = RESOURCES.get(call.headers.get("x-wc-webhook-resource", ""), ())
    return [Hint(stream, source_id) for stream in streams]


def _has_more(reply: Reply, page: int) -> bool:
    """https://woocommerce.github.io/woocommerce-rest-api-docs/#pagination"""
    return bool(reply.data) and page < int(reply.headers.get("x-wp-totalpages", 0))


def _next_offset(reply: Reply, offset: int) -> int | None:
    if not reply.data or offset + len(reply.data) >= int(reply.headers.get("x-wp-total", 0)):
        return None
    return offset + max(PAGE - SHARED, 1)


def _pushed(row: Mapping[str, Any]) -> Pushed:
    error = row.get("error")
    return Pushed(str(row["id"]), str(error.get("message") or "refused")[:300] if error else "")


def _meta_of(change: Change) -> list[dict[str, str]]:
    """Keys and values; nothing becomes an empty text."""
    return [
        {"key": f"mainstay_{name}", "value": "" if value is None else str(value)}
        for name, value in change.fields.items()
    ]


def _meta(one: Mapping[str, Any]) -> dict[str, Any]:
    """Meta data of people: not WordPress' own (they begin with a line), not ours, no lists."""
    given = one.get("meta_data") or []
    return {
        meta["key"]: meta["value"]
        for meta in given
        if not meta["key"].startswith(("_", "mainstay_")) and not isinstance(meta["value"], dict | list)
    }


def _buys(one: Mapping[str, Any]) -> bool:
    """Users of the site who are no customers (authors, subscribers) are nothing to us unless they bought."""
    return one.get("role") == "customer" or bool(one.get("is_paying_customer"))


def _name(one: Mapping[str, Any]) -> str:
    return " ".join(part for part in (one.get("first_name"), one.get("last_name")) if part)


def _time(text: str) -> dt.datetime:
    """A moment in UTC, as the fields that end in _gmt say it: without a zone."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def _moment_text(text: str) -> str:
    return _time(text).isoformat()


def _plain(moment: dt.datetime) -> str:
    """A moment as the filters take it, with dates_are_gmt."""
    return moment.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None).isoformat()


def _changed(one: Mapping[str, Any]) -> dt.datetime:
    return _time(one.get("date_modified_gmt") or one["date_created_gmt"])
