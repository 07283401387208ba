"""A local stand-in for Stripe, written by us after its published API (https://docs.stripe.com/api): lists that come newest
first and go on behind an id, fields that are sent whole when asked for, events of 30 days, deleted customers, keys that may
not do everything, repeated writes answered from memory, metadata with its limits. It is not Stripe, and proves nothing
about it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.crm.servers.base import Answer, Request, Server, World

KEY = "rk_test_own_key"
VERSION = "2025-02-24.acacia"
EVENTS_KEPT = 30 * 86_400
LISTS = ("customers", "charges", "invoices", "subscriptions", "refunds", "credit_notes")
# Fields that hold an id, and are sent whole when asked for: field -> where the object is.
REFERS = {"charge": "charges", "refund": "refunds"}


@dataclass
class Stripe(World):
    """The data, and how the server behaves."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {kind: {} for kind in LISTS}
    )
    deleted: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=lambda: {KEY})
    forbidden: set[str] = field(default_factory=set)
    written: dict[str, tuple[Any, Answer]] = field(default_factory=dict)
    now: int = field(default_factory=lambda: int(time.time()))

    def put(self, kind: str, object_id: str, event: str = "", **told: Any) -> dict[str, Any]:
        """Create or change an object, and tell it as an event."""
        known = self.objects[kind].pop(object_id, {"id": object_id, "created": self.now, "metadata": {}})
        self.objects[kind][object_id] = {**known, **told}
        if event:
            self.tell(event, self.objects[kind][object_id])
        return self.objects[kind][object_id]

    def tell(self, name: str, one: Mapping[str, Any], at: int | None = None) -> dict[str, Any]:
        event = {
            "id": f"evt_{len(self.events)}",
            "object": "event",
            "type": name,
            "created": at or self.now,
            "api_version": "2019-12-03",
            "data": {"object": {**one, "name": "Something older"}},
        }
        self.events.append(event)
        return event

    def delete(self, customer: str) -> None:
        gone = self.objects["customers"].pop(customer)
        self.deleted.add(customer)
        self.tell("customer.deleted", gone)

    # Answers ----------------------------------------------------------------------------------------------------

    def judge(self, request: Request) -> Answer:
        path = request.path.strip("/").split("/")
        if request.bearer not in self.keys:
            return _error(401, f"Invalid API Key provided: {request.bearer}")
        if request.headers.get("stripe-version") != VERSION:
            return _error(400, f"Invalid Stripe API version: {request.headers.get('stripe-version')}")
        if path[1] in self.forbidden:
            return _error(403, f"The provided key does not have the required permissions for '{path[1]}'.")
        if request.method == "POST":
            return self._write(path, request)
        if path[1] == "events":
            return self._events(request)
        if len(path) == 3:
            return self._one(path[1], path[2], request)
        return self._list(path[1], request)

    def _one(self, kind: str, object_id: str, request: Request) -> Answer:
        if object_id in self.deleted:
            return Answer(200, {"id": object_id, "object": "customer", "deleted": True})
        if object_id not in self.objects[kind]:
            return _missing(object_id)
        return Answer(200, self._shown(self.objects[kind][object_id], request.values.get("expand[]", []), ""))

    def _list(self, kind: str, request: Request) -> Answer:
        rows = list(self.objects[kind].values())
        status = request.query.get("status", "all")
        rows = [row for row in rows if status == "all" or row["status"] == status]
        return self._page(rows, request)

    def _events(self, request: Request) -> Answer:
        wanted = request.values.get("types[]", [])
        if len(wanted) > 20:
            return _error(400, "types may contain at most 20 entries")
        kept = [one for one in self.events if one["created"] > self.now - EVENTS_KEPT]
        return self._page([one for one in kept if not wanted or one["type"] in wanted], request)

    def _page(self, rows: list[dict[str, Any]], request: Request) -> Answer:
        limit, after = int(request.query.get("limit", 10)), request.query.get("starting_after")
        if not 1 <= limit <= 100:
            return _error(400, "Invalid integer: limit must be between 1 and 100")
        low = int(request.query.get("created[gte]", 0))
        high = int(request.query.get("created[lte]", 2**40))
        rows = sorted((row for row in rows if low <= row["created"] <= high), key=lambda row: row["created"])[
            ::-1
        ]
        if after:
            found = [number for number, row in enumerate(rows) if row["id"] == after]
            if not found:
                return _missing(after, "starting_after")
            rows = rows[found[0] + 1 :]
        shown = [self._shown(row, request.values.get("expand[]", []), "data.") for row in rows[:limit]]
        return Answer(200, {"object": "list", "data": shown, "has_more": len(rows) > limit})

    def _shown(self, row: Mapping[str, Any], wide: list[str], before: str) -> dict[str, Any]:
        told = dict(row)
        for name in wide:
            name = name.removeprefix(before)
            if name == "subscriptions":
                mine = [sub for sub in self.objects["subscriptions"].values() if sub["customer"] == row["id"]]
                told[name] = {"object": "list", "data": [sub for sub in mine if sub["status"] != "canceled"]}
            elif told.get(name):
                told[name] = self.objects[REFERS[name]][told[name]]
        return told

    def _write(self, path: list[str], request: Request) -> Answer:
        key = request.headers.get("idempotency-key", "")
        known = self.written.get(key)
        if known is not None:
            same = known[0] == (path, request.body)
            return (
                known[1]
                if same
                else _error(400, "Keys for idempotent requests can only be used with the same parameters")
            )
        answer = self._update(path[2], request.body) if path[1] == "customers" else _missing(path[1])
        if key:
            self.written[key] = ((path, request.body), answer)
        return answer

    def _update(self, customer: str, form: dict[str, str]) -> Answer:
        if customer not in self.objects["customers"]:
            return _missing(customer)
        metadata = dict(self.objects["customers"][customer]["metadata"])
        for name, value in form.items():
            name = name.removeprefix("metadata[").removesuffix("]")
            if len(name) > 40 or len(value) > 500:
                return _error(400, "Metadata values can have up to 500 characters")
            metadata.pop(name, None)
            if value:
                metadata[name] = value
        return Answer(200, self.put("customers", customer, "customer.updated", metadata=metadata))


