"""A local stand-in for WooCommerce, written by us after its published API (https://woocommerce.github.io/woocommerce-rest-api-docs/):
lists by page or offset with totals in headers, filters by time that mean the shop's own clock unless told otherwise,
customers that know no such filter, batches with refused rows. It is not WooCommerce, and proves nothing about it.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.crm.servers.base import Answer, Request, Server, World

KEY, SECRET = "ck_own_key", "cs_hush_hush"
API = ["wp-json", "wc", "v3"]
SHOP_AHEAD = dt.timedelta(hours=2)  # of UTC
ORDERS = {
    "id": "id",
    "modified": "date_modified_gmt",
    "date": "date_created_gmt",
    "registered_date": "date_created_gmt",
}
FILTERS = {"modified_after": "date_modified_gmt", "after": "date_created_gmt"}


@dataclass
class WooCommerce(World):
    """The data, and how the server behaves."""

    objects: dict[str, dict[int, dict[str, Any]]] = field(
        default_factory=lambda: {"customers": {}, "orders": {}, "refunds": {}, "products": {}}
    )
    keys: set[tuple[str, str]] = field(default_factory=lambda: {(KEY, SECRET)})
    has_refunds: bool = True
    # Its clock: a shop that was filled yesterday, and is read from today.
    now: dt.datetime = field(default_factory=lambda: _ago(days=1))

    def tick(self) -> str:
        self.now += dt.timedelta(seconds=7)
        return self.now.isoformat()

    def put(self, kind: str, number: int, /, at: str = "", **told: Any) -> None:
        """Create or change a record; `at` is when, in UTC."""
        at = at or self.tick()
        known = self.objects[kind].get(number, {"id": number, "date_created_gmt": at, "meta_data": []})
        self.objects[kind][number] = {**known, "date_modified_gmt": at, **told}

    # Answers ----------------------------------------------------------------------------------------------------

    def judge(self, request: Request) -> Answer:
        path = request.path.strip("/").split("/")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        pair = tuple(base64.b64decode(given).decode().split(":")) if scheme == "Basic" else ()
        if pair not in self.keys:
            return _error(401, "woocommerce_rest_cannot_view", f"Sorry, you cannot list resources. {pair}")
        kind = path[3] if path[:3] == API and len(path) > 3 else ""
        if kind not in self.objects or (kind == "refunds" and not self.has_refunds):
            return _error(404, "rest_no_route", "No route was found matching the URL and request method.")
        if path[4:] == ["batch"]:
            return self._batch(kind, request.body)
        return self._list(kind, request.query)

    def _list(self, kind: str, query: Mapping[str, str]) -> Answer:
        size = int(query.get("per_page", 10))
        if not 1 <= size <= 100:
            return _error(400, "rest_invalid_param", "Invalid parameter(s): per_page")
        rows = self._chosen(kind, query)
        order = ORDERS[query.get("orderby", "date")]
        rows.sort(key=lambda row: (row[order], row["id"]), reverse=query.get("order", "desc") == "desc")
        begin = int(query.get("offset", (int(query.get("page", 1)) - 1) * size))
        names = query["_fields"].split(",") if "_fields" in query else None
        shown = [
            {n: v for n, v in row.items() if names is None or n in names}
            for row in rows[begin : begin + size]
        ]
        totals = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(-(-len(rows) // size))}
        return Answer(200, shown, totals)

    def _chosen(self, kind: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        rows = list(self.objects[kind].values())
        if "include" in query:
            rows = [row for row in rows if str(row["id"]) in query["include"].split(",")]
        if kind == "customers":  # no filter by time there
            role = query.get("role", "customer")
            return [row for row in rows if role in ("all", row["role"])]
        if kind == "orders":
            rows = [row for row in rows if row["status"] != "trash"]
        for name, of in FILTERS.items():
            if name in query:
                since = dt.datetime.fromisoformat(query[name])
                since -= SHOP_AHEAD if query.get("dates_are_gmt") != "true" else dt.timedelta()
                rows = [row for row in rows if dt.datetime.fromisoformat(row[of]) > since]
        return rows

    def _batch(self, kind: str, body: dict[str, Any]) -> Answer:
        if len(body["update"]) > 100:
            return _error(
                413, "woocommerce_rest_request_entity_too_large", "Unable to accept more than 100 items"
            )
        return Answer(200, {"update": [self._update(kind, one) for one in body["update"]]})

    def _update(self, kind: str, told: Mapping[str, Any]) -> dict[str, Any]:
        row = self.objects[kind].get(told["id"])
        if row is None:
            said = {
                "code": "woocommerce_rest_invalid_id",
                "message": "Invalid resource ID.",
                "data": {"status": 400},
            }
            return {"id": told["id"], "error": said}
        meta = {one["key"]: one["value"] for one in [*row["meta_data"], *told["meta_data"]]}
        changed = [{"id": n, "key": key, "value": value} for n, (key, value) in enumerate(meta.items())]
        self.put(kind, told["id"], meta_data=changed)
        return self.objects[kind][told["id"]]


def _ago(**long: float) -> dt.datetime:
    """A moment in UTC, without its zone, in whole seconds."""
    return (dt.datetime.now(dt.UTC) - dt.timedelta(**long)).replace(tzinfo=None, microsecond=0)


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"code": code, "message": message, "data": {"status": status}})


class WooServer(Server):
    world: WooCommerce

    def __init__(self) -> None:
        super().__init__(WooCommerce())


def fill(world: WooCommerce, customers: int = 4) -> None:
    """Customers with a paid and an unpaid order each, as many guests with an order, a product, an author of the site."""
    world.put(
        "products", 900, sku="TEA", name="Tea", categories=[{"id": 1, "name": "Drinks"}], regular_price="4.50"
    )
    world.put("products", 901, sku="", name="Cup", categories=[], regular_price="", price="7")
    world.put(
        "customers", 99, email="author@shop.example", role="author", is_paying_customer=False, billing={}
    )
    for number in range(1, customers + 1):
        email = f"Buyer{number}@customer.example"
        world.put(
            "customers", number, email=email, first_name="Ann", last_name=f"Of {number}", role="customer",
            username=f"ann{number}", is_paying_customer=True,
            billing={"company": f"Company {number}", "country": "DE", "state": "BE", "phone": "+49 30 1"},
        )  # fmt: skip
        order(
            world, 100 + number, number, f"{number}0.50", status="completed", date_completed_gmt=world.tick()
        )
        order(world, 200 + number, number, "9.99", status="pending")
        order(world, 300 + number, 0, "5.00", billing=bill(f"Guest{number}@shop.example"))
    world.now = _ago(minutes=5)


def order(world: WooCommerce, number: int, customer: int, total: str, **told: Any) -> None:
    usual = {
        "status": "processing",
        "currency": "EUR",
        "discount_total": "0.00",
        "number": str(number),
        "billing": {},
    }
    world.put("orders", number, customer_id=customer, total=total, **{**usual, **told})


def bill(email: str) -> dict[str, Any]:
    return {
        "email": email,
        "first_name": "Gus",
        "last_name": "Test",
        "company": "",
        "country": "FR",
        "phone": "",
    }