def _error(status: int, message: str, **more: str) -> Answer:
    return Answer(status, {"error": {"type": "invalid_request_error", "message": message, **more}})


def _missing(object_id: str, param: str = "id") -> Answer:
    return _error(
        404 if param == "id" else 400, f"No such object: '{object_id}'", code="resource_missing", param=param
    )


class StripeServer(Server):
    world: Stripe

    def __init__(self) -> None:
        super().__init__(Stripe())


def fill(world: Stripe, customers: int = 4) -> None:
    """Customers with a subscription, a paid and an open invoice, the payment of the former, a payment of their own; and
    as many guests."""
    began = world.now - 400 * 86_400
    for number in range(1, customers + 1):
        customer, world.now = f"cus_{number}", began + number * 86_400
        world.put(
            "customers", customer, name=f"Company {number}", email=f"Buyer{number}@customer.example", currency="eur",
            address={"country": "DE", "state": "BE"}, phone="+49 30 1",
        )  # fmt: skip
        world.put(
            "subscriptions", f"sub_{number}", customer=customer, status="active", start_date=world.now, currency="eur",
            current_period_end=began + 800 * 86_400, items={"data": [{"quantity": 3, "price": price(1050, "month", 3)}]},
        )  # fmt: skip
        invoice(world, f"in_{number}", customer, 12_000 + number)
        invoice(world, f"in_open_{number}", customer, 500, status="open")
        charge(world, f"ch_in_{number}", customer, 12_000 + number, invoice=f"in_{number}")
        charge(world, f"ch_{number}", customer, 700 + number)
        charge(world, f"ch_guest_{number}", None, 900, billing_details=bill(f"Guest{number}@shop.example"))
    world.now = began + 400 * 86_400


def price(amount: int, interval: str, count: int = 1) -> dict[str, Any]:
    return {
        "currency": "eur",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
        "recurring": {"interval": interval, "interval_count": count, "usage_type": "licensed"},
    }


def bill(email: str) -> dict[str, Any]:
    return {
        "email": email,
        "name": email.split("@")[0],
        "phone": None,
        "address": {"country": "FR", "state": None},
    }


def invoice(
    world: Stripe, object_id: str, customer: str, total: int, status: str = "paid", **told: Any
) -> None:
    world.put(
        "invoices", object_id, customer=customer, status=status, total=total, currency=told.pop("currency", "eur"),
        number=object_id.upper(), status_transitions={"finalized_at": world.now, "paid_at": world.now}, **told,
    )  # fmt: skip


def charge(world: Stripe, object_id: str, customer: str | None, amount: int, **told: Any) -> None:
    usual = {"status": "succeeded", "paid": True, "captured": True, "currency": "eur", "invoice": None}
    world.put("charges", object_id, customer=customer, amount=amount, **{**usual, **told})
